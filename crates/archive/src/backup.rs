//! Backup and restore of database and packs, online, checked by hash.
//!
//! The database is copied first, the packs after it. Packs only grow and are the log of the index, so packs that were
//! copied later always cover the rows that were copied earlier; what they hold beyond them is replayed on restore.

use crate::record::hex;
use crate::{Archive, ArchiveError, Replayed, Settings};
use mingying_blob::{BlobError, Blobs};
use mingying_db::{Db, DumpError};
use mingying_kernel::{Coded, ErrorKind, SharedClock, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

const MANIFEST: &str = "manifest.json";
const FORMAT: u32 = 1;

/// What a backup holds. Written last: a folder without it is no backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    pub version: String,
    pub made_at: Timestamp,
    pub migrations: Vec<String>,
    pub rows: u64,
    pub files: Vec<ManifestFile>,
}

/// A file of a backup; `path` is relative to its folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFile {
    pub path: String,
    pub size: u64,
    pub sha256: String,
}

/// What a restore did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    pub files: usize,
    pub rows: u64,
    pub replayed: Replayed,
}

/// Why a backup or a restore failed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Backups go into a new or empty folder, restores into an empty system: nothing is ever overwritten.
    #[error("target is not empty: {0}")]
    NotEmpty(PathBuf),
    /// The folder has no manifest, or one of another format.
    #[error("not a backup of this product")]
    NotABackup,
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
    /// Copies database and packs, online and consistent, into the new or empty folder `dir`.
    pub async fn backup(&self, dir: &Path) -> Result<Manifest, BackupError> {
        let (tables, packs) = (dir.join("db"), dir.join("packs"));
        if dir.exists() && std::fs::read_dir(dir)?.next().is_some() {
            return Err(BackupError::NotEmpty(dir.to_owned()));
        }
        std::fs::create_dir_all(&tables)?;
        std::fs::create_dir_all(&packs)?;
        let dumped = self.db().dump(&tables).await?;
        let mut files = Vec::new();
        for table in &dumped {
            files.push(file_of(dir, &format!("db/{}.jsonl", table.name)).await?);
        }
        for pack in self.blobs().packs() {
            let name = self.blobs().pack_path(pack.id);
            let Some(name) = name.file_name().and_then(|name| name.to_str()) else { continue };
            let sha256 = self.blobs().copy_pack(pack, &packs.join(name)).await?;
            files.push(ManifestFile { path: format!("packs/{name}"), size: pack.len, sha256: hex(&sha256) });
        }
        let manifest = Manifest {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            made_at: self.clock().now(),
            migrations: Db::known_migrations().into_iter().map(str::to_owned).collect(),
            rows: dumped.iter().map(|table| table.rows).sum(),
            files,
        };
        let text = serde_json::to_vec_pretty(&manifest).map_err(io::Error::other)?;
        let unfinished = dir.join("manifest.part");
        std::fs::write(&unfinished, text)?;
        File::open(&unfinished)?.sync_all()?;
        std::fs::rename(&unfinished, dir.join(MANIFEST))?;
        for folder in [&tables, &packs, &dir.to_owned()] {
            File::open(folder)?.sync_all()?;
        }
        Ok(manifest)
    }
}

async fn file_of(dir: &Path, path: &str) -> Result<ManifestFile, BackupError> {
    let full = dir.join(path);
    let (size, sha256) = blocking(move || hash_file(&full)).await?;
    Ok(ManifestFile { path: path.to_owned(), size, sha256 })
}

fn hash_file(path: &Path) -> io::Result<(u64, String)> {
    let mut file = File::open(path)?;
    let mut sha = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut size = 0;
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            return Ok((size, hex(&sha.finalize())));
        }
        size += n as u64;
        sha.update(buffer.get(..n).unwrap_or_default());
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// Reads the manifest of a backup and checks every file against it.
pub async fn verify_backup(dir: &Path) -> Result<Manifest, BackupError> {
    let text = std::fs::read(dir.join(MANIFEST)).map_err(|_| BackupError::NotABackup)?;
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|_| BackupError::NotABackup)?;
    if manifest.format != FORMAT {
        return Err(BackupError::NotABackup);
    }
    for file in &manifest.files {
        let path = PathBuf::from(&file.path);
        if !path.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(BackupError::NotABackup);
        }
        let full = dir.join(path);
        match blocking(move || hash_file(&full)).await {
            Ok((size, sha256)) if size == file.size && sha256 == file.sha256 => {}
            Ok(_) => return Err(BackupError::Damaged(file.path.clone())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(BackupError::Damaged(file.path.clone())),
            Err(e) => return Err(e.into()),
        }
    }
    Ok(manifest)
}

/// Restores a backup into a migrated database without studies and into the blob folder `blob_dir`, which
/// must hold no packs. Every file is checked first; then the packs are replayed into the database.
pub async fn restore(
    dir: &Path,
    db: &Db,
    blob_dir: &Path,
    clock: SharedClock,
    settings: Settings,
) -> Result<Restored, BackupError> {
    let manifest = verify_backup(dir).await?;
    let known = Db::known_migrations();
    if let Some(newer) = manifest.migrations.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(BackupError::Newer(newer.clone()));
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
        let (from, to) = (dir.join(&file.path), packs.join(name));
        blocking(move || {
            std::fs::copy(from, &to)?;
            File::open(&to)?.sync_all()
        })
        .await?;
    }
    File::open(&packs)?.sync_all()?;
    let tables = db.load(&dir.join("db")).await?;
    let blobs = Blobs::open(blob_dir, mingying_blob::Settings::default())?;
    let archive = Archive::open(db.clone(), blobs, clock, settings).await?;
    let replayed = archive.replayed();
    archive.close().await;
    Ok(Restored { files: manifest.files.len(), rows: tables.iter().map(|table| table.rows).sum(), replayed })
}
