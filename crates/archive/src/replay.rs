//! From the packs into the index: what a power cut took from the database, or all of it into an empty one.

use crate::ArchiveError;
use crate::commit::{tell_aside, tell_stored};
use crate::header::Defect;
use crate::model::Owner;
use crate::record::{Arrived, Place, RelinkMeta, TombstoneMeta, arrived, describe_stored, unhex};
use crate::store::{self, Keys, Outcome};
use mingying_access::audit;
use mingying_blob::{Blobs, Found, Kind};
use mingying_db::{Db, DbError, Tx};
use mingying_events::payload::archive::InstancesStored;
use mingying_kernel::{Ctx, OrgId};

/// Records of one transaction.
const BATCH: usize = 256;

/// What a replay did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Records read.
    pub records: u64,
    /// Records that were damaged or not ours to read.
    pub skipped: u64,
}

/// Who tells of what is replayed, if anybody: a rebuild must not tell a second time what was told long ago.
#[derive(Clone, Copy)]
struct Telling<'a> {
    ctx: &'a Ctx,
    silent: bool,
}

/// A record that the index takes.
enum Step {
    Object(Box<Arrived>),
    Tombstone(TombstoneMeta),
    /// A quarantined object that was indexed later.
    Relink(Box<Arrived>),
    Unknown,
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
    let mut tx = db.begin().await?;
    store::clear(&mut tx).await?;
    audit(&mut tx, ctx, "archive.rebuild", "archive", "packs", mingying_access::Outcome::Done, "rebuild").await?;
    tx.commit().await?;
    let adopt = |owner: &mut Owner| {
        if !orgs.contains(&owner.org) {
            owner.clone_from(fallback);
        }
    };
    replay_as(db, blobs, ctx, &adopt).await
}

/// Replays every pack from its checkpoint. The same records give the same rows.
pub(crate) async fn replay(db: &Db, blobs: &Blobs, ctx: &Ctx) -> Result<Replayed, ArchiveError> {
    replay_as(db, blobs, ctx, &|_| {}).await
}

async fn replay_as(
    db: &Db,
    blobs: &Blobs,
    ctx: &Ctx,
    adopt: &(dyn Fn(&mut Owner) + Sync),
) -> Result<Replayed, ArchiveError> {
    let telling = Telling { ctx, silent: store::is_rebuilding(db).await? };
    let checkpoints = store::checkpoints(db).await?;
    let mut done = Replayed::default();
    let mut keys = Keys::in_blocks_of(1024);
    for pack in blobs.packs() {
        let from = checkpoints.get(&pack.id).copied().unwrap_or(0);
        blobs.settle(pack.id, from).await?;
        let mut at = from;
        let mut end = from;
        loop {
            let scan = blobs.scan(pack.id, at, BATCH).await?;
            done.skipped += scan.damaged.len() as u64;
            done.records += scan.records.len() as u64;
            end = end.max(scan.end);
            if !scan.records.is_empty() {
                let reader = blobs.clone();
                let mut steps = tokio::task::spawn_blocking(move || {
                    scan.records.iter().map(|found| step(&reader, found)).collect::<Vec<_>>()
                })
                .await
                .map_err(|_| ArchiveError::Closed)?;
                done.skipped += steps.iter().filter(|step| matches!(step, Step::Unknown)).count() as u64;
                for step in &mut steps {
                    if let Step::Object(item) | Step::Relink(item) = step {
                        adopt(&mut item.meta.owner);
                    }
                }
                apply_all(db, &mut keys, telling, steps, pack.id, end).await?;
            }
            match scan.next {
                Some(next) => at = next,
                None => break,
            }
        }
        blobs.resume(pack.id, end).await?;
    }
    if telling.silent {
        store::end_rebuild(db).await?;
    } else {
        tell_lost(db, ctx).await?;
    }
    Ok(done)
}

fn step(blobs: &Blobs, found: &Found) -> Step {
    match found.kind {
        Kind::Object => arrived(blobs, found).map_or(Step::Unknown, |item| Step::Object(Box::new(item))),
        Kind::Tombstone => serde_json::from_slice(&found.meta).map_or(Step::Unknown, Step::Tombstone),
        Kind::Relink => {
            let Ok(meta) = serde_json::from_slice::<RelinkMeta>(&found.meta) else { return Step::Unknown };
            let Some(sha256) = unhex(&meta.sha256) else { return Step::Unknown };
            let place = Place { location: meta.target.location(), head_len: meta.target.head_len, sha256 };
            let what = describe_stored(blobs, &place, &meta.object.file);
            Step::Relink(Box::new(Arrived { meta: meta.object, place, what }))
        }
        Kind::Coercion => Step::Unknown,
    }
}

