//! The pack files: appended to by one writer, read by anybody, never changed.

use crate::disk::{Disk, DiskFile};
use crate::record::{
    Header, Kind, PACK_HEADER, RECORD_HEADER, RECORD_MAGIC, RECORD_TRAILER, Trailer, check_pack_header, pack_header,
};
use crate::stage::Staged;
use crate::{BlobError, Location, Settings};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::io::{IoSlice, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// File handles kept open for reading.
const OPEN_PACKS: usize = 256;

/// A blob to publish.
pub struct Entry {
    pub kind: Kind,
    /// JSON: all that replaying the record needs.
    pub meta: Vec<u8>,
    pub staged: Staged,
}

/// A pack and how many of its bytes are known to be durable and whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackInfo {
    pub id: u64,
    pub len: u64,
}

/// A record found by a scan. Its checksum was computed again and is right.
#[derive(Debug, Clone)]
pub struct Found {
    pub kind: Kind,
    pub meta: Vec<u8>,
    pub head_len: u64,
    pub location: Location,
    pub sha256: [u8; 32],
    /// Where the next record begins.
    pub next: u64,
}

/// A piece of a scan.
#[derive(Debug, Default)]
pub struct Scan {
    pub records: Vec<Found>,
    /// Where to go on, `None` at the end of the pack.
    pub next: Option<u64>,
    /// Where whole records begin whose content is damaged: skipped.
    pub damaged: Vec<u64>,
    /// Where the last whole record ends.
    pub end: u64,
}

/// The pack that is being written.
struct Current {
    pack: u64,
    file: Arc<dyn DiskFile>,
    len: u64,
}

pub(crate) struct Packs {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    pack_size: u64,
    reserve: u64,
    /// Held while a batch is written and synced.
    writer: Mutex<Option<Current>>,
    lengths: Mutex<BTreeMap<u64, u64>>,
    open: Mutex<HashMap<u64, Arc<dyn DiskFile>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Packs {
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, settings: &Settings) -> Result<Self, BlobError> {
        let mut lengths = BTreeMap::new();
        for name in disk.list(dir)? {
            let Some(id) = name.strip_suffix(".pack").and_then(|hex| u64::from_str_radix(hex, 16).ok()) else {
                continue;
            };
            let file = disk.open(&dir.join(&name))?;
            let size = file.size()?;
            // A power cut may leave a name without its header: nothing in it was ever acknowledged.
            if check_pack_header(&file.read_some(0, PACK_HEADER as usize)?, id).is_ok() {
                lengths.insert(id, size);
            } else if size > PACK_HEADER {
                return Err(BlobError::Corrupt("pack header"));
            }
        }
        Ok(Self {
            disk,
            dir: dir.to_owned(),
            pack_size: settings.pack_size,
            reserve: settings.reserve,
            writer: Mutex::new(None),
            lengths: Mutex::new(lengths),
            open: Mutex::new(HashMap::new()),
        })
    }

    pub fn list(&self) -> Vec<PackInfo> {
        lock(&self.lengths).iter().map(|(id, len)| PackInfo { id: *id, len: *len }).collect()
    }

    pub fn path(&self, pack: u64) -> PathBuf {
        self.dir.join(format!("{pack:016x}.pack"))
    }

    pub fn free_space(&self) -> Result<u64, BlobError> {
        Ok(self.disk.free_space(&self.dir)?)
    }

    /// Appends all entries and makes them durable with one sync. All or nothing: after an error none of them counts.
    pub fn publish(&self, batch: &[Entry], now: i64) -> Result<Vec<Location>, BlobError> {
        let mut writer = lock(&self.writer);
        let need: u64 = batch.iter().map(|entry| header_of(entry).total()).sum();
        if self.free_space()? < self.reserve.saturating_add(need) {
            return Err(BlobError::StorageFull);
        }
        if writer.as_ref().is_some_and(|current| current.len >= self.pack_size) {
            *writer = None;
        }
        let current = match &mut *writer {
            Some(current) => current,
            empty => empty.insert(self.begin_pack(now)?),
        };
        let start = current.len;
        match write_all(current, batch) {
            Ok((locations, end)) => {
                if let Err(error) = current.file.sync_data() {
                    // The kernel may have dropped the dirty pages and marked them clean: what this file holds past
                    // `start` is unknown, and a second sync would lie. It is never written again.
                    tracing::error!(pack = current.pack, %error, "sync of a pack failed; going on in a new one");
                    *writer = None;
                    return Err(error.into());
                }
                current.len = end;
                lock(&self.lengths).insert(current.pack, end);
                Ok(locations)
            }
            Err(error) => {
                tracing::warn!(pack = current.pack, %error, "batch not written");
                let full = matches!(error, BlobError::StorageFull);
                if !full || current.file.truncate(start).is_err() {
                    *writer = None;
                }
                Err(error)
            }
        }
    }

