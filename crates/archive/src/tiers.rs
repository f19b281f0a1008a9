//! Packs that nobody writes any more move to slower, larger places by rule: fast disk, large disk, object store.
//!
//! A pack is moved when all of it is indexed, so that a start never needs to read it. Where a pack lies changes nothing
//! for who reads an image, but that its place may be out of reach for a while.

use crate::store;
use crate::{Archive, ArchiveError};
use mingying_blob::{BlobError, PackHome, Tier};
use mingying_kernel::Timestamp;
use std::time::Duration;

/// When packs move.
#[derive(Debug, Clone, Copy)]
pub struct Tiering {
    /// A pack that has been full for so long leaves the fast disk.
    pub leave_fast: Duration,
    /// And the large disk.
    pub leave_large: Duration,
    /// With less than this free on the fast disk its oldest packs leave earlier, bytes; 0: never earlier.
    pub fast_free: u64,
    /// As `fast_free`, of the large disk.
    pub large_free: u64,
    /// Bytes a second that a move reads and writes; 0: as fast as the disk and the network.
    pub rate: u64,
    /// Whether the background check also reads what lies in the object store.
    pub check_objects: bool,
    /// With several nodes: a pack that was begun so long ago is ended, and a copy of it put into the object store, where
    /// the others find it. `None`: after a minute when there are others, else never. Zero: never.
    pub share_after: Option<Duration>,
}

impl Default for Tiering {
    fn default() -> Self {
        let days = |days: u64| Duration::from_hours(days * 24);
        Self {
            leave_fast: days(30),
            leave_large: days(365),
            fast_free: 0,
            large_free: 0,
            rate: 40 << 20,
            check_objects: true,
            share_after: None,
        }
    }
}

/// Packs and bytes on one tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TierStats {
    pub packs: u64,
    pub bytes: u64,
}

/// What the rule needs to know beside the packs.
struct Room {
    fast: u64,
    large: Option<u64>,
    has_large: bool,
    has_objects: bool,
}

/// The next pack to move and where to: the oldest one first.
fn due(packs: &[PackHome], rule: &Tiering, room: &Room, now: Timestamp) -> Option<(PackHome, Tier)> {
    let next = |tier| match tier {
        Tier::Fast if room.has_large => Some(Tier::Large),
        Tier::Fast | Tier::Large if room.has_objects => Some(Tier::Objects),
        _ => None,
    };
    let to = |pack: &PackHome| {
        let age = now.since(pack.sealed_at?);
        let to = next(pack.tier)?;
        let leaves = match pack.tier {
            Tier::Fast => age >= rule.leave_fast || room.fast < rule.fast_free,
            Tier::Large => age >= rule.leave_large || room.large.is_some_and(|free| free < rule.large_free),
            Tier::Objects => false,
        };
        // What is old enough for the object store need not be copied twice.
        let further = to == Tier::Large && age >= rule.leave_large && room.has_objects;
        leaves.then_some(if further { Tier::Objects } else { to })
    };
    packs.iter().find_map(|pack| to(pack).map(|to| (*pack, to)))
}

impl Archive {
    /// Moves the oldest pack that is due, if one is; how many bytes. Slowly, and slower still while images arrive.
    pub async fn move_packs(&self) -> Result<Option<u64>, ArchiveError> {
        let blobs = self.blobs();
        let room = Room {
            fast: blobs.free_space()?,
            large: blobs.free_space_large(),
            has_large: blobs.has_tier(Tier::Large),
            has_objects: blobs.has_tier(Tier::Objects),
        };
        if !room.has_large && !room.has_objects {
            return Ok(None);
        }
        blobs.sweep().await?;
        let indexed = store::checkpoints(self.db()).await?;
        let mut packs = blobs.homes();
        packs.retain(|pack| indexed.get(&pack.id).is_some_and(|to| *to >= pack.len));
        let rule = &self.settings().tiering;
        let Some((pack, to)) = due(&packs, rule, &room, self.clock().now()) else { return Ok(None) };
        let moved = blobs.move_pack(pack.id, to, |bytes| self.pace_at(bytes, rule.rate)).await?;
        tracing::info!(pack = pack.id, from = pack.tier.as_str(), to = to.as_str(), bytes = moved, "a pack moved");
        Ok(Some(moved))
    }

