//! Every stored byte read again from time to time, and compared with what was written and with what the index says.
//!
//! What is damaged is healed from a replica: a folder with copies of the packs, such as a backup. The sound record is
//! appended to the log as a copy, and the rows point there; a damaged pack is never written. Without a replica the
//! damage is told, reads of what lies there fail, and nothing wrong is ever given out.

use crate::commit::Task;
use crate::log::{Said, said};
use crate::model::{Damaged, Verified};
use crate::record::{Address, CopyMeta};
use crate::store::{self, Claim};
use crate::tiers::out_of_reach;
use crate::{Archive, ArchiveError};
use mingying_blob::{BlobError, Blobs, Damage, Depth, Entry, Found, Kind, PackInfo, Scan, Tier};
use mingying_db::Db;
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// Records of one step.
const STEP: usize = 256;
/// Bytes of copies that share a sync and a transaction, and how many of them at most.
pub(crate) const TOGETHER: (u64, usize) = (16 << 20, 64);

/// What a step of the scrub did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scrubbed {
    /// So many bytes were read.
    Bytes(u64),
    /// A round is done, and the next one is not due.
    Idle,
}

impl Archive {
    /// Reads every stored object again, compares packs and index both ways, and heals what it can. Runs beside normal
    /// work, as fast as the disk allows.
    pub async fn verify(&self) -> Result<Verified, ArchiveError> {
        self.flush().await?;
        let mut verified = Verified::default();
        let packs = self.blobs().packs();
        for pack in &packs {
            let mut next = Some(0);
            while let Some(at) = next {
                next = match self.check(*pack, at, &mut verified).await {
                    Err(error) if out_of_reach(&error) => {
                        tracing::warn!(pack = pack.id, "a pack cannot be reached and is not checked");
                        verified.unreachable.push(pack.id);
                        None
                    }
                    // Compacted meanwhile: what lives in it lies in a later pack.
                    Err(ArchiveError::Blob(BlobError::NotFound))
                        if self.blobs().packs().iter().all(|there| there.id != pack.id) =>
                    {
                        None
                    }
                    next => next?,
                };
            }
        }
        self.check_missing(&mut verified).await?;
        Ok(verified)
    }

    /// The next piece of the background check. Its place is kept in the database, so that a restart goes on there.
    pub async fn scrub(&self) -> Result<Scrubbed, ArchiveError> {
        let now = self.clock().now();
        let mut place = store::scrub_place(self.db(), self.blobs().store()).await?;
        if let Some(ended) = place.ended {
            // A clock that ran ahead must not put the next round off.
            if ended <= now && now.since(ended) < self.settings().house.scrub_every {
                return Ok(Scrubbed::Idle);
            }
            place = store::ScrubPlace::default();
        }
        // Packs are never added before the newest: those behind the place are done.
        let checked = |tier| tier != Tier::Objects || self.settings().tiering.check_objects;
        let pack = self.blobs().homes().into_iter().find(|pack| pack.id >= place.pack && checked(pack.tier));
        let Some(pack) = pack.map(|pack| PackInfo { id: pack.id, len: pack.len }) else {
            self.check_missing(&mut Verified::default()).await?;
            store::set_scrub_place(
                self.db(),
                self.blobs().store(),
                store::ScrubPlace { ended: Some(now), stepped: Some(now), ..place },
            )
            .await?;
            return Ok(Scrubbed::Idle);
        };
        let at = if pack.id == place.pack { place.at } else { 0 };
        let mut found = Verified::default();
        let next = match self.check(pack, at, &mut found).await {
            // The others are not to wait for it; the next round looks at it again.
            Err(error) if out_of_reach(&error) => {
                tracing::warn!(pack = pack.id, "a pack cannot be reached and is not checked");
                None
            }
            next => next?,
        };
        let (place, upto) = match next {
            Some(next) => (store::ScrubPlace { pack: pack.id, at: next, ended: None, stepped: Some(now) }, next),
            None => (store::ScrubPlace { pack: pack.id + 1, at: 0, ended: None, stepped: Some(now) }, pack.len),
        };
        store::set_scrub_place(self.db(), self.blobs().store(), place).await?;
        Ok(Scrubbed::Bytes(upto.saturating_sub(at)))
    }

    /// Damaged places that were found, newest first: those that wait, and what became of the others.
    pub async fn damages(&self, limit: u32) -> Result<Vec<Damaged>, ArchiveError> {
        Ok(store::damages(self.db(), limit).await?)
    }

