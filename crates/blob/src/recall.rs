//! Pieces of packs that were brought from the object store, kept in a folder of bounded size.
//!
//! What is kept can be brought again: it is not synced, and each piece carries a CRC-32C that is compared when the piece
//! is first read in the life of a process. A piece that does not hold, or a folder that takes no writes, costs another
//! trip to the object store and nothing else.

use bytes::Bytes;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::File;
use std::io::{self, IoSliceMut, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Pack and number of the piece in it.
pub(crate) type Key = (u64, u64);

const SUM: usize = 4;
/// Files kept open.
const OPEN: usize = 256;
/// Pieces kept in memory where the folder takes none.
const IN_MEMORY: usize = 4;

/// How well the recalled pieces serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecallStats {
    /// Reads of packs in the object store that were served from kept pieces.
    pub hits: u64,
    /// Pieces brought from the object store.
    pub fetched: u64,
    /// Bytes of the kept pieces.
    pub bytes: u64,
}

pub(crate) struct Recall {
    dir: PathBuf,
    bound: u64,
    /// Disk that stays free.
    spare: u64,
    state: Mutex<State>,
    hits: AtomicU64,
    fetched: AtomicU64,
}

#[derive(Default)]
struct State {
    pieces: HashMap<Key, Kept>,
    /// The least recently used first.
    by_use: BTreeMap<u64, Key>,
    uses: u64,
    bytes: u64,
    open: VecDeque<Key>,
    /// Pieces that the folder did not take.
    loose: VecDeque<(Key, Bytes)>,
}

struct Kept {
    len: u64,
    used: u64,
    file: Option<Arc<File>>,
    checked: bool,
}

/// A kept piece, opened.
struct Opened {
    file: Arc<File>,
    len: u64,
    checked: bool,
}

impl State {
    fn touch(&mut self, key: Key) {
        self.uses += 1;
        if let Some(kept) = self.pieces.get_mut(&key) {
            self.by_use.remove(&kept.used);
            kept.used = self.uses;
            self.by_use.insert(self.uses, key);
        }
    }

    fn add(&mut self, key: Key, len: u64, checked: bool) {
        self.forget(key);
        self.uses += 1;
        self.pieces.insert(key, Kept { len, used: self.uses, file: None, checked });
        self.by_use.insert(self.uses, key);
        self.bytes += len;
    }

    fn forget(&mut self, key: Key) -> bool {
        self.loose.retain(|(loose, _)| *loose != key);
        let Some(kept) = self.pieces.remove(&key) else { return false };
        self.by_use.remove(&kept.used);
        self.bytes -= kept.len;
        true
    }
}

impl Recall {
    /// Takes up what an earlier process kept in `dir`.
    pub fn open(dir: &Path, bound: u64, spare: u64) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let mut found = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let (name, meta) = (entry.file_name(), entry.metadata()?);
            match name.to_str().and_then(key_of) {
                Some(key) => found.push((meta.modified().ok(), key, meta.len().saturating_sub(SUM as u64))),
                // What a crash left half written.
                None if meta.is_file() => std::fs::remove_file(entry.path())?,
                None => {}
            }
        }
        found.sort_unstable();
        let mut state = State::default();
        for (_, key, len) in found {
            state.add(key, len, false);
        }
        let recall = Self {
            dir: dir.to_owned(),
            bound,
            spare,
            state: Mutex::new(state),
            hits: AtomicU64::new(0),
            fetched: AtomicU64::new(0),
        };
        recall.shrink(&mut recall.lock());
        Ok(recall)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, key: Key) -> PathBuf {
        self.dir.join(format!("{:016x}-{}.piece", key.0, key.1))
    }

    pub fn stats(&self) -> RecallStats {
        RecallStats {
            hits: self.hits.load(Ordering::Relaxed),
            fetched: self.fetched.load(Ordering::Relaxed),
            bytes: self.lock().bytes,
        }
    }

    /// Notes a read that was served from here.
    pub fn hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    pub fn holds(&self, key: Key) -> bool {
        let state = self.lock();
        state.pieces.contains_key(&key) || state.loose.iter().any(|(loose, _)| *loose == key)
    }

    /// Bytes at `at` of a kept piece; `None` when it is not here. With `now`, also when it would have to be waited for.
    pub fn read(&self, key: Key, at: u64, buffer: &mut [u8], now: bool) -> Option<usize> {
        if let Some((_, bytes)) = self.lock().loose.iter().find(|(loose, _)| *loose == key) {
            let rest = bytes.get(at as usize..)?;
            let n = rest.len().min(buffer.len());
            buffer.get_mut(..n)?.copy_from_slice(rest.get(..n)?);
            return Some(n);
        }
        let Opened { file, len, checked } = self.opened(key, now)?;
        if !checked {
            if now {
                return None;
            }
            if !holds(&file, len) {
                tracing::warn!(pack = key.0, piece = key.1, "a recalled piece does not hold and is brought again");
                self.forget(key);
                return None;
            }
            if let Some(kept) = self.lock().pieces.get_mut(&key) {
                kept.checked = true;
            }
        }
        let n = buffer.len().min(len.saturating_sub(at) as usize);
        let wanted = buffer.get_mut(..n)?;
        if now {
            let slices = &mut [IoSliceMut::new(wanted)];
            let got = rustix::io::preadv2(&*file, slices, at, rustix::io::ReadWriteFlags::NOWAIT).ok()?;
            return (got == n).then_some(n);
        }
        match file.read_exact_at(wanted, at) {
            Ok(()) => Some(n),
            Err(error) => {
                tracing::warn!(%error, pack = key.0, piece = key.1, "a recalled piece cannot be read");
                self.forget(key);
                None
            }
        }
    }

    fn opened(&self, key: Key, now: bool) -> Option<Opened> {
        let mut state = self.lock();
        state.touch(key);
        let kept = state.pieces.get(&key)?;
        let (len, checked) = (kept.len, kept.checked);
        if let Some(file) = kept.file.clone() {
            return Some(Opened { file, len, checked });
        }
        if now {
            return None;
        }
        let Ok(file) = File::open(self.path(key)).map(Arc::new) else {
            state.forget(key);
            return None;
        };
        if state.open.len() >= OPEN
            && let Some(oldest) = state.open.pop_front()
            && let Some(kept) = state.pieces.get_mut(&oldest)
        {
            kept.file = None;
        }
        state.open.push_back(key);
        if let Some(kept) = state.pieces.get_mut(&key) {
            kept.file = Some(file.clone());
        }
        Some(Opened { file, len, checked })
    }

    /// Keeps a piece that was brought.
    pub fn put(&self, key: Key, bytes: &Bytes) {
        self.fetched.fetch_add(1, Ordering::Relaxed);
        let len = bytes.len() as u64;
        if len <= self.bound && self.write(key, bytes).is_ok() {
            let mut state = self.lock();
            state.add(key, len, true);
            self.shrink(&mut state);
            return;
        }
        let mut state = self.lock();
        state.forget(key);
        if state.loose.len() >= IN_MEMORY {
            state.loose.pop_front();
        }
        state.loose.push_back((key, bytes.clone()));
    }

    fn write(&self, key: Key, bytes: &Bytes) -> io::Result<()> {
        let stat = rustix::fs::statvfs(&self.dir)?;
        if stat.f_bavail.saturating_mul(stat.f_frsize) < self.spare.saturating_add(bytes.len() as u64) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let path = self.path(key);
        let part = path.with_extension("part");
        let mut file = File::create(&part)?;
        file.write_all(bytes)?;
        file.write_all(&crc32c::crc32c(bytes).to_le_bytes())?;
        std::fs::rename(part, path)
    }

    /// Forgets a piece, here and in the folder.
    pub fn forget(&self, key: Key) {
        if self.lock().forget(key) {
            let _ = std::fs::remove_file(self.path(key));
        }
    }

    /// Forgets all pieces of a pack.
    pub fn forget_pack(&self, pack: u64) {
        let state = self.lock();
        let loose = state.loose.iter().map(|(key, _)| *key);
        let keys: Vec<Key> = state.pieces.keys().copied().chain(loose).filter(|key| key.0 == pack).collect();
        drop(state);
        for key in keys {
            self.forget(key);
        }
    }

    fn shrink(&self, state: &mut State) {
        while state.bytes > self.bound
            && let Some(key) = state.by_use.values().next().copied()
        {
            state.forget(key);
            let _ = std::fs::remove_file(self.path(key));
        }
    }
}

