//! Blobs on their way in: hashed while they arrive, in bounded memory or in a spool file.

use crate::disk::{Disk, DiskFile};
use crate::record::Sums;
use crate::{BlobError, Settings};
use sha2::{Digest, Sha256};
use std::io::IoSlice;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Memory comes in pieces of this size, which are used again and again.
const CHUNK: usize = 128 << 10;
/// A spooled blob is written to its file in pieces of this many chunks.
const SPOOL_CHUNKS: usize = 8;
/// Chunks kept for the next blobs.
const SPARE_CHUNKS: usize = 96;

/// The memory that all staged blobs share, and the folder for those that do not fit.
pub(crate) struct Stage {
    disk: Arc<dyn Disk>,
    spool: PathBuf,
    per_blob: usize,
    memory: usize,
    /// What stays free on the disk.
    reserve: u64,
    used: AtomicUsize,
    spare: Mutex<Vec<Vec<u8>>>,
}

impl Stage {
    pub fn new(disk: Arc<dyn Disk>, spool: PathBuf, settings: &Settings) -> Self {
        Self {
            disk,
            spool,
            per_blob: settings.memory_per_blob,
            memory: settings.memory,
            reserve: settings.reserve,
            used: AtomicUsize::new(0),
            spare: Mutex::new(Vec::new()),
        }
    }

    /// Bytes of memory that staged blobs hold now.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn chunk(&self) -> Vec<u8> {
        self.used.fetch_add(CHUNK, Ordering::Relaxed);
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        spare.unwrap_or_else(|| Vec::with_capacity(CHUNK))
    }

    fn give_back(&self, chunks: impl Iterator<Item = Vec<u8>>) {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        for mut chunk in chunks {
            self.used.fetch_sub(CHUNK, Ordering::Relaxed);
            if spare.len() < SPARE_CHUNKS {
                chunk.clear();
                spare.push(chunk);
            }
        }
    }

    /// Blobs on their way in must not take what others need to go on: the database lives on the same disk.
    fn check_room(&self, more: usize) -> Result<(), BlobError> {
        let free = self.disk.free_space(&self.spool)?;
        if free < self.reserve.saturating_add(more as u64) { Err(BlobError::StorageFull) } else { Ok(()) }
    }

    /// Opens a spool file and takes its name away at once: it lives as long as its handle.
    fn spool_file(&self) -> Result<Arc<dyn DiskFile>, BlobError> {
        let path = self.spool.join(uuid::Uuid::new_v4().simple().to_string());
        let file = self.disk.create(&path)?;
        self.disk.remove(&path)?;
        Ok(file)
    }
}

/// The bytes of a blob that is staged: in chunks, or a spool file and the chunks after it.
struct Held {
    stage: Arc<Stage>,
    chunks: Vec<Vec<u8>>,
    spool: Option<Arc<dyn DiskFile>>,
    spooled: u64,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.stage.give_back(self.chunks.drain(..));
    }
}

/// A blob that is being staged. Dropping it forgets it.
pub struct Staging {
    held: Held,
    head_len: u32,
    len: u64,
    sums: Sums,
    sha: Sha256,
}

/// A whole staged blob, ready to be published.
pub struct Staged {
    held: Held,
    pub(crate) head_len: u32,
    pub(crate) len: u64,
    pub(crate) sums: Vec<u8>,
    pub(crate) sha256: [u8; 32],
}

impl Staging {
    pub(crate) fn new(stage: Arc<Stage>) -> Self {
        Self {
            held: Held { stage, chunks: Vec::new(), spool: None, spooled: 0 },
            head_len: 0,
            len: 0,
            sums: Sums::default(),
            sha: Sha256::new(),
        }
    }

    /// Bytes taken so far.
    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes bytes that frame the content and are no part of its hash. Only before the first `write`.
    pub async fn head(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        if self.len > u64::from(self.head_len) {
            return Err(BlobError::Corrupt("a head after the content"));
        }
        self.take(bytes).await?;
        self.head_len = u32::try_from(self.len).map_err(|_| BlobError::Corrupt("head of a blob"))?;
        Ok(())
    }

