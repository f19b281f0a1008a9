//! The object store: packs as objects, brought back piece by piece.
//!
//! Its requests run on a thread of their own, so that whoever waits for them may be on any thread, and so that nothing
//! they do can hold up what works on the local disks. Each wait is bounded: an object store that is slow, answers with
//! errors or cuts connections makes reads of what lies there `Unavailable`, and nothing else.

use crate::BlobError;
use crate::far::Neighbours;
use crate::recall::{Key, Recall};
use bytes::Bytes;
use futures::future::{BoxFuture, Shared};
use futures::{FutureExt as _, StreamExt as _};
use object_store::path::Path as Place;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt as _};
use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, sleep, timeout};

/// A pack goes up in parts of this size; a smaller one with one PUT. S3 takes at most 10,000 parts.
pub(crate) const PART: u64 = 16 << 20;
/// Bound of one part on its way up.
const PART_PATIENCE: Duration = Duration::from_mins(5);
/// Pieces on their way at the same time.
const TOGETHER: usize = 16;
/// Threads that may wait for the object store at the same time; a machine has more of them for everything else.
const MOST_WAITING: usize = 128;
/// After a failure nothing is asked for this part of the patience: nobody waits in vain one after the other.
const REST: u32 = 10;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Names the store that the packs behind a prefix belong to.
const MARKER: &str = "mingying-store";

/// Where packs lie in an object store, and what is kept of them near by.
#[derive(Clone)]
pub struct Bucket {
    pub store: Arc<dyn ObjectStore>,
    /// Keys of this installation begin with it.
    pub prefix: String,
    /// A read that takes longer is given up.
    pub patience: Duration,
    /// Folder for recalled pieces.
    pub recall: PathBuf,
    /// Bound of that folder, bytes.
    pub recall_size: u64,
    /// Bytes brought at once.
    pub piece: u64,
}

impl std::fmt::Debug for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What the store would print may hold its credentials.
        f.debug_struct("Bucket").field("prefix", &self.prefix).field("recall", &self.recall).finish_non_exhaustive()
    }
}

impl Bucket {
    /// Bytes brought at once, where nothing else is asked for: some slices of a CT, in a fraction of a second.
    pub const PIECE: u64 = 4 << 20;

    fn place(&self, name: &str) -> Place {
        Place::from(format!("{}/{name}", self.prefix.trim_matches('/')))
    }

    /// Writes, reads and removes a small object; what went wrong.
    pub(crate) async fn probe(&self) -> Result<(), String> {
        let place = self.place("doctor");
        let tried = async {
            let written = Bytes::from_static(b"written, read and removed by doctor");
            self.store.put(&place, written.clone().into()).await?;
            let read = self.store.get_range(&place, 9..13).await?;
            self.store.delete(&place).await?;
            Ok::<_, object_store::Error>(read == written.slice(9..13))
        };
        match timeout(self.patience, tried).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err("what was written is not what is read".to_owned()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer in {} s", self.patience.as_secs())),
        }
    }
}

/// The object store did not give what was asked for, in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("object store is out of reach")]
pub(crate) struct Unreachable;

impl From<Unreachable> for io::Error {
    fn from(error: Unreachable) -> Self {
        Self::other(error)
    }
}

/// Why a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failed {
    /// The object store answers, and has no such object.
    Absent,
    Unreachable,
}

impl From<Failed> for BlobError {
    fn from(_: Failed) -> Self {
        Self::Unavailable
    }
}

/// A piece that is under way.
pub(crate) type Coming = Shared<BoxFuture<'static, Result<Bytes, Unreachable>>>;

