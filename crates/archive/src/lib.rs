//! Studies, series, instances: received, kept as sent, found, read.
//!
//! The packs of `blob` are the log of what was received; the index in the database is made from them and can be made
//! again. An object is acknowledged when its pack is synced and its rows are committed. The commit itself need not be
//! synced: what a power cut takes from the index is replayed from the packs at the next start.
//!
//! `receive` → `Receiving::write` … → `finish` takes an object in (`ingest`, `commit`); `find_*` answers queries
//! (`query`, `attributes`); `instances_of`, `read`, `frame_bytes`, `header` give objects back (`read`),
//! what is made from their headers is kept beside them (`derived`), and so are their pixels as HTJ2K (`siblings`).

mod aside;
mod attributes;
mod backup;
mod commit;
mod compact;
mod delete;
mod derived;
mod describe;
mod error;
mod fragments;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod header;
mod house;
mod indexer;
mod ingest;
mod log;
mod model;
mod names;
mod nodes;
mod packed;
mod query;
mod quota;
mod read;
mod recent;
mod record;
mod replay;
mod scrub;
mod siblings;
mod storage;
mod store;
mod tell;
mod tiers;

pub use attributes::Attributes;
pub use backup::{
    BackedUp, BackupError, Elsewhere, Keep, Manifest, ManifestFile, Restored, newest_state, restore, states,
    verify_backup,
};
pub use compact::Compacted;
pub use delete::{Evidence, Retention, Target, Unknown};
pub use derived::{DerivedStats, Fingerprint};
pub use error::ArchiveError;
pub use house::{Compaction, Housekeeping};
pub use ingest::Receiving;
pub use mingying_dicom::PersonName;
pub use model::{
    Damaged, Deletion, DeletionFilter, DeletionState, FileMeta, Ingested, InstanceRef, InstanceRow, Origin, Owner,
    Page, Quarantined, Reason, SeriesRow, SiblingStats, Stats, StudyRow, Verified,
};
pub use nodes::{Holder, Kind as StoreKind, Lease, Myself, Node, NodeState, Nodes, silent_nodes};
pub use packed::{Packed, gzip};
pub use query::{Level, Matching, Query};
pub use read::ReadStats;
pub use replay::{Replayed, rebuild};
pub use scrub::{Scrubbed, damage_waiting};
pub use siblings::{SIBLING_SYNTAX, SiblingSettings, SiblingStep};
pub use storage::{CheckProgress, OrgUse, Room, Storage};
pub use tiers::{TierStats, Tiering};

use commit::Commit;
use mingying_blob::Blobs;
use mingying_db::Db;
use mingying_kernel::{Actor, Ctx, OrgId, Permit, Policy, Scope, SharedClock};
use query::Cursor;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{RwLock, mpsc, oneshot};
use tokio::task::JoinHandle;

mingying_kernel::action! {
    /// Stores objects (C-STORE, STOW-RS, import).
    StoreStudy = "study.store",
    /// Finds and reads studies.
    ReadStudies = "study.read",
    /// Sees, retries and deletes quarantined objects.
    ManageQuarantine = "quarantine.manage",
    /// Deletes studies, series and instances, and takes that back.
    DeleteStudies = "study.delete",
    /// Sees how the store is: room, growth, damage, checks.
    ReadStorage = "storage.read",
    /// Asks for a check or a compaction.
    ManageStorage = "storage.manage",
}

/// How the archive behaves.
#[derive(Clone)]
pub struct Settings {
    /// Owner of objects whose origin and permit name none.
    pub owner: Owner,
    /// Largest object accepted, bytes.
    pub max_object: u64,
    /// Most images that share one pack sync and one commit.
    pub max_batch: usize,
    /// Folder of what is made from stored objects and can be made again; `None`: nothing is kept.
    pub derived: Option<PathBuf>,
    /// Bound of that folder, bytes.
    pub max_derived: u64,
    /// Folder of the HTJ2K siblings, which can be made again; `None`: none are kept.
    pub siblings: Option<PathBuf>,
    pub sibling: SiblingSettings,
    /// The background check, healing, compaction.
    pub house: Housekeeping,
    pub retention: Retention,
    /// When less than this is free on the disk, bytes, the store warns.
    pub warning: u64,
    /// Most that these organizations may store, bytes; others as much as there is room.
    pub org_bytes: HashMap<OrgId, u64>,
    /// When packs move to slower places.
    pub tiering: Tiering,
    /// Which node this is; `None`: nobody else works on the database.
    pub nodes: Option<Arc<Nodes>>,
}

impl Settings {
    pub fn new(org: OrgId) -> Self {
        let owner = Owner { org, campus: String::new(), department: String::new() };
        Self {
            owner,
            max_object: 8 << 30,
            max_batch: 256,
            derived: None,
            max_derived: 1 << 30,
            siblings: None,
            sibling: SiblingSettings::default(),
            house: Housekeeping::default(),
            retention: Retention::default(),
            warning: 20 << 30,
            org_bytes: HashMap::new(),
            tiering: Tiering::default(),
            nodes: None,
        }
    }
}

