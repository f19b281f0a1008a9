//! What the archive takes in and gives out, free of SQL.

use crate::storage::Room;
use crate::tiers::TierStats;
use mingying_blob::{Location, RecallStats};
use mingying_dicom::PersonName;
use mingying_kernel::{OrgId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// To whom a received study belongs; decides who sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    pub org: OrgId,
    pub campus: String,
    pub department: String,
}

/// Where an object came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Shown in timelines: `AE CT01`, `STOW`, `import`.
    pub source: String,
    pub calling_aet: Option<String>,
    /// `None`: the permit's organization, else the archive's default owner.
    pub owner: Option<Owner>,
}

impl Origin {
    pub fn new(source: impl Into<String>) -> Self {
        Self { source: source.into(), calling_aet: None, owner: None }
    }

    /// From a modality or another archive over DIMSE.
    pub fn aet(calling: &str) -> Self {
        Self { source: format!("AE {calling}"), calling_aet: Some(calling.to_owned()), owner: None }
    }
}

/// What the sender announced about the object: affected SOP class and instance of the C-STORE request and the transfer
/// syntax of the presentation context. UIDs as sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileMeta {
    pub sop_class: String,
    pub sop_instance: String,
    pub transfer_syntax: String,
}

/// An object that is durable and indexed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ingested {
    pub instance_key: i64,
    pub study_uid: String,
    pub series_uid: String,
    pub sop_uid: String,
    pub sop_class: String,
    /// The same object with the same content was there already; nothing was added.
    pub duplicate: bool,
    /// An object with the same SOP instance UID and other content was there already: this one is kept and flagged, the
    /// first one stays the one that is served.
    pub conflicting: bool,
}

/// One study with the attributes that queries and lists need. Texts are decoded Unicode; dates are `YYYYMMDD`, times
/// `HHMMSS[.FFFFFF]`, as DICOM writes them; absent values are empty.
#[derive(Debug, Clone, PartialEq)]
pub struct StudyRow {
    pub key: i64,
    pub study_uid: String,
    pub org_id: OrgId,
    pub campus_id: String,
    pub department_id: String,
    pub sensitivity: i64,
    pub patient_id: String,
    pub patient_id_issuer: String,
    pub patient_name: PersonName,
    pub birth_date: String,
    pub sex: String,
    pub accession: String,
    pub study_id: String,
    pub study_date: String,
    pub study_time: String,
    pub description: String,
    pub referring_physician: PersonName,
    pub institution: String,
    /// Modalities in study, sorted.
    pub modalities: Vec<String>,
    pub series: i64,
    pub instances: i64,
    pub size: i64,
    pub source: String,
    pub first_received_at: Timestamp,
    pub last_received_at: Timestamp,
}

/// One series.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesRow {
    pub key: i64,
    pub study: StudyRow,
    pub series_uid: String,
    pub number: Option<i64>,
    pub modality: String,
    pub description: String,
    pub body_part: String,
    pub laterality: String,
    pub protocol: String,
    pub station_name: String,
    pub manufacturer: String,
    pub series_date: String,
    pub series_time: String,
    /// From the first item of Request Attributes Sequence (0040,0275), where the modality took the worklist over.
    pub requested_procedure_id: String,
    pub scheduled_step_id: String,
    pub instances: i64,
}

/// One instance.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceRow {
    pub series: SeriesRow,
    pub instance: InstanceRef,
    pub content_date: String,
    pub content_time: String,
}

/// One instance and where its bytes lie. Obtained through a permit; the read path takes it by reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceRef {
    pub key: i64,
    pub study_uid: String,
    pub series_uid: String,
    pub sop_uid: String,
    pub sop_class: String,
    pub transfer_syntax: String,
    pub number: Option<i64>,
    pub rows: Option<i64>,
    pub columns: Option<i64>,
    pub bits_allocated: Option<i64>,
    pub samples: Option<i64>,
    /// Number of frames; 1 where the object has pixels but no Number of Frames, 0 where it has no pixels.
    pub frames: i64,
    pub has_pixels: bool,
    /// Bytes of the whole Part 10 file.
    pub size: i64,
    /// Bytes of preamble and file meta information, where the data set begins.
    pub head_len: i64,
    /// Where the header ends in the file: the offset of the Pixel Data element, or `size` where there is none.
    pub header_end: i64,
    /// Offset in the file of the value of Pixel Data (first fragment item when encapsulated); 0 where there is none.
    pub pixel_at: i64,
    /// Length of the value of Pixel Data; -1 when it is encapsulated.
    pub pixel_len: i64,
    /// SHA-256 of the data set as received, lower-case hex.
    pub sha256: String,
    pub received_at: Timestamp,
    pub location: Location,
    /// Where the HTJ2K sibling of its pixels lies among the siblings. For `Archive::sibling_frame` and its like; it may
    /// have gone meanwhile.
    pub sibling: Option<Location>,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Give it back to `Query::after` for the next page.
    pub next: Option<String>,
}

