//! The pack files: appended to by one writer, read by anybody, never changed.

use crate::crypt::{DataKey, Keys, RecordKey};
use crate::disk::{Disk, DiskFile};
use crate::far::{Far, FarFile};
use crate::homes::{self, Home, Tier, pack_name};
use crate::objectfile::ObjectFile;
use crate::objects::Objects;
use crate::payload::{self, FRONT, Get};
use crate::record::{
    Ended, Header, Kind, MAX_META, PACK_HEADER, SUM_CHUNK, Standing, Trailer, pack_header, read_pack_header,
};
use crate::scan::{self, Damage, Depth, Found, Scan, Trust, readable};
use crate::stage::Staged;
use crate::{BlobError, Location, Settings};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{IoSlice, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
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
    /// Encrypted, or not, as what is written now.
    pub current: bool,
}

/// The pack that is being written.
struct Current {
    pack: u64,
    file: Arc<dyn DiskFile>,
    len: u64,
    /// Encrypts what is added.
    key: Option<Arc<DataKey>>,
}

pub(crate) struct Packs {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) keys: Keys,
    pub(crate) dir: PathBuf,
    /// The folder of packs on the large disk.
    pub(crate) large: Option<PathBuf>,
    pub(crate) objects: Option<Arc<Objects>>,
    /// The upper half of the ids of its packs.
    pub(crate) store: u32,
    /// Another node began it, and nobody writes it any more.
    pub(crate) closed: bool,
    /// The nodes that hold what is not here; only where this stands for the stores of others.
    pub(crate) far: Option<Arc<Far>>,
    pack_size: u64,
    reserve: u64,
    /// Held while a batch is written and synced.
    writer: Mutex<Option<Current>>,
    pub(crate) homes: Mutex<BTreeMap<u64, Home>>,
    /// Packs that were removed and whose object may still be there.
    pub(crate) gone: Mutex<BTreeSet<u64>>,
    pub(crate) open: Mutex<HashMap<u64, Arc<dyn DiskFile>>>,
    /// The pack in the object store that somebody goes through from end to end.
    passing: Mutex<Option<(u64, Arc<dyn DiskFile>)>>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Packs {
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, settings: &Settings) -> Result<Self, BlobError> {
        let large = settings.tiers.large.as_ref().map(|large| large.join("packs"));
        let objects = match settings.tiers.objects.clone() {
            Some(bucket) => Some(Objects::open(bucket, settings.reserve.saturating_mul(2))?),
            None => None,
        };
        let survey = homes::survey(&*disk, dir, large.as_deref(), objects.is_some(), true)?;
        survey.homes.values().try_for_each(|home| unlocked(&settings.keys, home))?;
        let store = survey.homes.keys().next().map_or_else(new_store, |pack| store_of(*pack));
        Ok(Self::with(disk, dir, large, objects, store, survey, settings))
    }

    /// A store that another node began. What it keeps in the object store is reached through `objects`. `Locked` as for
    /// `open`.
    pub fn adopt(
        disk: Arc<dyn Disk>,
        dir: &Path,
        store: u32,
        settings: &Settings,
        objects: Option<Arc<Objects>>,
    ) -> Result<Self, BlobError> {
        let large = settings.tiers.large.as_ref().map(|large| large.join("packs"));
        let mut survey = homes::survey(&*disk, dir, large.as_deref(), objects.is_some(), false)?;
        survey.homes.retain(|pack, _| store_of(*pack) == store);
        survey.homes.values().try_for_each(|home| unlocked(&settings.keys, home))?;
        let packs = Self::with(disk, dir, large, objects, store, survey, settings);
        Ok(Self { closed: true, ..packs })
    }

    /// What stands for the stores that other nodes hold.
    pub fn of_others(&self, far: Arc<Far>, settings: &Settings) -> Self {
        let none = homes::Survey { homes: BTreeMap::new(), gone: BTreeSet::new() };
        let packs = Self::with(self.disk.clone(), &self.dir, None, self.objects.clone(), self.store, none, settings);
        Self { closed: true, far: Some(far), ..packs }
    }

    fn with(
        disk: Arc<dyn Disk>,
        dir: &Path,
        large: Option<PathBuf>,
        objects: Option<Arc<Objects>>,
        store: u32,
        survey: homes::Survey,
        settings: &Settings,
    ) -> Self {
        Self {
            disk,
            keys: settings.keys.clone(),
            dir: dir.to_owned(),
            large,
            objects,
            store,
            closed: false,
            far: None,
            pack_size: settings.pack_size,
            reserve: settings.reserve,
            writer: Mutex::new(None),
            homes: Mutex::new(survey.homes),
            gone: Mutex::new(survey.gone),
            open: Mutex::default(),
            passing: Mutex::default(),
        }
    }

    pub fn list(&self) -> Vec<PackInfo> {
        lock(&self.homes).iter().map(|(id, home)| PackInfo { id: *id, len: home.len }).collect()
    }

    pub(crate) fn home(&self, pack: u64) -> Option<Home> {
        let here = lock(&self.homes).get(&pack).copied();
        here.or_else(|| self.far.as_ref().and_then(|far| far.found(pack)))
    }

    /// The pack that may still grow.
    pub(crate) fn growing(&self) -> Option<u64> {
        if self.closed { None } else { lock(&self.homes).keys().next_back().copied() }
    }

    fn len_of(&self, pack: u64) -> Result<u64, BlobError> {
        match self.home(pack) {
            Some(home) => Ok(home.len),
            // The node that holds it knows.
            None if self.far.is_some() => Ok(i64::MAX as u64),
            None => Err(BlobError::NotFound),
        }
    }

    fn set_len(&self, pack: u64, len: u64) {
        if let Some(home) = lock(&self.homes).get_mut(&pack) {
            home.len = len;
        }
    }

    /// Keeps packs from being begun until it is dropped.
    pub(crate) fn writing(&self) -> impl Drop + '_ {
        lock(&self.writer)
    }

    /// The file of a pack on the fast disk.
    pub fn path(&self, pack: u64) -> PathBuf {
        self.dir.join(pack_name(pack))
    }

    /// The object store, when that is where a pack lies, and the pack's length.
    fn recallable(&self, pack: u64) -> Option<(&Arc<Objects>, u64)> {
        let objects = self.objects.as_ref()?;
        self.home(pack).filter(|home| home.tier == Tier::Objects).map(|home| (objects, home.len))
    }

    /// Brings what a read will need near by, when the pack lies in the object store.
    pub async fn recall(&self, location: Location, offset: u64, len: u64) -> Result<(), BlobError> {
        match self.recallable(location.pack) {
            Some((objects, size)) => {
                let brought = objects.recall(location.pack, size, &needs(location, offset, len)).await;
                brought.map_err(|_| self.out_of_reach(location.pack))
            }
            None => Ok(()),
        }
    }

    fn recall_now(&self, location: Location, offset: u64, len: u64) -> Result<(), BlobError> {
        match self.recallable(location.pack) {
            Some((objects, size)) => {
                let brought = objects.recall_now(location.pack, size, &needs(location, offset, len));
                brought.map_err(|_| self.out_of_reach(location.pack))
            }
            None => Ok(()),
        }
    }

    /// Notes that a read was served from memory.
    pub fn was_near(&self, pack: u64) {
        if let Some((objects, _)) = self.recallable(pack) {
            objects.recall.hit();
        }
    }

    /// A pack that was removed meanwhile is not out of reach.
    fn out_of_reach(&self, pack: u64) -> BlobError {
        if let Some(far) = &self.far {
            // It may have been compacted by the node that holds it, which is asked again.
            far.forget(pack);
            lock(&self.open).remove(&pack);
            return BlobError::Unavailable;
        }
        if self.home(pack).is_some() { BlobError::Unavailable } else { BlobError::NotFound }
    }

    pub fn reserve(&self) -> u64 {
        self.reserve
    }

    pub fn free_space(&self) -> Result<u64, BlobError> {
        Ok(self.disk.free_space(&self.dir)?)
    }

    /// Appends all entries and makes them durable with one sync. All or nothing: after an error none of them counts.
    pub fn publish(&self, batch: &[Entry], now: i64) -> Result<Vec<Location>, BlobError> {
        if self.closed {
            return Err(BlobError::Closed);
        }
        let mut writer = lock(&self.writer);
        if batch.iter().any(|entry| entry.meta.len() > MAX_META as usize) {
            return Err(BlobError::Corrupt("meta of a record is too long"));
        }
        let encrypted = self.keys.current().is_some();
        let need: u64 = batch.iter().map(|entry| header_of(entry, None, encrypted).total()).sum();
        // A full disk is emptied by tombstones and by copies of what still lives.
        let takes_room = batch.iter().any(|entry| entry.kind == Kind::Object);
        let reserve = if takes_room { self.reserve } else { self.reserve / 2 };
        if self.free_space()? < reserve.saturating_add(need) {
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
                self.set_len(current.pack, end);
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
        let before = lock(&self.homes).iter().next_back().map(|(pack, home)| Ended { pack: *pack, at: home.len });
        let pack = before.map_or(u64::from(self.store) << 32 | 1, |before| before.pack + 1);
        // A name left by a power cut or by a failed attempt holds nothing.
        let mut pack = pack;
        let file = loop {
            match self.disk.create(&self.path(pack)) {
                Ok(file) => break file,
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => pack += 1,
                Err(e) => return Err(e.into()),
            }
        };
        let id = self.keys.current();
        let written = (|| {
            let key = self.keys.data_key(pack)?;
            file.write_at(&[IoSlice::new(&pack_header(pack, now, before, id))], 0)?;
            file.sync_data()?;
            self.disk.sync_dir(&self.dir)?;
            Ok::<_, BlobError>(key)
        })();
        let key = match written {
            Ok(key) => key,
            Err(error) => {
                let _ = self.disk.remove(&self.path(pack));
                return Err(error);
            }
        };
        let home =
            Home { tier: Tier::Fast, len: PACK_HEADER, made_at: now, before, sha256: None, shared: false, key: id };
        lock(&self.homes).insert(pack, home);
        Ok(Current { pack, file, len: PACK_HEADER, key })
    }

    /// Ends the pack that is written, when it was begun before `begun_before` and holds anything: from then on it may
    /// move and be shared. Whether it did.
    pub fn seal(&self, begun_before: i64, now: i64) -> Result<bool, BlobError> {
        let mut writer = lock(&self.writer);
        let Some(pack) = self.growing() else { return Ok(false) };
        let due = self.home(pack).is_some_and(|home| home.len > PACK_HEADER && home.made_at <= begun_before);
        if due {
            *writer = None;
            *writer = Some(self.begin_pack(now)?);
        }
        Ok(due)
    }

    pub(crate) fn file(&self, pack: u64) -> Result<Arc<dyn DiskFile>, BlobError> {
        let mut open = lock(&self.open);
        if let Some(file) = open.get(&pack) {
            return Ok(file.clone());
        }
        let home = self.home(pack);
        let file: Arc<dyn DiskFile> = match (home, &self.large, &self.objects) {
            (Some(Home { tier: Tier::Large, .. }), Some(large), _) => {
                match self.disk.open_to_read(&large.join(pack_name(pack))) {
                    Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(BlobError::Unavailable),
                    file => file?,
                }
            }
            (Some(Home { tier: Tier::Objects, len, .. }), _, Some(objects)) => {
                Arc::new(ObjectFile::kept(objects.clone(), pack, len))
            }
            (Some(Home { tier: Tier::Large | Tier::Objects, .. }), ..) => return Err(BlobError::Unavailable),
            (None, ..) if let Some(far) = &self.far => return Ok(Arc::new(FarFile::new(far.clone(), pack))),
            _ => self.disk.open(&self.path(pack))?,
        };
        if open.len() >= OPEN_PACKS
            && let Some(any) = open.keys().next().copied()
        {
            open.remove(&any);
        }
        open.insert(pack, file.clone());
        Ok(file)
    }

    /// As `file`, for going through a pack from end to end once.
    pub(crate) fn file_to_pass(&self, pack: u64) -> Result<Arc<dyn DiskFile>, BlobError> {
        let Some((objects, len)) = self.recallable(pack) else { return self.file(pack) };
        let mut passing = lock(&self.passing);
        if let Some((_, file)) = passing.as_ref().filter(|(there, _)| *there == pack) {
            return Ok(file.clone());
        }
        let file: Arc<dyn DiskFile> = Arc::new(ObjectFile::passing(objects.clone(), pack, len));
        *passing = Some((pack, file.clone()));
        Ok(file)
    }

    /// Nobody goes through this pack any more.
    pub(crate) fn passed(&self, pack: u64) {
        lock(&self.passing).take_if(|(there, _)| *there == pack);
    }

    /// At most `len` bytes at `offset`, checked as by `read_exact`.
    pub fn read(&self, location: Location, offset: u64, len: u64) -> Result<Bytes, BlobError> {
        self.recall_now(location, offset, len.min(location.len.saturating_sub(offset)))?;
        self.read_recalled(location, offset, len)
    }

    /// As `read`, when what it takes was brought near by before.
    pub fn read_recalled(&self, location: Location, offset: u64, len: u64) -> Result<Bytes, BlobError> {
        let mut buffer = vec![0; len.min(location.len.saturating_sub(offset)) as usize];
        self.read_exact(location, offset, &mut buffer)?;
        Ok(buffer.into())
    }

    /// Fills the buffer from `offset` of a payload. Each piece of the payload that is touched is compared with its
    /// checksum: these are the bytes that were published, or it fails.
    pub fn read_exact(&self, location: Location, offset: u64, buffer: &mut [u8]) -> Result<(), BlobError> {
        let mut read = || self.fetch(location, offset, buffer, Get::Wait);
        let mut there = read();
        if let Err(BlobError::Corrupt(_)) = there
            && let Some((objects, _)) = self.recallable(location.pack)
        {
            // What was kept near by may have rotted there: only the object itself says what is damaged.
            objects.recall.forget_pack(location.pack);
            there = read();
        }
        match there {
            Ok(true) => Ok(()),
            Ok(false) => Err(BlobError::Corrupt("pack is shorter than its index says")),
            Err(BlobError::Unavailable) => Err(self.out_of_reach(location.pack)),
            Err(error) => Err(error),
        }
    }

    /// As `read_exact`, when everything that it takes is in the machine's memory: whether it was.
    pub fn read_cached(&self, location: Location, offset: u64, buffer: &mut [u8]) -> Result<bool, BlobError> {
        match self.fetch(location, offset, buffer, Get::Now) {
            Err(BlobError::Io(_) | BlobError::Unavailable) => Ok(false),
            Err(BlobError::Corrupt(_)) if self.recallable(location.pack).is_some() => Ok(false),
            there => there,
        }
    }

    fn fetch(&self, location: Location, offset: u64, buffer: &mut [u8], how: Get) -> Result<bool, BlobError> {
        if buffer.is_empty() {
            return Ok(true);
        }
        payload::fetch(&*self.file(location.pack)?, &self.keys, location, offset, buffer, how)
    }

    /// Fails when the key of a pack is not here.
    pub(crate) fn unlocked(&self, home: &Home) -> Result<(), BlobError> {
        unlocked(&self.keys, home)
    }

    /// Writes the bytes of a pack from `from` on to the same place of another file, and syncs it. `sha` has hashed what
    /// comes before.
    pub fn copy(&self, pack: PackInfo, to: &Path, from: u64, mut sha: Sha256) -> Result<[u8; 32], BlobError> {
        let file = self.file_to_pass(pack.id)?;
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
        self.passed(pack.id);
        Ok(sha.finalize().into())
    }

    /// Prepares the tail of a pack from `from` for a scan: what is read afterwards is on the disk, not only in memory.
    /// After a crash of the process the cache may hold records that were never synced.
    pub fn settle(&self, pack: u64, from: u64) -> Result<(), BlobError> {
        // What was moved was synced and compared before.
        if self.far.is_some() || self.home(pack).is_some_and(|home| home.tier != Tier::Fast) {
            return Ok(());
        }
        let file = self.file(pack)?;
        if file.size()? > from {
            file.sync_data()?;
            file.forget_cached()?;
        }
        Ok(())
    }

    /// Reads records from `from` on, at most `max_records`, as far as the pack's bytes count.
    pub fn scan(&self, pack: u64, from: u64, max_records: usize, depth: Depth) -> Result<Scan, BlobError> {
        let to = self.len_of(pack)?;
        if from > 0 && from >= to {
            // A start asks no tier about packs that are indexed: it may be out of reach.
            return Ok(Scan { end: from, ..Scan::default() });
        }
        let file = self.file_to_pass(pack)?;
        let mut scan = scan::scan(&*file, &self.keys, pack, from, to, max_records, depth)?;
        if scan.next.is_none() {
            self.passed(pack);
        }
        let head = |bytes: Option<Vec<u8>>| read_pack_header(&bytes.unwrap_or_default(), pack);
        if from == 0 && head(readable(&*file, 0, PACK_HEADER as usize)?).is_err() {
            scan.damaged.insert(0, Damage { from: 0, to: PACK_HEADER });
        }
        Ok(scan)
    }

    /// The record that begins at `at`, whole and sound.
    pub fn record(&self, pack: u64, at: u64) -> Result<Found, BlobError> {
        let to = self.len_of(pack)?;
        let found = scan::read_record(&*self.file(pack)?, &self.keys, pack, at, to, Depth::Whole, Trust::Given)?;
        found.map_err(|_| BlobError::Corrupt("record"))
    }

    /// The file of a pack of this store as a copy elsewhere holds it, in `dir` or in `dir/packs`.
    pub fn replica(&self, dir: &Path, pack: u64) -> Result<Arc<dyn DiskFile>, BlobError> {
        let name = pack_name(pack);
        match self.disk.open_to_read(&dir.join("packs").join(&name)) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(self.disk.open_to_read(&dir.join(name))?),
            file => Ok(file?),
        }
    }

    /// Part of a payload as the copy of its pack in `dir` has it.
    pub fn read_replica(&self, dir: &Path, location: Location, offset: u64, len: u64) -> Result<Bytes, BlobError> {
        let mut buffer = vec![0; len as usize];
        let file = self.replica(dir, location.pack)?;
        let there = payload::fetch(&*file, &self.keys, location, offset, &mut buffer, Get::Wait)?;
        if there { Ok(buffer.into()) } else { Err(BlobError::Corrupt("record")) }
    }

    /// Packs before the newest, which alone is written.
    pub fn sealed(&self) -> Result<Vec<Sealed>, BlobError> {
        let mut packs: Vec<(u64, Home)> = lock(&self.homes).iter().map(|(id, home)| (*id, *home)).collect();
        let growing = self.growing();
        packs.retain(|(id, _)| Some(*id) != growing);
        let mut sealed: Vec<Sealed> = Vec::with_capacity(packs.len());
        for (id, Home { len, tier, key, .. }) in packs {
            // Only what counts is moved to other tiers.
            let void = if tier == Tier::Fast && !self.closed { self.file(id)?.size()?.saturating_sub(len) } else { 0 };
            let guards = sealed.last().is_some_and(|before| before.void > 0);
            sealed.push(Sealed { id, len, void, guards, current: key == self.keys.current() });
        }
        Ok(sealed)
    }

    /// Goes on writing in the newest pack: cuts what follows its last whole record, which ends at `end`. A pack under
    /// another key than what is written now is ended there.
    pub fn resume(&self, pack: u64, end: u64) -> Result<(), BlobError> {
        let mut writer = lock(&self.writer);
        let newest = lock(&self.homes).iter().next_back().map(|(id, home)| (*id, *home));
        let Some((_, home)) = newest.filter(|(id, home)| *id == pack && home.tier == Tier::Fast) else { return Ok(()) };
        if writer.is_some() {
            return Ok(());
        }
        self.set_len(pack, end);
        if self.closed {
            // What follows counts no more, and stays as it was found.
            return Ok(());
        }
        let file = self.file(pack)?;
        if file.size()? > end {
            file.truncate(end)?;
            file.sync_data()?;
        }
        if home.key == self.keys.current() {
            // A data key of its own: whatever was cut off was encrypted with another.
            let key = self.keys.data_key(pack)?;
            *writer = Some(Current { pack, file, len: end, key });
        }
        Ok(())
    }
}