pub(crate) struct Objects {
    bucket: Bucket,
    /// Tells stores of this installation from those of others.
    pub(crate) kin: OnceLock<Arc<dyn Neighbours>>,
    /// Where requests run; they end with `_running`.
    handle: Handle,
    _running: oneshot::Sender<()>,
    pub recall: Recall,
    coming: Mutex<HashMap<Key, Coming>>,
    turns: Semaphore,
    waiting: AtomicUsize,
    resting: Mutex<Option<Instant>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Objects {
    /// `spare`: bytes that recalled pieces leave free on their disk.
    pub fn open(bucket: Bucket, spare: u64) -> Result<Arc<Self>, BlobError> {
        let recall = Recall::open(&bucket.recall, bucket.recall_size, spare)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (running, ended) = oneshot::channel::<()>();
        std::thread::Builder::new().name("object-store".to_owned()).spawn(move || {
            // Ends when the sender is dropped.
            let _ = runtime.block_on(ended);
            runtime.shutdown_background();
        })?;
        Ok(Arc::new(Self {
            bucket,
            kin: OnceLock::new(),
            handle,
            _running: running,
            recall,
            coming: Mutex::default(),
            turns: Semaphore::new(TOGETHER),
            waiting: AtomicUsize::new(0),
            resting: Mutex::default(),
        }))
    }

    fn pack_place(&self, pack: u64) -> Place {
        self.bucket.place(&format!("{pack:016x}.pack"))
    }

    /// Runs a request, at most for as long as `bound`.
    async fn run<T: Send + 'static>(
        &self,
        bound: Duration,
        request: impl Future<Output = object_store::Result<T>> + Send + 'static,
    ) -> Result<T, Failed> {
        let done = self.handle.spawn(timeout(bound, request)).await;
        match done {
            Ok(Ok(Ok(done))) => Ok(done),
            Ok(Ok(Err(object_store::Error::NotFound { .. }))) => Err(Failed::Absent),
            Ok(Ok(Err(error))) => {
                tracing::warn!(%error, "object store");
                Err(Failed::Unreachable)
            }
            Ok(Err(_)) => {
                tracing::warn!("object store: no answer in time");
                Err(Failed::Unreachable)
            }
            Err(_) => Err(Failed::Unreachable),
        }
    }

