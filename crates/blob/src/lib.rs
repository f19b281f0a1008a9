//! Blobs: staged, published, read by range.
//!
//! Local storage is a set of append-only pack files. A blob is staged while it arrives, in bounded memory or in a spool
//! file; a batch of staged blobs is published with one sync; a published blob is found by its `Location` and never
//! changes. The same three steps fit an object store.

mod error;

pub use error::BlobError;

use bytes::Bytes;
use std::path::Path;

/// Where a published payload lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Location {
    pub pack: u64,
    /// Where the record begins in the pack.
    pub record: u64,
    /// Where the payload begins in the pack.
    pub at: u64,
    pub len: u64,
}

/// How the store behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A pack that has grown beyond this is followed by a new one.
    pub pack_size: u64,
    /// Largest blob staged in memory; larger ones go to a spool file.
    pub memory_per_blob: usize,
    /// Bound of all blobs staged in memory together.
    pub memory: usize,
    /// Publishing is refused when less is free on the disk.
    pub reserve: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { pack_size: 1 << 30, memory_per_blob: 4 << 20, memory: 96 << 20, reserve: 64 << 20 }
    }
}

/// The store of blobs. Cheap to clone.
#[derive(Clone)]
pub struct Blobs {}

impl Blobs {
    /// Opens or makes the store in `dir` on the machine's disk.
    pub fn open(dir: &Path, settings: Settings) -> Result<Self, BlobError> {
        Err(BlobError::Closed)
    }

    /// `len` bytes at `offset` of a published payload; fewer at its end.
    pub async fn read(&self, location: Location, offset: u64, len: u64) -> Result<Bytes, BlobError> {
        Err(BlobError::Closed)
    }
}
