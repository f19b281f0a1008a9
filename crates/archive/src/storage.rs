//! How the store is, for whoever runs it, and what that person can ask of it.

use crate::commit::STORE;
use crate::house::Compaction;
use crate::model::Damaged;
use crate::{Archive, ArchiveError, DerivedStats, ManageStorage, ReadStorage, store};
use mingying_access::{Outcome, audit};
use mingying_events::payload::archive::{StorageEnough, StorageShort};
use mingying_events::{About, emit};
use mingying_kernel::{Action, Ctx, OrgId, Permit, Timestamp};
use std::time::Duration;

/// Over how long the rate of growth is taken.
const WEEK: Duration = Duration::from_hours(7 * 24);
const DAY: Duration = Duration::from_hours(24);
/// Damaged places that are listed.
const DAMAGED: u32 = 200;

/// Whether the disk has room for images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Room {
    #[default]
    Enough,
    /// Below the bound of warning: somebody has to make room.
    Low,
    /// At the reserve: images are refused until there is room.
    Full,
}

impl Room {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enough => "enough",
            Self::Low => "low",
            Self::Full => "full",
        }
    }

    /// From free bytes, the bound of warning and the reserve. Once low, it is enough again a tenth above the bound: a
    /// disk at the bound does not warn with each image.
    fn of(free: u64, warning: u64, reserve: u64, before: Self) -> Self {
        let back = if before == Self::Enough { warning } else { warning.saturating_add(warning / 10) };
        match free {
            _ if free <= reserve => Self::Full,
            _ if free <= back => Self::Low,
            _ => Self::Enough,
        }
    }
}

/// The background check of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CheckProgress {
    /// Bytes read of the round that is under way, of `total`.
    pub done: u64,
    pub total: u64,
    /// When the last round ended; `None` while one is under way.
    pub ended: Option<Timestamp>,
    /// When the last step of a round was made.
    pub at: Option<Timestamp>,
}

/// What an organization holds, where a bound is set for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrgUse {
    pub org: OrgId,
    pub bytes: u64,
    pub bound: u64,
}

/// The state of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    pub packs: u64,
    pub pack_bytes: u64,
    pub free_bytes: u64,
    /// Storing is refused when it would leave less free.
    pub reserve_bytes: u64,
    /// Below this the store warns.
    pub warning_bytes: u64,
    pub room: Room,
    /// Received in a day, as the mean of the last seven days, or of those since the first image.
    pub bytes_per_day: u64,
    /// Damaged places that wait for a sound copy; at most 200 are listed.
    pub damaged: u64,
    pub damages: Vec<Damaged>,
    pub check: CheckProgress,
    /// Deletions that can still be taken back, with the bytes of their images.
    pub deletions: u64,
    pub deleted_bytes: u64,
    pub quarantined: u64,
    pub compaction: Compaction,
    pub derived: DerivedStats,
    pub organizations: Vec<OrgUse>,
}

impl Storage {
    /// Days until storing is refused at the present rate; `None` when nothing arrives.
    pub fn days_left(&self) -> Option<u64> {
        self.free_bytes.saturating_sub(self.reserve_bytes).checked_div(self.bytes_per_day)
    }
}

impl Archive {
    /// The state of the store.
    pub async fn storage(&self, _permit: &Permit<ReadStorage>) -> Result<Storage, ArchiveError> {
        let now = self.clock().now();
        let packs = self.blobs().packs();
        let pack_bytes = packs.iter().map(|pack| pack.len).sum();
        let place = store::scrub_place(self.db(), self.blobs().store()).await?;
        let before: u64 = packs.iter().filter(|pack| pack.id < place.pack).map(|pack| pack.len).sum();
        let waiting = store::waiting(self.db()).await?;
        let mut organizations = Vec::new();
        for (org, bound) in &self.settings().org_bytes {
            organizations.push(OrgUse { org: *org, bytes: store::bytes_of(self.db(), *org).await?, bound: *bound });
        }
        organizations.sort_by_key(|used| used.org);
        let free_bytes = self.blobs().free_space()?;
        let (warning_bytes, reserve_bytes) = (self.settings().warning, self.blobs().reserve());
        Ok(Storage {
            packs: packs.len() as u64,
            pack_bytes,
            free_bytes,
            reserve_bytes,
            warning_bytes,
            room: self.room_at(free_bytes),
            bytes_per_day: self.bytes_per_day(now).await?,
            damaged: waiting.damaged,
            damages: store::damages_waiting(self.db(), DAMAGED).await?,
            check: CheckProgress {
                done: if place.ended.is_some() { pack_bytes } else { (before + place.at).min(pack_bytes) },
                total: pack_bytes,
                ended: place.ended,
                at: place.stepped,
            },
            deletions: waiting.deletions,
            deleted_bytes: waiting.deleted_bytes,
            quarantined: waiting.quarantined,
            compaction: self.last_compaction().await?,
            derived: self.derived_folder().stats(),
            organizations,
        })
    }

