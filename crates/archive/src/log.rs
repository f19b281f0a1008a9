//! The records of the log, and what each of them does to the index. Live work and replay use the same functions, so that
//! the same log gives the same index.

use crate::describe::Described;
use crate::header::Defect;
use crate::model::{Deletion, DeletionState, Ingested};
use crate::record::{
    AboutTombstoneMeta, Address, Arrived, CopyMeta, DeletionMeta, Doer, ObjectMeta, Place, RelinkMeta, TombstoneMeta,
    describe_stored,
};
use crate::store::{self, Keys, Outcome};
use crate::tell::{tell_aside, tell_restored, tell_stored_now};
use crate::{ArchiveError, DeleteStudies, ManageQuarantine, Nothing};
use mingying_access::audit;
use mingying_blob::{BlobError, Blobs, Found, Kind, Location};
use mingying_db::{Db, DbError, Tx};
use mingying_events::payload::archive::{DeletionPurged, InstancesDeleted, QuarantineDeleted, QuarantineReleased};
use mingying_events::{About, Payload, emit};
use mingying_kernel::{Action, Actor, Ctx, SharedClock};
use std::sync::Arc;

/// Objects of one transaction.
pub(crate) const BATCH: usize = 256;

/// A record of the log, read.
pub(crate) struct Logged {
    pub address: Address,
    /// The checkpoint once it is in the index.
    pub end: Address,
    pub step: Step,
}

/// What a record asks for.
pub(crate) enum Step {
    Object(Box<Arrived>),
    /// A quarantined object that was indexed later.
    Relink(Box<RelinkMeta>),
    Tombstone(TombstoneMeta),
    Revoke(AboutTombstoneMeta),
    Purge(AboutTombstoneMeta),
    /// Damaged, or not ours to read.
    Unknown,
}

/// What applying a step did.
#[derive(Debug)]
pub(crate) enum Applied {
    /// Nothing was there to change.
    Nothing,
    Stored(Ingested),
    /// A quarantined object stays where it is.
    StillHeld(Defect),
    Deleted(Deletion),
    /// Its state tells whether all of it is back.
    Restored(Deletion),
    Done,
}

/// Who does it, and tells of what is done, if anybody: a rebuild must not tell a second time what was told long ago.
#[derive(Clone, Copy)]
pub(crate) struct Telling<'a> {
    pub ctx: &'a Ctx,
    pub silent: bool,
    /// Whether it is done from the log, perhaps again.
    pub again: bool,
}

/// A record without the copy that it may be wrapped in.
pub(crate) struct Said {
    pub place: Place,
    /// Behind the record, or as far as is known: the checkpoint once it is in the index.
    pub end: Address,
    pub kind: Kind,
    pub meta: Vec<u8>,
}

/// What a record says. `None` when it is a copy whose meta is not ours to read.
pub(crate) fn said(found: Found) -> Option<Said> {
    let Found { kind, meta, head_len, location, sha256, next } = found;
    if kind != Kind::Copy {
        let place = Place { address: Address::of(location), location, head_len, sha256 };
        return Some(Said { place, end: Address { pack: location.pack, record: next }, kind, meta });
    }
    let copy: CopyMeta = serde_json::from_slice(&meta).ok()?;
    let kind = Kind::from_code(copy.kind).filter(|kind| *kind != Kind::Copy)?;
    let place = Place { address: copy.address, location, head_len, sha256 };
    let end = Address { record: copy.address.record + 1, ..copy.address };
    Some(Said { place, end, kind, meta: copy.meta.into_bytes() })
}

impl Said {
    /// Reads the record's meaning; an object is described, which blocks on the disk.
    pub fn step(&self, blobs: &Blobs) -> Step {
        match self.kind {
            Kind::Object => self.arrived(blobs).map_or(Step::Unknown, |item| Step::Object(Box::new(item))),
            Kind::Tombstone => serde_json::from_slice(&self.meta).map_or(Step::Unknown, Step::Tombstone),
            Kind::Relink => serde_json::from_slice(&self.meta).map_or(Step::Unknown, Step::Relink),
            Kind::Revoke => serde_json::from_slice(&self.meta).map_or(Step::Unknown, Step::Revoke),
            Kind::Purge => serde_json::from_slice(&self.meta).map_or(Step::Unknown, Step::Purge),
            Kind::Coercion | Kind::Copy => Step::Unknown,
        }
    }

    pub fn object_meta(&self) -> Option<ObjectMeta> {
        serde_json::from_slice(&self.meta).ok()
    }

