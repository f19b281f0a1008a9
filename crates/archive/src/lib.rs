//! Studies, series, instances: received, kept as sent, found, read.
//!
//! The packs of `blob` are the log of what was received; the index in the database is made from them and can be made
//! again. An object is acknowledged when its pack is synced and its rows are committed. The commit itself need not be
//! synced: what a power cut takes from the index is replayed from the packs at the next start.

mod error;
mod model;
mod query;

pub use error::ArchiveError;
pub use model::{
    FileMeta, Ingested, InstanceRef, InstanceRow, Origin, Owner, Page, Quarantined, SeriesRow, Stats, StudyRow,
    Verified,
};
pub use query::{Attributes, Level, PersonName, Query};

use bytes::Bytes;
use dicom_object::InMemDicomObject;
use mingying_blob::Blobs;
use mingying_db::Db;
use mingying_kernel::{OrgId, Permit, SharedClock};
use std::path::Path;

mingying_kernel::action! {
    /// Stores objects (C-STORE, STOW-RS, import).
    StoreStudy = "study.store",
    /// Finds and reads studies.
    ReadStudies = "study.read",
    /// Sees, retries and deletes quarantined objects.
    ManageQuarantine = "quarantine.manage",
}

/// How the archive behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Owner of objects whose origin and permit name none.
    pub owner: Owner,
    /// Largest object accepted, bytes.
    pub max_object: u64,
    /// Most images that share one pack sync and one commit.
    pub max_batch: usize,
}

impl Settings {
    pub fn new(org: OrgId) -> Self {
        let owner = Owner { org, campus: String::new(), department: String::new() };
        Self { owner, max_object: 8 << 30, max_batch: 256 }
    }
}

/// The archive. Cheap to clone.
#[derive(Clone)]
pub struct Archive {}

/// An object on its way in. Dropping it without `finish` forgets it.
pub struct Receiving {}

impl Receiving {
    /// Takes the next bytes of the object.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        Err(ArchiveError::Closed)
    }

    /// `Ok` only when the object is durable and indexed. `Quarantined` when it is kept aside.
    pub async fn finish(self, permit: &Permit<StoreStudy>) -> Result<Ingested, ArchiveError> {
        Err(ArchiveError::Closed)
    }
}

impl Archive {
    /// Opens the archive: replays what the packs hold beyond the database's checkpoint, then accepts objects.
    pub async fn open(db: Db, blobs: Blobs, clock: SharedClock, settings: Settings) -> Result<Self, ArchiveError> {
        Err(ArchiveError::Closed)
    }

    /// Finishes what is in hand and stops accepting objects.
    pub async fn close(&self) {}

    /// Starts receiving a data set as C-STORE sends it: without preamble and file meta information.
    pub fn receive(&self, origin: Origin, meta: FileMeta) -> Receiving {
        Receiving {}
    }

    /// Starts receiving a whole Part 10 file.
    pub fn receive_part10(&self, origin: Origin) -> Receiving {
        Receiving {}
    }

    pub async fn find_studies(
        &self,
        permit: &Permit<ReadStudies>,
        query: &Query,
    ) -> Result<Page<StudyRow>, ArchiveError> {
        Err(ArchiveError::Closed)
    }

    pub async fn find_series(
        &self,
        permit: &Permit<ReadStudies>,
        query: &Query,
    ) -> Result<Page<SeriesRow>, ArchiveError> {
        Err(ArchiveError::Closed)
    }

    pub async fn find_instances(
        &self,
        permit: &Permit<ReadStudies>,
        query: &Query,
    ) -> Result<Page<InstanceRow>, ArchiveError> {
        Err(ArchiveError::Closed)
    }

    /// One study by its UID; `NotFound` when absent or outside the permit's scope.
    pub async fn study(&self, permit: &Permit<ReadStudies>, study_uid: &str) -> Result<StudyRow, ArchiveError> {
        Err(ArchiveError::Closed)
    }

    /// The series of one study, by series number.
    pub async fn series_of(
        &self,
        permit: &Permit<ReadStudies>,
        study_uid: &str,
    ) -> Result<Vec<SeriesRow>, ArchiveError> {
        Err(ArchiveError::Closed)
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
        Err(ArchiveError::Closed)
    }

    /// `len` bytes at `offset` of the object's Part 10 file; fewer at its end. The whole file is `0..size`; the data
    /// set as received is `head_len..size`.
    pub async fn read(&self, instance: &InstanceRef, offset: u64, len: u64) -> Result<Bytes, ArchiveError> {
        Err(ArchiveError::Closed)
    }

    /// The bytes of one frame (from 0) in the stored transfer syntax: native pixels, or the joined fragments.
    pub async fn frame_bytes(&self, instance: &InstanceRef, frame: u32) -> Result<Bytes, ArchiveError> {
        Err(ArchiveError::Closed)
    }

    /// The data set without Pixel Data.
    pub async fn header(&self, instance: &InstanceRef) -> Result<InMemDicomObject, ArchiveError> {
        Err(ArchiveError::Closed)
    }

    /// The headers of many instances in the order given: one trip to the disk for all.
    pub async fn headers(&self, instances: &[InstanceRef]) -> Result<Vec<InMemDicomObject>, ArchiveError> {
        Err(ArchiveError::Closed)
    }

    /// Quarantined objects, newest first.
    pub async fn quarantine(
        &self,
        permit: &Permit<ManageQuarantine>,
        limit: u32,
        after: Option<i64>,
    ) -> Result<Vec<Quarantined>, ArchiveError> {
        Err(ArchiveError::Closed)
    }

    /// Tries again to index a quarantined object.
    pub async fn retry_quarantined(
        &self,
        permit: &Permit<ManageQuarantine>,
        id: i64,
    ) -> Result<Ingested, ArchiveError> {
        Err(ArchiveError::Closed)
    }

    /// Deletes a quarantined object by a tombstone.
    pub async fn delete_quarantined(&self, permit: &Permit<ManageQuarantine>, id: i64) -> Result<(), ArchiveError> {
        Err(ArchiveError::Closed)
    }

    pub async fn stats(&self) -> Result<Stats, ArchiveError> {
        Err(ArchiveError::Closed)
    }

    /// Computes the hash of every object again and compares packs and index both ways.
    pub async fn verify(&self) -> Result<Verified, ArchiveError> {
        Err(ArchiveError::Closed)
    }

    /// Copies database and packs, online and consistent, into the new folder `dir`, with a manifest of hashes.
    pub async fn backup(&self, dir: &Path) -> Result<(), ArchiveError> {
        Err(ArchiveError::Closed)
    }
}