/// An object that was not indexed, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    pub id: i64,
    pub received_at: Timestamp,
    pub source: String,
    /// Stable code: `not_dicom`, `truncated`, `missing_uid`, `uid_mismatch`, `other_study`, `too_complex`,
    /// `unreadable`, `index_failed`.
    pub reason: String,
    pub size: i64,
    pub sop_uid: String,
    pub study_uid: String,
}

/// Why something is deleted: the rejection notes of IHE IOCM (PS3.16 CID 7011), and what they do not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// (113001, DCM, "Rejected for Quality Reasons")
    Quality,
    /// (113037, DCM, "Rejected for Patient Safety Reasons")
    PatientSafety,
    /// (113038, DCM, "Incorrect Modality Worklist Entry")
    IncorrectWorklistEntry,
    /// (113039, DCM, "Data Retention Policy Expired")
    RetentionExpired,
    /// The note says.
    Other,
}

impl Reason {
    const ALL: [Self; 5] =
        [Self::Quality, Self::PatientSafety, Self::IncorrectWorklistEntry, Self::RetentionExpired, Self::Other];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quality => "quality",
            Self::PatientSafety => "patient_safety",
            Self::IncorrectWorklistEntry => "incorrect_worklist_entry",
            Self::RetentionExpired => "retention_expired",
            Self::Other => "other",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }
}

/// What became of a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeletionState {
    /// The bytes are kept, and it can be taken back.
    Deleted,
    /// It was taken back.
    Restored,
    /// It can no longer be taken back; compaction removes the bytes.
    Purged,
}

impl DeletionState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Restored => "restored",
            Self::Purged => "purged",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Deleted, Self::Restored, Self::Purged].into_iter().find(|state| state.as_str() == text)
    }
}

/// Which deletions are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeletionFilter {
    pub state: Option<DeletionState>,
    /// Begin of the patient ID or accession number, or the whole Study Instance UID.
    pub text: String,
}

/// A study, series or instance that was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    pub id: i64,
    pub study_uid: String,
    /// Empty: the whole study.
    pub series_uid: String,
    /// Empty: the whole series or study.
    pub sop_uid: String,
    pub patient_id: String,
    pub accession: String,
    pub study_date: String,
    pub reason: Reason,
    pub note: String,
    pub actor_id: String,
    pub deleted_at: Timestamp,
    /// What was served until then.
    pub instances: i64,
    /// Bytes of these instances.
    pub size: i64,
    pub state: DeletionState,
}

/// Figures for the status page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    pub studies: i64,
    pub series: i64,
    pub instances: i64,
    /// Bytes of all indexed objects.
    pub size: i64,
    pub duplicates: i64,
    pub quarantined: i64,
    /// Damaged places in packs that wait for a sound copy.
    pub damaged: i64,
    pub packs: u64,
    pub pack_bytes: u64,
    /// On the fast disk.
    pub free_bytes: u64,
    pub room: Room,
    /// On the fast disk, on the large disk, in the object store.
    pub tiers: [TierStats; 3],
    /// How well what was brought back from the object store serves.
    pub recall: RecallStats,
}

/// How many HTJ2K siblings there are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SiblingStats {
    pub made: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// Originals that were not looked at yet. Counted once a day and kept up between.
    pub waiting: u64,
    /// Originals that get none, by the code of why: those of `mingying_dicom::codec::Unfit` and its codecs, `high_bit`,
    /// `larger` where nothing would be gained, those of `ArchiveError` where an original cannot be read.
    pub unfit: BTreeMap<String, u64>,
}

/// What `verify` found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verified {
    /// Objects whose content hash was computed again.
    pub checked: u64,
    pub bytes: u64,
    /// Rows whose blob cannot be found.
    pub missing: Vec<String>,
    /// Rows whose blob has another content than was received.
    pub corrupt: Vec<String>,
    /// Records with a row whose checksum is wrong. A record that a power cut tore before it was acknowledged has none.
    pub damaged: u64,
    /// Blobs without a row: written, never acknowledged.
    pub orphans: u64,
    /// Objects whose record was damaged or missing and is whole again, from a replica.
    pub healed: u64,
    /// Packs on a tier that could not be reached: what lies there was not checked.
    pub unreachable: Vec<u64>,
}

/// A place in a pack whose bytes are not what was written there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damaged {
    pub pack: u64,
    pub from: u64,
    pub to: u64,
    /// The whole pack is not there.
    pub missing: bool,
    /// SOP instance UID of the object there, when a row tells.
    pub name: String,
    /// `found`; `healed`: a sound copy took its place; `unused`: nothing needs these bytes.
    pub state: String,
    pub found_at: Timestamp,
    pub settled_at: Option<Timestamp>,
}

impl Verified {
    pub fn intact(&self) -> bool {
        self.missing.is_empty() && self.corrupt.is_empty() && self.damaged == 0 && self.unreachable.is_empty()
    }
}
