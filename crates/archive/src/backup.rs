//! Backup and restore of database and packs, online, checked by hash.
//!
//! The database is copied first, the packs after it. Packs only grow and are the log of the index, so packs that were
//! copied later always cover the rows that were copied earlier; what they hold beyond them is replayed on restore.
//!
//! A backup into the folder of an earlier one copies the tables anew, but of the packs only what is new. At every
//! moment the manifests tell of whole backups: tables go into a folder of their own, packs are only added to, and a
//! pack's file may be longer than a manifest says. What no manifest names goes last.
//!
//! So one folder can hold many states of the store, each with a manifest of its own, and costs little more than the
//! newest: all of them share the packs. `restore` takes the state of a time.
//!
//! Packs in the object store are copied like any other, most often long before they got there. `backup_near` names them
//! with their hash instead, for those whose object store is the safer place: such a backup restores only where that
//! bucket can be reached (ADR 0012).

use crate::record::hex;
use crate::{Archive, ArchiveError, Replayed, Settings};
use mingying_blob::{BlobError, Blobs, PackInfo, PackNote};
use mingying_db::{Db, DumpError};
use mingying_kernel::{Coded, ErrorKind, SharedClock, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// The newest state; each state that is kept has its manifest also in a file of its own.
const MANIFEST: &str = "manifest.json";
const STATE: &str = "state-";
const UNFINISHED: &str = "manifest.part";
/// What whoever calls for a backup may put beside it.
const BESIDE: [&str; 1] = ["secret.key"];
const FORMAT: u32 = 1;
/// With packs that are elsewhere: a version that does not know of them must not take it for whole.
const FORMAT_ELSEWHERE: u32 = 2;

/// What a backup holds. Written last: a folder without it is no backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    pub version: String,
    pub made_at: Timestamp,
    pub migrations: Vec<String>,
    pub rows: u64,
    /// The folder with the tables.
    #[serde(default = "first_tables")]
    pub tables: String,
    pub files: Vec<ManifestFile>,
    /// Packs that were left where they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub elsewhere: Vec<Elsewhere>,
}

/// A pack that is in the object store and not in the backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elsewhere {
    /// As in the name of its file.
    pub pack: String,
    #[serde(flatten)]
    pub note: PackNote,
}

fn first_tables() -> String {
    "db".to_owned()
}

/// A backup that was made, and how many bytes of packs were new in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackedUp {
    pub manifest: Manifest,
    pub copied: u64,
}

/// A file of a backup; `path` is relative to its folder. Of a pack's file the first `size` bytes count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFile {
    pub path: String,
    pub size: u64,
    pub sha256: String,
}

/// What a restore did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    /// When the state that was restored was made.
    pub made_at: Timestamp,
    pub files: usize,
    pub rows: u64,
    pub replayed: Replayed,
}

/// Why a backup or a restore failed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Backups go into a new or empty folder or that of an earlier backup of the same store, restores into an empty
    /// system: nothing else is ever overwritten.
    #[error("target is not empty: {0}")]
    NotEmpty(PathBuf),
    /// The folder has no manifest, or one of another format.
    #[error("not a backup of this product")]
    NotABackup,
    /// The folder holds no state as old as that.
    #[error("the backup has no state of that time; the oldest is of {0}")]
    NoState(String),
    /// A file is missing or is not what the manifest says.
    #[error("backup is damaged: {0}")]
    Damaged(String),
    /// Made by a newer version, whose tables this one does not know.
    #[error("backup of a newer version: {0}")]
    Newer(String),
    #[error(transparent)]
    Dump(#[from] DumpError),
    #[error(transparent)]
    Blob(#[from] BlobError),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error("backup: {0}")]
    Io(#[from] io::Error),
}

impl From<mingying_db::DbError> for BackupError {
    fn from(error: mingying_db::DbError) -> Self {
        Self::Dump(error.into())
    }
}

impl Coded for BackupError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotEmpty(_) => ErrorKind::Conflict,
            Self::NotABackup | Self::Damaged(_) | Self::Newer(_) => ErrorKind::Invalid,
            Self::NoState(_) => ErrorKind::NotFound,
            Self::Dump(DumpError::Db(e)) => e.kind(),
            Self::Blob(e) => e.kind(),
            Self::Archive(e) => e.kind(),
            Self::Io(e) if e.kind() == io::ErrorKind::StorageFull => ErrorKind::StorageFull,
            Self::Dump(_) | Self::Io(_) => ErrorKind::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotEmpty(_) => "backup.not_empty",
            Self::NotABackup => "backup.none",
            Self::NoState(_) => "backup.no_state",
            Self::Damaged(_) => "backup.damaged",
            Self::Newer(_) => "backup.newer",
            Self::Dump(DumpError::Db(e)) => e.code(),
            Self::Blob(e) => e.code(),
            Self::Archive(e) => e.code(),
            Self::Dump(_) | Self::Io(_) => "internal",
        }
    }
}