async fn apply_all(
    db: &Db,
    keys: &mut Keys,
    telling: Telling<'_>,
    steps: Vec<Step>,
    pack: u64,
    end: u64,
) -> Result<(), ArchiveError> {
    let mut runs: Vec<Vec<Arrived>> = Vec::new();
    let mut plan: Vec<Plan> = Vec::new();
    for step in steps {
        match step {
            Step::Object(item) => match plan.last() {
                Some(Plan::Run(n)) => {
                    if let Some(run) = runs.get_mut(*n) {
                        run.push(*item);
                    }
                }
                _ => {
                    plan.push(Plan::Run(runs.len()));
                    runs.push(vec![*item]);
                }
            },
            Step::Relink(item) => {
                plan.push(Plan::Relink(runs.len()));
                runs.push(vec![*item]);
            }
            Step::Tombstone(meta) => plan.push(Plan::Tombstone(meta)),
            Step::Unknown => {}
        }
    }
    match apply(db, keys, telling, &plan, &runs, pack, end).await {
        Err(DbError::Other(_) | DbError::Column(_) | DbError::Unique { .. }) => {}
        done => return Ok(done?),
    }
    // One of them cannot be indexed: alone, each shows which, and that one goes into quarantine.
    keys.forget();
    for step in plan {
        match step {
            Plan::Tombstone(_) => apply(db, keys, telling, &[step], &[], pack, 0).await?,
            Plan::Run(n) | Plan::Relink(n) => {
                let relink = matches!(step, Plan::Relink(_));
                for mut item in runs.get_mut(n).map(std::mem::take).unwrap_or_default() {
                    let plan = [if relink { Plan::Relink(0) } else { Plan::Run(0) }];
                    let mut runs = [vec![item]];
                    let done = apply(db, keys, telling, &plan, &runs, pack, 0).await;
                    if let Err(error @ (DbError::Other(_) | DbError::Column(_) | DbError::Unique { .. })) = done {
                        tracing::error!(%error, "a replayed object cannot be indexed");
                        keys.forget();
                        let [run] = &mut runs;
                        item = run.remove(0);
                        item.what = Err(Defect::IndexFailed);
                        apply(db, keys, telling, &plan, &[vec![item]], pack, 0).await?;
                    } else {
                        done?;
                    }
                }
            }
        }
    }
    let mut tx = db.begin_replayable().await?;
    store::checkpoint(&mut tx, pack, end).await?;
    Ok(tx.commit().await?)
}

/// The order of work: runs of objects, and what stands between them.
enum Plan {
    Run(usize),
    Relink(usize),
    Tombstone(TombstoneMeta),
}

async fn apply(
    db: &Db,
    keys: &mut Keys,
    telling: Telling<'_>,
    plan: &[Plan],
    runs: &[Vec<Arrived>],
    pack: u64,
    end: u64,
) -> Result<(), DbError> {
    let mut tx = db.begin_replayable().await?;
    for step in plan {
        match step {
            Plan::Run(n) => {
                index_run(&mut tx, keys, telling, runs.get(*n).map_or(&[], Vec::as_slice)).await?;
            }
            Plan::Relink(n) => {
                let run = runs.get(*n).map_or(&[][..], Vec::as_slice);
                let outcomes = index_run(&mut tx, keys, telling, run).await?;
                if let (Some(item), Some(Outcome::Stored(_))) = (run.first(), outcomes.first()) {
                    let at = item.place.location;
                    store::settle_quarantined(&mut tx, at.pack, at.record, "released").await?;
                }
            }
            Plan::Tombstone(meta) => {
                store::settle_quarantined(&mut tx, meta.target.pack, meta.target.record, "deleted").await?;
            }
        }
    }
    if end > 0 {
        store::checkpoint(&mut tx, pack, end).await?;
    }
    tx.commit().await
}

async fn index_run(
    tx: &mut Tx,
    keys: &mut Keys,
    telling: Telling<'_>,
    run: &[Arrived],
) -> Result<Vec<Outcome>, DbError> {
    let changes = store::index(tx, keys, run).await?;
    if !telling.silent {
        let contexts = vec![telling.ctx.clone(); run.len()];
        tell_aside(tx, run, &contexts, &changes).await?;
    }
    Ok(changes.outcomes)
}

/// Tells of instances that no event has told about.
async fn tell_lost(db: &Db, ctx: &Ctx) -> Result<(), ArchiveError> {
    let lost = store::unannounced(db).await?;
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
