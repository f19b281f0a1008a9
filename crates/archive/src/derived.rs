//! What is made from stored objects and can be made again: texts about series, rendered images, ready to be sent.
//!
//! A folder of files under a bound, each named by what it was made from ([`Fingerprint`]). Nothing in it can be out of
//! date, because what has changed has another name; nothing in it is believed that its checksum does not confirm; and
//! all of it may be deleted at any time, under a running server as well. It is never backed up. What was made from a
//! study can be told by its name, and goes when images of the study are deleted.
//!
//! Where packs are encrypted these files are, under the same key; those that are not, or under another one, go.

use crate::model::InstanceRef;
use bytes::{BufMut, Bytes};
use mingying_blob::{BlobError, Keys};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Begins each file; the checksum of what follows comes next.
const PLAIN: &[u8; 4] = b"MYD1";
/// As above: what follows is encrypted.
const ENCRYPTED: &[u8; 4] = b"MYD2";
const HEAD: usize = 8;
/// A file may take a third of the folder: one that pushes out most of the others is not worth it.
const LARGEST: u64 = 3;
/// Files that are being written, or that a crash left half written, end in this.
const UNFINISHED: &str = "new";

/// Tells the studies apart from which something was made.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct StudyMark([u8; 8]);

impl StudyMark {
    fn of(study_uid: &str) -> Self {
        Self(first(Sha256::digest(study_uid)))
    }
}

fn first<const N: usize>(hash: impl IntoIterator<Item = u8>) -> [u8; N] {
    let mut short = [0; N];
    short.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
    short
}

/// What an answer is made from: which instances of a study, in which form. Another form or other instances have another
/// fingerprint; the same have the same in every process. Serves as entity tag and as name of what is kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint {
    study: StudyMark,
    content: [u8; 16],
}

impl Fingerprint {
    /// `form` names everything else that the answer depends on. Instances never change, so that which ones there are
    /// is enough. They are of one study.
    pub fn of(form: &str, instances: &[InstanceRef]) -> Self {
        let mut hash = Sha256::new();
        hash.update((form.len() as u64).to_le_bytes());
        hash.update(form);
        for instance in instances {
            hash.update(instance.key.to_le_bytes());
            hash.update(&instance.sha256);
        }
        let study = StudyMark::of(instances.first().map_or("", |instance| &instance.study_uid));
        Self { study, content: first(hash.finalize()) }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.study.0.iter().chain(&self.content).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How well the folder serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DerivedStats {
    /// Found in the folder.
    pub hits: u64,
    /// Had to be made.
    pub misses: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Their bound; 0 when nothing is kept.
    pub max_bytes: u64,
}

/// The folder. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Derived {
    inner: Arc<Inner>,
}

struct Inner {
    /// `None`: nothing is kept.
    dir: Option<PathBuf>,
    max_bytes: u64,
    keys: Keys,
    files: Mutex<Files>,
    making: Mutex<HashMap<Fingerprint, Arc<tokio::sync::Mutex<()>>>>,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// The files and when they were used last.
#[derive(Default)]
struct Files {
    by_name: HashMap<Fingerprint, File>,
    by_use: BTreeMap<u64, Fingerprint>,
    bytes: u64,
    uses: u64,
}

#[derive(Clone, Copy)]
struct File {
    len: u64,
    used: u64,
}

impl Files {
    fn used(&mut self, name: Fingerprint, len: u64) {
        self.forget(name);
        self.uses += 1;
        self.by_name.insert(name, File { len, used: self.uses });
        self.by_use.insert(self.uses, name);
        self.bytes += len;
    }

    fn forget(&mut self, name: Fingerprint) {
        if let Some(old) = self.by_name.remove(&name) {
            self.by_use.remove(&old.used);
            self.bytes -= old.len;
        }
    }

    /// All that were made from a study.
    fn of_study(&mut self, study: StudyMark) -> Vec<Fingerprint> {
        let gone: Vec<_> = self.by_name.keys().copied().filter(|name| name.study == study).collect();
        for name in &gone {
            self.forget(*name);
        }
        gone
    }

