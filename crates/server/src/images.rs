//! Work on the image store that the command line asks for: import, export, verify, backup. It is done by whoever holds
//! the store: the running server, or the command itself when no server runs.

use crate::ServerError;
use mingying_access::Access;
use mingying_archive::{
    Archive, ArchiveError, BackedUp, BackupError, Keep, Level, Origin, Query, ReadStudies, StoreStudy,
};
use mingying_db::Db;
use mingying_kernel::{Coded as _, Ctx, ErrorKind, Permit};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;

/// One order of the command line. Paths are absolute.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "job", rename_all = "lowercase")]
pub(crate) enum Job {
    Import {
        dir: PathBuf,
    },
    /// All studies when `studies` is empty.
    Export {
        dir: PathBuf,
        studies: Vec<String>,
    },
    Verify,
    Backup {
        dir: PathBuf,
        #[serde(default)]
        keep_days: u32,
        /// Name what lies in the bucket instead of copying it.
        #[serde(default)]
        leave_s3: bool,
    },
}

/// What a job works on.
#[derive(Clone)]
pub(crate) struct Store {
    pub db: Db,
    pub access: Access,
    pub archive: Archive,
    pub data_dir: PathBuf,
}

/// Lines for the person at the command line. Nobody reading them is no error.
pub(crate) type Lines = mpsc::Sender<String>;

const CHUNK: usize = 1 << 20;
/// Files stored at the same time; they share syncs.
const TOGETHER: usize = 8;

async fn say(lines: &Lines, text: impl Into<String>) {
    let _ = lines.send(text.into()).await;
}

impl Store {
    /// Does the job; whether everything was as it should be.
    pub(crate) async fn perform(&self, job: Job, lines: &Lines) -> Result<bool, ServerError> {
        // Whoever can reach the data folder owns the installation.
        let ctx = self.access.system("command-line");
        match job {
            Job::Import { dir } => self.import(&ctx, dir, lines).await,
            Job::Export { dir, studies } => self.export(&ctx, &dir, studies, lines).await,
            Job::Verify => self.verify(lines).await,
            Job::Backup { dir, keep_days, leave_s3 } => self.backup(&dir, keep_days, leave_s3, lines).await,
        }
    }

    async fn import(&self, ctx: &Ctx, dir: PathBuf, lines: &Lines) -> Result<bool, ServerError> {
        use futures::{StreamExt as _, TryStreamExt as _};
        let permit = ctx.permit::<StoreStudy>()?;
        let (mut stored, mut known, mut refused) = (0_u64, 0_u64, 0_u64);
        let mut folders = vec![dir];
        while let Some(folder) = folders.pop() {
            let mut files = Vec::new();
            let mut entries = tokio::fs::read_dir(&folder).await.map_err(ServerError::file(&folder))?;
            while let Some(entry) = entries.next_entry().await.map_err(ServerError::file(&folder))? {
                let kind = entry.file_type().await.map_err(ServerError::file(entry.path()))?;
                if kind.is_dir() {
                    folders.push(entry.path());
                } else if kind.is_file() {
                    files.push(entry.path());
                }
            }
            files.sort();
            let permit = &permit;
            let mut outcomes = futures::stream::iter(files.into_iter().map(|path| async move {
                let outcome = self.store_file(permit, &path).await?;
                Ok::<_, ServerError>((path, outcome))
            }))
            .buffer_unordered(TOGETHER);
            while let Some((path, outcome)) = outcomes.try_next().await? {
                match outcome {
                    Ok(true) => known += 1,
                    Ok(false) => stored += 1,
                    Err(code) => {
                        refused += 1;
                        say(lines, format!("{}: {code}", path.display())).await;
                    }
                }
                if (stored + known) % 1000 == 0 {
                    say(lines, format!("{} so far", stored + known)).await;
                }
            }
        }
        say(lines, format!("stored {stored}, already there {known}, not stored {refused}")).await;
        Ok(refused == 0)
    }

