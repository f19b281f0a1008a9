//! The second half of the committer: what is in the packs goes into the index, in the order of the log.
//!
//! Rows are committed without a sync of their own: the packs replay them. What the database does not take is owed: it is
//! in the packs, so it will be in the index, now or at the next start. Its sender was told of the failure, sends again,
//! and is answered with what is there. Nothing behind it is indexed before it, and nothing new is written to the packs
//! while something is owed.
//!
//! What events tell is gathered per study for a second, so that a thousand slices do not make a thousand events;
//! `studies.announced` remembers in the rows what was told, so that a crash loses no event.

use crate::ArchiveError;
use crate::commit::{Published, Reply, Waiting, end_of};
use crate::header::Defect;
use crate::log::{Applied, Logged, Telling, apply, apply_moves, is_refusal};
use crate::model::Ingested;
use crate::record::{Address, Arrived};
use crate::replay::replay;
use crate::store::{self, Keys, Outcome};
use crate::tell::{Untold, gather, merge, tell, tell_aside};
use mingying_blob::{Blobs, Location};
use mingying_db::{Db, DbError};
use mingying_kernel::{Ctx, Timestamp};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// A study's instances are told of at most so often; and so often what is owed is tried again.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(1);
/// Attempts of a commit that another transaction or the network got in the way of.
const ATTEMPTS: u32 = 6;

/// What is in the packs and not yet in the index. Senders that were told of a failure wait no more.
pub(crate) enum Work {
    Objects { items: Vec<Arrived>, waiting: Vec<Waiting> },
    Record { logged: Logged, ctx: Ctx, reply: Option<Reply<Applied>> },
    Moves { moves: Vec<(Address, Location)>, end: Address, reply: Option<Reply<Applied>> },
    Retire { pack: u64, now: Timestamp, reply: Option<Reply<Applied>> },
}

impl Work {
    pub fn answered_by(mut self, to: Reply<Applied>) -> Self {
        match &mut self {
            Self::Record { reply, .. } | Self::Moves { reply, .. } | Self::Retire { reply, .. } => *reply = Some(to),
            Self::Objects { .. } => {}
        }
        self
    }
}

pub(crate) struct Indexer {
    db: Db,
    blobs: Blobs,
    /// Who acts when no sender does.
    ctx: Ctx,
    /// The session of the node that holds the store.
    holder: Option<String>,
    keys: Keys,
    owed: VecDeque<Work>,
    /// Whether anything is owed, for the publisher.
    behind: Arc<AtomicBool>,
    untold: HashMap<i64, Untold>,
    told_at: HashMap<i64, Instant>,
}

impl Indexer {
    pub fn new(db: Db, blobs: Blobs, ctx: Ctx, behind: Arc<AtomicBool>, holder: Option<&str>) -> Self {
        let keys = Keys::in_blocks_of(1024).of(holder);
        Self {
            db,
            blobs,
            ctx,
            holder: holder.map(str::to_owned),
            keys,
            owed: VecDeque::new(),
            behind,
            untold: HashMap::new(),
            told_at: HashMap::new(),
        }
    }

    pub async fn run(mut self, mut published: mpsc::Receiver<Published>) {
        loop {
            let mut due = self.untold.values().map(|untold| untold.since + ANNOUNCE_EVERY).min();
            if !self.owed.is_empty() {
                let again = Instant::now() + ANNOUNCE_EVERY;
                due = Some(due.map_or(again, |due| due.min(again)));
            }
            let next = match due {
                Some(due) => tokio::select! {
                    biased;
                    next = published.recv() => next,
                    () = tokio::time::sleep_until(due) => {
                        self.catch_up().await;
                        self.tell_late(false).await;
                        continue;
                    }
                },
                None => published.recv().await,
            };
            match next {
                Some(Published::Work(work)) => {
                    if self.catch_up().await {
                        self.take(*work).await;
                    } else {
                        self.owe(*work);
                    }
                }
                Some(Published::CatchUp(reply)) => drop(reply.send(self.catch_up().await)),
                Some(Published::Flush(reply)) => {
                    self.tell_late(true).await;
                    let _ = reply.send(());
                }
                None => break,
            }
            let now = Instant::now();
            self.told_at.retain(|_, told| now.duration_since(*told) < ANNOUNCE_EVERY * 2);
        }
        self.catch_up().await;
        self.tell_late(true).await;
    }

