//! Blobs: staged, published, read by range.
//!
//! Local storage is a set of append-only pack files. A blob is staged while it arrives, in bounded memory or in a spool
//! file; a batch of staged blobs is published with one sync; a published blob is found by its `Location` and never
//! changes. The same three steps fit an object store: stage as here, publish a batch as one object, read by range.
//!
//! A pack that is written no more may move from the fast disk to a larger one and to an object store (`moving`, `homes`).
//! Where it lies changes nothing for who reads it, but that a tier may be out of reach.
//!
//! What is written can be encrypted, with keys that the installation names (`crypt`). Where packs lie, how they are found
//! again, copied and removed, is the same.
//!
//! Publishing is the durability point of the archive. After a failed sync nothing of the batch counts and the file is
//! never written again; when the disk is full the batch is refused and later ones work as soon as there is room.

mod buffers;
mod crypt;
mod disk;
mod error;
mod far;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod homes;
mod moving;
mod objectfile;
mod objects;
mod packs;
mod payload;
mod recall;
mod record;
mod s3;
mod scan;
mod shared;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
#[cfg(any(test, feature = "sim"))]
pub mod simbucket;
mod stage;

pub use crypt::{Cipher, KeyId, Keys, MasterKey};
pub use disk::{Disk, DiskFile, LocalDisk};
pub use error::BlobError;
pub use far::Neighbours;
pub use homes::{PackNote, Tier, keys_needed, note_in_objects, pack_ids};
pub use moving::PackHome;
pub use objects::Bucket;
pub use packs::{Entry, PackInfo, Sealed, store_of};
pub use recall::RecallStats;
pub use record::Kind;
pub use s3::S3;
pub use scan::{Damage, Depth, Found, Scan};
pub use stage::{Staged, Staging};

use buffers::{BUFFER, Buffers, SMALL};
use bytes::Bytes;
use mingying_kernel::Timestamp;
use packs::Packs;
use sha2::Sha256;
use stage::Stage;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the first record of a pack begins.
pub const FIRST_RECORD: u64 = record::PACK_HEADER;

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
    /// Publishing an object and spooling are refused when they would leave less than this free on the disk. Half of it is
    /// for what makes room again: tombstones and copies.
    pub reserve: u64,
    /// Where packs may lie besides.
    pub tiers: Tiers,
    /// What packs are encrypted with, if at all.
    pub keys: Keys,
}

/// Where packs may lie beside the fast disk.
#[derive(Debug, Clone, Default)]
pub struct Tiers {
    /// A folder on a larger disk.
    pub large: Option<PathBuf>,
    pub objects: Option<Bucket>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            pack_size: 1 << 30,
            memory_per_blob: 4 << 20,
            memory: 96 << 20,
            reserve: 64 << 20,
            tiers: Tiers::default(),
            keys: Keys::default(),
        }
    }
}

/// The store of blobs. Cheap to clone.
#[derive(Clone)]
pub struct Blobs {
    packs: Arc<Packs>,
    others: Arc<shared::Others>,
    stage: Arc<Stage>,
    buffers: Arc<Buffers>,
}

