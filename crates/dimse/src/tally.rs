//! What came from whom, counted in memory and written every few seconds: no commit per image or association.

use crate::store;
use mingying_db::{Db, DbError};
use mingying_kernel::Timestamp;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

#[derive(Debug, Default)]
pub(crate) struct Tally {
    seen: Mutex<HashMap<String, (u64, Timestamp)>>,
}

impl Tally {
    /// Notes that a registered peer was here and stored `received` objects.
    pub(crate) fn add(&self, aet: &str, received: u64, at: Timestamp) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.get_mut(aet) {
            Some(entry) => *entry = (entry.0 + received, at),
            None => {
                seen.insert(aet.to_owned(), (received, at));
            }
        }
    }

    /// Writes what was noted; on failure it is noted again.
    pub(crate) async fn flush(&self, db: &Db) -> Result<(), DbError> {
        let noted = std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner));
        if noted.is_empty() {
            return Ok(());
        }
        let written = async {
            // Figures for a list: losing the last seconds of them in a power cut is no harm.
            let mut tx = db.begin_replayable().await?;
            for (aet, (received, at)) in &noted {
                store::add_received(&mut tx, aet, *received, *at).await?;
            }
            tx.commit().await
        };
        let written = written.await;
        if written.is_err() {
            for (aet, (received, at)) in noted {
                self.add(&aet, received, at);
            }
        }
        written
    }
}