    fn arrived(&self, blobs: &Blobs) -> Option<Arrived> {
        let meta = self.object_meta()?;
        let what = match meta.defect.as_deref() {
            Some(reason) => Err(Defect::parse(reason).unwrap_or(Defect::Unreadable)),
            None => describe_stored(blobs, &self.place, &meta.file),
        };
        Some(Arrived { meta, place: self.place, what })
    }
}

/// Whether an error lies in what is written, not in the way to the database: it will come again.
pub(crate) fn is_refusal(error: &DbError) -> bool {
    matches!(error, DbError::Other(_) | DbError::Column(_) | DbError::Unique { .. })
}

/// Puts replayed objects into the index. One that it refuses goes into quarantine.
pub(crate) async fn apply_objects(
    db: &Db,
    keys: &mut Keys,
    telling: Telling<'_>,
    items: Vec<Arrived>,
    checkpoint: Address,
) -> Result<(), ArchiveError> {
    match index_all(db, keys, telling, &items, Some(checkpoint)).await {
        Err(error) if is_refusal(&error) => {}
        done => return Ok(done?),
    }
    // One of them cannot be indexed: alone, each shows which.
    for mut item in items {
        match index_all(db, keys, telling, std::slice::from_ref(&item), None).await {
            Err(error) if is_refusal(&error) => {
                tracing::error!(%error, "a replayed object cannot be indexed");
                item.what = Err(Defect::IndexFailed);
                index_all(db, keys, telling, std::slice::from_ref(&item), None).await?;
            }
            done => done?,
        }
    }
    index_all(db, keys, telling, &[], Some(checkpoint)).await?;
    Ok(())
}

async fn index_all(
    db: &Db,
    keys: &mut Keys,
    telling: Telling<'_>,
    items: &[Arrived],
    checkpoint: Option<Address>,
) -> Result<(), DbError> {
    let done = async {
        let mut tx = db.begin_replayable().await?;
        let changes = store::index(&mut tx, keys, items).await?;
        if !telling.silent {
            let contexts = vec![telling.ctx.clone(); items.len()];
            tell_aside(&mut tx, items, &contexts, &changes).await?;
        }
        if let Some(at) = checkpoint {
            store::checkpoint(&mut tx, keys, at.pack, at.record).await?;
        }
        keys.commit(tx).await
    }
    .await;
    if done.is_err() {
        keys.forget();
    }
    done
}

/// Does what a record other than an object asks for, and moves the checkpoint behind it, in one synced transaction.
/// Doing it again changes nothing. A record whose values the database refuses is passed over, now and in every replay;
/// any other fault of the database is not the record's, and what was not done now must not come true in a rebuild.
pub(crate) async fn apply(
    db: &Db,
    blobs: &Blobs,
    keys: &mut Keys,
    telling: Telling<'_>,
    logged: &Logged,
) -> Result<Applied, ArchiveError> {
    let checkpoint = logged.end;
    let done = match &logged.step {
        Step::Relink(meta) => relink(db, blobs, keys, telling, meta, checkpoint).await,
        Step::Tombstone(TombstoneMeta::Record { target, .. }) => {
            drop_quarantined(db, keys, telling, target.address(), checkpoint).await
        }
        Step::Tombstone(TombstoneMeta::Objects(meta)) => {
            delete(db, keys, telling, logged.address, meta, checkpoint).await
        }
        Step::Revoke(meta) => revoke(db, blobs, keys, telling, meta, checkpoint).await,
        Step::Purge(meta) => purge(db, keys, telling, meta, checkpoint).await,
        Step::Object(_) | Step::Unknown => pass_over(db, keys, checkpoint).await,
    };
    match done {
        Err(ArchiveError::Db(error)) if error.is_about_values() => {
            tracing::error!(%error, pack = logged.address.pack, at = logged.address.record, "a record is passed over");
            keys.forget();
            pass_over(db, keys, checkpoint).await
        }
        Err(error) => {
            keys.forget();
            Err(error)
        }
        done => done,
    }
}

async fn pass_over(db: &Db, keys: &Keys, checkpoint: Address) -> Result<Applied, ArchiveError> {
    commit_at(db.begin_replayable().await?, keys, checkpoint).await?;
    Ok(Applied::Nothing)
}

/// Event and audit row of what `A` did.
async fn tell<A: Action, P: Payload>(
    tx: &mut Tx,
    telling: Telling<'_>,
    about: &About,
    payload: &P,
) -> Result<(), DbError> {
    if telling.silent {
        return Ok(());
    }
    emit(tx, telling.ctx, about, payload).await?;
    audit(tx, telling.ctx, A::NAME, about.kind, &about.id, mingying_access::Outcome::Done, P::TOPIC).await
}