    /// Those that were not used for longest, until the rest fits.
    fn beyond(&mut self, max_bytes: u64) -> Vec<Fingerprint> {
        let mut gone = Vec::new();
        while self.bytes > max_bytes {
            let Some(oldest) = self.by_use.values().next().copied() else { break };
            self.forget(oldest);
            gone.push(oldest);
        }
        gone
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Derived {
    /// Uses the folder, which is made when it is missing. What is in it already is taken over, beside the caller; what
    /// was made from `deleted` studies is removed.
    pub fn open(dir: Option<PathBuf>, max_bytes: u64, deleted: &[String], keys: Keys) -> Self {
        let deleted = deleted.iter().map(|uid| StudyMark::of(uid)).collect();
        let made = dir.filter(|dir| match std::fs::create_dir_all(dir) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "the folder for derived data cannot be used; nothing is kept");
                false
            }
        });
        let inner = Inner {
            dir: made,
            max_bytes,
            keys,
            files: Mutex::default(),
            making: Mutex::default(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        };
        let derived = Self { inner: Arc::new(inner) };
        if let Some(dir) = derived.inner.dir.clone() {
            let inner = derived.inner.clone();
            std::thread::spawn(move || {
                if let Err(error) = take_over(&inner, &dir, &deleted) {
                    tracing::warn!(%error, "the folder for derived data cannot be read");
                }
            });
        }
        derived
    }

    /// What is kept under `name`, or what `make` makes, which is then kept. Whoever asks for the same meanwhile waits
    /// for it instead of making it again. `room` says whether there is disk to spare.
    pub async fn get_or_make<E>(
        &self,
        name: Fingerprint,
        room: impl FnOnce() -> bool,
        make: impl Future<Output = Result<Bytes, E>>,
    ) -> Result<Bytes, E> {
        let Some(dir) = self.inner.dir.clone() else { return make.await };
        let path = dir.join(name.to_string());
        if let Some(found) = self.read(name, &path).await {
            return Ok(found);
        }
        let turn = Turn::of(&self.inner, name);
        let _mine = turn.lock.lock().await;
        if let Some(found) = self.read(name, &path).await {
            return Ok(found);
        }
        let made = make.await?;
        self.inner.misses.fetch_add(1, Ordering::Relaxed);
        if room() {
            self.write(name, path, made.clone()).await;
        }
        Ok(made)
    }

    async fn read(&self, name: Fingerprint, path: &Path) -> Option<Bytes> {
        let (path, inner) = (path.to_owned(), self.inner.clone());
        let read = move || {
            let bytes = match std::fs::read(&path) {
                Ok(bytes) => Bytes::from(bytes),
                Err(_) => {
                    lock(&inner.files).forget(name);
                    return None;
                }
            };
            let found = opened(&inner.keys, name, &bytes);
            if found.is_none() {
                tracing::warn!("a derived file is damaged and is made again");
                lock(&inner.files).forget(name);
                let _ = std::fs::remove_file(&path);
                return None;
            }
            lock(&inner.files).used(name, bytes.len() as u64);
            inner.hits.fetch_add(1, Ordering::Relaxed);
            found
        };
        tokio::task::spawn_blocking(read).await.ok().flatten()
    }

    /// Failing costs only that it has to be made again.
    async fn write(&self, name: Fingerprint, path: PathBuf, body: Bytes) {
        let inner = self.inner.clone();
        if body.len() as u64 > inner.max_bytes / LARGEST {
            return;
        }
        let write = move || {
            let Ok(body) = closed(&inner.keys, name, body) else { return };
            let mut file = Vec::with_capacity(HEAD + body.len());
            file.put_slice(magic(&inner.keys));
            file.put_u32_le(crc32fast::hash(&body));
            file.put_slice(&body);
            let unfinished = path.with_extension(UNFINISHED);
            // Not synced: what a power cut tears is found by its checksum.
            let done = std::fs::write(&unfinished, &file).and_then(|()| std::fs::rename(&unfinished, &path));
            if let Err(error) = done {
                tracing::warn!(%error, "a derived file was not kept");
                let _ = std::fs::remove_file(&unfinished);
                return;
            }
            let gone = {
                let mut files = lock(&inner.files);
                files.used(name, file.len() as u64);
                files.beyond(inner.max_bytes)
            };
            remove(&inner, &gone);
        };
        let _ = tokio::task::spawn_blocking(write).await;
    }

