//! The committer: one pack sync and one database commit for all that waits.
//!
//! Two tasks in a row. The publisher drains the queue, appends a batch to the pack and hands it on; while the indexer
//! writes a batch's rows, the publisher syncs the next one. Everything that is ever appended goes through here, in one
//! order: the order of the log is the order of the index, and a pack's checkpoint says that all before it is indexed.

use crate::describe::Described;
use crate::header::Defect;
use crate::indexer::{Indexer, Work};
use crate::log::{Applied, Logged, Step};
use crate::model::Ingested;
use crate::record::{Address, Arrived, ObjectMeta, Place};
use crate::store;
use crate::{ArchiveError, Settings};
use mingying_blob::{Blobs, Entry, Location};
use mingying_db::{Db, DbError};
use mingying_kernel::{Ctx, SharedClock};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{mpsc, oneshot};

pub(crate) const STORE: &str = "study.store";

/// What the queue carries.
pub(crate) enum Commit {
    Object(Box<Job>),
    Other(Box<Other>),
    /// Answered when everything before it is committed and told of.
    Flush(oneshot::Sender<()>),
}

pub(crate) type Reply<T> = oneshot::Sender<Result<T, ArchiveError>>;

/// One received object.
pub(crate) struct Job {
    pub entry: Entry,
    pub meta: ObjectMeta,
    pub what: Result<Described, Defect>,
    pub ctx: Ctx,
    pub reply: Reply<Ingested>,
}

/// Anything else that is done in the order of the log.
pub(crate) struct Other {
    pub task: Task,
    pub ctx: Ctx,
    pub reply: Reply<Applied>,
}

pub(crate) enum Task {
    /// Appends a record and does what it asks for.
    Record(Box<Entry>, Step),
    /// Appends copies of records, and points the rows of these at them.
    Copies(Vec<(Entry, Address)>),
    /// Takes a pack out of the index, when no row needs it any more.
    Retire(u64),
}

/// Who waits for an object that is in the pack.
pub(crate) struct Waiting {
    pub ctx: Ctx,
    pub reply: Reply<Ingested>,
}

/// What goes from the publisher to the indexer.
pub(crate) enum Published {
    Work(Box<Work>),
    Flush(oneshot::Sender<()>),
    /// Answered with whether the index has caught up with the packs.
    CatchUp(oneshot::Sender<bool>),
}

/// Starts both tasks; they end when every sender is gone.
pub(crate) fn start(
    db: Db,
    blobs: Blobs,
    ctx: Ctx,
    settings: &Settings,
) -> (mpsc::Sender<Commit>, Vec<tokio::task::JoinHandle<()>>) {
    let (queue, incoming) = mpsc::channel(1024);
    let (publish, published) = mpsc::channel(1);
    let behind = Arc::new(AtomicBool::new(false));
    let publisher = Publisher {
        db: db.clone(),
        blobs: blobs.clone(),
        clock: ctx.clock().clone(),
        publish,
        behind: behind.clone(),
        max_batch: settings.max_batch.max(1),
    };
    // On a thread of its own, which may block on the disk: a trip to another thread and back costs each image as much as
    // a fast disk does.
    let runtime = tokio::runtime::Handle::current();
    let publishing = publisher.run(incoming);
    let publisher = tokio::task::spawn_blocking(move || runtime.block_on(publishing));
    let holder = settings.nodes.as_ref().map(|nodes| nodes.session());
    let indexer = tokio::spawn(Indexer::new(db, blobs, ctx, behind, holder).run(published));
    (queue, vec![publisher, indexer])
}

struct Publisher {
    db: Db,
    blobs: Blobs,
    clock: SharedClock,
    publish: mpsc::Sender<Published>,
    behind: Arc<AtomicBool>,
    max_batch: usize,
}

impl Publisher {
    async fn run(self, mut incoming: mpsc::Receiver<Commit>) {
        while let Some(first) = incoming.recv().await {
            let mut jobs = Vec::new();
            let mut last = None;
            let mut next = Some(first);
            while let Some(commit) = next {
                match commit {
                    Commit::Object(job) => jobs.push(*job),
                    other => last = Some(other),
                }
                next = if jobs.len() < self.max_batch && last.is_none() { incoming.try_recv().ok() } else { None };
            }
            if self.one(jobs, last).await.is_err() {
                return;
            }
        }
    }