    /// Checks a piece of a pack from `at` on; where to go on.
    async fn check(&self, pack: PackInfo, at: u64, verified: &mut Verified) -> Result<Option<u64>, ArchiveError> {
        let mut scan = match self.piece(pack.id, pack.len, at).await {
            // Gone from where it was moved to, and not only out of reach.
            Err(error) if out_of_reach(&error) && !self.blobs().is_there(pack.id).await? => {
                self.note_missing(pack.id, verified).await?;
                return Ok(None);
            }
            scan => scan?,
        };
        let next = scan.next.filter(|next| *next < pack.len);
        // Records of a batch that is being written are not looked at: their rows are on the way.
        scan.records.retain(|found| found.next <= pack.len);
        let claims = store::claims(self.db(), pack.id, at, next.unwrap_or(pack.len)).await?;
        let sound: HashMap<u64, &Found> = scan.records.iter().map(|found| (found.location.record, found)).collect();
        let mut broken = scan.damaged.clone();
        for claim in &claims {
            verified.checked += 1;
            verified.bytes += claim.place.location.len;
            let here = claim.place.location.record;
            let holds = sound
                .get(&here)
                .is_some_and(|found| found.location == claim.place.location && found.sha256 == claim.place.sha256);
            if !holds && !broken.iter().any(|damage| (damage.from..damage.to).contains(&here)) {
                // Whole, but not what the row says.
                broken.push(Damage { from: here, to: claim.place.location.record_end() });
            }
        }
        let upto = next.unwrap_or(pack.len);
        for old in store::damage_between(self.db(), pack.id, at, upto).await? {
            if broken.iter().all(|damage| damage.to <= old.from || old.to <= damage.from) {
                tracing::info!(pack = pack.id, from = old.from, "what was damaged is sound");
                store::settle_damage(self.db(), pack.id, old.from, "healed", self.clock().now()).await?;
            }
        }
        for damage in broken {
            let hit: Vec<&Claim> =
                claims.iter().filter(|c| (damage.from..damage.to).contains(&c.place.location.record)).collect();
            self.damaged(pack.id, damage, "damaged", &hit, verified).await?;
        }
        let claimed: HashSet<u64> = claims.iter().map(|c| c.place.location.record).collect();
        for found in scan.records.into_iter().filter(|found| !claimed.contains(&found.location.record)) {
            if let Some(said) = said(found)
                && said.kind == Kind::Object
                && !store::is_known(self.db(), said.place.address).await?
            {
                verified.orphans += 1;
            }
        }
        Ok(next)
    }

    /// The records of a piece of a pack, and all that is not sound in it.
    pub(crate) async fn piece(&self, pack: u64, len: u64, at: u64) -> Result<Scan, ArchiveError> {
        let mut scan = self.blobs().scan(pack, at, STEP, Depth::Whole).await?;
        if scan.next.is_none() && scan.end < len {
            scan.damaged.push(Damage { from: scan.end, to: len });
        }
        Ok(scan)
    }

    /// Packs that rows point into and that are not there.
    async fn check_missing(&self, verified: &mut Verified) -> Result<(), ArchiveError> {
        // In this order: of a pack that is made meanwhile no row was told, one that is removed is in no row any more.
        let in_use = store::packs_in_use(self.db()).await?;
        if let Some(nodes) = self.nodes() {
            // A store is registered before any row points into it.
            nodes.look().await?;
        }
        for pack in in_use {
            if self.is_held_here(pack) && self.blobs().packs().iter().all(|there| there.id != pack) {
                self.note_missing(pack, verified).await?;
            }
        }
        Ok(())
    }

    /// All of a pack that is not where it should be, not only what rows point at: tombstones lie there as well.
    async fn note_missing(&self, pack: u64, verified: &mut Verified) -> Result<(), ArchiveError> {
        let claims = store::claims(self.db(), pack, 0, i64::MAX as u64).await?;
        let Some(last) = claims.iter().map(|claim| claim.place.location.record_end()).max() else { return Ok(()) };
        tracing::error!(pack, objects = claims.len(), "a pack is missing");
        verified.checked += claims.len() as u64;
        let to = store::checkpoints(self.db()).await?.get(&pack).map_or(last, |end| last.max(*end));
        let hit: Vec<&Claim> = claims.iter().collect();
        self.damaged(pack, Damage { from: 0, to }, "missing", &hit, verified).await
    }

    /// Notes a damaged place, and heals it when a replica has what was there.
    async fn damaged(
        &self,
        pack: u64,
        damage: Damage,
        what: &'static str,
        claims: &[&Claim],
        verified: &mut Verified,
    ) -> Result<(), ArchiveError> {
        if claims.is_empty() && store::is_settled(self.db(), pack, damage).await? {
            return Ok(());
        }
        let now = self.clock().now();
        let name = claims.first().map(|claim| claim.name.as_str()).unwrap_or_default();
        if store::note_damage(self.db(), pack, damage, what, name, now).await? {
            tracing::error!(pack, from = damage.from, to = damage.to, what, "stored bytes are not what was written");
        }
        let mut healed = HashSet::new();
        let mut whole = false;
        for replica in &self.settings().house.replicas {
            if !whole {
                whole = self.heal(pack, damage, claims, replica, &mut healed).await?;
            }
        }
        for claim in claims {
            if healed.contains(&claim.place.address) {
                verified.healed += 1;
            } else if what == "missing" {
                verified.missing.push(claim.name.clone());
            } else {
                verified.damaged += 1;
                verified.corrupt.push(claim.name.clone());
            }
        }
        let left = claims.iter().any(|claim| !healed.contains(&claim.place.address));
        if !left && whole {
            let state = if healed.is_empty() { "unused" } else { "healed" };
            store::settle_damage(self.db(), pack, damage.from, state, now).await?;
        }
        Ok(())
    }