    /// Moves some packs that are due; whether more of them may be, and the last move did not fail.
    pub(crate) async fn tend_tiers(&self) -> bool {
        /// Moves in a row before other housework has its turn.
        const IN_A_ROW: usize = 8;
        for _ in 0..IN_A_ROW {
            match self.move_packs().await {
                Ok(Some(_)) => {}
                Ok(None) => return false,
                Err(error) => {
                    tracing::warn!(%error, "moving packs waits");
                    return false;
                }
            }
        }
        true
    }

    /// Packs and bytes on each tier, the fastest first.
    pub fn tier_stats(&self) -> [TierStats; 3] {
        let mut stats = [TierStats::default(); 3];
        for (tier, stats) in Tier::ALL.into_iter().zip(&mut stats) {
            for pack in self.blobs().homes().iter().filter(|pack| pack.tier == tier) {
                stats.packs += 1;
                stats.bytes += pack.len;
            }
        }
        stats
    }
}

/// Whether an error says that a tier is out of reach, and not that something is wrong with what lies there.
pub(crate) fn out_of_reach(error: &ArchiveError) -> bool {
    matches!(error, ArchiveError::Blob(BlobError::Unavailable))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 3600 * 1_000_000;

    fn pack(id: u64, tier: Tier, sealed: Option<i64>) -> PackHome {
        let sealed_at = sealed.map(|day| Timestamp::from_micros(day * DAY));
        PackHome { id, len: 1000, tier, sealed_at, shared: false, key: None }
    }

    fn room() -> Room {
        Room { fast: 1000, large: Some(1000), has_large: true, has_objects: true }
    }

    fn rule() -> Tiering {
        let days = |days: u64| Duration::from_hours(days * 24);
        Tiering { leave_fast: days(10), leave_large: days(100), fast_free: 500, large_free: 500, ..Tiering::default() }
    }

    fn at(day: i64, packs: &[PackHome], room: &Room) -> Option<(u64, Tier)> {
        due(packs, &rule(), room, Timestamp::from_micros(day * DAY)).map(|(pack, to)| (pack.id, to))
    }

    #[test]
    fn packs_move_by_age_one_tier_after_the_other_and_the_newest_never() {
        let packs = [pack(1, Tier::Large, Some(1)), pack(2, Tier::Fast, Some(80)), pack(3, Tier::Fast, None)];
        assert_eq!(at(85, &packs, &room()), None);
        assert_eq!(at(90, &packs, &room()), Some((2, Tier::Large)));
        assert_eq!(at(101, &packs, &room()), Some((1, Tier::Objects)));
        assert_eq!(at(500, &packs[1..], &room()), Some((2, Tier::Objects)), "at once, when it is old enough");
        let no_objects = Room { has_objects: false, ..room() };
        assert_eq!(at(500, &packs, &no_objects), Some((2, Tier::Large)));
        let no_large = Room { has_large: false, large: None, ..room() };
        assert_eq!(at(90, &packs[1..], &no_large), Some((2, Tier::Objects)));
        let nowhere = Room { has_objects: false, ..no_large };
        assert_eq!(at(500, &packs[1..], &nowhere), None);
    }

    #[test]
    fn a_disk_that_fills_up_gives_its_oldest_away_earlier() {
        let packs = [pack(1, Tier::Large, Some(1)), pack(2, Tier::Fast, Some(2)), pack(3, Tier::Fast, Some(3))];
        assert_eq!(at(4, &packs, &Room { fast: 499, ..room() }), Some((2, Tier::Large)));
        assert_eq!(at(4, &packs, &Room { large: Some(499), ..room() }), Some((1, Tier::Objects)));
        assert_eq!(at(4, &packs, &Room { large: None, ..room() }), None, "not mounted is not full");
    }
}