/// The archive. Cheap to clone.
#[derive(Clone)]
pub struct Archive {
    inner: Arc<Inner>,
}

struct Inner {
    db: Db,
    blobs: Blobs,
    clock: SharedClock,
    settings: Settings,
    replayed: Replayed,
    queue: Mutex<Option<mpsc::Sender<Commit>>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    frame_indexes: read::FrameIndexes,
    recent: recent::RecentSeries,
    /// Counts signs of arriving objects.
    arrivals: AtomicU64,
    /// Held for reading while a backup needs that no pack is removed.
    packs_stay: RwLock<()>,
    /// Held by the backup that is being made.
    backups: tokio::sync::Mutex<()>,
    derived: derived::Derived,
    siblings: siblings::Siblings,
    calls: house::Calls,
    usage: quota::Usage,
}

/// The archive's own worker asks for nothing: it writes events of what is replayed.
struct Nothing;

impl Policy for Nothing {
    fn allow(&self, _: &Actor, _: &str) -> Option<Scope> {
        None
    }
}

impl Archive {
    /// Opens the archive: replays what the packs hold beyond the database's checkpoints, then accepts objects.
    pub async fn open(db: Db, blobs: Blobs, clock: SharedClock, settings: Settings) -> Result<Self, ArchiveError> {
        let ctx = Ctx::system("archive", Arc::new(Nothing), clock.clone());
        let holder = settings.nodes.as_ref().map(|nodes| nodes.session());
        let replayed = replay::replay(&db, &blobs, &ctx, holder).await?;
        if replayed.records > 0 {
            tracing::info!(records = replayed.records, skipped = replayed.skipped, "packs replayed into the index");
        }
        let (queue, tasks) = commit::start(db.clone(), blobs.clone(), ctx, &settings);
        let derived = {
            let deleted = store::deleted_studies(&db).await?;
            derived::Derived::open(settings.derived.clone(), settings.max_derived, &deleted, blobs.keys().clone())
        };
        let dir = settings.siblings.as_deref();
        let siblings = siblings::Siblings::open(&db, dir, &settings, blobs.keys(), clock.now()).await?;
        let inner = Inner {
            db,
            blobs,
            clock,
            settings,
            replayed,
            queue: Mutex::new(Some(queue)),
            tasks: Mutex::new(tasks),
            frame_indexes: read::FrameIndexes::default(),
            recent: recent::RecentSeries::default(),
            arrivals: AtomicU64::new(0),
            packs_stay: RwLock::new(()),
            backups: tokio::sync::Mutex::new(()),
            derived,
            siblings,
            calls: house::Calls::default(),
            usage: quota::Usage::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Finishes what is in hand and stops accepting objects.
    pub async fn close(&self) {
        let queue = self.inner.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(queue);
        let tasks = std::mem::take(&mut *self.inner.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            if task.await.is_err() {
                tracing::error!("the committer failed");
            }
        }
    }

    /// Waits until everything received so far is committed and told of.
    pub async fn flush(&self) -> Result<(), ArchiveError> {
        let (reply, done) = oneshot::channel();
        self.submit(Commit::Flush(reply)).await?;
        done.await.map_err(|_| ArchiveError::Closed)
    }

    /// What was replayed when the archive opened.
    pub fn replayed(&self) -> Replayed {
        self.inner.replayed
    }

    /// Starts receiving a data set as C-STORE sends it: without preamble and file meta information.
    pub fn receive(&self, origin: Origin, meta: FileMeta) -> Receiving {
        Receiving::data_set(self.clone(), origin, meta)
    }

    /// Starts receiving a whole Part 10 file.
    pub fn receive_part10(&self, origin: Origin) -> Receiving {
        Receiving::part10(self.clone(), origin)
    }

    /// Studies that match, newest first.
    pub async fn find_studies(
        &self,
        permit: &Permit<ReadStudies>,
        query: &Query,
    ) -> Result<Page<StudyRow>, ArchiveError> {
        let rows = store::find_studies(&self.inner.db, query, permit.scope()).await?;
        Ok(page(rows, query, |row| Cursor { date: row.study_date.clone(), time: row.study_time.clone(), key: row.key }))
    }

    /// Series that match, in order of arrival.
    pub async fn find_series(
        &self,
        permit: &Permit<ReadStudies>,
        query: &Query,
    ) -> Result<Page<SeriesRow>, ArchiveError> {
        let rows = store::find_series(&self.inner.db, query, permit.scope()).await?;
        Ok(page(rows, query, |row| Cursor { date: String::new(), time: String::new(), key: row.key }))
    }

    /// Instances that match, in order of arrival.
    pub async fn find_instances(
        &self,
        permit: &Permit<ReadStudies>,
        query: &Query,
    ) -> Result<Page<InstanceRow>, ArchiveError> {
        let rows = store::find_instances(&self.inner.db, query, permit.scope()).await?;
        Ok(page(rows, query, |row| Cursor { date: String::new(), time: String::new(), key: row.instance.key }))
    }

    /// One study by its UID; `NotFound` when absent or outside the permit's scope.
    pub async fn study(&self, permit: &Permit<ReadStudies>, study_uid: &str) -> Result<StudyRow, ArchiveError> {
        let rows = store::find_studies(&self.inner.db, &Query::study(Level::Study, study_uid), permit.scope()).await?;
        rows.into_iter().next().ok_or(ArchiveError::NotFound)
    }

    /// The series of one study, by series number. Empty when the study is absent or invisible.
    pub async fn series_of(
        &self,
        permit: &Permit<ReadStudies>,
        study_uid: &str,
    ) -> Result<Vec<SeriesRow>, ArchiveError> {
        let query = Query::study(Level::Series, study_uid).limit(u32::MAX - 1);
        let mut rows = store::find_series(&self.inner.db, &query, permit.scope()).await?;
        rows.sort_by_key(|row| (row.number.is_none(), row.number, row.key));
        Ok(rows)
    }

    /// The instances of a study, of one series, or one instance; by series number, then instance number. Empty when
    /// nothing is there or nothing is visible.
    pub async fn instances_of(
        &self,
        permit: &Permit<ReadStudies>,
        study_uid: &str,
        series_uid: Option<&str>,
        sop_uid: Option<&str>,
    ) -> Result<Vec<InstanceRef>, ArchiveError> {
        Ok(store::instances_of(&self.inner.db, permit.scope(), study_uid, series_uid, sop_uid).await?)
    }

    /// Figures for the status page.
    pub async fn stats(&self) -> Result<Stats, ArchiveError> {
        let mut stats = store::stats(&self.inner.db).await?;
        let packs = self.inner.blobs.packs();
        stats.packs = packs.len() as u64;
        stats.pack_bytes = packs.iter().map(|pack| pack.len).sum();
        stats.free_bytes = self.inner.blobs.free_space()?;
        stats.room = self.room_at(stats.free_bytes);
        stats.tiers = self.tier_stats();
        stats.recall = self.inner.blobs.recall_stats();
        Ok(stats)
    }

    /// How SQLite would run a query when a condition with at most `few` matches is rare; for tests of query plans.
    #[doc(hidden)]
    pub async fn explain(&self, query: &Query, few: i64) -> Result<Vec<String>, ArchiveError> {
        Ok(store::explain(&self.inner.db, query, few).await?)
    }

    pub(crate) async fn submit(&self, commit: Commit) -> Result<(), ArchiveError> {
        if let Commit::Object(_) = &commit {
            self.arriving();
        }
        if self.is_lost() {
            return Err(ArchiveError::Closed);
        }
        let queue = self.inner.queue.lock().unwrap_or_else(PoisonError::into_inner).clone();
        queue.ok_or(ArchiveError::Closed)?.send(commit).await.map_err(|_| ArchiveError::Closed)
    }

    pub(crate) fn owner_for(&self, org: Option<OrgId>) -> Owner {
        let owner = self.inner.settings.owner.clone();
        match org {
            Some(org) if org != owner.org => Owner { org, campus: String::new(), department: String::new() },
            _ => owner,
        }
    }

    pub(crate) fn db(&self) -> &Db {
        &self.inner.db
    }

    pub fn blobs(&self) -> &Blobs {
        &self.inner.blobs
    }

    pub(crate) fn clock(&self) -> &SharedClock {
        &self.inner.clock
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// Background work stops for this.
    pub(crate) fn arriving(&self) {
        self.inner.arrivals.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn arrivals(&self) -> u64 {
        self.inner.arrivals.load(Ordering::Relaxed)
    }

    pub(crate) fn packs_stay(&self) -> &RwLock<()> {
        &self.inner.packs_stay
    }

    pub(crate) fn backups(&self) -> &tokio::sync::Mutex<()> {
        &self.inner.backups
    }

    pub(crate) fn recent(&self) -> &recent::RecentSeries {
        &self.inner.recent
    }

    pub(crate) fn calls(&self) -> &house::Calls {
        &self.inner.calls
    }

    pub(crate) fn usage(&self) -> &quota::Usage {
        &self.inner.usage
    }

    pub(crate) fn derived_folder(&self) -> &derived::Derived {
        &self.inner.derived
    }

    pub(crate) fn siblings(&self) -> &siblings::Siblings {
        &self.inner.siblings
    }

    pub(crate) fn frame_indexes(&self) -> &read::FrameIndexes {
        &self.inner.frame_indexes
    }
}

/// Cuts the extra row that tells whether there is a next page.
fn page<T>(mut rows: Vec<T>, query: &Query, cursor: impl Fn(&T) -> Cursor) -> Page<T> {
    let limit = query.limit as usize;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = if more { rows.last().map(|row| cursor(row).to_text()) } else { None };
    Page { items: rows, next }
}
