//! Quarantine: objects that wait for a person; and how everything but objects gets into the log.

use crate::commit::{Commit, Other, Task};
use crate::log::{Applied, Step, said};
use crate::model::{Ingested, Quarantined};
use crate::record::{ObjectMeta, RelinkMeta, TargetMeta, TombstoneMeta, describe_stored, hex};
use crate::store::{self, Held};
use crate::{Archive, ArchiveError, ManageQuarantine};
use mingying_blob::{Entry, Kind};
use mingying_kernel::{Ctx, Permit};
use serde::Serialize;
use tokio::sync::oneshot;

impl Archive {
    /// Quarantined objects, newest first; `after` is the id of the last one of the page before.
    pub async fn quarantine(
        &self,
        permit: &Permit<ManageQuarantine>,
        limit: u32,
        after: Option<i64>,
    ) -> Result<Vec<Quarantined>, ArchiveError> {
        Ok(store::quarantined(self.db(), permit.scope(), limit, after).await?)
    }

    /// Tries again to index a quarantined object, after a correction of the software or of the study it collided with.
    pub async fn retry_quarantined(
        &self,
        permit: &Permit<ManageQuarantine>,
        id: i64,
    ) -> Result<Ingested, ArchiveError> {
        let held = store::quarantined_one(self.db(), permit.scope(), id).await?;
        let meta = self.meta_of(&held).await?;
        let (blobs, place, file) = (self.blobs().clone(), held.place, meta.file.clone());
        let what = tokio::task::spawn_blocking(move || describe_stored(&blobs, &place, &file))
            .await
            .map_err(|_| ArchiveError::Closed)?;
        if let Err(defect) = what {
            return Err(ArchiveError::Quarantined { id, reason: defect.as_str() });
        }
        let relink = RelinkMeta {
            v: 1,
            at: permit.now(),
            actor_id: permit.actor().id.clone(),
            target: TargetMeta::of(&held.place),
            sha256: hex(&held.place.sha256),
            object: ObjectMeta { defect: None, ..meta },
        };
        match self.log(Kind::Relink, &relink, permit.ctx(), |meta| Step::Relink(Box::new(meta))).await? {
            Applied::Stored(ingested) => Ok(ingested),
            Applied::StillHeld(defect) => Err(ArchiveError::Quarantined { id, reason: defect.as_str() }),
            _ => Err(ArchiveError::NotFound),
        }
    }

    /// Deletes a quarantined object by a tombstone.
    pub async fn delete_quarantined(&self, permit: &Permit<ManageQuarantine>, id: i64) -> Result<(), ArchiveError> {
        let held = store::quarantined_one(self.db(), permit.scope(), id).await?;
        let tombstone = TombstoneMeta::Record {
            v: 1,
            at: permit.now(),
            actor_id: permit.actor().id.clone(),
            target: TargetMeta::of(&held.place),
        };
        match self.log(Kind::Tombstone, &tombstone, permit.ctx(), Step::Tombstone).await? {
            Applied::Done => Ok(()),
            _ => Err(ArchiveError::NotFound),
        }
    }

    /// The meta of a quarantined object's record.
    async fn meta_of(&self, held: &Held) -> Result<ObjectMeta, ArchiveError> {
        let at = held.place.location;
        let found = self.blobs().record(at.pack, at.record).await?;
        said(found).and_then(|said| said.object_meta()).ok_or(ArchiveError::Unreadable("meta"))
    }

    /// Appends a record without payload to the log, and answers what it did.
    pub(crate) async fn log<M: Serialize + Clone>(
        &self,
        kind: Kind,
        meta: &M,
        ctx: &Ctx,
        step: impl FnOnce(M) -> Step,
    ) -> Result<Applied, ArchiveError> {
        let bytes = serde_json::to_vec(meta).map_err(|_| ArchiveError::Unreadable("meta"))?;
        let entry = Entry { kind, meta: bytes, staged: self.blobs().stage().finish() };
        self.ask(Task::Record(Box::new(entry), step(meta.clone())), ctx).await
    }

    /// Has the committer do something in the order of the log.
    pub(crate) async fn ask(&self, task: Task, ctx: &Ctx) -> Result<Applied, ArchiveError> {
        let (reply, answer) = oneshot::channel();
        self.submit(Commit::Other(Box::new(Other { task, ctx: ctx.clone(), reply }))).await?;
        answer.await.map_err(|_| ArchiveError::Closed)?
    }
}