impl Archive {
    /// Copies database and packs, online and consistent, into a folder that is new or empty or holds earlier backups of
    /// this store. Of those `keep` says which stay; without it this one takes their place.
    pub async fn backup(&self, dir: &Path, keep: Keep) -> Result<BackedUp, BackupError> {
        self.backup_as(dir, keep, true).await
    }

    /// As `backup`, but packs in the object store that the folder does not hold yet are named and not copied.
    pub async fn backup_near(&self, dir: &Path, keep: Keep) -> Result<BackedUp, BackupError> {
        self.backup_as(dir, keep, false).await
    }

    async fn backup_as(&self, dir: &Path, keep: Keep, objects_too: bool) -> Result<BackedUp, BackupError> {
        let _one_at_a_time = self.backups().lock().await;
        let earlier = self.earlier_backups(dir).await?;
        let before = earlier.last();
        let packs = dir.join("packs");
        std::fs::create_dir_all(&packs)?;
        tidy_tables(dir, &earlier)?;
        let mut tables_name = format!("db-{}", self.clock().now().as_micros());
        while dir.join(&tables_name).exists() {
            tables_name.push('0');
        }
        let tables = dir.join(&tables_name);
        std::fs::create_dir(&tables)?;
        let _packs_stay = self.packs_stay().read().await;
        let dumped = self.db().dump(&tables).await?;
        let mut files = Vec::new();
        for table in &dumped {
            files.push(file_of(dir, &format!("{tables_name}/{}.jsonl", table.name)).await?);
        }
        let mut copied = 0;
        let mut elsewhere = Vec::new();
        for pack in self.blobs().packs() {
            let name = self.blobs().pack_path(pack.id);
            let Some(name) = name.file_name().and_then(|name| name.to_str()) else { continue };
            let path = format!("packs/{name}");
            let known = before.and_then(|before| before.files.iter().find(|file| file.path == path));
            let held = known.is_some_and(|known| known.size == pack.len && packs.join(name).exists());
            if !objects_too
                && !held
                && let Some(note) = self.blobs().in_objects(pack.id)
            {
                elsewhere.push(Elsewhere { pack: format!("{:016x}", pack.id), note });
                continue;
            }
            let (sha256, new) = self.copy_pack(pack, &packs.join(name), known).await?;
            copied += new;
            files.push(ManifestFile { path, size: pack.len, sha256 });
        }
        let manifest = Manifest {
            format: if elsewhere.is_empty() { FORMAT } else { FORMAT_ELSEWHERE },
            version: env!("CARGO_PKG_VERSION").to_owned(),
            made_at: self.clock().now(),
            migrations: Db::known_migrations().into_iter().map(str::to_owned).collect(),
            rows: dumped.iter().map(|table| table.rows).sum(),
            tables: tables_name,
            files,
            elsewhere,
        };
        for folder in [&tables, &packs] {
            File::open(folder)?.sync_all()?;
        }
        let text = serde_json::to_vec_pretty(&manifest).map_err(io::Error::other)?;
        write_whole(dir, &state_name(manifest.made_at), &text)?;
        write_whole(dir, MANIFEST, &text)?;
        let mut all = earlier;
        let kept = keep.of(&all.iter().map(|state| state.made_at).collect::<Vec<_>>(), manifest.made_at);
        all.retain(|state| kept.contains(&state.made_at) && state.made_at != manifest.made_at);
        all.push(manifest.clone());
        tidy(dir, &all)?;
        Ok(BackedUp { manifest, copied })
    }

