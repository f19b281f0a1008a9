use crate::{ReadingError, match_study, recount};
use async_trait::async_trait;
use mingying_archive::{Archive, ArchiveError};
use mingying_db::Db;
use mingying_events::Recorded;
use mingying_jobs::{Failure, Subscriber};
use mingying_kernel::Ctx;

/// Matches studies as their images arrive, and follows when images are deleted or brought back.
pub struct MatchStudies {
    db: Db,
    archive: Archive,
    ctx: Ctx,
}

impl MatchStudies {
    /// `ctx` is the worker's own: `access.system("matcher")`.
    pub fn new(db: Db, archive: Archive, ctx: Ctx) -> Self {
        Self { db, archive, ctx }
    }
}

#[async_trait]
impl Subscriber for MatchStudies {
    fn name(&self) -> &'static str {
        "reading.match"
    }

    fn topics(&self) -> &'static [&'static str] {
        &["study.created", "instances.stored", "instances.deleted", "instances.restored"]
    }

    async fn handle(&self, event: &Recorded) -> Result<(), Failure> {
        let study_uid = &event.subject_id;
        let done = match event.topic.as_str() {
            "instances.deleted" | "instances.restored" => recount(&self.db, &self.archive, &self.ctx, study_uid).await,
            _ => match_study(&self.db, &self.archive, &self.ctx, study_uid).await.map(drop),
        };
        match done {
            Ok(()) => Ok(()),
            // The study was deleted meanwhile.
            Err(ReadingError::Archive(ArchiveError::NotFound)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
