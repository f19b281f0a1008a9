//! Blobs on their way in: hashed while they arrive, in bounded memory or in a spool file. Where what is written is
//! encrypted, each segment is as soon as it is full, so that the spool file, and the thread that writes packs, see nothing
//! else.

use crate::crypt::{Cipher, RecordKey, TAG};
use crate::disk::{Disk, DiskFile};
use crate::record::{SUM_CHUNK, Sums};
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
/// Bytes encrypted at a time; a chunk holds some of them.
const SEGMENT: usize = SUM_CHUNK as usize;
const _: () = assert!(CHUNK.is_multiple_of(SEGMENT));
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
    /// How blobs are encrypted.
    cipher: Option<Cipher>,
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
            cipher: settings.keys.cipher(),
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
    /// Drawn with the first bytes, where they are encrypted; and the tags of what is.
    key: Option<RecordKey>,
    tags: Vec<u8>,
}

/// A whole staged blob, ready to be published.
pub struct Staged {
    held: Held,
    pub(crate) head_len: u32,
    pub(crate) len: u64,
    /// The checksums, or the tags.
    pub(crate) sums: Vec<u8>,
    pub(crate) sha256: [u8; 32],
    /// What it is encrypted with.
    pub(crate) key: Option<RecordKey>,
}

impl Staging {
    pub(crate) fn new(stage: Arc<Stage>) -> Self {
        Self {
            held: Held { stage, chunks: Vec::new(), spool: None, spooled: 0 },
            head_len: 0,
            len: 0,
            sums: Sums::default(),
            sha: Sha256::new(),
            key: None,
            tags: Vec::new(),
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
        match self.held.stage.cipher {
            None => self.sums.add(bytes),
            Some(cipher) if self.key.is_none() => self.key = Some(RecordKey::random(cipher)?),
            Some(_) => {}
        }
        self.len += bytes.len() as u64;
        while !bytes.is_empty() {
            let mut room = self.held.chunks.last().map_or(0, |chunk| CHUNK.saturating_sub(chunk.len()));
            if room == 0 {
                self.make_room().await?;
                let chunk = self.held.stage.chunk();
                self.held.chunks.push(chunk);
                continue;
            }
            if self.key.is_some() {
                // Chunks hold whole segments.
                room = (room - 1) % SEGMENT + 1;
            }
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            if let Some(chunk) = self.held.chunks.last_mut() {
                chunk.extend_from_slice(now);
            }
            if now.len() == room {
                self.encrypt()?;
            }
            bytes = later;
        }
        Ok(())
    }

    /// Encrypts the segment at the end of the last chunk, which gets no more bytes.
    fn encrypt(&mut self) -> Result<(), BlobError> {
        let (Some(key), Some(chunk)) = (&self.key, self.held.chunks.last_mut()) else { return Ok(()) };
        let begin = chunk.len().saturating_sub(1) / SEGMENT * SEGMENT;
        let segment = (self.tags.len() / TAG) as u64;
        let tag = key.seal(segment, chunk.get_mut(begin..).unwrap_or_default())?;
        self.tags.extend_from_slice(&tag);
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
    pub fn finish(mut self) -> Staged {
        // Publishing refuses a blob that lacks a tag.
        if self.key.is_some()
            && (self.len as usize).div_ceil(SEGMENT) > self.tags.len() / TAG
            && let Err(error) = self.encrypt()
        {
            tracing::error!(%error, "the end of a blob is not encrypted");
        }
        Staged {
            held: self.held,
            head_len: self.head_len,
            len: self.len,
            sums: if self.key.is_some() { self.tags } else { self.sums.finish() },
            key: self.key,
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
        let Some(key) = &self.key else { return self.held_at(offset, len) };
        let upto = offset.saturating_add(len as u64).min(self.len);
        let first = offset / SUM_CHUNK;
        let begin = first * SUM_CHUNK;
        let end = upto.next_multiple_of(SUM_CHUNK).min(self.len);
        if offset >= upto {
            return Ok(Vec::new());
        }
        let mut bytes = self.held_at(begin, (end - begin) as usize)?;
        let tags = first as usize * TAG..(end.div_ceil(SUM_CHUNK) as usize) * TAG;
        if !key.open(first, &mut bytes, self.sums.get(tags).unwrap_or_default()) {
            return Err(BlobError::Corrupt("spool file"));
        }
        bytes.truncate((upto - begin) as usize);
        bytes.drain(..(offset - begin) as usize);
        Ok(bytes)
    }

    /// As `read_at`, what is held: perhaps encrypted.
    fn held_at(&self, offset: u64, len: usize) -> Result<Vec<u8>, BlobError> {
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
