//! From the packs into the index: what a power cut took from the database, or all of it into an empty one.
//!
//! The log is read in the order of addresses, which is the order in which its records were first written. A copy that
//! compaction or healing made stands at the address of its original, so that a rebuilt index does not depend on what
//! was compacted when.

use crate::ArchiveError;
use crate::log::{BATCH, Logged, Said, Step, Telling, apply, apply_moves, apply_objects, context_of, said};
use crate::model::Owner;
use crate::nodes::Kind as StoreKind;
use crate::record::{Address, Arrived, TombstoneMeta};
use crate::store::{self, Keys};
use crate::tell::tell_stored;
use mingying_access::audit;
use mingying_blob::{Blobs, Depth, Kind, Location};
use mingying_db::Db;
use mingying_events::payload::archive::InstancesStored;
use mingying_kernel::{Ctx, OrgId};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What a replay did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Records read.
    pub records: u64,
    /// Records that were damaged or not ours to read.
    pub skipped: u64,
}

/// Makes the archive's tables again from the packs alone, in place of what they hold. Nothing may use the archive
/// meanwhile. What was deleted or held back stays so.
///
/// Events and audit rows of what is replayed are written only into a database that has never had them, where the tables
/// were empty. An object of an organization that is not among `orgs` goes to `fallback`: a new database has made a new
/// one. After an interruption, call it again.
pub async fn rebuild(
    db: &Db,
    blobs: &Blobs,
    ctx: &Ctx,
    orgs: &[OrgId],
    fallback: &Owner,
) -> Result<Replayed, ArchiveError> {
    let own = blobs.store();
    if let Some(other) =
        store::stores(db).await?.iter().find(|row| row.kind == StoreKind::Originals && row.store != own)
    {
        return Err(ArchiveError::OtherStores { folder: other.folder.display().to_string() });
    }
    store::forget_nodes(db).await?;
    let mut tx = db.begin().await?;
    store::clear(&mut tx).await?;
    audit(&mut tx, ctx, "archive.rebuild", "archive", "packs", mingying_access::Outcome::Done, "rebuild").await?;
    tx.commit().await?;
    let adopt = |owner: &mut Owner| {
        if !orgs.contains(&owner.org) {
            owner.clone_from(fallback);
        }
    };
    replay_as(db, blobs, ctx, None, &adopt).await
}

/// Replays every pack from its checkpoint. The same records give the same rows. `holder` is the session of the node that
/// holds the store.
pub(crate) async fn replay(db: &Db, blobs: &Blobs, ctx: &Ctx, holder: Option<&str>) -> Result<Replayed, ArchiveError> {
    replay_as(db, blobs, ctx, holder, &|_| {}).await
}

async fn replay_as(
    db: &Db,
    blobs: &Blobs,
    ctx: &Ctx,
    holder: Option<&str>,
    adopt: &(dyn Fn(&mut Owner) + Sync),
) -> Result<Replayed, ArchiveError> {
    // A power cut may have brought back the file of a pack that was removed.
    for pack in store::removed_packs(db).await? {
        if blobs.packs().iter().any(|there| there.id == pack) {
            blobs.remove(pack).await?;
        }
    }
    let telling = Telling { ctx, silent: store::is_rebuilding(db).await?, again: true };
    let checkpoints = store::checkpoints(db).await?;
    // An index that is made from nothing cannot tell what a power cut tore lately from what rotted.
    let torn = blobs.newest().filter(|_| !checkpoints.is_empty());
    let keys = Keys::in_blocks_of(1024).of(holder);
    let mut walk = Walk { db, blobs, telling, adopt, keys, torn, done: Replayed::default() };
    let copies = walk.new_copies(&checkpoints).await?;
    let present: BTreeMap<u64, u64> = blobs.packs().into_iter().map(|pack| (pack.id, pack.len)).collect();
    let packs: BTreeSet<u64> = present.keys().copied().chain(copies.keys().map(|address| address.pack)).collect();
    for pack in packs {
        let from = checkpoints.get(&pack).copied().unwrap_or(0);
        let own = |range: std::ops::Range<u64>| {
            let at = |record| Address { pack, record };
            copies.range(at(range.start)..at(range.end)).map(|(address, places)| (*address, places.clone()))
        };
        // What is indexed already has only changed its place.
        walk.move_all(own(0..from).collect()).await?;
        walk.pack(pack, from, present.contains_key(&pack), own(from..u64::MAX).collect()).await?;
    }
    if telling.silent {
        store::end_rebuild(db).await?;
    } else {
        tell_lost(db, ctx, blobs.store()).await?;
    }
    Ok(walk.done)
}

