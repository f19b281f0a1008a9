//! What a pack record says besides its payload: all that replaying it needs.

use crate::describe::{Announced, Described, describe};
use crate::header::Defect;
use crate::model::{FileMeta, Owner, Reason};
use mingying_blob::{Blobs, Location};
use mingying_kernel::{ActorKind, Ctx, Timestamp};
use serde::{Deserialize, Serialize};

/// Meta of an object's record. Fields are only ever added.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ObjectMeta {
    pub v: u16,
    pub received_at: Timestamp,
    pub source: String,
    pub calling_aet: Option<String>,
    pub owner: Owner,
    pub actor_kind: String,
    pub actor_id: String,
    /// Announced by the sender or by the file's meta information.
    pub file: FileMeta,
    /// Why the object goes into quarantine instead of the index.
    pub defect: Option<String>,
}

/// Where a record was first written. It names the record for ever and orders the log; the record itself may be copied
/// elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Address {
    pub pack: u64,
    pub record: u64,
}

impl Address {
    pub fn of(location: Location) -> Self {
        Self { pack: location.pack, record: location.record }
    }
}

/// Where a record's payload lies and what it hashes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub address: Address,
    pub location: Location,
    pub head_len: u64,
    pub sha256: [u8; 32],
}

impl Place {
    /// The record's place beyond its address, as rows tell it: the pack with the copy and where that begins.
    pub fn moved(&self) -> (Option<u64>, Option<u64>) {
        let there = Address::of(self.location);
        if there == self.address { (None, None) } else { (Some(there.pack), Some(there.record)) }
    }
}

/// A record as another record's meta names it: its address, and where its payload lay then.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct TargetMeta {
    pub pack: u64,
    pub record: u64,
    pub at: u64,
    pub len: u64,
    pub head_len: u64,
}

impl TargetMeta {
    pub fn of(place: &Place) -> Self {
        let (Address { pack, record }, Location { at, len, .. }) = (place.address, place.location);
        Self { pack, record, at, len, head_len: place.head_len }
    }

    pub fn address(self) -> Address {
        Address { pack: self.pack, record: self.record }
    }
}

/// Who did it, as a record's meta tells.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Doer {
    pub kind: ActorKind,
    pub id: String,
    pub source: String,
}

impl Doer {
    pub fn of(ctx: &Ctx) -> Self {
        Self { kind: ctx.actor().kind, id: ctx.actor().id.clone(), source: ctx.source().to_owned() }
    }
}

/// Meta of a tombstone.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum TombstoneMeta {
    /// Of all that the log holds before it of a study, series or instance.
    Objects(Box<DeletionMeta>),
    /// Of one record, which is in quarantine.
    Record { v: u16, at: Timestamp, actor_id: String, target: TargetMeta },
}

/// Meta of the tombstone of a study, series or instance.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct DeletionMeta {
    pub v: u16,
    pub at: Timestamp,
    pub by: Doer,
    pub study_uid: String,
    /// Empty: the whole study.
    pub series_uid: String,
    /// Empty: the whole series or study.
    pub sop_uid: String,
    pub reason: Reason,
    pub note: String,
}

/// Meta of a record about an earlier tombstone of objects: it is taken back, or can no longer be.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AboutTombstoneMeta {
    pub v: u16,
    pub at: Timestamp,
    pub by: Doer,
    pub tombstone: Address,
}

/// Meta of a copy: the record that was first written at `address`, whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct CopyMeta {
    pub v: u16,
    pub address: Address,
    /// Kind and meta of the record.
    pub kind: u8,
    pub meta: String,
}

/// Meta of a relink: an object that was quarantined goes into the index.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RelinkMeta {
    pub v: u16,
    pub at: Timestamp,
    pub actor_id: String,
    pub target: TargetMeta,
    /// SHA-256 of the target's content, lower-case hex.
    pub sha256: String,
    pub object: ObjectMeta,
}

/// An object as the index takes it, whether it just came in or is replayed.
pub(crate) struct Arrived {
    pub meta: ObjectMeta,
    pub place: Place,
    pub what: Result<Described, Defect>,
}

/// Describes an object that lies in a pack. Blocks on the disk.
pub(crate) fn describe_stored(blobs: &Blobs, place: &Place, file: &FileMeta) -> Result<Described, Defect> {
    let mut read = |offset: u64, len: usize| {
        let bytes = blobs.read_blocking(place.location, place.head_len + offset, len as u64);
        bytes.map(Vec::from).map_err(|_| Defect::Unreadable)
    };
    describe(&mut read, place.location.len.saturating_sub(place.head_len), announced(file))
}

pub(crate) fn announced(file: &FileMeta) -> Announced<'_> {
    Announced { sop_class: &file.sop_class, sop_instance: &file.sop_instance, transfer_syntax: &file.transfer_syntax }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
