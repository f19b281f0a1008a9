//! `mingying import | export | verify | backup | restore`.

use super::PlaceArgs;
use crate::{Place, ServerError};
use clap::Args;
use mingying_archive::{Archive, ArchiveError, Level, Origin, Query, ReadStudies, StoreStudy};
use mingying_kernel::{ErrorKind, Permit};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[derive(Args)]
pub(super) struct ImportArgs {
    dir: PathBuf,
}

#[derive(Args)]
pub(super) struct ExportArgs {
    /// Folder to write into: one folder per study, one per series
    dir: PathBuf,
    /// Study Instance UID; all studies when absent
    #[arg(long = "study")]
    studies: Vec<String>,
}

const CHUNK: usize = 1 << 20;

pub(super) async fn import(args: &PlaceArgs, import: ImportArgs) -> Result<ExitCode, ServerError> {
    let (config, place) = args.open().await?;
    let archive = place.archive(&config).await?;
    let permit = place.operator().permit::<StoreStudy>()?;
    let (mut stored, mut known, mut refused) = (0_u64, 0_u64, 0_u64);
    let mut folders = vec![import.dir.clone()];
    let mut buffer = vec![0; CHUNK];
    while let Some(folder) = folders.pop() {
        let mut entries = tokio::fs::read_dir(&folder).await.map_err(ServerError::file(&folder))?;
        while let Some(entry) = entries.next_entry().await.map_err(ServerError::file(&folder))? {
            let kind = entry.file_type().await.map_err(ServerError::file(entry.path()))?;
            if kind.is_dir() {
                folders.push(entry.path());
                continue;
            }
            if !kind.is_file() {
                continue;
            }
            match store_file(&archive, &permit, &entry.path(), &mut buffer).await? {
                Ok(true) => known += 1,
                Ok(false) => stored += 1,
                Err(reason) => {
                    refused += 1;
                    // The path is the operator's own; the reason is a code.
                    eprintln!("{}: {reason}", entry.path().display());
                }
            }
        }
    }
    println!("stored {stored}, already there {known}, not stored {refused}");
    finish(place, archive).await;
    Ok(if refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Stores one Part 10 file; whether it was there already, or why it was not stored. Only trouble with the store itself
/// ends the import.
async fn store_file(
    archive: &Archive,
    permit: &Permit<StoreStudy>,
    path: &Path,
    buffer: &mut [u8],
) -> Result<Result<bool, String>, ServerError> {
    let mut file = tokio::fs::File::open(path).await.map_err(ServerError::file(path))?;
    let mut receiving = archive.receive_part10(Origin { source: "import".to_owned(), calling_aet: None });
    loop {
        let count = file.read(buffer).await.map_err(ServerError::file(path))?;
        if count == 0 {
            break;
        }
        let part = buffer.get(..count).unwrap_or_default();
        if let Err(error) = receiving.write(part).await {
            return refusal(error);
        }
    }
    match receiving.finish(permit).await {
        Ok(ingested) => Ok(Ok(ingested.duplicate)),
        Err(error) => refusal(error),
    }
}

fn refusal(error: ArchiveError) -> Result<Result<bool, String>, ServerError> {
    use mingying_kernel::Coded as _;
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::Internal | ErrorKind::Unavailable => Err(error.into()),
        _ => Ok(Err(error.code().to_owned())),
    }
}

pub(super) async fn export(args: &PlaceArgs, export: ExportArgs) -> Result<ExitCode, ServerError> {
    let (config, place) = args.open().await?;
    let archive = place.archive(&config).await?;
    let permit = place.operator().permit::<ReadStudies>()?;
    let studies = if export.studies.is_empty() { all_studies(&archive, &permit).await? } else { export.studies };
    let mut written = 0_u64;
    for study in &studies {
        for instance in archive.instances_of(&permit, study, None, None).await? {
            let folder = export.dir.join(name(study)).join(name(&instance.series_uid));
            tokio::fs::create_dir_all(&folder).await.map_err(ServerError::file(&folder))?;
            let path = folder.join(format!("{}.dcm", name(&instance.sop_uid)));
            let mut file = tokio::fs::File::create(&path).await.map_err(ServerError::file(&path))?;
            let mut at = 0;
            while at < instance.size {
                let part = archive.read(&instance, at, CHUNK as u64).await?;
                if part.is_empty() {
                    break;
                }
                file.write_all(&part).await.map_err(ServerError::file(&path))?;
                at += part.len() as u64;
            }
            file.sync_all().await.map_err(ServerError::file(&path))?;
            written += 1;
        }
    }
    println!("{written} images of {} studies", studies.len());
    finish(place, archive).await;
    Ok(ExitCode::SUCCESS)
}

/// UIDs come from devices: only digits and dots become a file name.
fn name(uid: &str) -> String {
    uid.chars()
        .map(|c| if c.is_ascii_digit() || c == '.' { c } else { '_' })
        .collect::<String>()
        .trim_matches('.')
        .to_owned()
}

async fn all_studies(archive: &Archive, permit: &Permit<ReadStudies>) -> Result<Vec<String>, ServerError> {
    let mut query = Query::from_attributes(Level::Study, &[])?;
    query.limit = 500;
    let mut all = Vec::new();
    loop {
        let page = archive.find_studies(permit, &query).await?;
        all.extend(page.items.into_iter().map(|study| study.study_uid));
        match page.next {
            Some(next) => query.after = Some(next),
            None => return Ok(all),
        }
    }
}

pub(super) async fn verify(args: &PlaceArgs) -> Result<ExitCode, ServerError> {
    let (config, place) = args.open().await?;
    let archive = place.archive(&config).await?;
    let images = archive.verify().await?;
    println!("{images}");
    let chain = mingying_access::verify_chain(&place.db).await?;
    match &chain.first_break {
        None => println!("audit chain: {} rows sealed, intact, head {}", chain.sealed, chain.head),
        Some(found) => println!("audit chain: BROKEN after {} rows: {found:?}", chain.sealed),
    }
    let good = images.is_sound() && chain.first_break.is_none();
    finish(place, archive).await;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

pub(super) async fn backup(args: &PlaceArgs, dir: &Path) -> Result<ExitCode, ServerError> {
    let (config, place) = args.open().await?;
    let archive = place.archive(&config).await?;
    archive.backup(dir).await?;
    println!("backed up into {}", dir.display());
    finish(place, archive).await;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn restore(args: &PlaceArgs, dir: &Path) -> Result<ExitCode, ServerError> {
    let config = args.config()?;
    mingying_archive::restore(dir, &config.data_dir).await?;
    println!("restored into {}", config.data_dir.display());
    Ok(ExitCode::SUCCESS)
}

async fn finish(place: Place, archive: Archive) {
    archive.close().await;
    place.db.close().await;
}
