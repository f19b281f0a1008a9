//! The committer: one pack sync and one database commit for all objects that wait.
//!
//! Two tasks in a row. The first drains the queue, publishes a batch into the pack and hands it on; while the second
//! writes a batch's rows, the first syncs the next one. Rows are committed without a sync of their own: the packs
//! replay them. What events tell is gathered per study for a second, so that a thousand slices do not make a thousand
//! events; `studies.announced` remembers in the rows what was told, so that a crash loses no event.

use crate::describe::Described;
use crate::header::Defect;
use crate::model::Ingested;
use crate::record::{Arrived, ObjectMeta, Place};
use crate::store::{self, Changes, GrownSeries, Keys, Outcome, StudyBrief};
use crate::{ArchiveError, Settings};
use mingying_access::audit;
use mingying_blob::{Blobs, Entry};
use mingying_db::{Db, DbError, Tx};
use mingying_events::payload::archive::{
    DuplicateFound, InstancesStored, ObjectQuarantined, SeriesStored, StudyCreated,
};
use mingying_events::{About, emit};
use mingying_kernel::{Ctx, SharedClock};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// A study's instances are told of at most so often.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(1);
/// Attempts of a commit that another transaction or the network got in the way of.
const ATTEMPTS: u32 = 6;
const STORE: &str = "study.store";

/// What the queue carries.
pub(crate) enum Commit {
    Object(Box<Job>),
    /// Answered when everything before it is committed and told of.
    Flush(oneshot::Sender<()>),
}

/// One received object.
pub(crate) struct Job {
    pub entry: Entry,
    pub meta: ObjectMeta,
    pub what: Result<Described, Defect>,
    pub ctx: Ctx,
    pub reply: oneshot::Sender<Result<Ingested, ArchiveError>>,
}

/// Who waits for an object that is in the pack.
struct Waiting {
    ctx: Ctx,
    reply: oneshot::Sender<Result<Ingested, ArchiveError>>,
}

/// A batch between the two tasks.
struct Published {
    items: Vec<Arrived>,
    waiting: Vec<Waiting>,
    pack: u64,
    end: u64,
    flushes: Vec<oneshot::Sender<()>>,
}

/// Starts both tasks; they end when every sender is gone.
pub(crate) fn start(
    db: Db,
    blobs: Blobs,
    clock: SharedClock,
    settings: &Settings,
) -> (mpsc::Sender<Commit>, Vec<tokio::task::JoinHandle<()>>) {
    let (queue, incoming) = mpsc::channel(1024);
    let (publish, published) = mpsc::channel(1);
    let max_batch = settings.max_batch.max(1);
    // On a thread of its own, which may block on the disk: a trip to another thread and back costs each image as much as
    // a fast disk does.
    let runtime = tokio::runtime::Handle::current();
    let publishing = publisher(db.clone(), blobs, clock, incoming, publish, max_batch);
    let publisher = tokio::task::spawn_blocking(move || runtime.block_on(publishing));
    let indexer = tokio::spawn(Indexer::new(db).run(published));
    (queue, vec![publisher, indexer])
}

async fn publisher(
    db: Db,
    blobs: Blobs,
    clock: SharedClock,
    mut incoming: mpsc::Receiver<Commit>,
    publish: mpsc::Sender<Published>,
    max_batch: usize,
) {
    while let Some(first) = incoming.recv().await {
        let mut jobs = Vec::new();
        let mut flushes = Vec::new();
        let mut next = Some(first);
        while let Some(commit) = next {
            match commit {
                Commit::Object(job) => jobs.push(*job),
                Commit::Flush(reply) => flushes.push(reply),
            }
            next = if jobs.len() < max_batch && flushes.is_empty() { incoming.try_recv().ok() } else { None };
        }
        let jobs = answer_known(&db, jobs).await;
        let batch = if jobs.is_empty() {
            Published { items: Vec::new(), waiting: Vec::new(), pack: 0, end: 0, flushes }
        } else {
            match write(&blobs, &clock, jobs) {
                Some(batch) => Published { flushes, ..batch },
                None => Published { items: Vec::new(), waiting: Vec::new(), pack: 0, end: 0, flushes },
            }
        };
        if publish.send(batch).await.is_err() {
            return;
        }
    }
}

