//! A disk in memory that can lose its power, fill up and fail to sync, for crash tests.
//!
//! What was written but not synced is dropped, kept or torn by a power cut; so are names of files whose folder was not
//! synced. After a failed sync the written bytes stay visible and never become durable, as on Linux.

use crate::disk::{Disk, DiskFile};
use std::collections::{BTreeMap, HashMap};
use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Clone)]
enum Op {
    Write { offset: usize, bytes: Vec<u8> },
    Truncate(usize),
}

#[derive(Default)]
struct Node {
    durable: Vec<u8>,
    current: Vec<u8>,
    pending: Vec<Op>,
    /// Bytes that the medium does not give back any more.
    unreadable: Vec<Range<usize>>,
}

#[derive(Default)]
struct State {
    nodes: HashMap<u64, Node>,
    next_node: u64,
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    /// Operations so far that changed or synced something.
    steps: u64,
    cut_at: Option<u64>,
    dead: bool,
    /// Counts lives: handles of an earlier life are dead.
    life: u64,
    capacity: Option<u64>,
    quota: Option<u64>,
    fail_syncs: u32,
    syncs: u64,
}

/// The disk. Clones share it.
#[derive(Clone, Default)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
    gate: Arc<Gate>,
}

/// Where a writer waits before it writes, so that a test knows what comes together.
#[derive(Default)]
struct Gate {
    /// Whether it is shut, and whether somebody waits.
    state: Mutex<(bool, bool)>,
    opened: Condvar,
}

/// Keeps a disk's gate shut until it is dropped.
pub struct Hold(Arc<Gate>);

impl Drop for Hold {
    fn drop(&mut self) {
        *self.0.state.lock().unwrap_or_else(PoisonError::into_inner) = (false, false);
        self.0.opened.notify_all();
    }
}

struct SimFile {
    disk: SimDisk,
    node: u64,
    life: u64,
}

/// A small generator: the same seed tears the same way.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides.max(1) as u64) as usize
    }
}

/// What Linux says of a sector that cannot be read.
const EIO: i32 = 5;

fn no_power() -> io::Error {
    io::Error::other("no power")
}

fn apply(bytes: &mut Vec<u8>, op: &Op) {
    match op {
        Op::Truncate(len) => bytes.resize(*len, 0),
        Op::Write { offset, bytes: new } => {
            if bytes.len() < offset + new.len() {
                bytes.resize(offset + new.len(), 0);
            }
            if let Some(place) = bytes.get_mut(*offset..offset + new.len()) {
                place.copy_from_slice(new);
            }
        }
    }
}

impl SimDisk {
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Operations so far that changed or synced something.
    pub fn steps(&self) -> u64 {
        self.lock().steps
    }

    /// Successful syncs of files so far.
    pub fn syncs(&self) -> u64 {
        self.lock().syncs
    }

    /// Takes the power away when so many operations were done: that one and all after it fail.
    pub fn cut_power_at(&self, step: u64) {
        self.lock().cut_at = Some(step);
    }

    /// Has whoever is about to publish wait until the answer is dropped.
    pub fn hold(&self) -> Hold {
        *self.gate.state.lock().unwrap_or_else(PoisonError::into_inner) = (true, false);
        Hold(self.gate.clone())
    }

    /// Whether somebody waits for a held disk.
    pub fn is_waited_for(&self) -> bool {
        self.gate.state.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    /// Whether the power went.
    pub fn is_dead(&self) -> bool {
        self.lock().dead
    }

    /// Bytes that fit; `None` for no bound.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.lock().capacity = bytes;
    }

    /// Bytes that still fit although more seems to be free: a quota, or somebody else was faster. Writes end in their
    /// middle. `None` for no bound.
    pub fn set_quota(&self, bytes: Option<u64>) {
        let mut state = self.lock();
        state.quota = bytes.map(|bytes| state.used() + bytes);
    }

    /// The next `count` syncs of files fail.
    pub fn fail_next_syncs(&self, count: u32) {
        self.lock().fail_syncs = count;
    }

    /// The names that are there.
    pub fn files(&self) -> Vec<PathBuf> {
        self.lock().names.keys().cloned().collect()
    }

