//! Deletion: a tombstone in the log takes instances out of every answer at once; their bytes stay in the packs, and a
//! revocation brings them back, until the time for that has passed and compaction removes them.
//!
//! What may not be deleted (R-4.4.4-a, R-10.3.3-a): the images that a signed report rests on are part of the record and
//! stay as long as it must be kept; only the end of that time (`RetentionExpired`) is a reason to delete them. A study
//! that was linked to the wrong order is taken off it first, which is recorded.

use crate::log::{Applied, Step};
use crate::model::{Deletion, DeletionFilter, DeletionState, Reason, StudyRow};
use crate::query::{Level, Query};
use crate::record::{AboutTombstoneMeta, DeletionMeta, Doer, TombstoneMeta};
use crate::store;
use crate::{Archive, ArchiveError, DeleteStudies};
use async_trait::async_trait;
use jiff::ToSpan as _;
use jiff::civil::Date;
use mingying_blob::Kind;
use mingying_kernel::{Permit, Timestamp};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Longest note, in characters.
const MAX_NOTE: usize = 1000;

/// What the rest of the hospital knows of a study before images of it are deleted.
#[async_trait]
pub trait Evidence: fmt::Debug + Send + Sync {
    /// Whether a signed report rests on its images.
    async fn is_reported(&self, study_uid: &str) -> Result<bool, Unknown>;
}

/// It cannot be told now; nothing is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unknown;

/// How long studies are kept at least.
#[derive(Debug, Clone)]
pub struct Retention {
    /// Years from the day of the exam. In China records of outpatients are kept for 15 years and of inpatients for 30.
    pub years: u16,
    /// `None`: nobody reports on what this archive holds.
    pub evidence: Option<Arc<dyn Evidence>>,
}

impl Default for Retention {
    fn default() -> Self {
        Self { years: 30, evidence: None }
    }
}

impl Retention {
    /// The day on which a study need not be kept any longer: by its own date, or by its arrival when it has none.
    fn ends(&self, study: &StudyRow) -> Date {
        let dated = Date::strptime("%Y%m%d", &study.study_date).ok();
        let begins = dated.unwrap_or_else(|| day(study.first_received_at));
        begins.saturating_add(i32::from(self.years).years())
    }
}

fn day(at: Timestamp) -> Date {
    at.to_jiff().to_zoned(jiff::tz::TimeZone::UTC).date()
}

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
    /// finds it and nothing gives it out, and `restore_deleted` can bring it back for the configured time. `NotFound`
    /// when nothing is there or visible; `Reported` and `Retained` when it must be kept.
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
        let query = Query::study(Level::Study, &target.study_uid);
        let study =
            store::find_studies(self.db(), &query, permit.scope()).await?.pop().ok_or(ArchiveError::NotFound)?;
        self.may_go(&study, reason, permit.now()).await?;
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
        let applied = self.log(Kind::Tombstone, &tombstone, permit.ctx(), Step::Tombstone).await;
        self.forget_study(&target.study_uid).await;
        match applied? {
            Applied::Deleted(deletion) => Ok(deletion),
            _ => Err(ArchiveError::NotFound),
        }
    }

    async fn may_go(&self, study: &StudyRow, reason: Reason, now: Timestamp) -> Result<(), ArchiveError> {
        let retention = &self.settings().retention;
        if reason == Reason::RetentionExpired {
            let until = retention.ends(study);
            return if day(now) < until { Err(ArchiveError::Retained { until }) } else { Ok(()) };
        }
        match &retention.evidence {
            None => Ok(()),
            Some(evidence) => match evidence.is_reported(&study.study_uid).await {
                Ok(false) => Ok(()),
                Ok(true) => Err(ArchiveError::Reported),
                Err(Unknown) => Err(ArchiveError::EvidenceUnknown),
            },
        }
    }

    /// Forgets what this process keeps of a study beside its packs: rows in memory and what was made from its images.
    /// Each process calls it when images of the study were deleted, by whichever process.
    pub async fn forget_study(&self, study_uid: &str) {
        self.recent().forget(study_uid);
        self.derived_folder().forget(study_uid).await;
    }

    /// As `forget_study`, for all studies of which something is deleted: this process may have missed some.
    pub async fn forget_deleted(&self) -> Result<(), ArchiveError> {
        for study_uid in store::deleted_studies(self.db()).await? {
            self.forget_study(&study_uid).await;
        }
        Ok(())
    }

    /// How long a deletion can be taken back.
    pub fn keeps_deleted(&self) -> Duration {
        self.settings().house.keep_deleted
    }

    /// Takes a deletion back: what was deleted is in every answer again. An object that has come anew meanwhile stays
    /// the one that is served. Where stored bytes are damaged the rest comes back, and the deletion stays `Deleted` until
    /// they are healed and it is taken back again. `NotFound` when there is no such deletion or it can no longer be taken back.
    pub async fn restore_deleted(&self, permit: &Permit<DeleteStudies>, id: i64) -> Result<Deletion, ArchiveError> {
        let (deletion, tombstone) = store::deletion_one(self.db(), permit.scope(), id).await?;
        if deletion.state != DeletionState::Deleted {
            return Err(ArchiveError::NotFound);
        }
        let meta = AboutTombstoneMeta { v: 1, at: permit.now(), by: Doer::of(permit.ctx()), tombstone };
        match self.log(Kind::Revoke, &meta, permit.ctx(), Step::Revoke).await? {
            Applied::Restored(deletion) => Ok(deletion),
            _ => Err(ArchiveError::NotFound),
        }
    }

    /// Deletions, newest first; `after` is the id of the last one of the page before.
    pub async fn deletions(
        &self,
        permit: &Permit<DeleteStudies>,
        filter: &DeletionFilter,
        limit: u32,
        after: Option<i64>,
    ) -> Result<Vec<Deletion>, ArchiveError> {
        Ok(store::deletions(self.db(), permit.scope(), filter, limit, after).await?)
    }
}