async fn commit_at(mut tx: Tx, keys: &Keys, checkpoint: Address) -> Result<(), DbError> {
    store::checkpoint(&mut tx, keys, checkpoint.pack, checkpoint.record).await?;
    keys.commit(tx).await
}

async fn relink(
    db: &Db,
    blobs: &Blobs,
    keys: &mut Keys,
    telling: Telling<'_>,
    meta: &RelinkMeta,
    checkpoint: Address,
) -> Result<Applied, ArchiveError> {
    let Some(held) = store::held_at(db, meta.target.address()).await? else {
        return pass_over(db, keys, checkpoint).await;
    };
    let what = described(blobs, held.place, &meta.object).await?;
    let item = Arrived { meta: meta.object.clone(), place: held.place, what };
    let mut tx = db.begin().await?;
    let items = std::slice::from_ref(&item);
    let changes = store::index(&mut tx, keys, items).await?;
    let applied = match changes.outcomes.first() {
        Some(Outcome::Stored(ingested)) => {
            store::settle_quarantined(&mut tx, held.place.address, "released").await?;
            let payload = QuarantineReleased {
                quarantine_id: held.shown.id,
                study_uid: ingested.study_uid.clone(),
                sop_uid: ingested.sop_uid.clone(),
            };
            let about = About::new("quarantine", held.shown.id, held.org);
            tell::<ManageQuarantine, _>(&mut tx, telling, &about, &payload).await?;
            if !telling.silent {
                let contexts = [telling.ctx.clone()];
                tell_aside(&mut tx, items, &contexts, &changes).await?;
                tell_stored_now(&mut tx, telling.ctx, items, &changes).await?;
            }
            Applied::Stored(ingested.clone())
        }
        Some(Outcome::Quarantined { defect, .. }) => Applied::StillHeld(*defect),
        None => Applied::Nothing,
    };
    commit_at(tx, keys, checkpoint).await?;
    Ok(applied)
}

async fn described(blobs: &Blobs, place: Place, meta: &ObjectMeta) -> Result<Result<Described, Defect>, ArchiveError> {
    let (blobs, file) = (blobs.clone(), meta.file.clone());
    tokio::task::spawn_blocking(move || describe_stored(&blobs, &place, &file)).await.map_err(|_| ArchiveError::Closed)
}

async fn drop_quarantined(
    db: &Db,
    keys: &Keys,
    telling: Telling<'_>,
    target: Address,
    checkpoint: Address,
) -> Result<Applied, ArchiveError> {
    let held = store::held_at(db, target).await?;
    let mut tx = db.begin().await?;
    let applied = match held {
        Some(held) if store::settle_quarantined(&mut tx, target, "deleted").await? => {
            let about = About::new("quarantine", held.shown.id, held.org);
            let payload = QuarantineDeleted { quarantine_id: held.shown.id };
            tell::<ManageQuarantine, _>(&mut tx, telling, &about, &payload).await?;
            Applied::Done
        }
        _ => Applied::Nothing,
    };
    commit_at(tx, keys, checkpoint).await?;
    Ok(applied)
}

async fn delete(
    db: &Db,
    keys: &mut Keys,
    telling: Telling<'_>,
    tombstone: Address,
    meta: &DeletionMeta,
    checkpoint: Address,
) -> Result<Applied, ArchiveError> {
    let mut tx = db.begin().await?;
    let applied = match store::delete(&mut tx, keys, tombstone, meta).await? {
        Some((deletion, study)) => {
            let payload = InstancesDeleted {
                study_uid: deletion.study_uid.clone(),
                series_uid: deletion.series_uid.clone(),
                sop_uid: deletion.sop_uid.clone(),
                accession: study.accession.clone(),
                patient_id: study.patient_id.clone(),
                deleted: deletion.instances,
                left: study.instances,
                reason: deletion.reason.as_str().to_owned(),
                note: deletion.note.clone(),
            };
            let about = About::new("study", &study.study_uid, study.org);
            tell::<DeleteStudies, _>(&mut tx, telling, &about, &payload).await?;
            Applied::Deleted(deletion)
        }
        None => Applied::Nothing,
    };
    commit_at(tx, keys, checkpoint).await?;
    Ok(applied)
}

