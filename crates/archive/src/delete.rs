//! Deletion: a tombstone in the log takes instances out of every answer at once; their bytes stay in the packs, and a
//! revocation brings them back, until the time for that has passed and compaction removes them.

use crate::log::{Applied, Step};
use crate::model::{Deletion, DeletionState, Reason};
use crate::record::{AboutTombstoneMeta, DeletionMeta, Doer, TombstoneMeta};
use crate::store;
use crate::{Archive, ArchiveError, DeleteStudies};
use mingying_blob::Kind;
use mingying_kernel::Permit;

/// Longest note, in characters.
const MAX_NOTE: usize = 1000;

/// What is to be deleted: a study, one of its series, or one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub study_uid: String,
    pub series_uid: Option<String>,
    pub sop_uid: Option<String>,
}

impl Target {
    pub fn study(study_uid: impl Into<String>) -> Self {
        Self { study_uid: study_uid.into(), series_uid: None, sop_uid: None }
    }

    #[must_use]
    pub fn series(mut self, series_uid: impl Into<String>) -> Self {
        self.series_uid = Some(series_uid.into());
        self
    }

    #[must_use]
    pub fn instance(mut self, sop_uid: impl Into<String>) -> Self {
        self.sop_uid = Some(sop_uid.into());
        self
    }
}

impl Archive {
    /// Deletes what is there of a study, series or instance now; what arrives afterwards is new. From then on no query
    /// finds it and nothing gives it out, and `restore` can bring it back for the configured time. `NotFound` when
    /// nothing is there or visible.
    pub async fn delete(
        &self,
        permit: &Permit<DeleteStudies>,
        target: &Target,
        reason: Reason,
        note: &str,
    ) -> Result<Deletion, ArchiveError> {
        if note.chars().count() > MAX_NOTE || (reason == Reason::Other && note.trim().is_empty()) {
            return Err(ArchiveError::InvalidQuery { key: "note".to_owned() });
        }
        store::visible_study(self.db(), permit.scope(), &target.study_uid).await?;
        let meta = DeletionMeta {
            v: 2,
            at: permit.now(),
            by: Doer::of(permit.ctx()),
            study_uid: target.study_uid.clone(),
            series_uid: target.series_uid.clone().unwrap_or_default(),
            sop_uid: target.sop_uid.clone().unwrap_or_default(),
            reason,
            note: note.trim().to_owned(),
        };
        let tombstone = TombstoneMeta::Objects(Box::new(meta));
        let applied = self.log(Kind::Tombstone, &tombstone, permit.ctx(), Step::Tombstone).await?;
        self.recent().forget(&target.study_uid);
        match applied {
            Applied::Deleted(deletion) => Ok(deletion),
            _ => Err(ArchiveError::NotFound),
        }
    }

    /// Takes a deletion back: what was deleted is in every answer again. An object that has come anew meanwhile stays
    /// the one that is served. `NotFound` when there is no such deletion or it can no longer be taken back.
    pub async fn restore_deleted(&self, permit: &Permit<DeleteStudies>, id: i64) -> Result<Deletion, ArchiveError> {
        let (deletion, tombstone) = store::deletion_one(self.db(), permit.scope(), id).await?;
        if deletion.state != DeletionState::Deleted {
            return Err(ArchiveError::NotFound);
        }
        let meta = AboutTombstoneMeta { v: 1, at: permit.now(), by: Doer::of(permit.ctx()), tombstone };
        match self.log(Kind::Revoke, &meta, permit.ctx(), Step::Revoke).await? {
            Applied::Restored(deletion) => Ok(Deletion { state: DeletionState::Restored, ..deletion }),
            _ => Err(ArchiveError::NotFound),
        }
    }

    /// Deletions, newest first; `after` is the id of the last one of the page before.
    pub async fn deletions(
        &self,
        permit: &Permit<DeleteStudies>,
        limit: u32,
        after: Option<i64>,
    ) -> Result<Vec<Deletion>, ArchiveError> {
        Ok(store::deletions(self.db(), permit.scope(), limit, after).await?)
    }
}