    /// Indexes what is owed, in order; whether all of it is indexed now.
    async fn catch_up(&mut self) -> bool {
        if !self.owed.is_empty() {
            self.close_gap().await;
        }
        for _ in 0..self.owed.len() {
            // What fails again goes to the front again.
            let Some(work) = self.owed.pop_front() else { break };
            let before = self.owed.len();
            self.take(work).await;
            if self.owed.len() > before {
                break;
            }
        }
        self.behind.store(!self.owed.is_empty(), Ordering::Release);
        self.owed.is_empty()
    }

    /// Replays the packs when the database has lost commits.
    async fn close_gap(&mut self) {
        match self.keys.has_gap(&self.db).await {
            Ok(false) => return,
            Ok(true) => {}
            Err(error) => return tracing::warn!(%error, "whether the database has lost commits is not known yet"),
        }
        tracing::error!("the database has lost commits; the packs are replayed into the index");
        match replay(&self.db, &self.blobs, &self.ctx, self.holder.as_deref()).await {
            Ok(replayed) => {
                tracing::info!(records = replayed.records, skipped = replayed.skipped, "the index is whole again");
                self.keys.forget_all();
                // The replay has told of everything; rows may have other keys now.
                self.untold.clear();
                self.told_at.clear();
            }
            Err(error) => tracing::error!(%error, "the packs were not replayed"),
        }
    }

    /// Remembers work whose time has not come; its senders are told to try again.
    fn owe(&mut self, work: Work) {
        self.owe_at(self.owed.len(), work, &DbError::Serialization);
    }

    fn owe_at(&mut self, position: usize, mut work: Work, error: &DbError) {
        // Before anybody hears of it: what is sent next must find it so.
        self.behind.store(!matches!(work, Work::Retire { .. }) || !self.owed.is_empty(), Ordering::Release);
        let said =
            || ArchiveError::Db(if matches!(error, DbError::Full) { DbError::Full } else { DbError::Serialization });
        match &mut work {
            Work::Objects { waiting, .. } => {
                let contexts: Vec<Ctx> = waiting.iter().map(|who| who.ctx.clone()).collect();
                for who in waiting.drain(..) {
                    let _ = who.reply.send(Err(said()));
                }
                // Nobody listens any more, but events still name who sent them.
                waiting
                    .extend(contexts.into_iter().map(|ctx| Waiting { ctx, reply: tokio::sync::oneshot::channel().0 }));
            }
            Work::Record { reply, .. } | Work::Moves { reply, .. } | Work::Retire { reply, .. } => {
                if let Some(reply) = reply.take() {
                    let _ = reply.send(Err(said()));
                }
            }
        }
        // A pack can be retired at any other time as well.
        if !matches!(work, Work::Retire { .. }) {
            self.owed.insert(position, work);
        }
    }