/// Puts the objects of a deletion back, a batch a transaction; the checkpoint moves with the last one, so that what a
/// crash interrupts is gone on with.
async fn revoke(
    db: &Db,
    blobs: &Blobs,
    keys: &mut Keys,
    telling: Telling<'_>,
    meta: &AboutTombstoneMeta,
    checkpoint: Address,
) -> Result<Applied, ArchiveError> {
    let Some((deletion, org)) = store::deletion_at(db, meta.tombstone).await? else {
        return pass_over(db, keys, checkpoint).await;
    };
    let mut after = Address { pack: 0, record: 0 };
    loop {
        let places = store::deleted_objects(db, deletion.id, after, BATCH).await?;
        let Some(last) = places.last() else { break };
        after = last.address;
        let mut items = Vec::with_capacity(places.len());
        let mut gone = Vec::new();
        for place in places {
            match blobs.record(place.location.pack, place.location.record).await {
                Ok(found) => items.extend(arrived_again(blobs, place, found).await?),
                // Done again from the log, when compaction has dropped what was deleted once more and for good.
                Err(BlobError::NotFound) if telling.again => gone.push(place.address),
                Err(error @ (BlobError::NotFound | BlobError::Corrupt(_))) => {
                    tracing::error!(%error, pack = place.location.pack, "a deleted object cannot be read");
                }
                Err(error) => return Err(error.into()),
            }
        }
        let mut tx = db.begin().await?;
        let mut changes = store::index(&mut tx, keys, &items).await?;
        for address in items.iter().map(|item| item.place.address).chain(gone) {
            store::forget_deleted(&mut tx, address).await?;
        }
        // Neither the study nor its images are new: `instances.restored` tells of all of them at the end.
        changes.created.clear();
        if !telling.silent {
            let contexts = vec![telling.ctx.clone(); items.len()];
            tell_aside(&mut tx, &items, &contexts, &changes).await?;
        }
        for study in changes.grown.keys() {
            store::announced(&mut tx, *study).await?;
        }
        tx.commit().await?;
    }
    if !store::deleted_objects(db, deletion.id, Address { pack: 0, record: 0 }, 1).await?.is_empty() {
        // What could not be read stays with the deletion, to be taken back when it is healed.
        pass_over(db, keys, checkpoint).await?;
        return Ok(Applied::Restored(deletion));
    }
    let mut tx = db.begin().await?;
    let restored = store::settle_deletion(&mut tx, deletion.id, "restored").await?;
    if restored && !telling.silent {
        tell_restored(&mut tx, telling.ctx, org, &deletion).await?;
    }
    commit_at(tx, keys, checkpoint).await?;
    let deletion = Deletion { state: DeletionState::Restored, ..deletion };
    Ok(if restored { Applied::Restored(deletion) } else { Applied::Nothing })
}

/// A deleted object as if it had just come in. It was in the index, so whatever once kept it out of there is settled.
async fn arrived_again(blobs: &Blobs, place: Place, found: Found) -> Result<Option<Arrived>, ArchiveError> {
    let Some(meta) = said(found).and_then(|said| said.object_meta()) else { return Ok(None) };
    let meta = ObjectMeta { defect: None, ..meta };
    let what = described(blobs, place, &meta).await?;
    Ok(Some(Arrived { meta, place, what }))
}

async fn purge(
    db: &Db,
    keys: &Keys,
    telling: Telling<'_>,
    meta: &AboutTombstoneMeta,
    checkpoint: Address,
) -> Result<Applied, ArchiveError> {
    let deletion = store::deletion_at(db, meta.tombstone).await?;
    let mut tx = db.begin().await?;
    let mut applied = Applied::Nothing;
    if let Some((deletion, org)) = deletion
        && store::settle_deletion(&mut tx, deletion.id, "purged").await?
    {
        let payload = DeletionPurged { study_uid: deletion.study_uid.clone() };
        tell::<DeleteStudies, _>(&mut tx, telling, &About::new("study", &deletion.study_uid, org), &payload).await?;
        applied = Applied::Done;
    }
    commit_at(tx, keys, checkpoint).await?;
    Ok(applied)
}

/// The context of somebody whose record is replayed.
pub(crate) fn context_of(by: &Doer, clock: &SharedClock) -> Ctx {
    let actor = Actor { kind: by.kind, id: by.id.clone(), name: String::new(), roles: Vec::new(), org: None };
    Ctx::new(actor, &by.source, Arc::new(Nothing), clock.clone())
}

/// Points rows at copies of their records. With a checkpoint, in the same transaction.
pub(crate) async fn apply_moves(
    db: &Db,
    keys: &Keys,
    moves: &[(Address, Location)],
    checkpoint: Option<Address>,
) -> Result<u64, DbError> {
    let mut tx = db.begin().await?;
    let mut moved = 0;
    for (address, location) in moves {
        moved += store::move_record(&mut tx, *address, *location).await?;
    }
    if let Some(at) = checkpoint {
        store::checkpoint(&mut tx, keys, at.pack, at.record).await?;
    }
    keys.commit(tx).await?;
    Ok(moved)
}