    fn begin_pack(&self, now: i64) -> Result<Current, BlobError> {
        let pack = {
            let lengths = lock(&self.lengths);
            lengths.keys().next_back().map_or_else(first_pack, |last| last + 1)
        };
        // A name left by a power cut or by a failed attempt holds nothing.
        let mut pack = pack;
        let file = loop {
            match self.disk.create(&self.path(pack)) {
                Ok(file) => break file,
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => pack += 1,
                Err(e) => return Err(e.into()),
            }
        };
        let written = (|| {
            file.write_at(&[IoSlice::new(&pack_header(pack, now))], 0)?;
            file.sync_data()?;
            self.disk.sync_dir(&self.dir)
        })();
        if let Err(error) = written {
            let _ = self.disk.remove(&self.path(pack));
            return Err(error.into());
        }
        lock(&self.lengths).insert(pack, PACK_HEADER);
        Ok(Current { pack, file, len: PACK_HEADER })
    }

    fn file(&self, pack: u64) -> Result<Arc<dyn DiskFile>, BlobError> {
        let mut open = lock(&self.open);
        if let Some(file) = open.get(&pack) {
            return Ok(file.clone());
        }
        let file = self.disk.open(&self.path(pack))?;
        if open.len() >= OPEN_PACKS
            && let Some(any) = open.keys().next().copied()
        {
            open.remove(&any);
        }
        open.insert(pack, file.clone());
        Ok(file)
    }

    pub fn read(&self, location: Location, offset: u64, len: u64) -> Result<Vec<u8>, BlobError> {
        let len = len.min(location.len.saturating_sub(offset));
        let bytes = self.file(location.pack)?.read_some(location.at + offset, len as usize)?;
        if (bytes.len() as u64) < len {
            return Err(BlobError::Corrupt("pack is shorter than its index says"));
        }
        Ok(bytes)
    }

    /// Fills the buffer from `offset` of the payload.
    pub fn read_exact(&self, location: Location, offset: u64, buffer: &mut [u8]) -> Result<(), BlobError> {
        if self.file(location.pack)?.read_full(location.at + offset, buffer)? < buffer.len() {
            return Err(BlobError::Corrupt("pack is shorter than its index says"));
        }
        Ok(())
    }

    /// Reads what is in memory of the machine, without waiting; how many bytes that were. 0 also when something fails:
    /// whoever then waits for the disk is told what.
    pub fn read_cached(&self, location: Location, offset: u64, buffer: &mut [u8]) -> usize {
        let Some(file) = lock(&self.open).get(&location.pack).cloned() else { return 0 };
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match file.read_cached(rest, location.at + offset + filled as u64) {
                Ok(n) if n > 0 => filled += n,
                _ => break,
            }
        }
        filled
    }

    pub fn copy(&self, pack: PackInfo, to: &Path) -> Result<[u8; 32], BlobError> {
        let file = self.file(pack.id)?;
        let mut out = std::fs::File::create_new(to)?;
        let mut sha = Sha256::new();
        let mut at = 0;
        while at < pack.len {
            let part = file.read_some(at, (pack.len - at).min(1 << 20) as usize)?;
            if part.is_empty() {
                return Err(BlobError::Corrupt("pack is shorter than its index says"));
            }
            sha.update(&part);
            out.write_all(&part)?;
            at += part.len() as u64;
        }
        out.sync_all()?;
        Ok(sha.finalize().into())
    }

    /// Prepares the tail of a pack from `from` for a scan: what is read afterwards is on the disk, not only in memory.
    /// After a crash of the process the cache may hold records that were never synced.
    pub fn settle(&self, pack: u64, from: u64) -> Result<(), BlobError> {
        let file = self.file(pack)?;
        if file.size()? > from {
            file.sync_data()?;
            file.forget_cached()?;
        }
        Ok(())
    }

    /// Reads whole records from `from` on, at most `max_records` or about `max_bytes`.
    pub fn scan(&self, pack: u64, from: u64, max_records: usize, max_bytes: u64) -> Result<Scan, BlobError> {
        let file = self.file(pack)?;
        let size = file.size()?;
        let mut at = from.max(PACK_HEADER);
        let first = at;
        let mut scan = Scan { end: at, ..Scan::default() };
        while at < size {
            if scan.records.len() >= max_records || at - first >= max_bytes {
                scan.next = Some(at);
                return Ok(scan);
            }
            match read_record(&*file, pack, at, size)? {
                Ok(found) => {
                    at = found.next;
                    scan.end = at;
                    scan.records.push(found);
                }
                Err(Broken::Damaged { next }) => {
                    tracing::error!(pack, at, "a record is damaged");
                    scan.damaged.push(at);
                    at = next;
                    scan.end = at;
                }
                // Torn by a power cut, or its header is damaged: go on at the next whole record, if there is one.
                Err(Broken::Torn) => match next_whole(&*file, pack, at + 1, size)? {
                    Some(next) => {
                        tracing::warn!(pack, at, next, "bytes between records are skipped");
                        at = next;
                    }
                    None => break,
                },
            }
        }
        Ok(scan)
    }

    /// Goes on writing in the newest pack: cuts what follows its last whole record, which ends at `end`.
    pub fn resume(&self, pack: u64, end: u64) -> Result<(), BlobError> {
        let mut writer = lock(&self.writer);
        lock(&self.lengths).insert(pack, end);
        let newest = lock(&self.lengths).keys().next_back() == Some(&pack);
        if !newest || writer.is_some() {
            return Ok(());
        }
        let file = self.file(pack)?;
        if file.size()? > end {
            file.truncate(end)?;
            file.sync_data()?;
        }
        *writer = Some(Current { pack, file, len: end });
        Ok(())
    }
}