    /// The states that the folder holds, oldest first. `NotEmpty` when it holds anything else, or those of another store.
    async fn earlier_backups(&self, dir: &Path) -> Result<Vec<Manifest>, BackupError> {
        if !dir.exists() {
            return Ok(Vec::new());
        }
        let names = names_in(dir)?;
        let ours = |name: &String| {
            is_tables(name)
                || is_state(name)
                || [MANIFEST, UNFINISHED, "packs"].contains(&name.as_str())
                || BESIDE.contains(&name.as_str())
        };
        if !names.iter().all(ours) {
            return Err(BackupError::NotEmpty(dir.to_owned()));
        }
        let states = states(dir)?;
        let packs: Vec<u64> = if dir.join("packs").exists() {
            names_in(&dir.join("packs"))?.iter().filter_map(|name| pack_of(name)).collect()
        } else {
            Vec::new()
        };
        let removed = crate::store::removed_packs(self.db()).await?;
        let here = self.blobs().packs();
        let mine = |pack: &u64| removed.contains(pack) || here.iter().any(|there| there.id == *pack);
        if !packs.is_empty() && !packs.iter().any(mine) {
            return Err(BackupError::NotEmpty(dir.to_owned()));
        }
        Ok(states)
    }

    /// Brings the copy of a pack up to date: its hash, and how many bytes were new.
    async fn copy_pack(
        &self,
        pack: PackInfo,
        to: &Path,
        known: Option<&ManifestFile>,
    ) -> Result<(String, u64), BackupError> {
        let there = std::fs::metadata(to).map_or(0, |file| file.len());
        if let Some(known) = known.filter(|known| there >= known.size && known.size <= pack.len) {
            if known.size == pack.len {
                return Ok((known.sha256.clone(), 0));
            }
            let (file, size) = (to.to_owned(), known.size);
            let before = blocking(move || hash_front(&file, size)).await?;
            if hex(&before.clone().finalize()) == known.sha256 {
                let sha256 = self.blobs().copy_pack(pack, to, size, before).await?;
                return Ok((hex(&sha256), pack.len - size));
            }
            tracing::warn!(pack = pack.id, "the backup of a pack is damaged and is copied anew");
        }
        let unfinished = to.with_extension("part");
        let sha256 = self.blobs().copy_pack(pack, &unfinished, 0, Sha256::new()).await?;
        std::fs::rename(&unfinished, to)?;
        Ok((hex(&sha256), pack.len))
    }
}

/// Which states of a backup folder stay beside the newest: all of its last 24 hours, and of each day before them the
/// last, so many days back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keep {
    pub days: u32,
}

impl Keep {
    /// Those of `states`, in order of time, that stay beside the newest.
    fn of(self, states: &[Timestamp], newest: Timestamp) -> BTreeSet<Timestamp> {
        const DAY: Duration = Duration::from_hours(24);
        let mut last_of_day = BTreeMap::new();
        let mut kept = BTreeSet::new();
        let oldest = newest.minus(DAY * self.days);
        for state in states.iter().copied().filter(|state| self.days > 0 && *state >= oldest) {
            last_of_day.insert(state.as_micros().div_euclid(DAY.as_micros() as i64), state);
            if state >= newest.minus(DAY) {
                kept.insert(state);
            }
        }
        kept.extend(last_of_day.into_values());
        kept
    }
}

/// When the newest state in a backup folder was made; `None` when there is none or the folder cannot be read.
pub fn newest_state(dir: &Path) -> Option<Timestamp> {
    names_in(dir).ok()?.iter().filter_map(|name| state_time(name)).max()
}

/// All states that a backup folder holds, oldest first.
pub fn states(dir: &Path) -> Result<Vec<Manifest>, BackupError> {
    let mut states = Vec::new();
    for name in names_in(dir)?.into_iter().filter(|name| is_state(name) || name == MANIFEST) {
        states.push(read_manifest(&std::fs::read(dir.join(name))?)?);
    }
    states.sort_by_key(|state| state.made_at);
    // The newest stands there twice.
    states.dedup_by(|a, b| a.tables == b.tables);
    Ok(states)
}

/// Makes a file whole or not at all.
fn write_whole(dir: &Path, name: &str, text: &[u8]) -> io::Result<()> {
    let unfinished = dir.join(UNFINISHED);
    std::fs::write(&unfinished, text)?;
    File::open(&unfinished)?.sync_all()?;
    std::fs::rename(&unfinished, dir.join(name))?;
    File::open(dir)?.sync_all()
}