    /// Puts a file there, durable at once: what another machine copied.
    pub fn put_file(&self, path: &Path, bytes: Vec<u8>) {
        let mut state = self.lock();
        state.next_node += 1;
        let node = state.next_node;
        state.nodes.insert(node, Node { durable: bytes.clone(), current: bytes, ..Node::default() });
        state.names.insert(path.to_owned(), node);
        state.durable_names.insert(path.to_owned(), node);
    }

    /// What a file holds now.
    pub fn file(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.lock();
        let node = state.names.get(path)?;
        state.nodes.get(node).map(|node| node.current.clone())
    }

    /// Flips the lowest bit of a byte of a file, on the disk and in memory.
    pub fn flip_bit(&self, path: &Path, offset: usize) {
        self.flip(path, offset, 0);
    }

    /// Flips one bit of a byte of a file, on the disk and in memory.
    pub fn flip(&self, path: &Path, offset: usize, bit: u8) {
        let mut state = self.lock();
        let Some(node) = state.names.get(path).copied() else { return };
        if let Some(node) = state.nodes.get_mut(&node) {
            for bytes in [&mut node.durable, &mut node.current] {
                if let Some(byte) = bytes.get_mut(offset) {
                    *byte ^= 1 << bit;
                }
            }
        }
    }

    /// Makes bytes of a file unreadable, as a bad sector does.
    pub fn spoil(&self, path: &Path, bytes: Range<usize>) {
        let mut state = self.lock();
        let Some(node) = state.names.get(path).copied() else { return };
        if let Some(node) = state.nodes.get_mut(&node) {
            node.unreadable.push(bytes);
        }
    }

    /// The power goes and comes back: what was not synced is dropped, kept or torn as `seed` decides.
    pub fn power_cut(&self, seed: u64) {
        let mut dice = Dice(seed);
        let mut state = self.lock();
        let mut names = state.durable_names.clone();
        let unsynced: Vec<_> =
            state.names.iter().filter(|(path, _)| !names.contains_key(*path)).map(|(p, n)| (p.clone(), *n)).collect();
        for (path, node) in unsynced {
            if dice.roll(2) == 0 {
                names.insert(path, node);
            }
        }
        let removed: Vec<_> = names.keys().filter(|path| !state.names.contains_key(*path)).cloned().collect();
        for path in removed {
            if dice.roll(2) == 0 {
                names.remove(&path);
            }
        }
        state.names = names.clone();
        state.durable_names = names;
        let mut ids: Vec<u64> = state.nodes.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            let Some(node) = state.nodes.get_mut(&id) else { continue };
            for op in std::mem::take(&mut node.pending) {
                match (dice.roll(4), op) {
                    (0, _) => {}
                    (1, Op::Write { offset, mut bytes }) => {
                        // Torn: a front part arrived.
                        bytes.truncate(dice.roll(bytes.len() + 1));
                        apply(&mut node.durable, &Op::Write { offset, bytes });
                    }
                    (2, Op::Write { offset, mut bytes }) => {
                        // Torn: some sectors did not arrive; the file has its length.
                        for sector in bytes.chunks_mut(512) {
                            if dice.roll(3) == 0 {
                                sector.fill(0);
                            }
                        }
                        apply(&mut node.durable, &Op::Write { offset, bytes });
                    }
                    (_, op) => apply(&mut node.durable, &op),
                }
            }
            node.current = node.durable.clone();
        }
        state.life += 1;
        state.dead = false;
        state.cut_at = None;
        state.fail_syncs = 0;
    }

    /// The process dies and the machine goes on: everything written stays visible, handles are gone.
    pub fn kill(&self) {
        let mut state = self.lock();
        state.life += 1;
        state.dead = false;
        state.cut_at = None;
    }
}

impl State {
    /// Counts an operation; fails when the power is gone.
    fn step(&mut self) -> io::Result<()> {
        if self.dead {
            return Err(no_power());
        }
        self.steps += 1;
        if self.cut_at.is_some_and(|at| self.steps > at) {
            self.dead = true;
            return Err(no_power());
        }
        Ok(())
    }