/// Answers objects that are kept already with the same content: nothing needs to be written for them.
async fn answer_known(db: &Db, jobs: Vec<Job>) -> Vec<Job> {
    let uids: Vec<&str> = jobs.iter().filter_map(|job| Some(job.what.as_ref().ok()?.sop_uid.as_str())).collect();
    let Ok(known) = store::known_contents(db, &uids).await else { return jobs };
    if known.is_empty() {
        return jobs;
    }
    let mut rest = Vec::new();
    for job in jobs {
        let sha256 = job.entry.staged.sha256();
        let there = job
            .what
            .as_ref()
            .ok()
            .and_then(|d| known.get(&d.sop_uid).filter(|(there, _)| there.study_uid == d.study_uid));
        let answer = match there {
            Some((there, served)) if *served == sha256 => Some(there.clone()),
            Some((there, _)) => {
                let kept = store::is_kept_beside(db, there.instance_key, &sha256).await.unwrap_or(false);
                kept.then(|| Ingested { duplicate: false, conflicting: true, ..there.clone() })
            }
            None => None,
        };
        match answer {
            Some(there) => {
                let _ = job.reply.send(Ok(there));
            }
            None => rest.push(job),
        }
    }
    rest
}

/// Blocks on the disk.
fn write(blobs: &Blobs, clock: &SharedClock, jobs: Vec<Job>) -> Option<Published> {
    let mut entries = Vec::with_capacity(jobs.len());
    let mut rest = Vec::with_capacity(jobs.len());
    for job in jobs {
        rest.push((
            job.meta,
            job.what,
            job.entry.staged.head_len(),
            job.entry.staged.sha256(),
            Waiting { ctx: job.ctx, reply: job.reply },
        ));
        entries.push(job.entry);
    }
    let locations = match blobs.publish_blocking(&entries, clock.now()) {
        Ok(locations) => locations,
        Err(error) => {
            for (.., waiting) in rest {
                let _ = waiting.reply.send(Err(ArchiveError::Blob(error.clone())));
            }
            return None;
        }
    };
    let last = *locations.last()?;
    let mut items = Vec::with_capacity(rest.len());
    let mut waiting = Vec::with_capacity(rest.len());
    for ((meta, what, head_len, sha256, who), location) in rest.into_iter().zip(locations) {
        items.push(Arrived { meta, place: Place { location, head_len, sha256 }, what });
        waiting.push(who);
    }
    Some(Published { items, waiting, pack: last.pack, end: last.record_end(), flushes: Vec::new() })
}

/// What events have yet to tell about one study.
struct Untold {
    study: StudyBrief,
    since: Instant,
    by_source: BTreeMap<String, UntoldBySource>,
}

struct UntoldBySource {
    ctx: Ctx,
    added: i64,
    series: BTreeMap<String, SeriesStored>,
}

struct Indexer {
    db: Db,
    keys: Keys,
    untold: HashMap<i64, Untold>,
    told_at: HashMap<i64, Instant>,
}

impl Indexer {
    fn new(db: Db) -> Self {
        Self { db, keys: Keys::in_blocks_of(1024), untold: HashMap::new(), told_at: HashMap::new() }
    }

    async fn run(mut self, mut published: mpsc::Receiver<Published>) {
        loop {
            let due = self.untold.values().map(|untold| untold.since + ANNOUNCE_EVERY).min();
            let batch = match due {
                Some(due) => tokio::select! {
                    biased;
                    batch = published.recv() => batch,
                    () = tokio::time::sleep_until(due) => {
                        self.tell_late(false).await;
                        continue;
                    }
                },
                None => published.recv().await,
            };
            let Some(batch) = batch else { break };
            if !batch.items.is_empty() {
                self.commit(batch.items, batch.waiting, batch.pack, batch.end).await;
            }
            if !batch.flushes.is_empty() {
                self.tell_late(true).await;
                for flush in batch.flushes {
                    let _ = flush.send(());
                }
            }
            let now = Instant::now();
            self.told_at.retain(|_, told| now.duration_since(*told) < ANNOUNCE_EVERY * 2);
        }
        self.tell_late(true).await;
    }

