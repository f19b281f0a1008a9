//! What a pack record says besides its payload: all that replaying it needs.

use crate::describe::{Announced, Described, describe};
use crate::header::Defect;
use crate::model::{FileMeta, Owner};
use mingying_blob::{Blobs, Found, Location};
use mingying_kernel::Timestamp;
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

/// Where a record's payload lies and what it hashes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub location: Location,
    pub head_len: u64,
    pub sha256: [u8; 32],
}

/// A place as a record's meta tells it.
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
        let Location { pack, record, at, len } = place.location;
        Self { pack, record, at, len, head_len: place.head_len }
    }

    pub fn location(self) -> Location {
        Location { pack: self.pack, record: self.record, at: self.at, len: self.len }
    }
}

/// Meta of a tombstone.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TombstoneMeta {
    pub v: u16,
    pub at: Timestamp,
    pub actor_id: String,
    pub target: TargetMeta,
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
        blobs.read_blocking(place.location, place.head_len + offset, len as u64).map_err(|_| Defect::Unreadable)
    };
    describe(&mut read, place.location.len.saturating_sub(place.head_len), announced(file))
}

pub(crate) fn announced(file: &FileMeta) -> Announced<'_> {
    Announced { sop_class: &file.sop_class, sop_instance: &file.sop_instance, transfer_syntax: &file.transfer_syntax }
}

/// An object's record read back from a pack. `None` when its meta is not ours to read.
pub(crate) fn arrived(blobs: &Blobs, found: &Found) -> Option<Arrived> {
    let meta: ObjectMeta = serde_json::from_slice(&found.meta).ok()?;
    let place = Place { location: found.location, head_len: found.head_len, sha256: found.sha256 };
    let what = match meta.defect.as_deref() {
        Some(reason) => Err(Defect::parse(reason).unwrap_or(Defect::Unreadable)),
        None => describe_stored(blobs, &place, &meta.file),
    };
    Some(Arrived { meta, place, what })
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

pub(crate) fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (i, slot) in out.iter_mut().enumerate() {
        *slot = u8::from_str_radix(text.get(i * 2..i * 2 + 2)?, 16).ok()?;
    }
    Some(out)
}