impl Blobs {
    /// Opens or makes the store in `dir` on the machine's disk. `Locked` when it holds packs whose key is not given.
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
        let packs = Arc::new(Packs::open(disk.clone(), &packs, &settings)?);
        Ok(Self {
            others: Arc::new(shared::Others::new(settings.clone(), &packs)),
            packs,
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

    /// `len` bytes at `offset` of a published payload; fewer at its end. What is read is checked: bytes that are not what
    /// was published are `Corrupt`, never given out. `Unavailable` when the tier that the pack lies on cannot be reached
    /// or does not answer in time. A short read of what the machine holds in memory is done at once;
    /// everything else waits on a thread that may block.
    pub async fn read(&self, location: Location, offset: u64, len: u64) -> Result<Bytes, BlobError> {
        let len = len.min(location.len.saturating_sub(offset)) as usize;
        match len {
            0..SMALL => Ok(Bytes::from(self.fill(location, offset, vec![0; len]).await?)),
            SMALL..=BUFFER => Ok(self.fill(location, offset, self.buffers.take(len)).await?.into_bytes()),
            _ => {
                let packs = self.of(location.pack);
                packs.recall(location, offset, len as u64).await?;
                let _turn = packs.turn().await;
                blocking({
                    let packs = packs.clone();
                    move || packs.read_recalled(location, offset, len as u64)
                })
                .await
            }
        }
    }

    async fn fill<B>(&self, location: Location, offset: u64, mut buffer: B) -> Result<B, BlobError>
    where
        B: AsMut<[u8]> + Send + 'static,
    {
        let packs = self.of(location.pack);
        if packs.read_cached(location, offset, buffer.as_mut())? {
            packs.was_near(location.pack);
            return Ok(buffer);
        }
        packs.recall(location, offset, buffer.as_mut().len() as u64).await?;
        let _turn = packs.turn().await;
        let here = packs.clone();
        blocking(move || {
            here.read_exact(location, offset, buffer.as_mut())?;
            Ok(buffer)
        })
        .await
    }

    /// As `read`, for callers that are on a thread which may block.
    pub fn read_blocking(&self, location: Location, offset: u64, len: u64) -> Result<Bytes, BlobError> {
        self.of(location.pack).read(location, offset, len)
    }

    /// Several reads in one trip: (location, offset, length) each, answered in order.
    pub async fn read_many(&self, wanted: Vec<(Location, u64, u64)>) -> Result<Vec<Bytes>, BlobError> {
        let mut far = None;
        for (location, offset, len) in &wanted {
            let packs = self.of(location.pack);
            packs.recall(*location, *offset, (*len).min(location.len.saturating_sub(*offset))).await?;
            far = far.or_else(|| packs.far.is_some().then_some(packs));
        }
        let _turn = match &far {
            Some(packs) => packs.turn().await,
            None => None,
        };
        let blobs = self.clone();
        blocking(move || {
            let read = |(at, offset, len): (Location, u64, u64)| blobs.of(at.pack).read_recalled(at, offset, len);
            wanted.into_iter().map(read).collect()
        })
        .await
    }

    /// All packs that lie here or belong to this node, those of each store oldest first.
    pub fn packs(&self) -> Vec<PackInfo> {
        let mut packs: Vec<PackInfo> = self.all().iter().flat_map(|packs| packs.list()).collect();
        packs.sort_by_key(|pack| pack.id);
        packs
    }

    /// The file of a pack, for copying it away.
    pub fn pack_path(&self, pack: u64) -> PathBuf {
        self.of(pack).path(pack)
    }

    /// Copies the bytes of a pack from `from` on to the same place of the file `to`, up to the pack's length, and syncs
    /// it; the SHA-256 of all of it, of which `before` has hashed what lies before `from`.
    pub async fn copy_pack(&self, pack: PackInfo, to: &Path, from: u64, before: Sha256) -> Result<[u8; 32], BlobError> {
        let (packs, to) = (self.of(pack.id), to.to_owned());
        blocking(move || packs.copy(pack, &to, from, before)).await
    }

    /// What packs are encrypted with.
    pub fn keys(&self) -> &Keys {
        &self.packs.keys
    }

    /// What stays free on the disk: publishing and spooling are refused when they would leave less.
    pub fn reserve(&self) -> u64 {
        self.packs.reserve()
    }

    pub fn free_space(&self) -> Result<u64, BlobError> {
        self.packs.free_space()
    }

    /// Makes sure that the tail of a pack from `from` on is on the disk before it is scanned.
    pub async fn settle(&self, pack: u64, from: u64) -> Result<(), BlobError> {
        let packs = self.of(pack);
        blocking(move || packs.settle(pack, from)).await
    }

    /// The next records of a pack from `from` on, at most `max_records`. Damaged and torn ones are passed over.
    pub async fn scan(&self, pack: u64, from: u64, max_records: usize, depth: Depth) -> Result<Scan, BlobError> {
        let packs = self.of(pack);
        blocking(move || packs.scan(pack, from, max_records, depth)).await
    }

    /// The record that begins at `at`; `Corrupt` when there is none or it is not sound.
    pub async fn record(&self, pack: u64, at: u64) -> Result<Found, BlobError> {
        let packs = self.of(pack);
        blocking(move || packs.record(pack, at)).await
    }

    /// The next records of a pack between two places as a copy of this store's packs holds them, which lie in `dir` or
    /// in `dir/packs`; at most `max_records`. `NotFound` when this pack is not there.
    pub async fn scan_replica(
        &self,
        dir: &Path,
        pack: u64,
        from: u64,
        to: u64,
        max_records: usize,
    ) -> Result<Scan, BlobError> {
        let (packs, dir) = (self.of(pack), dir.to_owned());
        blocking(move || {
            scan::scan(&*packs.replica(&dir, pack)?, &packs.keys, pack, from, to, max_records, Depth::Whole)
        })
        .await
    }

    /// Stages the payload of a record again, from this store's pack or from the copy in `replica`. `Corrupt` unless it
    /// hashes to what the record says.
    pub async fn stage_again(&self, found: &Found, replica: Option<&Path>) -> Result<Staged, BlobError> {
        let mut staging = self.stage();
        let mut at = 0;
        while at < found.location.len {
            let left = found.location.len - at;
            let part = if at < found.head_len { left.min(found.head_len - at) } else { left.min(1 << 20) };
            let (packs, location, replica) =
                (self.of(found.location.pack), found.location, replica.map(Path::to_owned));
            let bytes = blocking(move || match replica {
                None => packs.read(location, at, part),
                Some(dir) => packs.read_replica(&dir, location, at, part),
            })
            .await?;
            if bytes.is_empty() {
                return Err(BlobError::Corrupt("record"));
            }
            if at < found.head_len {
                staging.head(&bytes).await?;
            } else {
                staging.write(&bytes).await?;
            }
            at += bytes.len() as u64;
        }
        let staged = staging.finish();
        if staged.sha256() == found.sha256 { Ok(staged) } else { Err(BlobError::Corrupt("record")) }
    }

    /// Packs before the newest, oldest first: nothing is added to them.
    pub async fn sealed(&self) -> Result<Vec<Sealed>, BlobError> {
        let all = self.all();
        blocking(move || {
            let mut sealed = Vec::new();
            for packs in all {
                sealed.extend(packs.sealed()?);
            }
            Ok(sealed)
        })
        .await
    }

    /// Tells where the last whole record of a scanned pack ends: what follows in the newest pack is cut, and writing
    /// goes on there.
    pub async fn resume(&self, pack: u64, end: u64) -> Result<(), BlobError> {
        let packs = self.of(pack);
        blocking(move || packs.resume(pack, end)).await
    }
}

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| BlobError::Closed)?
}
