//! Siblings made, in the background and politely.

use super::ENTRY;
use crate::house::MOMENT;
use crate::model::InstanceRef;
use crate::store::{self, SiblingRow};
use crate::{Archive, ArchiveError};
use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use mingying_blob::{BlobError, Entry, Kind, Staged};
use mingying_dicom::codec::{CodecError, PixelDescription, SiblingPlan, Unfit};
use mingying_dicom::outgoing::{DELIMITER, item};
use mingying_kernel::{Coded as _, Timestamp};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::oneshot;

/// From the begin of one look at all studies to the begin of the next.
const ROUND: Duration = Duration::from_hours(24);
/// Studies looked at in one go.
const STUDIES: u32 = 256;
/// Originals taken up in one go.
const ORIGINALS: u32 = 256;
/// Siblings that share a sync and a transaction, and their bytes.
const TOGETHER: (usize, u64) = (32, 16 << 20);
/// Header, meta, first checksum and trailer of a record, and the head of a pack, about: rather too much.
const FRAME: u64 = 256;

/// What one step of making did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SiblingStep {
    /// Siblings were made for this study, which has settled lately.
    Settled(String),
    /// Siblings were made for a study that has been there for longer.
    Older(String),
    /// Nothing is to be done now.
    Idle,
}

/// Where making goes on: studies that settle, in the order in which they do; in between those that were there before,
/// newest first.
pub(super) struct Place {
    settled: (Timestamp, i64),
    /// `None`: all were looked at in this round.
    before: Option<(Timestamp, i64)>,
    older: VecDeque<(String, Timestamp)>,
    round: Timestamp,
}

impl Place {
    /// Begins with what settles from `settled` on; a first round is due.
    pub fn at(settled: Timestamp, now: Timestamp) -> Self {
        Self { settled: (settled, i64::MAX), before: None, older: VecDeque::new(), round: now.minus(ROUND) }
    }
}

/// Whether images are arriving.
#[derive(Default)]
pub(super) struct Quiet {
    /// How many had arrived at the last look.
    seen: tokio::sync::Mutex<u64>,
}

impl Quiet {
    /// Returns at once when nothing has arrived since the last look, otherwise when nothing did for a moment.
    async fn wait<M: Future<Output = ()>>(&self, arrivals: impl Fn() -> u64, moment: impl Fn() -> M) {
        // Who comes meanwhile waits as well.
        let mut seen = self.seen.lock().await;
        while *seen != arrivals() {
            *seen = arrivals();
            moment().await;
        }
    }
}

/// Siblings that wait for their sync.
#[derive(Default)]
struct Batch {
    made: Vec<(InstanceRef, Staged)>,
    unfit: Vec<(InstanceRef, &'static str)>,
    bytes: u64,
}

/// Why an original gets none for now or ever.
enum Without {
    /// A property of the original.
    Unfit(&'static str),
    /// Trouble of this server, to be tried again.
    Failed(ArchiveError),
}

impl From<ArchiveError> for Without {
    fn from(error: ArchiveError) -> Self {
        let trouble = matches!(
            &error,
            ArchiveError::Db(_)
                | ArchiveError::Closed
                | ArchiveError::Blob(
                    BlobError::Io(_) | BlobError::Closed | BlobError::StorageFull | BlobError::Unavailable
                )
        );
        if trouble { Self::Failed(error) } else { Self::Unfit(error.code()) }
    }
}

impl From<Unfit> for Without {
    fn from(unfit: Unfit) -> Self {
        Self::Unfit(unfit.code())
    }
}

impl From<CodecError> for Without {
    fn from(error: CodecError) -> Self {
        Self::Unfit(error.code())
    }
}

impl Archive {
    /// Makes what is missing for one study: the next that has settled, or else one from before. To be called again and
    /// again by one task; it may be dropped at any moment. An error says that the server has trouble: wait a while.
    pub async fn next_siblings(&self) -> Result<SiblingStep, ArchiveError> {
        if self.siblings().blobs.is_none() {
            return Ok(SiblingStep::Idle);
        }
        let mut place = self.siblings().place.lock().await;
        let now = self.clock().now();
        loop {
            let until = now.minus(self.siblings().settings.settled);
            let next = store::study_after(self.db(), place.settled, until).await?;
            let Some((key, study_uid, received_at)) = next else { break };
            // What fails is tried again in the next round: it must not stand in the way of others.
            place.settled = (received_at, key);
            if self.siblings_of(&study_uid, received_at).await? == Outcome::Made {
                return Ok(SiblingStep::Settled(study_uid));
            }
        }
        self.next_older(&mut place, now).await
    }