    /// Bytes of a pack straight from the object store, asked for again until they come or time is up.
    async fn get(&self, pack: u64, range: Range<u64>) -> Result<Bytes, Unreachable> {
        if lock(&self.resting).is_some_and(|until| Instant::now() < until) {
            return Err(Unreachable);
        }
        let place = self.pack_place(pack);
        let want = (range.end - range.start) as usize;
        let asking = async {
            let Ok(_turn) = self.turns.acquire().await else { return Err(Unreachable) };
            let mut pause = FIRST_PAUSE;
            loop {
                match self.bucket.store.get_range(&place, range.clone()).await {
                    Ok(bytes) if bytes.len() == want => return Ok(bytes),
                    Ok(bytes) => tracing::warn!(pack, want, got = bytes.len(), "object store: too few bytes"),
                    Err(error @ object_store::Error::NotFound { .. }) => {
                        tracing::error!(pack, %error, "object store: a pack is not there");
                        return Err(Unreachable);
                    }
                    Err(error) => tracing::warn!(pack, %error, "object store: asking again"),
                }
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        };
        match timeout(self.bucket.patience, asking).await {
            Ok(done) => done,
            Err(_) => {
                tracing::error!(pack, "object store: out of reach");
                *lock(&self.resting) = Some(Instant::now() + self.bucket.patience / REST);
                Err(Unreachable)
            }
        }
    }

    fn range(&self, index: u64, size: u64) -> Range<u64> {
        let from = index * self.bucket.piece;
        from.min(size)..(from + self.bucket.piece).min(size)
    }

    /// A piece of a pack of `size` bytes on its way here; all who want it share one request. `keep` it for later readers
    /// or only pass it on.
    pub fn bring(self: &Arc<Self>, key: Key, size: u64, keep: bool) -> Coming {
        let mut coming = lock(&self.coming);
        if let Some(there) = coming.get(&key) {
            return there.clone();
        }
        let this = self.clone();
        let task = self.handle.spawn(async move {
            let got = this.get(key.0, this.range(key.1, size)).await;
            if keep && let Ok(bytes) = &got {
                let (that, bytes) = (this.clone(), bytes.clone());
                // Before it is no longer on its way: a later reader finds it in one place or the other.
                let _ = tokio::task::spawn_blocking(move || that.recall.put(key, &bytes)).await;
            }
            lock(&this.coming).remove(&key);
            got
        });
        let piece = task.map(|done| done.unwrap_or(Err(Unreachable))).boxed().shared();
        coming.insert(key, piece.clone());
        piece
    }

    /// Begins to bring what `ranges` of a pack touch into the folder of recalled pieces, as far as it is not there; of
    /// long ones the beginning.
    fn begin(self: &Arc<Self>, pack: u64, size: u64, ranges: &[Range<u64>]) -> Vec<Coming> {
        let piece = self.piece();
        let mut wanted: Vec<Coming> = Vec::new();
        for range in ranges.iter().filter(|range| range.start < range.end.min(size)) {
            let (first, last) = (range.start / piece, (range.end.min(size) - 1) / piece);
            for index in (first..=last).take(TOGETHER / 2).filter(|index| !self.recall.holds((pack, *index))) {
                // Whoever reads on from one piece to the next will want the one after it.
                let reads_on = index > 0 && self.recall.holds((pack, index - 1));
                wanted.push(self.bring((pack, index), size, true));
                let after = (pack, index + 1);
                if reads_on && after.1 * piece < size && !self.recall.holds(after) {
                    drop(self.bring(after, size, true));
                }
            }
        }
        if wanted.is_empty() {
            self.recall.hit();
        }
        wanted
    }

    /// Brings what `ranges` of a pack touch near by. Waits without holding a thread.
    pub async fn recall(self: &Arc<Self>, pack: u64, size: u64, ranges: &[Range<u64>]) -> Result<(), Unreachable> {
        for coming in self.begin(pack, size, ranges) {
            coming.await?;
        }
        Ok(())
    }

    /// As `recall`, on a thread which may block.
    pub fn recall_now(self: &Arc<Self>, pack: u64, size: u64, ranges: &[Range<u64>]) -> Result<(), Unreachable> {
        for coming in self.begin(pack, size, ranges) {
            self.wait(coming)?;
        }
        Ok(())
    }

    /// Waits for a piece on a thread which may block.
    pub fn wait(&self, coming: Coming) -> Result<Bytes, Unreachable> {
        if let Some(done) = coming.peek() {
            return done.clone();
        }
        let others = self.waiting.fetch_add(1, Ordering::Relaxed);
        let got = if others < MOST_WAITING {
            let (done, answer) = std::sync::mpsc::sync_channel(1);
            self.handle.spawn(async move {
                let _ = done.send(coming.await);
            });
            answer.recv().unwrap_or(Err(Unreachable))
        } else {
            Err(Unreachable)
        };
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        got
    }

    pub fn piece(&self) -> u64 {
        self.bucket.piece.max(1)
    }

    /// Bytes of a pack, past everything that is kept: for comparing.
    pub async fn read_back(self: &Arc<Self>, pack: u64, range: Range<u64>) -> Result<Bytes, Unreachable> {
        let this = self.clone();
        self.handle.spawn(async move { this.get(pack, range).await }).await.unwrap_or(Err(Unreachable))
    }

    /// Length of a pack's object; `Absent` only when the marker says that this is where packs of this store lie.
    pub async fn len_of(&self, pack: u64) -> Result<u64, Failed> {
        let (store, place) = (self.bucket.store.clone(), self.pack_place(pack));
        match self.run(self.bucket.patience, async move { store.head(&place).await }).await {
            Ok(meta) => Ok(meta.size),
            Err(Failed::Absent) if self.is_marked(pack).await? => Err(Failed::Absent),
            Err(Failed::Absent) => Err(Failed::Unreachable),
            Err(failed) => Err(failed),
        }
    }

    /// Whether packs of this pack's store lie behind the prefix.
    async fn is_marked(&self, pack: u64) -> Result<bool, Failed> {
        let store = owner(pack);
        Ok(self.marker(MARKER).await?.as_ref() == Some(&store)
            || self.marker(&further_marker(pack)).await?.as_ref() == Some(&store))
    }

    async fn marker(&self, name: &str) -> Result<Option<String>, Failed> {
        let (store, place) = (self.bucket.store.clone(), self.bucket.place(name));
        let read = async move { store.get(&place).await?.bytes().await };
        match self.run(self.bucket.patience, read).await {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).trim().to_owned())),
            Err(Failed::Absent) => Ok(None),
            Err(failed) => Err(failed),
        }
    }

    /// Makes sure that packs of this store, and only of stores of the same installation, lie behind the prefix.
    pub async fn claim(&self, pack: u64) -> Result<(), BlobError> {
        let name = match self.marker(MARKER).await? {
            Some(store) if store == owner(pack) => return Ok(()),
            Some(_) if self.is_marked(pack).await? => return Ok(()),
            Some(first) => {
                let kin = u32::from_str_radix(&first, 16).ok().zip(self.kin.get());
                if !kin.is_some_and(|(store, neighbours)| neighbours.knows(store)) {
                    let other = "the bucket holds packs of another installation behind this prefix";
                    return Err(BlobError::Misplaced(other));
                }
                further_marker(pack)
            }
            None => MARKER.to_owned(),
        };
        let (store, place, owner) = (self.bucket.store.clone(), self.bucket.place(&name), owner(pack));
        let put = async move { store.put(&place, owner.into_bytes().into()).await };
        self.run(self.bucket.patience, put).await?;
        Ok(())
    }

    /// Removes a pack's object. Removing one that is gone is no error.
    pub async fn delete(&self, pack: u64) -> Result<(), Failed> {
        let (store, place) = (self.bucket.store.clone(), self.pack_place(pack));
        match self.run(self.bucket.patience, async move { store.delete(&place).await }).await {
            Ok(()) | Err(Failed::Absent) => Ok(()),
            Err(failed) => Err(failed),
        }
    }

    /// The packs behind the prefix, and how long each is.
    pub async fn list(&self) -> Result<Vec<(u64, u64)>, Failed> {
        let (store, prefix) = (self.bucket.store.clone(), Place::from(self.bucket.prefix.trim_matches('/')));
        let listing = async move {
            let mut found = Vec::new();
            let mut all = store.list(Some(&prefix));
            while let Some(meta) = all.next().await {
                let meta = meta?;
                let name = meta.location.filename().and_then(|name| name.strip_suffix(".pack"));
                if let Some(pack) = name.and_then(|hex| u64::from_str_radix(hex, 16).ok()) {
                    found.push((pack, meta.size));
                }
            }
            Ok(found)
        };
        self.run(PART_PATIENCE, listing).await
    }

    /// Begins to send a pack of `len` bytes.
    pub async fn upload(self: &Arc<Self>, pack: u64, len: u64) -> Result<Upload, Failed> {
        let (store, place) = (self.bucket.store.clone(), self.pack_place(pack));
        let parts = if len > PART {
            Some(self.run(PART_PATIENCE, async move { store.put_multipart(&place).await }).await?)
        } else {
            None
        };
        Ok(Upload { objects: self.clone(), pack, parts })
    }
}