    async fn commit(&mut self, items: Vec<Arrived>, waiting: Vec<Waiting>, pack: u64, end: u64) {
        let contexts: Vec<Ctx> = waiting.iter().map(|w| w.ctx.clone()).collect();
        match self.try_often(&items, &contexts, pack, end).await {
            Ok(outcomes) => {
                for (who, outcome) in waiting.into_iter().zip(outcomes) {
                    let _ = who.reply.send(answer(outcome));
                }
            }
            Err(DbError::Other(_) | DbError::Column(_) | DbError::Unique { .. }) => {
                // One of them cannot be indexed. Alone, each shows which; that one goes into quarantine.
                for ((mut item, who), ctx) in items.into_iter().zip(waiting).zip(contexts) {
                    let end = item.place.location.record_end();
                    let one = std::slice::from_ref(&ctx);
                    let mut done = self.try_often(std::slice::from_ref(&item), one, pack, end).await;
                    if let Err(error @ (DbError::Other(_) | DbError::Column(_) | DbError::Unique { .. })) = &done {
                        tracing::error!(%error, "an object cannot be indexed");
                        item.what = Err(Defect::IndexFailed);
                        done = self.try_often(std::slice::from_ref(&item), one, pack, end).await;
                    }
                    let done = done.map_err(ArchiveError::Db);
                    let done = done.and_then(|outcomes| outcomes.into_iter().next().ok_or(ArchiveError::NotFound));
                    let _ = who.reply.send(done.and_then(answer));
                }
            }
            Err(error) => {
                // Their records stay in the pack without rows; nobody was told that they are stored.
                tracing::error!(%error, "a batch was not indexed");
                let full = matches!(error, DbError::Full);
                for who in waiting {
                    let error = if full { DbError::Full } else { DbError::Serialization };
                    let _ = who.reply.send(Err(ArchiveError::Db(error)));
                }
            }
        }
    }