    pub(crate) fn room_at(&self, free_bytes: u64) -> Room {
        Room::of(free_bytes, self.settings().warning, self.blobs().reserve(), self.calls().room())
    }

    async fn bytes_per_day(&self, now: Timestamp) -> Result<u64, ArchiveError> {
        let (bytes, first) = store::received_since(self.db(), now.minus(WEEK)).await?;
        let span = first.map_or(WEEK, |first| now.since(first)).clamp(DAY, WEEK);
        Ok((bytes as f64 / (span.as_secs_f64() / DAY.as_secs_f64())) as u64)
    }

    /// Begins the next round of the background check now, if none is under way.
    pub async fn check_now(&self, permit: &Permit<ManageStorage>) -> Result<(), ArchiveError> {
        let place = store::scrub_place(self.db(), self.blobs().store()).await?;
        if place.ended.is_some() {
            store::set_scrub_place(self.db(), self.blobs().store(), store::ScrubPlace::default()).await?;
        }
        self.note_asked(permit, "check").await?;
        self.calls().wake();
        Ok(())
    }

    /// Looks for packs to compact now, not only within the hour.
    pub async fn compact_now(&self, permit: &Permit<ManageStorage>) -> Result<(), ArchiveError> {
        self.note_asked(permit, "compact").await?;
        self.calls().ask_compaction();
        Ok(())
    }

    async fn note_asked(&self, permit: &Permit<ManageStorage>, what: &str) -> Result<(), ArchiveError> {
        let mut tx = self.db().begin().await?;
        audit(&mut tx, permit.ctx(), ManageStorage::NAME, "storage", what, Outcome::Done, "").await?;
        tx.commit().await?;
        Ok(())
    }

    /// Whether the disk has room now; a change is told to those who can make some. Call it every few seconds.
    pub async fn watch_room(&self, ctx: &Ctx) -> Result<Room, ArchiveError> {
        let free = self.blobs().free_space()?;
        let before = self.calls().room();
        let room = self.room_at(free);
        if room == before {
            return Ok(room);
        }
        let about = About::new("storage", "packs", self.settings().owner.org);
        let mut tx = self.db().begin().await?;
        if room == Room::Enough {
            emit(&mut tx, ctx, &about, &StorageEnough { free_bytes: free }).await?;
        } else {
            emit(&mut tx, ctx, &about, &StorageShort { full: room == Room::Full, free_bytes: free }).await?;
        }
        let outcome = if room == Room::Full { Outcome::Failed } else { Outcome::Done };
        audit(&mut tx, ctx, STORE, about.kind, &about.id, outcome, &format!("room.{}", room.as_str())).await?;
        tx.commit().await?;
        self.calls().set_room(room);
        match room {
            Room::Enough => tracing::info!(free, "the disk has room again"),
            Room::Low => tracing::warn!(free, "the disk is filling up"),
            Room::Full => tracing::error!(free, "the disk is at its reserve; images are refused"),
        }
        Ok(room)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_has_two_bounds_and_does_not_flutter() {
        let of = |free, before| Room::of(free, 100, 10, before);
        assert_eq!(
            [of(101, Room::Enough), of(100, Room::Enough), of(10, Room::Low)],
            [Room::Enough, Room::Low, Room::Full]
        );
        assert_eq!([of(11, Room::Full), of(110, Room::Low), of(111, Room::Low)], [Room::Low, Room::Low, Room::Enough]);
        assert_eq!(Room::of(5, 0, 10, Room::Enough), Room::Full, "a warning below the reserve warns of nothing");
        assert_eq!(Room::of(11, 0, 10, Room::Full), Room::Enough);
    }
}