/// The store that a pack belongs to: packs of one store share the upper half of their ids.
pub(crate) fn owner(pack: u64) -> String {
    format!("{:08x}", pack >> 32)
}

/// The marker of a store that is not the first one behind its prefix.
fn further_marker(pack: u64) -> String {
    format!("{MARKER}-{}", owner(pack))
}

/// A pack on its way up. What is dropped before its end leaves nothing that counts.
pub(crate) struct Upload {
    objects: Arc<Objects>,
    pack: u64,
    parts: Option<Box<dyn MultipartUpload>>,
}

impl Upload {
    /// Sends the next `PART` bytes, or the last ones.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), Failed> {
        match &mut self.parts {
            Some(parts) => {
                let part = parts.put_part(bytes.into());
                self.objects.run(PART_PATIENCE, part).await
            }
            None => {
                let (store, place) = (self.objects.bucket.store.clone(), self.objects.pack_place(self.pack));
                self.objects.run(PART_PATIENCE, async move { store.put(&place, bytes.into()).await }).await.map(drop)
            }
        }
    }

    pub async fn finish(mut self) -> Result<(), Failed> {
        let Some(mut parts) = self.parts.take() else { return Ok(()) };
        let complete = async move {
            let done = parts.complete().await;
            if done.is_err() {
                let _ = parts.abort().await;
            }
            done
        };
        self.objects.run(PART_PATIENCE, complete).await.map(drop)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(mut parts) = self.parts.take() {
            self.objects.handle.spawn(async move {
                let _ = timeout(PART_PATIENCE, parts.abort()).await;
            });
        }
    }
}
