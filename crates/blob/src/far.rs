//! Packs of stores that other nodes hold: read from those nodes, or from the object store where they lie there.
//!
//! A node that does not answer makes its packs `Unavailable`, unless the object store has them. Bytes are checked here
//! like those of any tier: what another node sends is trusted no more than a disk.

use crate::disk::DiskFile;
use crate::homes::{Home, Tier};
use crate::objects::{Objects, Unreachable};
use crate::packs::{Packs, lock};
use bytes::Bytes;
use futures::future::BoxFuture;
use std::collections::{HashMap, VecDeque};
use std::io::{self, IoSlice};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Bytes asked for at least: the front of a record, and what most readers want next.
const AT_LEAST: u64 = 64 << 10;
/// Pieces of one reader in hand, and the largest that is kept.
const IN_HAND: usize = 4;
const LARGEST: usize = 1 << 20;
/// Readers that wait for other nodes at the same time, and threads that may.
const TOGETHER: usize = 32;
const MOST_WAITING: usize = 96;

/// The other nodes of the installation.
pub trait Neighbours: Send + Sync + 'static {
    /// Bytes of a pack from the node that holds its store; fewer at the pack's end. `NotFound` when that node says that
    /// there is no such pack, `Unavailable` when nobody who holds it answers or when it lies on no disk of that node.
    fn read(&self, pack: u64, range: Range<u64>) -> BoxFuture<'static, Result<Bytes, crate::BlobError>>;

    /// Whether a store belongs to this installation.
    fn knows(&self, store: u32) -> bool;
}

/// The way to other nodes' packs.
pub(crate) struct Far {
    neighbours: Arc<dyn Neighbours>,
    objects: Option<Arc<Objects>>,
    /// Packs that no node gave and that the object store has, with their lengths.
    found: Mutex<HashMap<u64, u64>>,
    handle: Handle,
    turns: Semaphore,
    waiting: AtomicUsize,
}

impl Far {
    /// Requests run on the current runtime.
    pub fn new(neighbours: Arc<dyn Neighbours>, objects: Option<Arc<Objects>>) -> Self {
        Self {
            neighbours,
            objects,
            found: Mutex::default(),
            handle: Handle::current(),
            turns: Semaphore::new(TOGETHER),
            waiting: AtomicUsize::new(0),
        }
    }

    pub fn found(&self, pack: u64) -> Option<Home> {
        let len = lock(&self.found).get(&pack).copied()?;
        Some(Home { tier: Tier::Objects, len, made_at: 0, before: None, sha256: None, shared: false, key: None })
    }

    pub fn forget(&self, pack: u64) {
        lock(&self.found).remove(&pack);
    }

    async fn bytes(&self, pack: u64, range: Range<u64>) -> io::Result<Bytes> {
        match self.neighbours.read(pack, range.clone()).await {
            Ok(bytes) => return Ok(bytes),
            Err(crate::BlobError::NotFound) => return Err(io::ErrorKind::NotFound.into()),
            Err(_) => {}
        }
        let Some(objects) = &self.objects else { return Err(Unreachable.into()) };
        let len = objects.len_of(pack).await.map_err(|_| Unreachable)?;
        lock(&self.found).insert(pack, len);
        let range = range.start.min(len)..range.end.min(len);
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        Ok(objects.read_back(pack, range).await?)
    }

    /// Waits on a thread which may block.
    fn wait(self: &Arc<Self>, pack: u64, range: Range<u64>) -> io::Result<Bytes> {
        let others = self.waiting.fetch_add(1, Ordering::Relaxed);
        let got = if others < MOST_WAITING {
            let (done, answer) = std::sync::mpsc::sync_channel(1);
            let this = self.clone();
            self.handle.spawn(async move {
                let _ = done.send(this.bytes(pack, range).await);
            });
            answer.recv().unwrap_or_else(|_| Err(Unreachable.into()))
        } else {
            Err(Unreachable.into())
        };
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        got
    }
}

impl Packs {
    /// A place among those who read from other nodes, for who is about to do so on a thread that may block.
    pub async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.far.as_ref()?.turns.acquire().await.ok()
    }
}

/// A pack of another node's store, for one reader.
pub(crate) struct FarFile {
    far: Arc<Far>,
    pack: u64,
    hand: Mutex<VecDeque<(u64, Bytes)>>,
}

impl FarFile {
    pub fn new(far: Arc<Far>, pack: u64) -> Self {
        Self { far, pack, hand: Mutex::default() }
    }

    fn in_hand(&self, offset: u64, buffer: &mut [u8]) -> Option<usize> {
        for (at, bytes) in &*lock(&self.hand) {
            let rest = offset.checked_sub(*at).and_then(|skip| bytes.get(skip as usize..)).unwrap_or_default();
            if !rest.is_empty() {
                return Some(give(rest, buffer));
            }
        }
        None
    }
}

fn give(from: &[u8], buffer: &mut [u8]) -> usize {
    let n = from.len().min(buffer.len());
    if let (Some(to), Some(from)) = (buffer.get_mut(..n), from.get(..n)) {
        to.copy_from_slice(from);
    }
    n
}

impl DiskFile for FarFile {
    fn size(&self) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if let Some(n) = self.in_hand(offset, buffer) {
            return Ok(n);
        }
        // What follows a payload up to the end of its last checksum piece is wanted next.
        let bytes = self.far.wait(self.pack, offset..offset + buffer.len() as u64 + AT_LEAST)?;
        let n = give(&bytes, buffer);
        let mut hand = lock(&self.hand);
        let (at, rest) = if bytes.len() <= LARGEST { (offset, bytes) } else { (offset + n as u64, bytes.slice(n..)) };
        if rest.len() <= LARGEST {
            if hand.len() >= IN_HAND {
                hand.pop_front();
            }
            hand.push_back((at, rest));
        }
        Ok(n)
    }

    fn write_at(&self, _: &[IoSlice<'_>], _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn truncate(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn forget_cached(&self) -> io::Result<()> {
        Ok(())
    }
}
