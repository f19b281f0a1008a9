//! Blobs: staged, published, read by range.
//!
//! Local storage is a set of append-only pack files. A blob is staged while it arrives, in bounded memory or in a spool
//! file; a batch of staged blobs is published with one sync; a published blob is found by its `Location` and never
//! changes. The same three steps fit an object store: stage as here, publish a batch as one object, read by range.
//!
//! Publishing is the durability point of the archive. After a failed sync nothing of the batch counts and the file is
//! never written again; when the disk is full the batch is refused and later ones work as soon as there is room.

mod buffers;
mod disk;
mod error;
mod packs;
mod record;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
mod stage;

pub use disk::{Disk, DiskFile, LocalDisk};
pub use error::BlobError;
pub use packs::{Entry, Found, PackInfo, Scan};
pub use record::Kind;
pub use stage::{Staged, Staging};

use buffers::{BUFFER, Buffers, SMALL};
use bytes::Bytes;
use mingying_kernel::Timestamp;
use packs::Packs;
use sha2::{Digest, Sha256};
use stage::Stage;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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

impl Location {
    /// Where the record ends: up to there a pack is read when this payload is.
    pub fn record_end(&self) -> u64 {
        self.at + self.len + record::RECORD_TRAILER as u64
    }
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
    /// Publishing is refused when it would leave less than this free on the disk.
    pub reserve: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { pack_size: 1 << 30, memory_per_blob: 4 << 20, memory: 96 << 20, reserve: 64 << 20 }
    }
}

/// The store of blobs. Cheap to clone.
#[derive(Clone)]
pub struct Blobs {
    packs: Arc<Packs>,
    stage: Arc<Stage>,
    buffers: Arc<Buffers>,
}

impl Blobs {
    /// Opens or makes the store in `dir` on the machine's disk.
    pub fn open(dir: &Path, settings: Settings) -> Result<Self, BlobError> {
        Self::open_on(Arc::new(LocalDisk), dir, settings)
    }

    /// As `open`, on a given disk.
    pub fn open_on(disk: Arc<dyn Disk>, dir: &Path, settings: Settings) -> Result<Self, BlobError> {
        let (packs, spool) = (dir.join("packs"), dir.join("spool"));
        disk.create_dir(&packs)?;
        disk.create_dir(&spool)?;
        disk.sync_dir(dir)?;
        // What a crash left between making a spool file and taking its name away.
        for name in disk.list(&spool)? {
            disk.remove(&spool.join(name))?;
        }
        Ok(Self {
            packs: Arc::new(Packs::open(disk.clone(), &packs, &settings)?),
            stage: Arc::new(Stage::new(disk, spool, &settings)),
            buffers: Arc::default(),
        })
    }

    /// Begins a blob.
    pub fn stage(&self) -> Staging {
        Staging::new(self.stage.clone())
    }

    /// Bytes of memory that staged blobs hold now.
    pub fn staged_bytes(&self) -> usize {
        self.stage.used()
    }

    /// Makes all entries durable with one sync, in order. All or nothing: after an error none of them counts.
    pub async fn publish(&self, batch: Vec<Entry>, now: Timestamp) -> Result<Vec<Location>, BlobError> {
        let packs = self.packs.clone();
        blocking(move || packs.publish(&batch, now.as_micros())).await
    }

    /// As `publish`, for callers on a thread which may block.
    pub fn publish_blocking(&self, batch: &[Entry], now: Timestamp) -> Result<Vec<Location>, BlobError> {
        self.packs.publish(batch, now.as_micros())
    }

    /// `len` bytes at `offset` of a published payload; fewer at its end. A short read of what the machine holds in memory
    /// is done at once; everything else waits on a thread that may block.
    pub async fn read(&self, location: Location, offset: u64, len: u64) -> Result<Bytes, BlobError> {
        let len = len.min(location.len.saturating_sub(offset)) as usize;
        match len {
            0..SMALL => Ok(Bytes::from(self.fill(location, offset, vec![0; len]).await?)),
            SMALL..=BUFFER => Ok(self.fill(location, offset, self.buffers.take(len)).await?.into_bytes()),
            _ => {
                let packs = self.packs.clone();
                blocking(move || packs.read(location, offset, len as u64).map(Bytes::from)).await
            }
        }
    }

    async fn fill<B>(&self, location: Location, offset: u64, mut buffer: B) -> Result<B, BlobError>
    where
        B: AsMut<[u8]> + Send + 'static,
    {
        let there = self.packs.read_cached(location, offset, buffer.as_mut());
        if there == buffer.as_mut().len() {
            return Ok(buffer);
        }
        let packs = self.packs.clone();
        blocking(move || {
            let rest = buffer.as_mut().get_mut(there..).unwrap_or_default();
            packs.read_exact(location, offset + there as u64, rest)?;
            Ok(buffer)
        })
        .await
    }

    /// As `read`, for callers that are on a thread which may block.
    pub fn read_blocking(&self, location: Location, offset: u64, len: u64) -> Result<Vec<u8>, BlobError> {
        self.packs.read(location, offset, len)
    }

    /// Several reads in one trip: (location, offset, length) each, answered in order.
    pub async fn read_many(&self, wanted: Vec<(Location, u64, u64)>) -> Result<Vec<Bytes>, BlobError> {
        let packs = self.packs.clone();
        blocking(move || {
            wanted.into_iter().map(|(l, offset, len)| packs.read(l, offset, len).map(Bytes::from)).collect()
        })
        .await
    }

    /// The SHA-256 of a published payload without its first `head_len` bytes, computed from the disk.
    pub async fn hash(&self, location: Location, head_len: u64) -> Result<[u8; 32], BlobError> {
        let packs = self.packs.clone();
        blocking(move || {
            let mut sha = Sha256::new();
            let mut at = head_len;
            while at < location.len {
                let part = packs.read(location, at, (location.len - at).min(1 << 20))?;
                sha.update(&part);
                at += part.len() as u64;
            }
            Ok(sha.finalize().into())
        })
        .await
    }

    /// All packs, oldest first.
    pub fn packs(&self) -> Vec<PackInfo> {
        self.packs.list()
    }

    /// The file of a pack, for copying it away.
    pub fn pack_path(&self, pack: u64) -> PathBuf {
        self.packs.path(pack)
    }

    /// Copies the first `len` bytes of a pack into the new file `to` and syncs it; their SHA-256.
    pub async fn copy_pack(&self, pack: PackInfo, to: &Path) -> Result<[u8; 32], BlobError> {
        let (packs, to) = (self.packs.clone(), to.to_owned());
        blocking(move || packs.copy(pack, &to)).await
    }

    pub fn free_space(&self) -> Result<u64, BlobError> {
        self.packs.free_space()
    }

    /// Makes sure that the tail of a pack from `from` on is on the disk before it is scanned.
    pub async fn settle(&self, pack: u64, from: u64) -> Result<(), BlobError> {
        let packs = self.packs.clone();
        blocking(move || packs.settle(pack, from)).await
    }

    /// The next whole records of a pack from `from` on. Damaged and torn ones are skipped.
    pub async fn scan(&self, pack: u64, from: u64, max_records: usize) -> Result<Scan, BlobError> {
        let packs = self.packs.clone();
        blocking(move || packs.scan(pack, from, max_records, 64 << 20)).await
    }

    /// Tells where the last whole record of a scanned pack ends: what follows in the newest pack is cut, and writing
    /// goes on there.
    pub async fn resume(&self, pack: u64, end: u64) -> Result<(), BlobError> {
        let packs = self.packs.clone();
        blocking(move || packs.resume(pack, end)).await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| BlobError::Closed)?
}