    /// From the studies that were there before.
    async fn next_older(&self, place: &mut Place, now: Timestamp) -> Result<SiblingStep, ArchiveError> {
        if now.since(place.round) >= ROUND || now < place.round {
            place.round = now;
            place.before = Some((place.settled.0, place.settled.1.saturating_add(1)));
            self.drop_dead_packs().await?;
            let waiting = store::siblings_waiting(self.db()).await?;
            self.siblings().count(|stats| stats.waiting = waiting);
        }
        loop {
            while let Some((study_uid, received_at)) = place.older.pop_front() {
                match self.siblings_of(&study_uid, received_at).await? {
                    Outcome::Made => return Ok(SiblingStep::Older(study_uid)),
                    Outcome::Nothing => {}
                    // Those that follow are older still.
                    Outcome::Full => {
                        place.older.clear();
                        place.before = None;
                    }
                }
            }
            let Some(before) = place.before else { return Ok(SiblingStep::Idle) };
            let studies = store::studies_before(self.db(), before, &self.own_stores(), STUDIES).await?;
            place.before = studies.last().map(|study| (study.received_at, study.key));
            place.older = studies
                .into_iter()
                .filter(|study| study.waiting > 0)
                .map(|study| (study.study_uid, study.received_at))
                .collect();
        }
    }

    /// The stores whose originals get their siblings here; empty: all of them.
    fn own_stores(&self) -> Vec<u32> {
        if self.nodes().is_none() {
            return Vec::new();
        }
        std::iter::once(self.blobs().store()).chain(self.blobs().adopted_stores()).collect()
    }

    /// Makes the siblings that a study lacks.
    async fn siblings_of(&self, study_uid: &str, received_at: Timestamp) -> Result<Outcome, ArchiveError> {
        let mut outcome = Outcome::Nothing;
        let mut failed = None;
        loop {
            let originals = store::without_sibling(self.db(), study_uid, &self.own_stores(), ORIGINALS).await?;
            if originals.is_empty() {
                self.recent().forget(study_uid);
                return Ok(outcome);
            }
            let threads = self.siblings().settings.threads.clamp(1, 64);
            let work = originals.into_iter().map(|original| async move {
                let made = self.sibling_of(&original).await;
                (original, made)
            });
            let mut made = stream::iter(work).buffered(threads);
            let mut batch = Batch::default();
            loop {
                let next = made.next().await;
                let last = next.is_none();
                match next {
                    Some((original, Ok(staged))) => {
                        batch.bytes += staged.len();
                        batch.made.push((original, staged));
                    }
                    Some((original, Err(Without::Unfit(code)))) => batch.unfit.push((original, code)),
                    Some((_, Err(Without::Failed(error)))) => failed = Some(error),
                    None => {}
                }
                let full = batch.made.len() + batch.unfit.len() >= TOGETHER.0 || batch.bytes >= TOGETHER.1;
                if last || full {
                    match self.keep_siblings(std::mem::take(&mut batch), received_at).await? {
                        Outcome::Full => return Ok(Outcome::Full),
                        Outcome::Made => outcome = Outcome::Made,
                        Outcome::Nothing => {}
                    }
                }
                if last {
                    break;
                }
            }
            if let Some(error) = failed {
                return Err(error);
            }
        }
    }

    /// The sibling of one original, staged.
    async fn sibling_of(&self, original: &InstanceRef) -> Result<Staged, Without> {
        let blobs = self.siblings().blobs.as_ref().ok_or(ArchiveError::Closed)?;
        let header = self.header(original).await?;
        let pixel_len = u64::try_from(original.pixel_len).unwrap_or_default();
        let plan = SiblingPlan::new(&header, &original.transfer_syntax, pixel_len)?;
        let image = PixelDescription::read(&header)?.ok_or(Unfit::NoPixels)?;
        if image.high_bit + 1 != image.bits_stored {
            // Viewers take the lowest bits of what a decoder gives.
            return Err(Without::Unfit("high_bit"));
        }
        if i64::from(plan.frames()) != original.frames {
            return Err(Unfit::Length.into());
        }
        let mut staging = blobs.stage();
        let failed = |error: BlobError| Without::from(ArchiveError::from(error));
        staging.write(&item(&[])).await.map_err(failed)?;
        let mut table = Vec::new();
        for frame in 0..plan.frames() {
            self.siblings().quiet.wait(|| self.arrivals(), || tokio::time::sleep(MOMENT)).await;
            let native = self.frame_bytes(original, frame).await?;
            let coded = encoded(plan, native).await?;
            table.extend((staging.len() + ENTRY).to_le_bytes());
            staging.write(&item(&coded)).await.map_err(failed)?;
        }
        staging.write(&DELIMITER).await.map_err(failed)?;
        staging.write(&table).await.map_err(failed)?;
        if staging.len() >= pixel_len {
            // Noise and tiny images.
            return Err(Without::Unfit("larger"));
        }
        Ok(staging.finish())
    }

