//! Backups that a running server makes by itself, so that at most so much work is lost as the configuration allows.

use crate::config::Backup;
use mingying_archive::BackupError;
use mingying_events::About;
use mingying_events::payload::interfaces::BackupFailed;
use mingying_http::App;
use mingying_kernel::{Coded as _, OrgId, Timestamp};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often it is looked whether one is due; a failed one is tried again as soon.
const LOOK: Duration = Duration::from_mins(1);
/// People are told of failures so often at most.
const TELL_AGAIN: Duration = Duration::from_hours(6);

/// What backups are made of.
pub(crate) struct Backups {
    pub app: App,
    pub org: OrgId,
    pub data_dir: PathBuf,
}

impl Backups {
    /// Makes backups when they are due, until cancelled.
    pub async fn keep(self, backup: Backup, cancel: CancellationToken) {
        let Some(folder) = &backup.folder else { return };
        let mut told = None;
        while !cancel.is_cancelled() {
            tokio::select! {
                () = cancel.cancelled() => return,
                () = self.look(folder, &backup, &mut told) => {}
            }
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Makes a backup if one is due; `told` is when people last heard of a failure. When the last one was made is read
    /// from its folder: another process, the command line or the run before may have made it.
    async fn look(&self, folder: &Path, backup: &Backup, told: &mut Option<Timestamp>) {
        let every = Duration::from_secs(backup.every_minutes.saturating_mul(60));
        let now = self.app.clock.now();
        let newest = mingying_archive::newest_state(folder);
        if newest.is_none_or(|made| made.plus(every) <= now) {
            let Backup { keep_days, leave_s3, .. } = *backup;
            match crate::images::back_up(&self.app.archive, &self.data_dir, folder, keep_days, leave_s3).await {
                Ok(done) => {
                    *told = None;
                    tracing::info!(rows = done.manifest.rows, copied = done.copied, "backup made");
                }
                Err(error) => {
                    tracing::error!(code = error.code(), %error, "backup not made");
                    if told.is_none_or(|told| now.since(told) >= TELL_AGAIN) && self.tell(&error).await {
                        *told = Some(now);
                    }
                }
            }
        }
        if let Some(made) = mingying_archive::newest_state(folder) {
            let age = self.app.clock.now().since(made).as_secs_f64();
            self.app.metrics.set("mingying_backup_age_seconds", "Age of the newest backup.", age);
        }
    }

    /// Whether it was written down that people are to be told.
    async fn tell(&self, error: &BackupError) -> bool {
        let told = async {
            let mut tx = self.app.db.begin().await?;
            let about = About::new("backup", "backup", self.org);
            let payload = BackupFailed { code: error.code().to_owned() };
            mingying_events::emit(&mut tx, &self.app.access.system("backup"), &about, &payload).await?;
            tx.commit().await
        };
        told.await.inspect_err(|error| tracing::error!(%error, "a failed backup could not be told of")).is_ok()
    }
}