/// Copies by the address of their original, oldest first.
type Copies = BTreeMap<Address, Vec<Address>>;

struct Walk<'a> {
    db: &'a Db,
    blobs: &'a Blobs,
    telling: Telling<'a>,
    adopt: &'a (dyn Fn(&mut Owner) + Sync),
    keys: Keys,
    /// The pack behind whose checkpoint a power cut may have torn what nobody was told of.
    torn: Option<u64>,
    done: Replayed,
}

impl Walk<'_> {
    /// The copies that no checkpoint covers.
    async fn new_copies(&self, checkpoints: &HashMap<u64, u64>) -> Result<Copies, ArchiveError> {
        let mut copies = Copies::new();
        for pack in self.blobs.packs() {
            let from = checkpoints.get(&pack.id).copied().unwrap_or(0);
            self.blobs.settle(pack.id, from).await?;
            let mut next = Some(from);
            while let Some(at) = next {
                let scan = self.blobs.scan(pack.id, at, 4096, Depth::Frame).await?;
                next = scan.next;
                for found in scan.records.into_iter().filter(|found| found.kind == Kind::Copy) {
                    let copy = Address::of(found.location);
                    if let Some(said) = said(found) {
                        copies.entry(said.place.address).or_default().push(copy);
                    }
                }
            }
        }
        Ok(copies)
    }

    /// The newest sound one of these copies.
    async fn newest(&mut self, copies: &[Address]) -> Result<Option<Said>, ArchiveError> {
        for copy in copies.iter().rev() {
            match self.blobs.record(copy.pack, copy.record).await {
                Ok(found) => {
                    self.done.records += 1;
                    return Ok(said(found));
                }
                Err(mingying_blob::BlobError::Corrupt(_)) => self.done.skipped += 1,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    async fn move_all(&mut self, copies: Vec<(Address, Vec<Address>)>) -> Result<(), ArchiveError> {
        let mut moves: Vec<(Address, Location)> = Vec::new();
        for (address, copies) in copies {
            if let Some(said) = self.newest(&copies).await? {
                moves.push((address, said.place.location));
            }
        }
        for moves in moves.chunks(BATCH) {
            apply_moves(self.db, &self.keys, moves, None).await?;
        }
        Ok(())
    }

    /// The records with an address in this pack, in order: those in its file, and copies of those that are there no
    /// more or damaged.
    async fn pack(
        &mut self,
        pack: u64,
        from: u64,
        present: bool,
        copies: Vec<(Address, Vec<Address>)>,
    ) -> Result<(), ArchiveError> {
        let mut copies = copies.into_iter().peekable();
        let mut end = from;
        let mut next = present.then_some(from);
        while let Some(at) = next {
            let scan = self.blobs.scan(pack, at, BATCH, Depth::Whole).await?;
            next = scan.next;
            end = end.max(scan.end);
            self.done.records += scan.records.len() as u64;
            self.done.skipped += scan.damaged.len() as u64;
            for damage in scan.damaged.iter().filter(|_| self.torn == Some(pack)) {
                store::note_torn(self.db, pack, *damage, self.telling.ctx.now()).await?;
            }
            let mut batch = Vec::new();
            for found in scan.records {
                while let Some((_, places)) = copies.next_if(|(address, _)| address.record < found.location.record) {
                    batch.extend(self.newest(&places).await?);
                }
                if found.kind == Kind::Copy {
                    continue;
                }
                let copied = copies.next_if(|(address, _)| address.record == found.location.record);
                let copied = match copied {
                    Some((_, places)) => self.newest(&places).await?,
                    None => None,
                };
                batch.extend(copied.or_else(|| said(found)));
            }
            if next.is_none() {
                for (_, places) in copies.by_ref() {
                    batch.extend(self.newest(&places).await?);
                }
            }
            if !batch.is_empty() || end > at {
                self.take(batch, Address { pack, record: end }).await?;
            }
        }
        // The pack itself is gone.
        let mut batch = Vec::new();
        for (address, places) in copies {
            batch.extend(self.newest(&places).await?);
            if batch.len() == BATCH {
                self.take(std::mem::take(&mut batch), Address { record: address.record + 1, ..address }).await?;
            }
        }
        if let Some(last) = batch.last() {
            let record = last.place.address.record + 1;
            self.take(batch, Address { pack, record }).await?;
        }
        if present {
            self.blobs.resume(pack, end).await?;
        }
        Ok(())
    }

    /// Takes records into the index and moves the checkpoint behind them.
    async fn take(&mut self, records: Vec<Said>, checkpoint: Address) -> Result<(), ArchiveError> {
        let blobs = self.blobs.clone();
        let read = move || {
            let logged = |said: &Said| Logged { address: said.place.address, end: said.end, step: said.step(&blobs) };
            records.iter().map(logged).collect::<Vec<_>>()
        };
        let records = tokio::task::spawn_blocking(read).await.map_err(|_| ArchiveError::Closed)?;
        let mut objects: Vec<Arrived> = Vec::new();
        for logged in records {
            let here = logged.address;
            match logged.step {
                Step::Object(mut item) => {
                    (self.adopt)(&mut item.meta.owner);
                    objects.push(*item);
                }
                Step::Unknown => self.done.skipped += 1,
                _ => {
                    self.take_objects(&mut objects, here).await?;
                    self.take_other(logged).await?;
                }
            }
        }
        self.take_objects(&mut objects, checkpoint).await
    }

    async fn take_objects(&mut self, objects: &mut Vec<Arrived>, checkpoint: Address) -> Result<(), ArchiveError> {
        apply_objects(self.db, &mut self.keys, self.telling, std::mem::take(objects), checkpoint).await
    }

    async fn take_other(&mut self, mut logged: Logged) -> Result<(), ArchiveError> {
        if let Step::Relink(meta) = &mut logged.step {
            (self.adopt)(&mut meta.object.owner);
        }
        let by = match &logged.step {
            Step::Tombstone(TombstoneMeta::Objects(meta)) => Some(&meta.by),
            Step::Revoke(meta) | Step::Purge(meta) => Some(&meta.by),
            _ => None,
        };
        let ctx = by.map_or_else(|| self.telling.ctx.clone(), |by| context_of(by, self.telling.ctx.clock()));
        let telling = Telling { ctx: &ctx, ..self.telling };
        apply(self.db, self.blobs, &mut self.keys, telling, &logged).await?;
        Ok(())
    }
}

/// Tells of instances that no event has told about.
async fn tell_lost(db: &Db, ctx: &Ctx, store: u32) -> Result<(), ArchiveError> {
    let lost = store::unannounced(db, store).await?;
    if lost.is_empty() {
        return Ok(());
    }
    let mut tx = db.begin_replayable().await?;
    for (study, added, source) in lost {
        let payload = InstancesStored {
            study_uid: study.study_uid.clone(),
            accession: study.accession.clone(),
            patient_id: study.patient_id.clone(),
            patient_id_issuer: study.patient_id_issuer.clone(),
            added,
            total: study.instances,
            series: Vec::new(),
            source,
        };
        tell_stored(&mut tx, ctx, &study, &payload).await?;
        store::announced(&mut tx, study.key).await?;
    }
    Ok(tx.commit().await?)
}
