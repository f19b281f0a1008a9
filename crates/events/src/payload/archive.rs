//! What happens in the archive.

use crate::Payload;
use serde::{Deserialize, Serialize};

/// A study that was not there before. Its first instances follow in `instances.stored`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StudyCreated {
    pub study_uid: String,
    pub accession: String,
    pub patient_id: String,
    pub patient_id_issuer: String,
    pub modality: String,
    pub study_date: String,
    /// `AE CT01`, `STOW`, `import`.
    pub source: String,
}

impl Payload for StudyCreated {
    const TOPIC: &'static str = "study.created";
}

/// Instances that became durable and readable, told of together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstancesStored {
    pub study_uid: String,
    pub accession: String,
    pub patient_id: String,
    pub patient_id_issuer: String,
    /// Instances since the event before.
    pub added: i64,
    /// Instances of the study now.
    pub total: i64,
    /// The series that got instances; empty when the event makes up for one lost in a crash.
    pub series: Vec<SeriesStored>,
    pub source: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeriesStored {
    pub series_uid: String,
    pub modality: String,
    pub added: i64,
    pub requested_procedure_id: String,
    pub scheduled_step_id: String,
}

impl Payload for InstancesStored {
    const TOPIC: &'static str = "instances.stored";
}

/// An object came again with another content. It is kept; the first one stays the one that is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DuplicateFound {
    pub study_uid: String,
    pub series_uid: String,
    pub sop_uid: String,
    pub source: String,
}

impl Payload for DuplicateFound {
    const TOPIC: &'static str = "duplicate.found";
}

/// An object was kept aside instead of being indexed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectQuarantined {
    pub quarantine_id: i64,
    pub reason: String,
    pub sop_uid: String,
    pub study_uid: String,
    pub size: i64,
    pub source: String,
}

impl Payload for ObjectQuarantined {
    const TOPIC: &'static str = "object.quarantined";
}

/// A quarantined object was indexed after all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantineReleased {
    pub quarantine_id: i64,
    pub study_uid: String,
    pub sop_uid: String,
}

impl Payload for QuarantineReleased {
    const TOPIC: &'static str = "quarantine.released";
}

/// A quarantined object was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantineDeleted {
    pub quarantine_id: i64,
}

impl Payload for QuarantineDeleted {
    const TOPIC: &'static str = "quarantine.deleted";
}

/// Instances were deleted on purpose. Nothing gives them out any more; their bytes are kept for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstancesDeleted {
    pub study_uid: String,
    /// Empty when the whole study went.
    pub series_uid: String,
    /// Empty when the whole series or study went.
    pub sop_uid: String,
    pub accession: String,
    pub patient_id: String,
    pub deleted: i64,
    /// Instances of the study now.
    pub left: i64,
    /// A code: `quality`, `patient_safety`, `incorrect_worklist_entry`, `retention_expired`, `other`.
    pub reason: String,
    pub note: String,
}

impl Payload for InstancesDeleted {
    const TOPIC: &'static str = "instances.deleted";
}

/// A deletion was taken back. What came back is not told of as stored: it is not new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstancesRestored {
    pub study_uid: String,
    pub restored: i64,
}

impl Payload for InstancesRestored {
    const TOPIC: &'static str = "instances.restored";
}

/// The disk has little room, or none, for more images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageShort {
    /// Images are refused until there is room.
    pub full: bool,
    pub free_bytes: u64,
}

impl Payload for StorageShort {
    const TOPIC: &'static str = "storage.short";
}

/// The disk has room again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageEnough {
    pub free_bytes: u64,
}

impl Payload for StorageEnough {
    const TOPIC: &'static str = "storage.enough";
}

/// The time in which a deletion could be taken back is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletionPurged {
    pub study_uid: String,
}

impl Payload for DeletionPurged {
    const TOPIC: &'static str = "deletion.purged";
}