/// What a read of a payload takes in: the front of its record, and whole checksum pieces.
fn needs(location: Location, offset: u64, len: u64) -> [Range<u64>; 2] {
    let front = location.record..location.at.min(location.record + FRONT);
    let to = (offset + len).next_multiple_of(SUM_CHUNK).min(location.len);
    [front, location.at + offset / SUM_CHUNK * SUM_CHUNK..location.at + to]
}

/// The upper half of a pack id is chosen at random when a store is made, so that packs of several stores never have the
/// same id; the lower half counts.
fn new_store() -> u32 {
    uuid::Uuid::new_v4().as_u128() as u32 & 0x7fff_ffff
}

/// The store that a pack belongs to.
pub fn store_of(pack: u64) -> u32 {
    (pack >> 32) as u32
}

/// Fails when the key of a pack is not here.
fn unlocked(keys: &Keys, home: &Home) -> Result<(), BlobError> {
    match home.key.filter(|key| !keys.has(*key)) {
        Some(missing) => Err(BlobError::Locked(missing)),
        None => Ok(()),
    }
}

fn header_of(entry: &Entry, place: Option<Standing>, encrypted: bool) -> Header {
    Header {
        kind: entry.kind,
        sums: true,
        encrypted,
        meta_len: entry.meta.len() as u32,
        head_len: entry.staged.head_len,
        payload_len: entry.staged.len,
        place,
    }
}