    /// Appends what a replica holds at a damaged place and somebody needs, and adds its addresses to `healed`. Whether
    /// the replica is sound there from end to end, so that nothing that was there is unknown.
    async fn heal(
        &self,
        pack: u64,
        damage: Damage,
        claims: &[&Claim],
        replica: &Path,
        healed: &mut HashSet<Address>,
    ) -> Result<bool, ArchiveError> {
        let mut reach = damage.from.max(mingying_blob::FIRST_RECORD);
        let mut next = Some(damage.from);
        let mut copies = Vec::new();
        let mut bytes = 0;
        while let Some(at) = next {
            let scan = match self.blobs().scan_replica(replica, pack, at, damage.to, STEP).await {
                Ok(scan) => scan,
                Err(BlobError::NotFound) => return Ok(false),
                Err(error) => {
                    tracing::warn!(%error, pack, "a replica cannot be read");
                    return Ok(false);
                }
            };
            next = scan.next;
            for found in scan.records {
                if found.location.record == reach {
                    reach = found.next;
                }
                let Some(said) = said(found.clone()) else { continue };
                let address = said.place.address;
                if healed.contains(&address) || !self.is_needed(claims, &found, &said).await? {
                    continue;
                }
                match copy_of(self.blobs(), &found, &said, Some(replica)).await {
                    Ok(entry) => copies.push((entry, address)),
                    Err(BlobError::Corrupt(_)) => continue,
                    Err(error) => return Err(error.into()),
                }
                bytes += found.location.len;
                if copies.len() >= TOGETHER.1 || bytes >= TOGETHER.0 {
                    bytes = 0;
                    self.append_healed(std::mem::take(&mut copies), healed).await?;
                }
            }
        }
        if !copies.is_empty() {
            self.append_healed(copies, healed).await?;
        }
        if !healed.is_empty() {
            tracing::info!(pack, from = damage.from, records = healed.len(), "healed from a replica");
        }
        Ok(reach >= damage.to)
    }

    /// Whether a record that lay in a damaged place must be kept.
    async fn is_needed(&self, claims: &[&Claim], found: &Found, said: &Said) -> Result<bool, ArchiveError> {
        if said.kind != Kind::Object
            || claims.iter().any(|c| c.place.location == found.location && c.place.sha256 == found.sha256)
        {
            return Ok(true);
        }
        let known = store::is_known(self.db(), said.place.address).await?;
        if !known {
            // The index was made anew while its record could not be read. With the copy the log has it again.
            tracing::error!(
                pack = said.place.address.pack,
                "a replica has an object that is not in the index: rebuild it"
            );
        }
        Ok(!known)
    }

    async fn append_healed(
        &self,
        copies: Vec<(Entry, Address)>,
        healed: &mut HashSet<Address>,
    ) -> Result<(), ArchiveError> {
        let addresses: Vec<Address> = copies.iter().map(|(_, address)| *address).collect();
        self.ask(Task::Copies(copies), &self.house_ctx()).await?;
        healed.extend(addresses);
        Ok(())
    }

    /// Whether nobody can need what lay in a damaged place: it was healed, or it was an object that is dead or lies
    /// elsewhere. A tombstone is never dead.
    pub(crate) async fn is_dead(&self, pack: u64, damage: Damage) -> Result<bool, ArchiveError> {
        if damage.to <= mingying_blob::FIRST_RECORD {
            return Ok(true);
        }
        if !store::claims(self.db(), pack, damage.from, damage.to).await?.is_empty() {
            return Ok(false);
        }
        if store::is_settled(self.db(), pack, damage).await? {
            return Ok(true);
        }
        let frame = self.blobs().scan(pack, damage.from, 1, Depth::Frame).await?.records.into_iter().next();
        let here = frame.filter(|found| found.location.record == damage.from && found.next == damage.to);
        match here.and_then(said).filter(|said| said.kind == Kind::Object) {
            Some(said) => Ok(store::is_known(self.db(), said.place.address).await?),
            None => Ok(false),
        }
    }
}

/// How many damaged places in packs wait for a sound copy; for the installation's own check, without an open archive.
pub async fn damage_waiting(db: &Db) -> Result<u64, ArchiveError> {
    Ok(store::damage_waiting(db).await?)
}

/// A record to be appended again, whole, from this store or a replica of it.
pub(crate) async fn copy_of(
    blobs: &Blobs,
    found: &Found,
    said: &Said,
    replica: Option<&Path>,
) -> Result<Entry, BlobError> {
    let staged = blobs.stage_again(found, replica).await?;
    let corrupt = |_| BlobError::Corrupt("meta of a record");
    let meta = CopyMeta {
        v: 1,
        address: said.place.address,
        kind: said.kind.code(),
        meta: String::from_utf8(said.meta.clone()).map_err(|_| BlobError::Corrupt("meta of a record"))?,
    };
    Ok(Entry { kind: Kind::Copy, meta: serde_json::to_vec(&meta).map_err(corrupt)?, staged })
}