/// Removes tables that no state names, such as those an interrupted backup left.
fn tidy_tables(dir: &Path, states: &[Manifest]) -> io::Result<()> {
    for name in names_in(dir)?.into_iter().filter(|name| is_tables(name)) {
        if states.iter().all(|state| state.tables != name) {
            std::fs::remove_dir_all(dir.join(name))?;
        }
    }
    Ok(())
}

/// Removes what none of the states names; their manifests first.
fn tidy(dir: &Path, states: &[Manifest]) -> io::Result<()> {
    for name in names_in(dir)?.into_iter().filter(|name| is_state(name)) {
        if states.iter().all(|state| state_name(state.made_at) != name) {
            std::fs::remove_file(dir.join(name))?;
        }
    }
    File::open(dir)?.sync_all()?;
    tidy_tables(dir, states)?;
    for name in names_in(&dir.join("packs"))? {
        let path = format!("packs/{name}");
        if states.iter().flat_map(|state| &state.files).all(|file| file.path != path) {
            std::fs::remove_file(dir.join(path))?;
        }
    }
    Ok(())
}

fn state_name(made_at: Timestamp) -> String {
    format!("{STATE}{}.json", made_at.as_micros())
}

fn state_time(name: &str) -> Option<Timestamp> {
    name.strip_prefix(STATE)?.strip_suffix(".json")?.parse().ok().map(Timestamp::from_micros)
}

fn is_state(name: &str) -> bool {
    state_time(name).is_some()
}