    /// Removes all that was made from a study.
    pub async fn forget(&self, study_uid: &str) {
        let (inner, study) = (self.inner.clone(), StudyMark::of(study_uid));
        let forget = move || {
            let gone = lock(&inner.files).of_study(study);
            remove(&inner, &gone);
        };
        let _ = tokio::task::spawn_blocking(forget).await;
    }

    pub fn stats(&self) -> DerivedStats {
        DerivedStats {
            hits: self.inner.hits.load(Ordering::Relaxed),
            misses: self.inner.misses.load(Ordering::Relaxed),
            bytes: lock(&self.inner.files).bytes,
            max_bytes: if self.inner.dir.is_some() { self.inner.max_bytes } else { 0 },
        }
    }
}

/// A place in the row of those who want the same. The last one to leave, also when its client has gone, clears up.
struct Turn {
    inner: Arc<Inner>,
    name: Fingerprint,
    lock: Arc<tokio::sync::Mutex<()>>,
}

impl Turn {
    fn of(inner: &Arc<Inner>, name: Fingerprint) -> Self {
        let lock = self::lock(&inner.making).entry(name).or_default().clone();
        Self { inner: inner.clone(), name, lock }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut making = lock(&self.inner.making);
        // One in the map, one here.
        if Arc::strong_count(&self.lock) <= 2 {
            making.remove(&self.name);
        }
    }
}

fn magic(keys: &Keys) -> &'static [u8; 4] {
    if keys.current().is_some() { ENCRYPTED } else { PLAIN }
}

/// The body as it is kept.
fn closed(keys: &Keys, name: Fingerprint, body: Bytes) -> Result<Bytes, BlobError> {
    match keys.current() {
        None => Ok(body),
        Some(_) => keys.close_box(name.to_string().as_bytes(), &body).map(Bytes::from),
    }
}

/// The body of a file, if it is what was made.
fn opened(keys: &Keys, name: Fingerprint, bytes: &Bytes) -> Option<Bytes> {
    let crc = u32::from_le_bytes(bytes.get(4..HEAD)?.try_into().ok()?);
    let body = bytes.slice(HEAD..);
    if !bytes.starts_with(magic(keys)) || crc32fast::hash(&body) != crc {
        return None;
    }
    match keys.current() {
        None => Some(body),
        Some(_) => keys.open_box(name.to_string().as_bytes(), &body).map(Bytes::from),
    }
}

/// Whether a file is kept as it would be now. Where nothing is encrypted that is not looked at.
fn is_kept_so(keys: &Keys, path: &Path) -> bool {
    let mut begin = [0; 4];
    let mut read = || std::fs::File::open(path).and_then(|mut file| io::Read::read_exact(&mut file, &mut begin));
    keys.current().is_none() || (read().is_ok() && begin == *ENCRYPTED)
}

fn remove(inner: &Inner, names: &[Fingerprint]) {
    let Some(dir) = &inner.dir else { return };
    for name in names {
        let _ = std::fs::remove_file(dir.join(name.to_string()));
    }
}

/// Counts what an earlier process left, oldest first.
fn take_over(inner: &Inner, dir: &Path, deleted: &HashSet<StudyMark>) -> io::Result<()> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        match parse(name) {
            Some(name) if !deleted.contains(&name.study) && is_kept_so(&inner.keys, &entry.path()) => {
                if let Ok(about) = entry.metadata() {
                    found.push((about.modified().ok(), name, about.len()));
                }
            }
            // Half written, of a deleted study, not encrypted, or named as an earlier version did.
            _ => drop(std::fs::remove_file(entry.path())),
        }
    }
    found.sort_unstable();
    let gone = {
        let mut files = lock(&inner.files);
        // What has been used since is newer than all of them.
        let newer: Vec<(Fingerprint, u64)> =
            files.by_use.values().filter_map(|name| Some((*name, files.by_name.get(name)?.len))).collect();
        for (_, name, len) in found {
            files.used(name, len);
        }
        for (name, len) in newer {
            files.used(name, len);
        }
        files.beyond(inner.max_bytes)
    };
    remove(inner, &gone);
    Ok(())
}

