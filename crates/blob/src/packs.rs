//! The pack files: appended to by one writer, read by anybody, never changed.

use crate::disk::{Disk, DiskFile};
use crate::record::{
    Ended, Header, Kind, PACK_HEADER, PackHeaderError, SUM_CHUNK, Trailer, pack_header, read_pack_header,
};
use crate::scan::{self, Damage, Depth, Found, Scan};
use crate::stage::Staged;
use crate::{BlobError, Location, Settings};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::io::{IoSlice, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A record's front up to this length is read at once: header, meta and checksums of all but very large objects.
const FRONT: u64 = 8 << 10;
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

/// A pack that is not written any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed {
    pub id: u64,
    /// Up to here its bytes count.
    pub len: u64,
    /// Bytes after that, which a failed sync left.
    pub void: u64,
    /// The pack before it has such bytes, and only this pack's header says so: it must not go first.
    pub guards: bool,
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
        let mut ends = Vec::new();
        for name in disk.list(dir)? {
            let Some(id) = name.strip_suffix(".pack").and_then(|hex| u64::from_str_radix(hex, 16).ok()) else {
                continue;
            };
            let file = disk.open(&dir.join(&name))?;
            let size = file.size()?;
            match read_pack_header(&file.read_some(0, PACK_HEADER as usize)?, id) {
                Ok(before) => ends.extend(before),
                Err(PackHeaderError::Version) => return Err(BlobError::Corrupt("pack of an unknown format version")),
                // A power cut may leave a name without its header: nothing in it was ever acknowledged.
                Err(PackHeaderError::Damaged) if size <= PACK_HEADER => continue,
                // Its records each stand for themselves.
                Err(PackHeaderError::Damaged) => tracing::error!(pack = id, "the header of a pack is damaged"),
            }
            lengths.insert(id, size);
        }
        for end in ends {
            if let Some(len) = lengths.get_mut(&end.pack) {
                *len = end.at.min(*len);
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

    pub fn reserve(&self) -> u64 {
        self.reserve
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
        let before = lock(&self.lengths).iter().next_back().map(|(pack, len)| Ended { pack: *pack, at: *len });
        let pack = before.map_or_else(first_pack, |before| before.pack + 1);
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
            file.write_at(&[IoSlice::new(&pack_header(pack, now, before))], 0)?;
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

    /// At most `len` bytes at `offset`, checked as by `read_exact`.
    pub fn read(&self, location: Location, offset: u64, len: u64) -> Result<Bytes, BlobError> {
        let mut buffer = vec![0; len.min(location.len.saturating_sub(offset)) as usize];
        self.read_exact(location, offset, &mut buffer)?;
        Ok(buffer.into())
    }

    /// Fills the buffer from `offset` of a payload. Each piece of the payload that is touched is compared with its
    /// checksum: these are the bytes that were published, or it fails.
    pub fn read_exact(&self, location: Location, offset: u64, buffer: &mut [u8]) -> Result<(), BlobError> {
        let there = self.fetch(location, offset, buffer, |file, at, buffer| file.read_full(at, buffer))?;
        if there { Ok(()) } else { Err(BlobError::Corrupt("pack is shorter than its index says")) }
    }

    /// As `read_exact`, when everything that it takes is in the machine's memory: whether it was.
    pub fn read_cached(&self, location: Location, offset: u64, buffer: &mut [u8]) -> Result<bool, BlobError> {
        match self.fetch(location, offset, buffer, |file, at, buffer| file.read_cached(buffer, at)) {
            Err(BlobError::Io(_)) => Ok(false),
            there => there,
        }
    }

    /// `false` when `get` did not give everything.
    fn fetch(
        &self,
        location: Location,
        offset: u64,
        buffer: &mut [u8],
        get: impl Fn(&dyn DiskFile, u64, &mut [u8]) -> std::io::Result<usize>,
    ) -> Result<bool, BlobError> {
        if buffer.is_empty() {
            return Ok(true);
        }
        let file = self.file(location.pack)?;
        let get = |at, buffer: &mut [u8]| Ok::<_, BlobError>(get(&*file, at, buffer)? == buffer.len());
        let front_len = location.at.saturating_sub(location.record);
        let mut front = vec![0; front_len.min(FRONT) as usize];
        if !get(location.record, &mut front)? || !get(location.at + offset, buffer)? {
            return Ok(false);
        }
        let header = Header::decode(&front)
            .filter(|h| location.record + h.payload_at() == location.at && h.payload_len == location.len)
            .ok_or(BlobError::Corrupt("header of a record"))?;
        if !header.sums {
            return Ok(true);
        }
        let first = offset / SUM_CHUNK;
        let count = (offset + buffer.len() as u64).div_ceil(SUM_CHUNK) - first;
        let sums_at = front_len - header.sums_len() + first * 4;
        let sums = match front.get(sums_at as usize..(sums_at + count * 4) as usize) {
            Some(sums) => sums,
            None => {
                front.resize((count * 4) as usize, 0);
                if !get(location.record + sums_at, &mut front)? {
                    return Ok(false);
                }
                &front
            }
        };
        // The first and the last piece reach beyond the buffer.
        let mut edge = Vec::new();
        let mut beyond = |from: u64, to: u64, crc: u32| {
            edge.resize((to - from) as usize, 0);
            Ok::<_, BlobError>(get(location.at + from, &mut edge)?.then(|| crc32c::crc32c_append(crc, &edge)))
        };
        let (mut at, mut rest) = (offset, &*buffer);
        for (piece, sum) in (first..).zip(sums.as_chunks::<4>().0) {
            let (begin, end) = (piece * SUM_CHUNK, ((piece + 1) * SUM_CHUNK).min(location.len));
            let Some(crc) = beyond(begin, at, 0)? else { return Ok(false) };
            let (now, later) = rest.split_at(rest.len().min((end - at) as usize));
            (at, rest) = (at + now.len() as u64, later);
            let Some(crc) = beyond(at, end, crc32c::crc32c_append(crc, now))? else { return Ok(false) };
            if crc != u32::from_le_bytes(*sum) {
                tracing::error!(pack = location.pack, at = location.at + begin, "stored bytes are damaged");
                return Err(BlobError::Corrupt("payload"));
            }
            at = end;
        }
        Ok(true)
    }

    /// Writes the bytes of a pack from `from` on to the same place of another file, and syncs it. `sha` has hashed what
    /// comes before.
    pub fn copy(&self, pack: PackInfo, to: &Path, from: u64, mut sha: Sha256) -> Result<[u8; 32], BlobError> {
        let file = self.file(pack.id)?;
        let mut out = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(to)?;
        out.set_len(from)?;
        out.seek(SeekFrom::Start(from))?;
        let mut at = from;
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

    /// Reads records from `from` on, at most `max_records`, as far as the pack's bytes count.
    pub fn scan(&self, pack: u64, from: u64, max_records: usize, depth: Depth) -> Result<Scan, BlobError> {
        let to = lock(&self.lengths).get(&pack).copied().ok_or(BlobError::NotFound)?;
        let file = self.file(pack)?;
        let mut scan = scan::scan(&*file, pack, from, to, max_records, depth)?;
        if from == 0 && read_pack_header(&file.read_some(0, PACK_HEADER as usize)?, pack).is_err() {
            scan.damaged.insert(0, Damage { from: 0, to: PACK_HEADER });
        }
        Ok(scan)
    }

    /// The record that begins at `at`, whole and sound.
    pub fn record(&self, pack: u64, at: u64) -> Result<Found, BlobError> {
        let to = lock(&self.lengths).get(&pack).copied().ok_or(BlobError::NotFound)?;
        let found = scan::read_record(&*self.file(pack)?, pack, at, to, Depth::Whole)?;
        found.map_err(|_| BlobError::Corrupt("record"))
    }

    /// The file of a pack of this store as a copy elsewhere holds it, in `dir` or in `dir/packs`.
    pub fn replica(&self, dir: &Path, pack: u64) -> Result<Arc<dyn DiskFile>, BlobError> {
        let name = format!("{pack:016x}.pack");
        match self.disk.open_to_read(&dir.join("packs").join(&name)) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(self.disk.open_to_read(&dir.join(name))?),
            file => Ok(file?),
        }
    }

    /// Packs before the newest, which alone is written.
    pub fn sealed(&self) -> Result<Vec<Sealed>, BlobError> {
        let mut packs = self.list();
        packs.pop();
        let mut sealed: Vec<Sealed> = Vec::with_capacity(packs.len());
        for PackInfo { id, len } in packs {
            let void = self.file(id)?.size()?.saturating_sub(len);
            let guards = sealed.last().is_some_and(|before| before.void > 0);
            sealed.push(Sealed { id, len, void, guards });
        }
        Ok(sealed)
    }

    /// Removes a pack that is not the newest. Readers that have it open read on.
    pub fn remove(&self, pack: u64) -> Result<(), BlobError> {
        let _writer = lock(&self.writer);
        {
            let mut lengths = lock(&self.lengths);
            if lengths.keys().next_back() == Some(&pack) {
                return Err(BlobError::Corrupt("the newest pack stays"));
            }
            lengths.remove(&pack);
        }
        lock(&self.open).remove(&pack);
        match self.disk.remove(&self.path(pack)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e.into()),
            _ => Ok(self.disk.sync_dir(&self.dir)?),
        }
    }

    /// Goes on writing in the newest pack: cuts what follows its last whole record, which ends at `end`.
    pub fn resume(&self, pack: u64, end: u64) -> Result<(), BlobError> {
        let mut writer = lock(&self.writer);
        let newest = lock(&self.lengths).keys().next_back() == Some(&pack);
        if !newest || writer.is_some() {
            return Ok(());
        }
        lock(&self.lengths).insert(pack, end);
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
        sums: true,
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
        let crc = Trailer::crc_of(&entry.meta, &staged.sums, &staged.sha256, header.total());
        let trailer = Trailer { crc, sha256: staged.sha256, total: header.total() };
        staged.copy_to(&*current.file, &[&header.encode(), &entry.meta, &staged.sums], &trailer.encode(), at)?;
        locations.push(Location { pack: current.pack, record: at, at: at + header.payload_at(), len: staged.len });
        at += header.total();
    }
    Ok((locations, at))
}