    /// Takes the next bytes of the content.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.sha.update(bytes);
        self.take(bytes).await
    }

    async fn take(&mut self, mut bytes: &[u8]) -> Result<(), BlobError> {
        self.sums.add(bytes);
        self.len += bytes.len() as u64;
        while !bytes.is_empty() {
            let room = self.held.chunks.last().map_or(0, |chunk| CHUNK.saturating_sub(chunk.len()));
            if room == 0 {
                self.make_room().await?;
                let chunk = self.held.stage.chunk();
                self.held.chunks.push(chunk);
                continue;
            }
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            if let Some(chunk) = self.held.chunks.last_mut() {
                chunk.extend_from_slice(now);
            }
            bytes = later;
        }
        Ok(())
    }

    /// Moves the chunks to the spool file when the blob or all blobs together hold too much memory.
    async fn make_room(&mut self) -> Result<(), BlobError> {
        let stage = &self.held.stage;
        let chunks = self.held.chunks.len();
        let most = if self.held.spool.is_some() { SPOOL_CHUNKS } else { stage.per_blob / CHUNK };
        let spool_now = chunks >= most || stage.used() + CHUNK > stage.memory;
        if spool_now && chunks > 0 { self.spool().await } else { Ok(()) }
    }

    async fn spool(&mut self) -> Result<(), BlobError> {
        let stage = self.held.stage.clone();
        let chunks = std::mem::take(&mut self.held.chunks);
        let (file, at) = (self.held.spool.clone(), self.held.spooled);
        let written: usize = chunks.iter().map(Vec::len).sum();
        let file = tokio::task::spawn_blocking(move || {
            let done = (|| {
                stage.check_room(written)?;
                let file = match file {
                    Some(file) => file,
                    None => stage.spool_file()?,
                };
                let slices: Vec<_> = chunks.iter().map(|chunk| IoSlice::new(chunk)).collect();
                file.write_at(&slices, at)?;
                Ok::<_, BlobError>(file)
            })();
            stage.give_back(chunks.into_iter());
            done
        })
        .await
        .map_err(|_| BlobError::Closed)??;
        self.held.spool = Some(file);
        self.held.spooled += written as u64;
        Ok(())
    }

    /// Ends the blob.
    pub fn finish(self) -> Staged {
        Staged {
            held: self.held,
            head_len: self.head_len,
            len: self.len,
            sums: self.sums.finish(),
            sha256: self.sha.finalize().into(),
        }
    }
}

impl Staged {
    /// Bytes of head and content.
    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn head_len(&self) -> u64 {
        u64::from(self.head_len)
    }

    /// Whether reading it may block on its spool file.
    pub fn is_spooled(&self) -> bool {
        self.held.spool.is_some()
    }

    /// SHA-256 of the content, without the head.
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// At most `len` bytes at `offset`; fewer at the end. Blocks when the blob is in its spool file.
    pub fn read_at(&self, offset: u64, len: usize) -> Result<Vec<u8>, BlobError> {
        let mut out = Vec::with_capacity(len.min(self.len.saturating_sub(offset) as usize));
        let mut offset = offset;
        if offset < self.held.spooled
            && let Some(file) = &self.held.spool
        {
            let part = len.min((self.held.spooled - offset) as usize);
            out = file.read_some(offset, part)?;
            if out.len() < part {
                return Err(BlobError::Corrupt("spool file"));
            }
            offset += out.len() as u64;
        }
        let mut at = (offset - self.held.spooled.min(offset)) as usize;
        for chunk in &self.held.chunks {
            if out.len() >= len {
                break;
            }
            if at >= chunk.len() {
                at -= chunk.len();
                continue;
            }
            let rest = chunk.get(at..).unwrap_or_default();
            out.extend_from_slice(rest.get(..rest.len().min(len - out.len())).unwrap_or(rest));
            at = 0;
        }
        Ok(out)
    }

    /// Writes front, payload and back to `file` at `offset`.
    pub(crate) fn copy_to(
        &self,
        file: &dyn DiskFile,
        front: &[&[u8]],
        back: &[u8],
        offset: u64,
    ) -> Result<(), BlobError> {
        let mut at = offset;
        let mut slices: Vec<IoSlice<'_>> = front.iter().map(|bytes| IoSlice::new(bytes)).collect();
        if let Some(spool) = &self.held.spool {
            file.write_at(&slices, at)?;
            at += slices.iter().map(|slice| slice.len() as u64).sum::<u64>();
            slices.clear();
            let mut from = 0;
            while from < self.held.spooled {
                let part = (self.held.spooled - from).min(1 << 20) as usize;
                let bytes = spool.read_some(from, part)?;
                if bytes.len() < part {
                    return Err(BlobError::Corrupt("spool file"));
                }
                file.write_at(&[IoSlice::new(&bytes)], at)?;
                from += part as u64;
                at += part as u64;
            }
        }
        slices.extend(self.held.chunks.iter().map(|chunk| IoSlice::new(chunk)));
        slices.push(IoSlice::new(back));
        file.write_at(&slices, at)?;
        Ok(())
    }
}
