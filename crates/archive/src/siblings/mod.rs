//! Siblings: beside a native original the same pixels as HTJ2K Lossless RPCL, made in the background, read where somebody
//! wants to see the image or asks for this transfer syntax.
//!
//! A sibling is a copy for speed and never the truth. It counts when each of its frames has been decoded again to the
//! bytes of the original. Its record holds the value of Pixel Data as an object of this transfer syntax has it (PS3.5
//! A.4): an empty Basic Offset Table, a fragment for each frame, the delimiter; behind that, 8 bytes little endian for
//! each frame, where in the record its codestream begins.
//!
//! The packs of siblings are a store of their own. Nothing in it is compacted: a pack that is mostly dead, or the oldest
//! one of a full store, goes as a whole. The rows say what is there; without them everything is made again.

mod make;
mod read;
mod room;

pub use make::SiblingStep;

use crate::model::SiblingStats;
use crate::store;
use crate::{Archive, ArchiveError};
use make::{Place, Quiet};
use mingying_blob::{Blobs, Keys, store_of};
use mingying_db::Db;
use mingying_dicom::codec::HTJ2K_LOSSLESS_RPCL;
use mingying_kernel::Timestamp;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Transfer syntax of the siblings.
pub const SIBLING_SYNTAX: &str = HTJ2K_LOSSLESS_RPCL;

/// Where the codestream of the first frame begins: behind the empty table and the head of its own fragment.
const FIRST: u64 = 16;
/// Bytes of an entry of the table at the end.
const ENTRY: u64 = 8;

/// How siblings are made and kept.
#[derive(Debug, Clone)]
pub struct SiblingSettings {
    /// Most that they may take, bytes; 0 keeps none.
    pub max_bytes: u64,
    /// Threads that encode at the same time, at the lowest priority.
    pub threads: usize,
    /// So long without a new image, and a study is taken to be complete.
    pub settled: Duration,
    /// Siblings are not made when that would leave less than this free on the disk.
    pub reserve: u64,
}

impl Default for SiblingSettings {
    fn default() -> Self {
        Self { max_bytes: 64 << 30, threads: 1, settled: Duration::from_secs(30), reserve: 2 << 30 }
    }
}

/// The store, and how far making is.
pub(crate) struct Siblings {
    /// `None`: none are kept.
    blobs: Option<Blobs>,
    settings: SiblingSettings,
    quiet: Quiet,
    place: tokio::sync::Mutex<Place>,
    stats: Mutex<SiblingStats>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Siblings {
    /// Opens or makes the store in `dir`, and brings rows and packs in line: what a crash, a restored database or a
    /// deleted folder left apart goes. With no room given, all of it goes. `keys` encrypts it.
    pub async fn open(
        db: &Db,
        dir: Option<&Path>,
        archive: &crate::Settings,
        keys: &Keys,
        now: Timestamp,
    ) -> Result<Self, ArchiveError> {
        let settings = archive.sibling.clone();
        let blobs = match dir {
            Some(dir) if settings.max_bytes > 0 => {
                Some(room::open_store(db, dir, &settings, keys, archive.nodes.as_deref()).await?)
            }
            Some(dir) if dir.exists() => {
                room::clear_store(db, dir).await?;
                None
            }
            _ => None,
        };
        let stats = if blobs.is_some() { counted(db).await? } else { SiblingStats::default() };
        let place = Place::at(now.minus(settings.settled), now);
        Ok(Self {
            blobs,
            settings,
            quiet: Quiet::default(),
            place: tokio::sync::Mutex::new(place),
            stats: Mutex::new(stats),
        })
    }

    /// As `Blobs::raw`.
    pub async fn raw(&self, pack: u64, range: std::ops::Range<u64>) -> Result<bytes::Bytes, mingying_blob::BlobError> {
        self.blobs.as_ref().ok_or(mingying_blob::BlobError::NotFound)?.raw(pack, range).await
    }

    /// Siblings that other nodes keep are read from these.
    pub fn connect(&self, neighbours: std::sync::Arc<dyn mingying_blob::Neighbours>) {
        if let Some(blobs) = &self.blobs {
            blobs.connect(neighbours);
        }
    }

    /// The rows of this node's packs.
    async fn own_packs(&self, db: &Db) -> Result<Vec<store::SiblingPack>, ArchiveError> {
        let mut rows = store::sibling_packs(db).await?;
        rows.retain(|row| self.blobs.as_ref().is_some_and(|blobs| blobs.store() == store_of(row.pack)));
        Ok(rows)
    }

    fn count(&self, change: impl FnOnce(&mut SiblingStats)) {
        change(&mut lock(&self.stats));
    }
}

impl Archive {
    /// How many siblings there are, and why others are not.
    pub fn sibling_stats(&self) -> SiblingStats {
        lock(&self.siblings().stats).clone()
    }

    /// Counts again after rows went.
    async fn recount(&self) -> Result<(), ArchiveError> {
        let counted = counted(self.db()).await?;
        self.siblings().count(|stats| *stats = SiblingStats { waiting: stats.waiting, ..counted });
        Ok(())
    }
}

/// What the rows say.
async fn counted(db: &Db) -> Result<SiblingStats, ArchiveError> {
    let mut stats = SiblingStats::default();
    for (unfit, count, bytes) in store::sibling_counts(db).await? {
        if unfit.is_empty() {
            (stats.made, stats.bytes) = (count, bytes);
        } else {
            stats.unfit.insert(unfit, count);
        }
    }
    Ok(stats)
}