    /// Publishes a batch of objects and what came behind them. Fails when there is no indexer any more.
    async fn one(&self, jobs: Vec<Job>, last: Option<Commit>) -> Result<(), mpsc::error::SendError<Published>> {
        if self.behind.load(Ordering::Acquire) && !self.catch_up().await? {
            // What is in the pack without rows is bounded by what was on the way when the database failed.
            for job in jobs {
                let _ = job.reply.send(Err(DbError::Serialization.into()));
            }
            match last {
                Some(Commit::Other(other)) => drop(other.reply.send(Err(DbError::Serialization.into()))),
                Some(Commit::Flush(reply)) => drop(reply.send(())),
                _ => {}
            }
            return Ok(());
        }
        let jobs = answer_known(&self.db, jobs).await;
        if let Some(work) = self.write_objects(jobs) {
            self.publish.send(Published::Work(Box::new(work))).await?;
        }
        match last {
            Some(Commit::Other(other)) => {
                if let Some(work) = self.write_other(*other) {
                    self.publish.send(Published::Work(Box::new(work))).await?;
                }
            }
            Some(Commit::Flush(reply)) => self.publish.send(Published::Flush(reply)).await?,
            _ => {}
        }
        Ok(())
    }

    async fn catch_up(&self) -> Result<bool, mpsc::error::SendError<Published>> {
        let (reply, answer) = oneshot::channel();
        self.publish.send(Published::CatchUp(reply)).await?;
        Ok(answer.await.unwrap_or(false))
    }

    /// Blocks on the disk.
    fn write_objects(&self, jobs: Vec<Job>) -> Option<Work> {
        let mut entries = Vec::with_capacity(jobs.len());
        let mut rest = Vec::with_capacity(jobs.len());
        for job in jobs {
            let (head_len, sha256) = (job.entry.staged.head_len(), job.entry.staged.sha256());
            rest.push((job.meta, job.what, head_len, sha256, Waiting { ctx: job.ctx, reply: job.reply }));
            entries.push(job.entry);
        }
        if entries.is_empty() {
            return None;
        }
        let locations = match self.blobs.publish_blocking(&entries, self.clock.now()) {
            Ok(locations) => locations,
            Err(error) => {
                for (.., waiting) in rest {
                    let _ = waiting.reply.send(Err(ArchiveError::Blob(error.clone())));
                }
                return None;
            }
        };
        let mut items = Vec::with_capacity(rest.len());
        let mut waiting = Vec::with_capacity(rest.len());
        for ((meta, what, head_len, sha256, who), location) in rest.into_iter().zip(locations) {
            let place = Place { address: Address::of(location), location, head_len, sha256 };
            items.push(Arrived { meta, place, what });
            waiting.push(who);
        }
        Some(Work::Objects { items, waiting })
    }

    /// Blocks on the disk.
    fn write_other(&self, other: Other) -> Option<Work> {
        let Other { task, ctx, reply } = other;
        let published = match task {
            Task::Record(entry, step) => self.append(std::slice::from_ref(&*entry)).map(|places| {
                let place = places.first().copied();
                place.map(|place| Work::Record {
                    logged: Logged { address: Address::of(place), end: end_of(place), step },
                    ctx,
                    reply: None,
                })
            }),
            Task::Copies(copies) => {
                let (entries, addresses): (Vec<_>, Vec<_>) = copies.into_iter().unzip();
                self.append(&entries).map(|places| {
                    let end = places.last().copied().map(end_of);
                    let moves = addresses.into_iter().zip(places).collect();
                    end.map(|end| Work::Moves { moves, end, reply: None })
                })
            }
            Task::Retire(pack) => Ok(Some(Work::Retire { pack, now: self.clock.now(), reply: None })),
        };
        match published {
            Ok(Some(work)) => Some(work.answered_by(reply)),
            Ok(None) => {
                let _ = reply.send(Ok(Applied::Nothing));
                None
            }
            Err(error) => {
                let _ = reply.send(Err(error));
                None
            }
        }
    }

    fn append(&self, entries: &[Entry]) -> Result<Vec<Location>, ArchiveError> {
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.blobs.publish_blocking(entries, self.clock.now())?)
    }
}

/// The checkpoint behind a record.
pub(crate) fn end_of(location: Location) -> Address {
    Address { pack: location.pack, record: location.record_end() }
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
