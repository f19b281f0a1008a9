//! What keeps the store in order beside normal work: the background check, compaction
//! and moves to slower tiers, slowly and politely.

use crate::scrub::Scrubbed;
use crate::storage::Room;
use crate::{Archive, ArchiveError, Compacted, store};
use mingying_kernel::Timestamp;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// How often compaction is looked at.
const COMPACT_EVERY: Duration = Duration::from_hours(1);
/// How often it is asked whether the next round of the check is due, and whether a busy moment has passed.
const LOOK_EVERY: Duration = Duration::from_mins(1);
pub(crate) const MOMENT: Duration = Duration::from_millis(250);
/// Longest wait for a quiet moment: where images never stop arriving, what is not checked is not healed either.
const PATIENCE: u32 = 20;

/// How the archive keeps its store in order.
#[derive(Debug, Clone)]
pub struct Housekeeping {
    /// Folders with copies of the packs, such as backups: damage is healed from them.
    pub replicas: Vec<PathBuf>,
    /// Bytes a second that checking and compaction read together; 0: as fast as the disk.
    pub rate: u64,
    /// From the end of one check of everything to the begin of the next.
    pub scrub_every: Duration,
    /// A sealed pack whose living share is smaller is rewritten; 0 to 1.
    pub live_share: f64,
    /// How long what was deleted can be brought back.
    pub keep_deleted: Duration,
    /// Sealed packs that are not encrypted as new ones are, are rewritten.
    pub reencrypt: bool,
}

impl Default for Housekeeping {
    fn default() -> Self {
        Self {
            replicas: Vec::new(),
            rate: 20 << 20,
            scrub_every: Duration::from_hours(7 * 24),
            live_share: 0.5,
            keep_deleted: Duration::from_hours(30 * 24),
            reencrypt: false,
        }
    }
}

/// What people asked of whoever keeps house, and what that one remembers.
#[derive(Default)]
pub(crate) struct Calls {
    wake: Notify,
    compact: AtomicBool,
    compacting: AtomicBool,
    /// As it was last told.
    room: Mutex<Room>,
}

impl Calls {
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    pub fn ask_compaction(&self) {
        self.compact.store(true, Ordering::Release);
        self.wake();
    }

    pub fn room(&self) -> Room {
        *self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_room(&self, room: Room) {
        *self.room.lock().unwrap_or_else(PoisonError::into_inner) = room;
    }
}

/// The last look for packs to compact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Compaction {
    /// One is asked for or under way in this process.
    pub running: bool,
    /// `None`: there was none yet.
    pub ended: Option<Timestamp>,
    pub done: Compacted,
}

impl Archive {
    /// Checks, compacts and moves packs until it is dropped, which it may be at any moment.
    pub async fn keep_house(&self) {
        let mut compacted = tokio::time::Instant::now();
        let mut look_at_tiers = tokio::time::Instant::now();
        loop {
            if look_at_tiers <= tokio::time::Instant::now() && !self.tend_tiers().await {
                look_at_tiers = tokio::time::Instant::now() + LOOK_EVERY;
            }
            match self.scrub().await {
                Ok(Scrubbed::Bytes(bytes)) => self.pace(bytes).await,
                Ok(Scrubbed::Idle) => self.rest().await,
                Err(error) => {
                    tracing::warn!(%error, "the background check waits");
                    self.rest().await;
                }
            }
            if self.calls().compact.swap(false, Ordering::AcqRel) || compacted.elapsed() >= COMPACT_EVERY {
                compacted = tokio::time::Instant::now();
                if let Err(error) = self.compact_and_note().await {
                    tracing::warn!(%error, "compaction waits");
                }
            }
        }
    }

    /// Until the next look, or until somebody asks for something.
    async fn rest(&self) {
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = self.calls().wake.notified() => {}
        }
    }

    async fn compact_and_note(&self) -> Result<(), ArchiveError> {
        self.calls().compacting.store(true, Ordering::Release);
        let done = self.compact().await;
        self.calls().compacting.store(false, Ordering::Release);
        store::note_compaction(self.db(), done?, self.clock().now()).await?;
        Ok(())
    }

    pub(crate) async fn last_compaction(&self) -> Result<Compaction, ArchiveError> {
        let (ended, done) = store::last_compaction(self.db()).await?;
        let calls = self.calls();
        let running = calls.compacting.load(Ordering::Acquire) || calls.compact.load(Ordering::Acquire);
        Ok(Compaction { running, ended, done })
    }

    /// Waits as long as reading so many bytes may take, and for a moment without images, but not for ever.
    pub(crate) async fn pace(&self, bytes: u64) {
        self.pace_at(bytes, self.settings().house.rate).await;
    }

    /// As `pace`, at another rate.
    pub(crate) async fn pace_at(&self, bytes: u64, rate: u64) {
        if rate == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_secs_f64(bytes as f64 / rate as f64)).await;
        quiet(MOMENT, || self.arrivals()).await;
    }
}

async fn quiet(moment: Duration, arrivals: impl Fn() -> u64) {
    for _ in 0..PATIENCE {
        let before = arrivals();
        tokio::time::sleep(moment).await;
        if arrivals() == before {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[tokio::test]
    async fn a_store_that_is_never_quiet_is_checked_all_the_same() {
        let sent = AtomicU64::new(0);
        // An image each time somebody looks.
        quiet(Duration::ZERO, || sent.fetch_add(1, Ordering::Relaxed)).await;
        assert_eq!(sent.load(Ordering::Relaxed), 2 * u64::from(PATIENCE));
    }
}