    fn used(&self) -> u64 {
        self.names.values().filter_map(|node| self.nodes.get(node)).map(|node| node.current.len() as u64).sum()
    }
}

impl Disk for SimDisk {
    fn create_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.lock();
        let names = state.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(names.filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).collect())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.lock();
        state.step()?;
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.next_node += 1;
        let node = state.next_node;
        state.nodes.insert(node, Node::default());
        state.names.insert(path.to_owned(), node);
        Ok(Arc::new(SimFile { disk: self.clone(), node, life: state.life }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let state = self.lock();
        let node = *state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(SimFile { disk: self.clone(), node, life: state.life }))
    }

    fn open_to_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.open(path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.step()?;
        state.names.remove(path).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.step()?;
        let here: Vec<_> =
            state.names.iter().filter(|(path, _)| path.parent() == Some(dir)).map(|(p, n)| (p.clone(), *n)).collect();
        state.durable_names.retain(|path, _| path.parent() != Some(dir));
        state.durable_names.extend(here);
        Ok(())
    }

    fn free_space(&self, _: &Path) -> io::Result<u64> {
        {
            let mut gate = self.gate.state.lock().unwrap_or_else(PoisonError::into_inner);
            while gate.0 {
                gate.1 = true;
                gate = self.gate.opened.wait(gate).unwrap_or_else(PoisonError::into_inner);
            }
        }
        let state = self.lock();
        Ok(state.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(state.used())))
    }
}

impl SimFile {
    fn with<T>(&self, work: impl FnOnce(&mut State, u64) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.disk.lock();
        if state.life != self.life {
            return Err(no_power());
        }
        work(&mut state, self.node)
    }
}

fn node(state: &mut State, id: u64) -> io::Result<&mut Node> {
    state.nodes.get_mut(&id).ok_or_else(|| io::ErrorKind::NotFound.into())
}

impl DiskFile for SimFile {
    fn size(&self) -> io::Result<u64> {
        self.with(|state, id| Ok(node(state, id)?.current.len() as u64))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.with(|state, id| {
            let node = node(state, id)?;
            let rest = node.current.get(offset as usize..).unwrap_or_default();
            let n = rest.len().min(buffer.len());
            let wanted = offset as usize..offset as usize + n;
            if node.unreadable.iter().any(|bad| bad.start < wanted.end && wanted.start < bad.end) {
                return Err(io::Error::from_raw_os_error(EIO));
            }
            buffer[..n].copy_from_slice(&rest[..n]);
            Ok(n)
        })
    }

    fn write_at(&self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        self.with(|state, id| {
            state.step()?;
            let mut bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
            let mut full = false;
            if let Some(capacity) = state.capacity.into_iter().chain(state.quota).min() {
                let grows = (offset + bytes.len() as u64).saturating_sub(node(state, id)?.current.len() as u64);
                let room = capacity.saturating_sub(state.used());
                if grows > room {
                    full = true;
                    bytes.truncate(bytes.len().saturating_sub((grows - room) as usize));
                }
            }
            let op = Op::Write { offset: offset as usize, bytes };
            let node = node(state, id)?;
            apply(&mut node.current, &op);
            node.pending.push(op);
            if full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|state, id| {
            state.step()?;
            if state.fail_syncs > 0 {
                state.fail_syncs -= 1;
                node(state, id)?.pending.clear();
                return Err(io::Error::other("sync failed"));
            }
            state.syncs += 1;
            let node = node(state, id)?;
            for op in std::mem::take(&mut node.pending) {
                apply(&mut node.durable, &op);
            }
            Ok(())
        })
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.with(|state, id| {
            state.step()?;
            let op = Op::Truncate(len as usize);
            let node = node(state, id)?;
            apply(&mut node.current, &op);
            node.pending.push(op);
            Ok(())
        })
    }

    fn forget_cached(&self) -> io::Result<()> {
        self.with(|state, id| {
            let node = node(state, id)?;
            node.current = node.durable.clone();
            for op in &node.pending {
                apply(&mut node.current, op);
            }
            Ok(())
        })
    }
}