    /// Stores one Part 10 file; whether it was there already, or the code of why it was not stored. Only trouble with
    /// the store itself ends an import.
    async fn store_file(
        &self,
        permit: &Permit<StoreStudy>,
        path: &Path,
    ) -> Result<Result<bool, &'static str>, ServerError> {
        let refusal = |error: ArchiveError| match error.kind() {
            ErrorKind::StorageFull | ErrorKind::Internal | ErrorKind::Unavailable => Err(ServerError::from(error)),
            _ => Ok(Err(error.code())),
        };
        let mut file = tokio::fs::File::open(path).await.map_err(ServerError::file(path))?;
        let mut receiving = self.archive.receive_part10(Origin::new("import"));
        let mut buffer = vec![0; CHUNK];
        loop {
            let count = file.read(&mut buffer).await.map_err(ServerError::file(path))?;
            if count == 0 {
                break;
            }
            if let Err(error) = receiving.write(buffer.get(..count).unwrap_or_default()).await {
                return refusal(error);
            }
        }
        match receiving.finish(permit).await {
            Ok(ingested) => Ok(Ok(ingested.duplicate)),
            Err(error) => refusal(error),
        }
    }

    async fn export(&self, ctx: &Ctx, dir: &Path, studies: Vec<String>, lines: &Lines) -> Result<bool, ServerError> {
        let permit = ctx.permit::<ReadStudies>()?;
        let studies = if studies.is_empty() { self.all_studies(&permit).await? } else { studies };
        let mut written = 0_u64;
        let mut complete = true;
        for study in &studies {
            let instances = self.archive.instances_of(&permit, study, None, None).await?;
            if instances.is_empty() {
                complete = false;
                say(lines, format!("{study}: not here")).await;
            }
            for instance in instances {
                let folder = dir.join(file_name(study)).join(file_name(&instance.series_uid));
                tokio::fs::create_dir_all(&folder).await.map_err(ServerError::file(&folder))?;
                let path = folder.join(format!("{}.dcm", file_name(&instance.sop_uid)));
                let mut file = tokio::fs::File::create(&path).await.map_err(ServerError::file(&path))?;
                let (mut at, size) = (0, u64::try_from(instance.size).unwrap_or_default());
                while at < size {
                    let part = self.archive.read(&instance, at, CHUNK as u64).await?;
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
        say(lines, format!("{written} images of {} studies", studies.len())).await;
        Ok(complete)
    }

    async fn all_studies(&self, permit: &Permit<ReadStudies>) -> Result<Vec<String>, ServerError> {
        let mut query = Query::all(Level::Study).limit(500);
        let mut all = Vec::new();
        loop {
            let page = self.archive.find_studies(permit, &query).await?;
            all.extend(page.items.into_iter().map(|study| study.study_uid));
            match page.next {
                Some(next) => query = Query::all(Level::Study).limit(500).after(&next)?,
                None => return Ok(all),
            }
        }
    }

    async fn verify(&self, lines: &Lines) -> Result<bool, ServerError> {
        let images = self.archive.verify().await?;
        let megabytes = images.bytes >> 20;
        say(lines, format!("images: {} checked, {megabytes} MiB, {} without a row", images.checked, images.orphans))
            .await;
        if images.healed > 0 {
            say(lines, format!("{} were damaged and are healed from a replica", images.healed)).await;
        }
        for uid in &images.missing {
            say(lines, format!("MISSING {uid}")).await;
        }
        for uid in &images.corrupt {
            say(lines, format!("CORRUPT {uid}")).await;
        }
        for pack in &images.unreachable {
            say(lines, format!("NOT CHECKED pack {pack:016x}: its disk or bucket cannot be reached")).await;
        }
        let chain = mingying_access::verify_chain(&self.db).await?;
        match &chain.first_break {
            None => say(lines, format!("audit chain: {} rows sealed, intact, head {}", chain.sealed, chain.head)).await,
            Some(found) => say(lines, format!("audit chain: BROKEN after {} rows: {found:?}", chain.sealed)).await,
        }
        Ok(images.intact() && chain.first_break.is_none())
    }

    async fn backup(&self, dir: &Path, keep_days: u32, leave_s3: bool, lines: &Lines) -> Result<bool, ServerError> {
        let made = back_up(&self.archive, &self.data_dir, dir, keep_days, leave_s3).await;
        let BackedUp { manifest, copied } = made.map_err(|error| ServerError::Said(error.to_string()))?;
        say(lines, format!("{} files, {} rows in {}", manifest.files.len(), manifest.rows, dir.display())).await;
        say(lines, format!("{} MiB of images were new", copied >> 20)).await;
        if !manifest.elsewhere.is_empty() {
            let count = manifest.elsewhere.len();
            say(lines, format!("{count} packs are named and lie in the bucket: without it this backup is not whole"))
                .await;
        }
        say(lines, "the folder holds patient data and the key of second factors: keep it as safe as the server").await;
        Ok(true)
    }
}

/// Adds a state to a backup folder, and the key without which the second factors in it cannot be opened.
pub(crate) async fn back_up(
    archive: &Archive,
    data_dir: &Path,
    dir: &Path,
    keep_days: u32,
    leave_s3: bool,
) -> Result<BackedUp, BackupError> {
    let keep = Keep { days: keep_days };
    let done = if leave_s3 { archive.backup_near(dir, keep).await? } else { archive.backup(dir, keep).await? };
    let key = std::fs::read(data_dir.join(crate::setup::KEY_FILE))?;
    crate::tls::write_private_io(&dir.join(crate::setup::KEY_FILE), &key)?;
    Ok(done)
}

/// UIDs come from devices: only digits and dots become a file name.
fn file_name(uid: &str) -> String {
    let clean: String = uid.chars().map(|c| if c.is_ascii_digit() || c == '.' { c } else { '_' }).collect();
    let clean = clean.trim_matches('.');
    if clean.is_empty() { "_".to_owned() } else { clean.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_cannot_leave_the_folder() {
        assert_eq!(file_name("1.2.840"), "1.2.840");
        assert_eq!(file_name("../../etc"), "_..____");
        assert_eq!(file_name(".."), "_");
    }
}