    async fn try_often(
        &mut self,
        items: &[Arrived],
        contexts: &[Ctx],
        pack: u64,
        end: u64,
    ) -> Result<Vec<Outcome>, DbError> {
        let mut pause = Duration::from_millis(20);
        for attempt in 1.. {
            match self.try_once(items, contexts, pack, end).await {
                Err(error @ (DbError::Serialization | DbError::Unavailable(_))) if attempt < ATTEMPTS => {
                    tracing::warn!(%error, attempt, "commit of a batch is tried again");
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                other => return other,
            }
        }
        Err(DbError::Serialization)
    }

    async fn try_once(
        &mut self,
        items: &[Arrived],
        contexts: &[Ctx],
        pack: u64,
        end: u64,
    ) -> Result<Vec<Outcome>, DbError> {
        let done = async {
            let mut tx = self.db.begin_replayable().await?;
            let changes = store::index(&mut tx, &mut self.keys, items).await?;
            tell_aside(&mut tx, items, contexts, &changes).await?;
            let news = gather(items, contexts, &changes);
            let now = Instant::now();
            let mut told = HashSet::new();
            for (key, fresh) in &news {
                let waits = self.told_at.get(key).is_some_and(|at| now.duration_since(*at) < ANNOUNCE_EVERY);
                if !waits {
                    let mut all = self.untold.get(key).map(Untold::copy);
                    merge(&mut all, fresh);
                    if let Some(all) = all {
                        tell(&mut tx, &all).await?;
                        told.insert(*key);
                    }
                }
            }
            store::checkpoint(&mut tx, pack, end).await?;
            tx.commit().await?;
            Ok::<_, DbError>((changes, news, told))
        }
        .await;
        let (changes, news, told) = match done {
            Ok(done) => done,
            Err(error) => {
                self.keys.forget();
                return Err(error);
            }
        };
        let now = Instant::now();
        for (key, fresh) in news {
            if told.contains(&key) {
                self.untold.remove(&key);
                self.told_at.insert(key, now);
            } else {
                let mut all = self.untold.remove(&key);
                merge(&mut all, &fresh);
                if let Some(all) = all {
                    self.untold.insert(key, all);
                }
            }
        }
        Ok(changes.outcomes)
    }

    /// Tells of studies that have waited long enough, or of all.
    async fn tell_late(&mut self, all: bool) {
        let now = Instant::now();
        let due: Vec<i64> = self
            .untold
            .iter()
            .filter(|(_, untold)| all || now.duration_since(untold.since) >= ANNOUNCE_EVERY)
            .map(|(key, _)| *key)
            .collect();
        if due.is_empty() {
            return;
        }
        let told = async {
            let mut tx = self.db.begin_replayable().await?;
            for key in &due {
                if let Some(untold) = self.untold.get(key) {
                    tell(&mut tx, untold).await?;
                }
            }
            tx.commit().await
        }
        .await;
        match told {
            Ok(()) => {
                for key in due {
                    self.untold.remove(&key);
                    self.told_at.insert(key, now);
                }
            }
            Err(error) => {
                // They are told with the next batch, after the next pause, or at the next start.
                tracing::warn!(%error, "events of stored instances wait");
                for key in due {
                    if let Some(untold) = self.untold.get_mut(&key) {
                        untold.since = now;
                    }
                }
            }
        }
    }
}

fn answer(outcome: Outcome) -> Result<Ingested, ArchiveError> {
    match outcome {
        Outcome::Stored(ingested) => Ok(ingested),
        Outcome::Quarantined { key, defect, .. } => Err(ArchiveError::Quarantined { id: key, reason: defect.as_str() }),
    }
}

impl Untold {
    fn copy(&self) -> Self {
        let by_source = self
            .by_source
            .iter()
            .map(|(source, by)| {
                (source.clone(), UntoldBySource { ctx: by.ctx.clone(), added: by.added, series: by.series.clone() })
            })
            .collect();
        Self { study: self.study.clone(), since: self.since, by_source }
    }
}

fn merge(into: &mut Option<Untold>, fresh: &Untold) {
    let Some(all) = into else {
        *into = Some(fresh.copy());
        return;
    };
    all.study = fresh.study.clone();
    for (source, by) in &fresh.by_source {
        let sum = all.by_source.entry(source.clone()).or_insert_with(|| UntoldBySource {
            ctx: by.ctx.clone(),
            added: 0,
            series: BTreeMap::new(),
        });
        sum.added += by.added;
        for (uid, series) in &by.series {
            match sum.series.get_mut(uid) {
                Some(there) => there.added += series.added,
                None => drop(sum.series.insert(uid.clone(), series.clone())),
            }
        }
    }
}

/// The news of a batch by study.
fn gather(items: &[Arrived], contexts: &[Ctx], changes: &Changes) -> HashMap<i64, Untold> {
    let mut news: HashMap<i64, Untold> = HashMap::new();
    for (study_key, series, position) in &changes.stored {
        let (Some(study), Some(item), Some(ctx)) =
            (changes.grown.get(study_key), items.get(*position), contexts.get(*position))
        else {
            continue;
        };
        let untold = news.entry(*study_key).or_insert_with(|| Untold {
            study: study.clone(),
            since: Instant::now(),
            by_source: BTreeMap::new(),
        });
        let by = untold.by_source.entry(item.meta.source.clone()).or_insert_with(|| UntoldBySource {
            ctx: ctx.clone(),
            added: 0,
            series: BTreeMap::new(),
        });
        by.added += 1;
        by.series.entry(series.series_uid.clone()).or_insert_with(|| stored_series(series)).added += 1;
    }
    news
}

fn stored_series(series: &GrownSeries) -> SeriesStored {
    SeriesStored {
        series_uid: series.series_uid.clone(),
        modality: series.modality.clone(),
        added: 0,
        requested_procedure_id: series.requested_procedure_id.clone(),
        scheduled_step_id: series.scheduled_step_id.clone(),
    }
}

async fn tell(tx: &mut Tx, untold: &Untold) -> Result<(), DbError> {
    let study = &untold.study;
    for (source, by) in &untold.by_source {
        let payload = InstancesStored {
            study_uid: study.study_uid.clone(),
            accession: study.accession.clone(),
            patient_id: study.patient_id.clone(),
            patient_id_issuer: study.patient_id_issuer.clone(),
            added: by.added,
            total: study.instances,
            series: by.series.values().cloned().collect(),
            source: source.clone(),
        };
        tell_stored(tx, &by.ctx, study, &payload).await?;
    }
    store::announced(tx, study.key).await
}

/// Event and audit row of stored instances.
pub(crate) async fn tell_stored(
    tx: &mut Tx,
    ctx: &Ctx,
    study: &StudyBrief,
    payload: &InstancesStored,
) -> Result<(), DbError> {
    let about = About::new("study", &study.study_uid, study.org);
    emit(tx, ctx, &about, payload).await?;
    audit(tx, ctx, STORE, "study", &study.study_uid, mingying_access::Outcome::Done, "instances.stored").await
}

/// Events of what happens once: new studies, duplicates, quarantined objects.
pub(crate) async fn tell_aside(
    tx: &mut Tx,
    items: &[Arrived],
    contexts: &[Ctx],
    changes: &Changes,
) -> Result<(), DbError> {
    for (study, position) in &changes.created {
        let (Some(item), Some(ctx)) = (items.get(*position), contexts.get(*position)) else { continue };
        let Ok(d) = &item.what else { continue };
        let payload = StudyCreated {
            study_uid: study.study_uid.clone(),
            accession: study.accession.clone(),
            patient_id: study.patient_id.clone(),
            patient_id_issuer: study.patient_id_issuer.clone(),
            modality: d.modality.clone(),
            study_date: d.study_date.clone(),
            source: item.meta.source.clone(),
        };
        emit(tx, ctx, &About::new("study", &study.study_uid, study.org), &payload).await?;
    }
    for position in &changes.conflicts {
        let (Some(item), Some(ctx), Some(Outcome::Stored(there))) =
            (items.get(*position), contexts.get(*position), changes.outcomes.get(*position))
        else {
            continue;
        };
        let payload = DuplicateFound {
            study_uid: there.study_uid.clone(),
            series_uid: there.series_uid.clone(),
            sop_uid: there.sop_uid.clone(),
            source: item.meta.source.clone(),
        };
        emit(tx, ctx, &About::new("study", &there.study_uid, item.meta.owner.org), &payload).await?;
        audit(tx, ctx, STORE, "study", &there.study_uid, mingying_access::Outcome::Done, "duplicate.found").await?;
    }
    for ((item, ctx), outcome) in items.iter().zip(contexts).zip(&changes.outcomes) {
        if let Outcome::Quarantined { key, defect, fresh: true } = outcome {
            let (sop_uid, study_uid) = match &item.what {
                Ok(d) => (d.sop_uid.clone(), d.study_uid.clone()),
                Err(_) => (item.meta.file.sop_instance.clone(), String::new()),
            };
            let payload = ObjectQuarantined {
                quarantine_id: *key,
                reason: defect.as_str().to_owned(),
                sop_uid,
                study_uid,
                size: item.place.location.len as i64,
                source: item.meta.source.clone(),
            };
            let id = key.to_string();
            emit(tx, ctx, &About::new("quarantine", &id, item.meta.owner.org), &payload).await?;
            audit(tx, ctx, STORE, "quarantine", &id, mingying_access::Outcome::Failed, defect.as_str()).await?;
        }
    }
    Ok(())
}
