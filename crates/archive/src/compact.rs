//! Packs in which little is alive are copied on and removed; so are those that are to be encrypted, or under another key.
//!
//! Each step leaves the archive whole. Copies are appended and synced; the rows move to them in one transaction with
//! the checkpoint; when no row needs the pack any more, a synced transaction says that it is removed; then its file
//! goes. A reader that still has the old place finds no file there and asks the index again.

use crate::commit::Task;
use crate::log::{Applied, Step, said};
use crate::record::{AboutTombstoneMeta, Doer};
use crate::scrub::{TOGETHER, copy_of};
use crate::store;
use crate::tiers::out_of_reach;
use crate::{Archive, ArchiveError};
use mingying_blob::Kind;
use mingying_kernel::Ctx;
use std::collections::HashMap;
use std::sync::Arc;

/// Header, meta, checksums and trailer of a record, about: a little too much rather than too little.
const FRAME: u64 = 700;

/// What compaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Compacted {
    /// Deletions that can no longer be taken back.
    pub purged: u64,
    pub packs: u64,
    /// Bytes that are free now.
    pub freed: u64,
}

impl Archive {
    /// Ends what was deleted long enough ago, and rewrites sealed packs that are mostly dead or damaged, or encrypted
    /// otherwise than new ones where that is wanted.
    pub async fn compact(&self) -> Result<Compacted, ArchiveError> {
        let mut done = Compacted { purged: self.purge().await?, ..Compacted::default() };
        let living: HashMap<u64, (u64, u64)> = store::living(self.db()).await?;
        let damaged = store::damaged_packs(self.db()).await?;
        for pack in self.blobs().sealed().await? {
            let (objects, bytes) = living.get(&pack.id).copied().unwrap_or_default();
            let alive = (bytes + objects * FRAME) as f64;
            let worth = alive < self.settings().house.live_share * (pack.len + pack.void) as f64
                || pack.void > 0
                || damaged.contains(&pack.id)
                || (self.settings().house.reencrypt && !pack.current);
            if !worth || pack.guards {
                continue;
            }
            let compacted =
                async { Ok(self.is_accounted_for(pack.id).await? && self.compact_pack(pack.id, pack.len).await?) };
            match compacted.await {
                Ok(true) => {
                    done.packs += 1;
                    done.freed += (pack.len + pack.void).saturating_sub(bytes);
                }
                Ok(false) => {}
                Err(error) if out_of_reach(&error) => tracing::warn!(pack = pack.id, "compaction passes over a pack"),
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    /// Tells the log of each deletion that it can no longer be taken back.
    async fn purge(&self) -> Result<u64, ArchiveError> {
        let (now, ctx) = (self.clock().now(), self.house_ctx());
        let mut purged = 0;
        loop {
            let old = store::old_deletions(self.db(), now.minus(self.settings().house.keep_deleted), 100).await?;
            if old.is_empty() {
                return Ok(purged);
            }
            for tombstone in old {
                let meta = AboutTombstoneMeta { v: 1, at: now, by: Doer::of(&ctx), tombstone };
                if let Applied::Nothing = self.log(Kind::Purge, &meta, &ctx, Step::Purge).await? {
                    return Ok(purged);
                }
                purged += 1;
            }
        }
    }

    /// Whether it is known of all damage in a pack that nobody needs what was there: a damaged tombstone that went with
    /// its pack would bring back what it deleted.
    async fn is_accounted_for(&self, pack: u64) -> Result<bool, ArchiveError> {
        for damage in store::damage_between(self.db(), pack, 0, i64::MAX as u64).await? {
            if !self.is_dead(pack, damage).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Copies what lives in a sealed pack and removes it. `false` when something in it may live that cannot be copied.
    async fn compact_pack(&self, pack: u64, len: u64) -> Result<bool, ArchiveError> {
        let ctx = self.house_ctx();
        let mut next = Some(0);
        let mut copies = Vec::new();
        let mut bytes = 0;
        while let Some(at) = next {
            let scan = self.piece(pack, len, at).await?;
            next = scan.next;
            for damage in scan.damaged {
                if !self.is_dead(pack, damage).await? {
                    store::note_damage(self.db(), pack, damage, "damaged", "", self.clock().now()).await?;
                    tracing::error!(pack, from = damage.from, to = damage.to, "a damaged pack is not compacted");
                    return Ok(false);
                }
            }
            let claims = store::claims(self.db(), pack, at, next.unwrap_or(len)).await?;
            let claims: HashMap<u64, _> = claims.iter().map(|c| (c.place.location.record, c.place)).collect();
            for found in scan.records {
                let Some(said) = said(found.clone()) else { return Ok(false) };
                let lives = match claims.get(&found.location.record) {
                    Some(claim) => claim.location == found.location && claim.sha256 == found.sha256,
                    // What the log says of other records is kept; and an object that no row knows is not ours to drop.
                    None => said.kind != Kind::Object || !store::is_known(self.db(), said.place.address).await?,
                };
                if lives {
                    bytes += found.location.len;
                    copies.push((copy_of(self.blobs(), &found, &said, None).await?, said.place.address));
                }
                if copies.len() >= TOGETHER.1 || bytes >= TOGETHER.0 || (next.is_none() && found.next >= len) {
                    self.ask(Task::Copies(std::mem::take(&mut copies)), &ctx).await?;
                    self.pace(std::mem::take(&mut bytes)).await;
                }
            }
        }
        if !copies.is_empty() {
            self.ask(Task::Copies(copies), &ctx).await?;
        }
        // A backup that is being made may still be reading this pack.
        let _no_backup = self.packs_stay().write().await;
        match self.ask(Task::Retire(pack), &ctx).await? {
            Applied::Done => {
                self.blobs().remove(pack).await?;
                tracing::info!(pack, "a pack was compacted");
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    pub(crate) fn house_ctx(&self) -> Ctx {
        Ctx::system("archive", Arc::new(crate::Nothing), self.clock().clone())
    }
}