fn write_all(current: &Current, batch: &[Entry]) -> Result<(Vec<Location>, u64), BlobError> {
    let mut at = current.len;
    let mut locations = Vec::with_capacity(batch.len());
    for entry in batch {
        let header = header_of(entry, Some(Standing { pack: current.pack, at }), current.key.is_some());
        let (head, total, staged) = (header.encode(), header.total(), &entry.staged);
        let end = |meta: &[u8], sums: &[u8], sha256| {
            Trailer { crc: Trailer::crc_of(meta, sums, &sha256, total), sha256, total }.encode()
        };
        match &current.key {
            None if staged.key.is_none() => {
                let trailer = end(&entry.meta, &staged.sums, staged.sha256);
                staged.copy_to(&*current.file, &[&head, &entry.meta, &staged.sums], &trailer, at)?;
            }
            Some(key) => {
                // Nothing arrived that would have needed a key.
                let empty = if staged.len == 0 { Some(RecordKey::random(key.cipher())?) } else { None };
                let record = staged.key.as_ref().or(empty.as_ref()).ok_or(BlobError::Closed)?;
                let (meta, block) = key.close_frame(&head, &entry.meta, record, &staged.sha256)?;
                let behind = [&block[..], &staged.sums].concat();
                if behind.len() as u64 != header.sums_len() {
                    return Err(BlobError::Corrupt("tags of a record"));
                }
                let trailer = end(&meta, &behind, [0; 32]);
                staged.copy_to(&*current.file, &[&head, &meta, &behind], &trailer, at)?;
            }
            None => return Err(BlobError::Closed),
        }
        locations.push(Location { pack: current.pack, record: at, at: at + header.payload_at(), len: staged.len });
        at += total;
    }
    Ok((locations, at))
}