/// The upper half of a pack id is chosen at random when a store is made, so that packs of several stores never have the
/// same id; the lower half counts.
fn first_pack() -> u64 {
    let store = uuid::Uuid::new_v4().as_u128() as u64 & 0x7fff_ffff;
    store << 32 | 1
}

fn header_of(entry: &Entry) -> Header {
    Header {
        kind: entry.kind,
        meta_len: entry.meta.len() as u32,
        head_len: entry.staged.head_len,
        payload_len: entry.staged.len,
        id: uuid::Uuid::now_v7().into_bytes(),
    }
}

fn write_all(current: &Current, batch: &[Entry]) -> Result<(Vec<Location>, u64), BlobError> {
    let mut at = current.len;
    let mut locations = Vec::with_capacity(batch.len());
    for entry in batch {
        let header = header_of(entry);
        let staged = &entry.staged;
        let crc = crc32c::crc32c_combine(crc32c::crc32c(&entry.meta), staged.crc, staged.len as usize);
        let trailer = Trailer { crc, sha256: staged.sha256, total: header.total() };
        staged.copy_to(&*current.file, &[&header.encode(), &entry.meta], &trailer.encode(), at)?;
        locations.push(Location {
            pack: current.pack,
            record: at,
            at: at + RECORD_HEADER as u64 + entry.meta.len() as u64,
            len: staged.len,
        });
        at += header.total();
    }
    Ok((locations, at))
}

enum Broken {
    /// Not a whole record.
    Torn,
    /// A whole record whose checksum is wrong.
    Damaged { next: u64 },
}

fn read_record(file: &dyn DiskFile, pack: u64, at: u64, size: u64) -> Result<Result<Found, Broken>, BlobError> {
    let Some(header) = Header::decode(&file.read_some(at, RECORD_HEADER)?) else { return Ok(Err(Broken::Torn)) };
    let next = at + header.total();
    if next > size {
        return Ok(Err(Broken::Torn));
    }
    let trailer = Trailer::decode(&file.read_some(next - RECORD_TRAILER as u64, RECORD_TRAILER)?);
    let Some(trailer) = trailer.filter(|trailer| trailer.total == header.total()) else {
        return Ok(Err(Broken::Torn));
    };
    let meta = file.read_some(at + RECORD_HEADER as u64, header.meta_len as usize)?;
    let payload_at = at + RECORD_HEADER as u64 + u64::from(header.meta_len);
    let mut crc = crc32c::crc32c(&meta);
    let mut done = 0;
    while done < header.payload_len {
        let part = file.read_some(payload_at + done, (header.payload_len - done).min(1 << 20) as usize)?;
        if part.is_empty() {
            return Ok(Err(Broken::Torn));
        }
        crc = crc32c::crc32c_append(crc, &part);
        done += part.len() as u64;
    }
    if crc != trailer.crc {
        return Ok(Err(Broken::Damaged { next }));
    }
    Ok(Ok(Found {
        kind: header.kind,
        meta,
        head_len: u64::from(header.head_len),
        location: Location { pack, record: at, at: payload_at, len: header.payload_len },
        sha256: trailer.sha256,
        next,
    }))
}

/// The next place from `from` on where a whole, undamaged record begins.
fn next_whole(file: &dyn DiskFile, pack: u64, from: u64, size: u64) -> Result<Option<u64>, BlobError> {
    const WINDOW: usize = 1 << 20;
    let mut at = from;
    while at < size {
        let bytes = file.read_some(at, WINDOW + RECORD_MAGIC.len() - 1)?;
        for (i, piece) in bytes.windows(RECORD_MAGIC.len()).enumerate() {
            let place = at + i as u64;
            if piece == RECORD_MAGIC && read_record(file, pack, place, size)?.is_ok() {
                return Ok(Some(place));
            }
        }
        at += WINDOW as u64;
    }
    Ok(None)
}