fn names_in(dir: &Path) -> io::Result<Vec<String>> {
    std::fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

fn is_tables(name: &str) -> bool {
    name == "db" || name.starts_with("db-")
}

/// A pack's file may have grown since: a later backup was interrupted.
fn is_pack(path: &str) -> bool {
    path.strip_prefix("packs/").is_some_and(|name| pack_of(name).is_some())
}

fn pack_of(name: &str) -> Option<u64> {
    u64::from_str_radix(name.strip_suffix(".pack")?, 16).ok()
}

async fn file_of(dir: &Path, path: &str) -> Result<ManifestFile, BackupError> {
    let full = dir.join(path);
    let (size, sha256) = blocking(move || hash_file(&full)).await?;
    Ok(ManifestFile { path: path.to_owned(), size, sha256 })
}

fn hash_file(path: &Path) -> io::Result<(u64, String)> {
    let size = File::open(path)?.metadata()?.len();
    Ok((size, hex(&hash_front(path, size)?.finalize())))
}

/// Hashes the first `size` bytes of a file, or all there are.
fn hash_front(path: &Path, size: u64) -> io::Result<Sha256> {
    let mut file = File::open(path)?.take(size);
    let mut sha = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            return Ok(sha);
        }
        sha.update(buffer.get(..n).unwrap_or_default());
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

fn read_manifest(text: &[u8]) -> Result<Manifest, BackupError> {
    let manifest: Manifest = serde_json::from_slice(text).map_err(|_| BackupError::NotABackup)?;
    let inside = |path: &str| Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    let known = [FORMAT, FORMAT_ELSEWHERE].contains(&manifest.format);
    let sound = known && is_tables(&manifest.tables) && inside(&manifest.tables);
    if sound && manifest.files.iter().all(|file| inside(&file.path)) {
        Ok(manifest)
    } else {
        Err(BackupError::NotABackup)
    }
}

/// Reads the manifest of a backup, of its newest state or the last one not after `at`, and checks every file against it.
pub async fn verify_backup(dir: &Path, at: Option<Timestamp>) -> Result<Manifest, BackupError> {
    let manifest = match at {
        None => read_manifest(&std::fs::read(dir.join(MANIFEST)).map_err(|_| BackupError::NotABackup)?)?,
        Some(at) => {
            let all = states(dir)?;
            let oldest = all.first().ok_or(BackupError::NotABackup)?.made_at;
            let wanted = all.into_iter().rfind(|state| state.made_at <= at);
            wanted.ok_or_else(|| BackupError::NoState(oldest.to_rfc3339()))?
        }
    };
    for file in &manifest.files {
        let (full, size) = (dir.join(&file.path), file.size);
        let checked =
            blocking(move || Ok((File::open(&full)?.metadata()?.len(), hex(&hash_front(&full, size)?.finalize()))))
                .await;
        match checked {
            Ok((there, sha256))
                if (there == size || (there > size && is_pack(&file.path))) && sha256 == file.sha256 => {}
            Ok(_) => return Err(BackupError::Damaged(file.path.clone())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(BackupError::Damaged(file.path.clone())),
            Err(e) => return Err(e.into()),
        }
    }
    Ok(manifest)
}

/// Restores a backup, its newest state or the last one not after `at`, into a migrated database without studies and into
/// the blob folder `blob_dir`, which must hold no packs. Every file is checked first, and that packs which are elsewhere
/// are there; then the packs are replayed into the database. The blobs of the new store behave as `blobs` says. `Locked`,
/// before anything is written, when the key of a pack is not among its keys.
pub async fn restore(
    dir: &Path,
    at: Option<Timestamp>,
    db: &Db,
    blob_dir: &Path,
    blobs: mingying_blob::Settings,
    clock: SharedClock,
    settings: Settings,
) -> Result<Restored, BackupError> {
    let manifest = verify_backup(dir, at).await?;
    let known = Db::known_migrations();
    if let Some(newer) = manifest.migrations.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(BackupError::Newer(newer.clone()));
    }
    let near = mingying_blob::keys_needed(dir, &mingying_blob::Tiers::default())?;
    let far = manifest.elsewhere.iter().filter_map(|pack| pack.note.key_id());
    if let Some(missing) = near.into_keys().flatten().chain(far).find(|key| !blobs.keys.has(*key)) {
        return Err(BlobError::Locked(missing).into());
    }
    let packs = blob_dir.join("packs");
    if packs.exists() && std::fs::read_dir(&packs)?.next().is_some() {
        return Err(BackupError::NotEmpty(packs));
    }
    if !crate::store::is_empty(db).await? {
        return Err(BackupError::NotEmpty(PathBuf::from("database")));
    }
    std::fs::create_dir_all(&packs)?;
    for file in &manifest.files {
        let Some(name) = file.path.strip_prefix("packs/") else { continue };
        let (from, to, size) = (dir.join(&file.path), packs.join(name), file.size);
        blocking(move || {
            let mut out = File::create_new(&to)?;
            io::copy(&mut File::open(from)?.take(size), &mut out)?;
            out.sync_all()
        })
        .await?;
    }
    File::open(&packs)?.sync_all()?;
    for Elsewhere { pack, note } in &manifest.elsewhere {
        let pack = u64::from_str_radix(pack, 16).map_err(|_| BackupError::NotABackup)?;
        mingying_blob::note_in_objects(blob_dir, pack, note)?;
    }
    let blobs = Blobs::open(blob_dir, blobs)?;
    for Elsewhere { pack, note } in &manifest.elsewhere {
        let id = u64::from_str_radix(pack, 16).map_err(|_| BackupError::NotABackup)?;
        if blobs.len_there(id).await? != Some(note.len) {
            return Err(BackupError::Damaged(format!("{pack}.pack in the object store")));
        }
    }
    let tables = db.load(&dir.join(&manifest.tables)).await?;
    crate::store::forget_nodes(db).await?;
    let archive = Archive::open(db.clone(), blobs, clock, settings).await?;
    let replayed = archive.replayed();
    archive.close().await;
    Ok(Restored {
        made_at: manifest.made_at,
        files: manifest.files.len(),
        rows: tables.iter().map(|table| table.rows).sum(),
        replayed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_kept_by_the_hour_then_by_the_day() {
        let hour = |hour: i64| Timestamp::from_micros(hour * 3_600_000_000);
        // Every six hours from the begin of day 0 to 12:00 of day 4.
        let all: Vec<Timestamp> = (0..=18).map(|step| hour(step * 6)).collect();
        let hours = |kept: BTreeSet<Timestamp>| kept.into_iter().map(|at| at.as_micros() / 3_600_000_000).collect();
        let kept = |days| -> Vec<i64> { hours(Keep { days }.of(&all, hour(109))) };
        assert!(kept(0).is_empty());
        assert_eq!(kept(1), [90, 96, 102, 108], "all of the last day");
        assert_eq!(kept(3), [42, 66, 90, 96, 102, 108], "and the last of each day before");
    }
}