    /// Makes a batch durable, then lets it count.
    async fn keep_siblings(&self, batch: Batch, received_at: Timestamp) -> Result<Outcome, ArchiveError> {
        let siblings = self.siblings();
        let blobs = siblings.blobs.as_ref().ok_or(ArchiveError::Closed)?;
        let mut rows: Vec<SiblingRow> = Vec::with_capacity(batch.made.len() + batch.unfit.len());
        for (original, code) in &batch.unfit {
            rows.push(SiblingRow { instance_key: original.key, received_at: original.received_at, made: Err(*code) });
        }
        let made = batch.made.len() as u64;
        let room = made == 0 || self.make_room(batch.bytes + batch.bytes / 4096 + made * FRAME, received_at).await?;
        if room && made > 0 {
            let (originals, entries): (Vec<InstanceRef>, Vec<Entry>) = batch
                .made
                .into_iter()
                .map(|(original, staged)| (original, Entry { kind: Kind::Object, meta: b"{}".to_vec(), staged }))
                .unzip();
            let places = blobs.publish(entries, self.clock().now()).await?;
            for (original, place) in originals.into_iter().zip(places) {
                rows.push(SiblingRow {
                    instance_key: original.key,
                    received_at: original.received_at,
                    made: Ok(place),
                });
            }
        }
        store::add_siblings(self.db(), &rows).await?;
        siblings.count(|stats| {
            for (_, code) in &batch.unfit {
                *stats.unfit.entry((*code).to_owned()).or_default() += 1;
            }
            if room {
                stats.made += made;
                stats.bytes += batch.bytes;
            }
            stats.waiting = stats.waiting.saturating_sub(rows.len() as u64);
        });
        Ok(match (room, made) {
            (false, _) => Outcome::Full,
            (true, 0) => Outcome::Nothing,
            (true, _) => Outcome::Made,
        })
    }
}

/// What became of a study or a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Made,
    Nothing,
    /// There is no room, and nothing older that could go.
    Full,
}

/// Encodes a frame, and decodes it again to see that it is the same. On a thread of its own, because its priority is the
/// lowest and cannot be raised again.
async fn encoded(plan: SiblingPlan, native: Bytes) -> Result<Vec<u8>, Without> {
    let (reply, answer) = oneshot::channel();
    let work = move || {
        // Where the system refuses, the encoder competes like any other thread.
        let _ = rustix::process::setpriority_process(None, 19);
        let made = plan
            .encode(&native)
            .and_then(|coded| if plan.restore(&coded)? == native { Ok(coded) } else { Err(CodecError::Encode) });
        let _ = reply.send(made);
    };
    let thread = std::thread::Builder::new().name("sibling".to_owned()).spawn(work);
    thread.map_err(|error| Without::Failed(ArchiveError::Blob(BlobError::from(error))))?;
    // A codec that panics has met bytes it did not expect.
    Ok(answer.await.map_err(|_| Without::Unfit("codec.panic"))??)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[tokio::test]
    async fn making_stops_while_images_arrive() {
        let (arrived, moments) = (Cell::new(0), Cell::new(0));
        let quiet = Quiet::default();
        let moment = || {
            // Ten more arrive, one in each moment.
            arrived.set((arrived.get() + 1).min(11));
            moments.set(moments.get() + 1);
            std::future::ready(())
        };
        quiet.wait(|| arrived.get(), moment).await;
        assert_eq!(moments.get(), 0, "nothing arrives, nothing waits");
        arrived.set(1);
        quiet.wait(|| arrived.get(), moment).await;
        assert_eq!((arrived.get(), moments.get()), (11, 11), "until a moment has passed without one");
        quiet.wait(|| arrived.get(), moment).await;
        assert_eq!(moments.get(), 11);
    }
}