    /// Indexes and answers, or owes.
    async fn take(&mut self, work: Work) {
        match work {
            Work::Objects { items, waiting } => self.take_objects(items, waiting).await,
            Work::Record { logged, ctx, reply } => {
                // What came before it is told of before it.
                self.tell_late(true).await;
                let telling = Telling { ctx: &ctx, silent: false, again: false };
                match apply(&self.db, &self.blobs, &mut self.keys, telling, &logged).await {
                    Ok(applied) => answer_other(reply, Ok(applied)),
                    Err(error) => {
                        tracing::error!(%error, "a record was not indexed");
                        let error = if let ArchiveError::Db(error) = error { error } else { DbError::Serialization };
                        self.owe_at(0, Work::Record { logged, ctx, reply }, &error);
                    }
                }
            }
            Work::Moves { moves, end, reply } => match apply_moves(&self.db, &self.keys, &moves, Some(end)).await {
                Ok(_) => answer_other(reply, Ok(Applied::Done)),
                Err(error) => {
                    tracing::error!(%error, "copies were not indexed");
                    self.owe_at(0, Work::Moves { moves, end, reply }, &error);
                }
            },
            Work::Retire { pack, now, reply } => {
                let retired = store::retire(&self.db, pack, now).await;
                let applied = |retired| if retired { Applied::Done } else { Applied::Nothing };
                answer_other(reply, retired.map(applied).map_err(ArchiveError::Db));
            }
        }
    }

    async fn take_objects(&mut self, items: Vec<Arrived>, waiting: Vec<Waiting>) {
        let contexts: Vec<Ctx> = waiting.iter().map(|w| w.ctx.clone()).collect();
        match self.try_often(&items, &contexts).await {
            Ok(outcomes) => {
                for (who, outcome) in waiting.into_iter().zip(outcomes) {
                    let _ = who.reply.send(answer(outcome));
                }
            }
            Err(error) if is_refusal(&error) => self.one_by_one(items, waiting).await,
            Err(error) => {
                tracing::error!(%error, "a batch was not indexed");
                self.owe_at(0, Work::Objects { items, waiting }, &error);
            }
        }
    }

    /// One of them cannot be indexed. Alone, each shows which; that one goes into quarantine.
    async fn one_by_one(&mut self, items: Vec<Arrived>, waiting: Vec<Waiting>) {
        let mut left: VecDeque<_> = items.into_iter().zip(waiting).collect();
        while let Some((mut item, who)) = left.pop_front() {
            let one = std::slice::from_ref(&who.ctx);
            let mut done = self.try_often(std::slice::from_ref(&item), one).await;
            if let Err(error) = &done
                && is_refusal(error)
            {
                tracing::error!(%error, "an object cannot be indexed");
                let what = std::mem::replace(&mut item.what, Err(Defect::IndexFailed));
                done = self.try_often(std::slice::from_ref(&item), one).await;
                if done.is_err() {
                    // Nor can its quarantine: then the fault is not its own.
                    item.what = what;
                }
            }
            match done {
                Ok(outcomes) => {
                    let outcome = outcomes.into_iter().next().ok_or(ArchiveError::NotFound);
                    let _ = who.reply.send(outcome.and_then(answer));
                }
                Err(error) => {
                    tracing::error!(%error, "a batch was not indexed to its end");
                    left.push_front((item, who));
                    let (items, waiting) = left.into_iter().unzip();
                    return self.owe_at(0, Work::Objects { items, waiting }, &error);
                }
            }
        }
    }

    async fn try_often(&mut self, items: &[Arrived], contexts: &[Ctx]) -> Result<Vec<Outcome>, DbError> {
        let mut pause = Duration::from_millis(20);
        for attempt in 1.. {
            match self.try_once(items, contexts).await {
                Err(error @ (DbError::Serialization | DbError::Unavailable(_))) if attempt < ATTEMPTS => {
                    tracing::warn!(%error, attempt, "commit of a batch is tried again");
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                    self.close_gap().await;
                }
                other => return other,
            }
        }
        Err(DbError::Serialization)
    }

    async fn try_once(&mut self, items: &[Arrived], contexts: &[Ctx]) -> Result<Vec<Outcome>, DbError> {
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
            if let Some(last) = items.last() {
                let end = end_of(last.place.location);
                store::checkpoint(&mut tx, &self.keys, end.pack, end.record).await?;
            }
            self.keys.commit(tx).await?;
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

fn answer_other(reply: Option<Reply<Applied>>, done: Result<Applied, ArchiveError>) {
    if let Some(reply) = reply {
        let _ = reply.send(done);
    }
}