fn holds(file: &File, len: u64) -> bool {
    let mut whole = vec![0; len as usize + SUM];
    if file.read_exact_at(&mut whole, 0).is_err() {
        return false;
    }
    let sum = whole.split_off(len as usize);
    crc32c::crc32c(&whole).to_le_bytes() == *sum
}

fn key_of(name: &str) -> Option<Key> {
    let (pack, piece) = name.strip_suffix(".piece")?.split_once('-')?;
    Some((u64::from_str_radix(pack, 16).ok()?, piece.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(seed: u8) -> Bytes {
        Bytes::from(vec![seed; 100])
    }

    fn read(recall: &Recall, key: Key) -> Option<Vec<u8>> {
        let mut buffer = [0; 10];
        let n = recall.read(key, 90, &mut buffer, false)?;
        Some(buffer[..n].to_vec())
    }

    #[test]
    fn the_least_recently_used_goes_first_and_a_restart_takes_up_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let recall = Recall::open(dir.path(), 300, 0).unwrap();
        for i in 0..3 {
            recall.put((7, i), &piece(i as u8));
        }
        assert_eq!(read(&recall, (7, 0)), Some(vec![0; 10]));
        recall.put((8, 0), &piece(9));
        assert_eq!(read(&recall, (7, 1)), None, "used longest ago");
        assert_eq!(recall.stats().bytes, 300);
        std::fs::write(dir.path().join("x.part"), "half").unwrap();
        let again = Recall::open(dir.path(), 300, 0).unwrap();
        assert_eq!(read(&again, (7, 0)), Some(vec![0; 10]));
        assert_eq!(read(&again, (8, 0)), Some(vec![9; 10]));
        again.forget_pack(7);
        assert_eq!((read(&again, (7, 0)), again.stats().bytes), (None, 100));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_piece_that_a_crash_tore_is_brought_again() {
        let dir = tempfile::tempdir().unwrap();
        Recall::open(dir.path(), 300, 0).unwrap().put((7, 0), &piece(1));
        let path = dir.path().join("0000000000000007-0.piece");
        let mut torn = std::fs::read(&path).unwrap();
        torn[95] = 0;
        std::fs::write(&path, torn).unwrap();
        let recall = Recall::open(dir.path(), 300, 0).unwrap();
        assert_eq!(read(&recall, (7, 0)), None);
        assert!(!path.exists());
    }

    #[test]
    fn what_the_folder_does_not_take_stays_in_memory_for_a_while() {
        let dir = tempfile::tempdir().unwrap();
        let recall = Recall::open(dir.path(), 50, 0).unwrap();
        for i in 0..=IN_MEMORY as u64 {
            recall.put((7, i), &piece(i as u8));
        }
        assert_eq!(read(&recall, (7, 0)), None);
        assert_eq!(read(&recall, (7, 1)), Some(vec![1; 10]));
        recall.forget_pack(7);
        assert_eq!(read(&recall, (7, 1)), None);
    }
}