fn parse(name: &str) -> Option<Fingerprint> {
    let mut bytes = [0; 24];
    if name.len() != 48 || !name.is_ascii() {
        return None;
    }
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(name.get(i * 2..i * 2 + 2)?, 16).ok()?;
    }
    Some(Fingerprint { study: StudyMark(first(bytes)), content: first(bytes.into_iter().skip(8)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(n: u8) -> Fingerprint {
        Fingerprint { study: StudyMark([n; 8]), content: [n; 16] }
    }

    fn text(len: usize) -> Bytes {
        let mut state = len as u32 | 1;
        let bytes: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .take(len)
        .collect();
        Bytes::from(bytes)
    }

    /// Whether it had to be made.
    async fn ask(derived: &Derived, n: u8, len: usize) -> bool {
        let mut made = false;
        let make = async {
            made = true;
            Ok::<_, ()>(text(len))
        };
        assert_eq!(derived.get_or_make(name(n), || true, make).await, Ok(text(len)));
        made
    }

    fn settled(derived: &Derived, files: usize) {
        while lock(&derived.inner.files).by_name.len() < files {
            std::thread::yield_now();
        }
    }

    #[tokio::test]
    async fn what_was_made_is_found_again_also_by_the_next_process() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Derived::open(Some(dir.path().join("derived")), 1 << 20, &[], Keys::default());
        let derived = open();
        assert!(ask(&derived, 1, 100).await);
        assert!(!ask(&derived, 1, 100).await);
        std::fs::write(dir.path().join("derived/half.new"), b"x").unwrap();
        let derived = open();
        settled(&derived, 1);
        assert!(!ask(&derived, 1, 100).await);
        assert_eq!((derived.stats().hits, derived.stats().misses), (1, 0));
        assert!(derived.stats().bytes > 100);
        std::fs::remove_dir_all(dir.path().join("derived")).unwrap();
        assert!(ask(&derived, 1, 100).await, "the folder may go at any time");
    }

    #[tokio::test]
    async fn a_damaged_file_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let derived = Derived::open(Some(dir.path().to_owned()), 1 << 20, &[], Keys::default());
        ask(&derived, 1, 100).await;
        let path = dir.path().join(name(1).to_string());
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            assert!(ask(&derived, 1, 100).await, "byte {at}");
        }
        for len in [0, 3, 11, whole.len() - 1] {
            std::fs::write(&path, &whole[..len]).unwrap();
            assert!(ask(&derived, 1, 100).await, "cut to {len}");
        }
    }

    #[tokio::test]
    async fn the_bound_holds_and_what_is_used_stays() {
        let dir = tempfile::tempdir().unwrap();
        let derived = Derived::open(Some(dir.path().to_owned()), 3500, &[], Keys::default());
        for n in 1..=3 {
            assert!(ask(&derived, n, 1000).await);
        }
        assert!(!ask(&derived, 1, 1000).await);
        assert!(ask(&derived, 4, 1000).await);
        assert!(derived.stats().bytes <= 3500);
        assert!(!ask(&derived, 1, 1000).await, "used after the others");
        assert!(ask(&derived, 2, 1000).await, "not used for longest");
        drop(derived);
        let derived = Derived::open(Some(dir.path().to_owned()), 1500, &[], Keys::default());
        while derived.stats().bytes == 0
            || derived.stats().bytes > 1500
            || std::fs::read_dir(dir.path()).unwrap().count() > 1
        {
            std::thread::yield_now();
        }
    }

    #[tokio::test]
    async fn what_was_made_from_a_deleted_study_goes() {
        let dir = tempfile::tempdir().unwrap();
        let of = |uid: &str| Fingerprint { study: StudyMark::of(uid), content: [1; 16] };
        let make = || async { Ok::<_, ()>(text(100)) };
        let files = || std::fs::read_dir(dir.path()).unwrap().count();
        let derived = Derived::open(Some(dir.path().to_owned()), 1 << 20, &[], Keys::default());
        for uid in ["1.2.3", "1.2.4"] {
            derived.get_or_make(of(uid), || true, make()).await.unwrap();
        }
        derived.forget("1.2.3").await;
        assert_eq!(files(), 1);
        assert!(dir.path().join(of("1.2.4").to_string()).exists());
        // Deleted while this process was down; and a file of an earlier version, which nothing would ever find.
        std::fs::write(dir.path().join("0".repeat(32)), b"x").unwrap();
        drop(derived);
        Derived::open(Some(dir.path().to_owned()), 1 << 20, &["1.2.4".to_owned()], Keys::default());
        while files() > 0 {
            std::thread::yield_now();
        }
    }

    #[tokio::test]
    async fn many_who_ask_at_once_make_it_once() {
        let dir = tempfile::tempdir().unwrap();
        let derived = Derived::open(Some(dir.path().to_owned()), 1 << 20, &[], Keys::default());
        let made = futures::future::join_all((0..8).map(|_| ask(&derived, 1, 100))).await;
        assert_eq!(made.iter().filter(|made| **made).count(), 1);
        assert!(lock(&derived.inner.making).is_empty());
        // One whose client goes away leaves the turn to the next.
        let never = derived.get_or_make(name(2), || true, std::future::pending::<Result<Bytes, ()>>());
        assert!(tokio::time::timeout(std::time::Duration::from_millis(1), never).await.is_err());
        assert!(lock(&derived.inner.making).is_empty());
        assert!(ask(&derived, 2, 10).await);
        let failed = derived.get_or_make(name(3), || true, async { Err::<Bytes, _>(()) }).await;
        assert_eq!(failed, Err(()));
        assert!(ask(&derived, 3, 10).await, "a failure is not kept");
    }

    #[tokio::test]
    async fn without_room_or_folder_it_is_made_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let derived = Derived::open(Some(dir.path().to_owned()), 1 << 20, &[], Keys::default());
        derived.get_or_make(name(1), || false, async { Ok::<_, ()>(text(10)) }).await.unwrap();
        assert!(ask(&derived, 1, 10).await);
        assert!(ask(&derived, 2, 1 << 19).await && ask(&derived, 2, 1 << 19).await, "too large a part of the folder");
        let derived = Derived::open(None, 1 << 20, &[], Keys::default());
        assert!(ask(&derived, 1, 10).await && ask(&derived, 1, 10).await);
    }

    #[tokio::test]
    async fn where_packs_are_encrypted_so_are_these() {
        let key = mingying_blob::MasterKey::random().unwrap();
        let keys = Keys::new(Some((mingying_blob::Cipher::Aes256Gcm, key)), []);
        let dir = tempfile::tempdir().unwrap();
        let open = |keys: &Keys| Derived::open(Some(dir.path().to_owned()), 1 << 20, &[], keys.clone());
        let plain = open(&Keys::default());
        assert!(ask(&plain, 1, 100).await && ask(&plain, 2, 100).await);
        let path = |n| dir.path().join(name(n).to_string());
        let derived = open(&keys);
        while path(1).exists() || path(2).exists() {
            std::thread::yield_now();
        }
        assert!(ask(&derived, 1, 100).await && !ask(&derived, 1, 100).await);
        let kept = std::fs::read(path(1)).unwrap();
        assert!(!kept.windows(20).any(|part| part == &text(100)[..20]));
        // Under another name it is not taken for what it is not.
        std::fs::copy(path(1), path(2)).unwrap();
        assert!(ask(&derived, 2, 100).await);
        assert!(!ask(&open(&keys), 1, 100).await, "also by the next process");
    }
}
