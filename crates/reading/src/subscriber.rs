use crate::{ReadingError, match_study};
use async_trait::async_trait;
use mingying_archive::{Archive, ArchiveError};
use mingying_db::Db;
use mingying_events::Recorded;
use mingying_jobs::{Failure, Subscriber};
use mingying_kernel::Ctx;

/// Matches studies as their images arrive.
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
        &["study.created", "instances.stored"]
    }

    async fn handle(&self, event: &Recorded) -> Result<(), Failure> {
        match match_study(&self.db, &self.archive, &self.ctx, &event.subject_id).await {
            Ok(_) => Ok(()),
            // The study was deleted meanwhile.
            Err(ReadingError::Archive(ArchiveError::NotFound)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
