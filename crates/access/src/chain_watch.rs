//! Checks the audit chain while the server runs: all of it at start and once a day, what is new every minute.

use crate::seal::{ChainBreak, ChainReport, verify_chain, verify_from};
use mingying_db::{Db, DbError};
use mingying_kernel::{SharedClock, Timestamp};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const PAUSE: Duration = Duration::from_mins(1);
const WHOLE: Duration = Duration::from_hours(24);

/// What the last check found.
#[derive(Debug, Clone)]
pub struct ChainCheck {
    pub at: Timestamp,
    pub sealed: u64,
    pub head: String,
    pub first_break: Option<ChainBreak>,
}

impl ChainCheck {
    pub fn intact(&self) -> bool {
        self.first_break.is_none()
    }
}

/// The last check, readable while the next one runs. Cheap to clone.
#[derive(Clone, Default)]
pub struct ChainWatch {
    last: Arc<Mutex<Option<ChainCheck>>>,
}

impl ChainWatch {
    /// `None` until the first check has finished.
    pub fn last(&self) -> Option<ChainCheck> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub async fn run(self, db: Db, clock: SharedClock, cancel: CancellationToken) {
        let mut whole_at = None;
        while !cancel.is_cancelled() {
            let now = clock.now();
            let whole = whole_at.is_none_or(|at| now.since(at) >= WHOLE);
            match self.check(&db, now, whole).await {
                Ok(()) if whole => whole_at = Some(now),
                Ok(()) => {}
                Err(error) => tracing::warn!(%error, "audit chain not readable"),
            }
            tokio::select! {
                () = cancel.cancelled() => {}
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    /// Checks now; a break that was found stays found until a whole check no longer finds it.
    pub async fn check(&self, db: &Db, now: Timestamp, whole: bool) -> Result<(), DbError> {
        let report: ChainReport = match self.last() {
            Some(last) if !whole && last.intact() && last.sealed > 0 => {
                verify_from(db, i64::try_from(last.sealed).unwrap_or(i64::MAX), last.head).await?
            }
            Some(last) if !whole && !last.intact() => return Ok(()),
            _ => verify_chain(db).await?,
        };
        if let Some(found) = &report.first_break {
            tracing::error!(?found, "the audit chain is broken");
        }
        let check = ChainCheck { at: now, sealed: report.sealed, head: report.head, first_break: report.first_break };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(check);
        Ok(())
    }
}
