//! `mingying import | export | verify | backup | restore`.

use super::PlaceArgs;
use crate::encryption::explained;
use crate::images::{Job, Store};
use crate::{Place, ServerError, control, setup};
use clap::Args;
use mingying_kernel::Timestamp;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Args)]
pub(super) struct ImportArgs {
    /// Folder whose DICOM files are stored
    #[arg(required_unless_present = "rebuild")]
    dir: Option<PathBuf>,
    /// Make the tables of studies, series and images again from the packs in the data folder, in place of what the
    /// database holds; no server may run
    #[arg(long, conflicts_with = "dir")]
    rebuild: bool,
}

#[derive(Args)]
pub(super) struct ExportArgs {
    /// Folder to write into: one folder per study, one per series
    dir: PathBuf,
    /// Study Instance UID; all studies when absent
    #[arg(long = "study")]
    studies: Vec<String>,
}

#[derive(Args)]
pub(super) struct BackupArgs {
    /// A new or empty folder, or that of an earlier backup
    dir: PathBuf,
    /// Name the images in the S3 bucket with their hash and do not copy them: such a backup restores only where that
    /// bucket can be reached
    #[arg(long)]
    leave_s3: bool,
    /// Keep earlier states: each of the last 24 hours, then the last of each day so many days back; 0 keeps none
    #[arg(long, default_value_t = 0)]
    keep_days: u32,
}

#[derive(Args)]
pub(super) struct RestoreArgs {
    /// Folder of a backup
    dir: PathBuf,
    /// The state of this time or the last one before it, such as 2027-03-01T08:00:00+08:00; the newest when absent
    #[arg(long, value_parser = time)]
    at: Option<Timestamp>,
    /// Only list the states that the folder holds
    #[arg(long, conflicts_with = "at")]
    list: bool,
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse_rfc3339(text)
        .ok_or_else(|| "expected a time with its offset: 2027-03-01T08:00:00+08:00".to_owned())
}

/// The server may run elsewhere in the file system.
fn absolute(path: &Path) -> Result<PathBuf, ServerError> {
    std::path::absolute(path).map_err(ServerError::file(path))
}

pub(super) async fn import(args: &PlaceArgs, import: ImportArgs) -> Result<ExitCode, ServerError> {
    match import.dir {
        Some(dir) => run(args, Job::Import { dir: absolute(&dir)? }).await,
        None => rebuild(args).await,
    }
}

/// The index from the packs alone: after the loss of a database, or of trust in its rows.
async fn rebuild(args: &PlaceArgs) -> Result<ExitCode, ServerError> {
    let config = args.existing()?;
    let Some(_lock) = control::lock(&config.data_dir)? else {
        return Err(ServerError::Said("a server runs on this folder: stop it first".to_owned()));
    };
    let place = Place::open(&config).await?;
    place.prepare(&config).await?;
    let rebuilt = place.rebuild_index(&config).await?;
    place.db.close().await;
    println!("{} records read, {} damaged or unreadable", rebuilt.records, rebuilt.skipped);
    if rebuilt.skipped > 0 {
        println!("what is damaged may come back from a backup: see docs/operations.md, storage");
    }
    Ok(if rebuilt.skipped == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

pub(super) async fn export(args: &PlaceArgs, export: ExportArgs) -> Result<ExitCode, ServerError> {
    run(args, Job::Export { dir: absolute(&export.dir)?, studies: export.studies }).await
}

pub(super) async fn verify(args: &PlaceArgs) -> Result<ExitCode, ServerError> {
    run(args, Job::Verify).await
}

pub(super) async fn backup(args: &PlaceArgs, backup: BackupArgs) -> Result<ExitCode, ServerError> {
    let BackupArgs { dir, leave_s3, keep_days } = backup;
    run(args, Job::Backup { dir: absolute(&dir)?, keep_days, leave_s3 }).await
}

/// By the running server if there is one, else here.
async fn run(args: &PlaceArgs, job: Job) -> Result<ExitCode, ServerError> {
    let config = args.existing()?;
    let good = match control::lock(&config.data_dir)? {
        None => control::ask(&config.data_dir, &job).await?,
        Some(_lock) => {
            let place = Place::open(&config).await?;
            let (archive, nodes) = place.archive(&config, None).await?;
            let store = Store {
                db: place.db.clone(),
                access: place.access.clone(),
                archive: archive.clone(),
                data_dir: config.data_dir.clone(),
            };
            let result = control::work(&store, job).await;
            archive.close().await;
            nodes.leave().await?;
            place.db.close().await;
            result?
        }
    };
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Into a folder (and, with PostgreSQL, a database) that holds nothing yet.
pub(super) async fn restore(args: &PlaceArgs, restore: RestoreArgs) -> Result<ExitCode, ServerError> {
    let dir = restore.dir.as_path();
    if restore.list {
        for state in mingying_archive::states(dir).map_err(|error| ServerError::Said(error.to_string()))? {
            let bytes: u64 = state.files.iter().map(|file| file.size).sum();
            println!(
                "{}  {} rows, {} files, {} MiB",
                state.made_at.to_rfc3339(),
                state.rows,
                state.files.len(),
                bytes >> 20
            );
        }
        return Ok(ExitCode::SUCCESS);
    }
    let config = args.config()?;
    std::fs::create_dir_all(&config.data_dir).map_err(ServerError::file(&config.data_dir))?;
    let Some(_lock) = control::lock(&config.data_dir)? else {
        return Err(ServerError::Said("a server runs on this folder: stop it first".to_owned()));
    };
    let key = config.data_dir.join(setup::KEY_FILE);
    if key.exists() {
        return Err(ServerError::Said("the data folder is not empty: restore into a new one".to_owned()));
    }
    let saved = dir.join(setup::KEY_FILE);
    if saved.exists() {
        let bytes = std::fs::read(&saved).map_err(ServerError::file(&saved))?;
        crate::tls::write_private(&key, &bytes)?;
    }
    let place = Place::open(&config).await?;
    place.db.migrate().await?;
    // Nobody's yet: what the backup says about owners is loaded before anything asks.
    let settings = mingying_archive::Settings::new(mingying_kernel::OrgId::from_uuid(uuid::Uuid::nil()));
    let blobs = config.data_dir.join("blobs");
    let how = Place::blob_settings(&config)?;
    let restored = mingying_archive::restore(dir, restore.at, &place.db, &blobs, how, place.clock.clone(), settings)
        .await
        .map_err(|error| match error {
            mingying_archive::BackupError::Blob(error) => explained(error),
            error => ServerError::Said(error.to_string()),
        })?;
    println!(
        "state of {}: {} files, {} rows restored into {}",
        restored.made_at.to_rfc3339(),
        restored.files,
        restored.rows,
        config.data_dir.display()
    );
    println!("run `mingying verify` to compute every hash again");
    place.db.close().await;
    Ok(ExitCode::SUCCESS)
}
