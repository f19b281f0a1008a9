//! An object on its way in: staged while it arrives, described up to its pixels, handed to the committer.

use crate::commit::{Commit, Job};
use crate::describe::{Described, describe};
use crate::header::Defect;
use crate::model::{FileMeta, Ingested, Origin};
use crate::record::{ObjectMeta, announced};
use crate::store;
use crate::{Archive, ArchiveError, StoreStudy};
use mingying_blob::{Entry, Kind, Staged, Staging};
use mingying_dicom::part10;
use mingying_kernel::{DicomUid, Permit};
use tokio::sync::oneshot;

/// Longest file meta information that is waited for before the object is taken for something else.
const MAX_HEAD: usize = 128 << 10;

/// An object on its way in. Dropping it without `finish` forgets it.
pub struct Receiving {
    archive: Archive,
    origin: Origin,
    staging: Staging,
    front: Front,
    received: u64,
}

/// What comes before the data set.
enum Front {
    /// The sender announced the object; nothing is written yet.
    Announced(FileMeta),
    /// A Part 10 file whose meta information is not complete yet.
    Collecting(Vec<u8>),
    /// The data set is arriving.
    Known(FileMeta),
    /// Not a Part 10 file; kept as it is.
    NotDicom,
}

impl Receiving {
    pub(crate) fn data_set(archive: Archive, origin: Origin, meta: FileMeta) -> Self {
        let staging = archive.blobs().stage();
        Self { archive, origin, staging, front: Front::Announced(meta), received: 0 }
    }

    pub(crate) fn part10(archive: Archive, origin: Origin) -> Self {
        let staging = archive.blobs().stage();
        Self { archive, origin, staging, front: Front::Collecting(Vec::new()), received: 0 }
    }

    /// Bytes taken so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Takes the next bytes of the object.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.archive.arriving();
        self.received += bytes.len() as u64;
        if self.received > self.archive.settings().max_object {
            return Err(ArchiveError::TooLarge);
        }
        match &mut self.front {
            Front::Known(_) | Front::NotDicom => Ok(self.staging.write(bytes).await?),
            Front::Announced(_) => {
                self.begin().await?;
                Ok(self.staging.write(bytes).await?)
            }
            Front::Collecting(collected) => {
                collected.extend_from_slice(bytes);
                match part10::read_header(collected) {
                    Ok(Some(header)) => {
                        let all = std::mem::take(collected);
                        let (head, content) = all.split_at(header.data_set_at.min(all.len()));
                        self.staging.head(head).await?;
                        self.front = Front::Known(FileMeta {
                            sop_class: header.sop_class,
                            sop_instance: header.sop_instance,
                            transfer_syntax: header.transfer_syntax,
                        });
                        Ok(self.staging.write(content).await?)
                    }
                    Ok(None) if collected.len() < MAX_HEAD => Ok(()),
                    Ok(None) | Err(_) => self.not_dicom().await,
                }
            }
        }
    }

    /// Writes preamble and file meta information in front of an announced object.
    async fn begin(&mut self) -> Result<(), ArchiveError> {
        if let Front::Announced(meta) = &self.front {
            // Nothing of the sender goes in, so that the same object from two senders is the same file.
            let head = part10::write_header(&meta.sop_class, &meta.sop_instance, &meta.transfer_syntax, None);
            let meta = meta.clone();
            self.staging.head(&head).await?;
            self.front = Front::Known(meta);
        }
        Ok(())
    }

    async fn not_dicom(&mut self) -> Result<(), ArchiveError> {
        if let Front::Collecting(collected) = std::mem::replace(&mut self.front, Front::NotDicom) {
            self.staging.write(&collected).await?;
        }
        Ok(())
    }

    /// `Ok` only when the object is durable and indexed. `Quarantined` when it is kept aside.
    pub async fn finish(mut self, permit: &Permit<StoreStudy>) -> Result<Ingested, ArchiveError> {
        self.begin().await?;
        if matches!(self.front, Front::Collecting(_)) {
            self.not_dicom().await?;
        }
        let (file, defect) = match self.front {
            Front::Known(meta) => (meta, None),
            _ => {
                let none =
                    FileMeta { sop_class: String::new(), sop_instance: String::new(), transfer_syntax: String::new() };
                (none, Some(Defect::NotDicom))
            }
        };
        let staged = self.staging.finish();
        let (staged, what) = match defect {
            Some(defect) => (staged, Err(defect)),
            None if staged.is_spooled() => {
                let file = file.clone();
                tokio::task::spawn_blocking(move || {
                    let what = describe_staged(&staged, &file);
                    (staged, what)
                })
                .await
                .map_err(|_| ArchiveError::Closed)?
            }
            None => {
                let what = describe_staged(&staged, &file);
                (staged, what)
            }
        };
        let ctx = permit.ctx();
        let owner = self.origin.owner.unwrap_or_else(|| self.archive.owner_for(ctx.actor().org));
        if let Err(full) = self.archive.take_room(owner.org, staged.len()).await {
            // What is here already needs no room, and its sender need not try again.
            return self.archive.known(&staged, &what).await?.ok_or(full);
        }
        let meta = ObjectMeta {
            v: 1,
            received_at: ctx.now(),
            source: self.origin.source,
            calling_aet: self.origin.calling_aet,
            owner,
            actor_kind: ctx.actor().kind.as_str().to_owned(),
            actor_id: ctx.actor().id.clone(),
            file,
            defect: what.as_ref().err().map(|defect| defect.as_str().to_owned()),
        };
        let entry = Entry {
            kind: Kind::Object,
            meta: serde_json::to_vec(&meta).map_err(|_| ArchiveError::Unreadable("meta"))?,
            staged,
        };
        let (reply, answer) = oneshot::channel();
        let job = Job { entry, meta, what, ctx: ctx.clone(), reply };
        self.archive.submit(Commit::Object(Box::new(job))).await?;
        answer.await.map_err(|_| ArchiveError::Closed)?
    }
}

impl Archive {
    /// The object that is here with the same content, if any.
    async fn known(&self, staged: &Staged, what: &Result<Described, Defect>) -> Result<Option<Ingested>, ArchiveError> {
        let Ok(described) = what else { return Ok(None) };
        let mut known = store::known_contents(self.db(), &[&described.sop_uid]).await?;
        let there = known.remove(&described.sop_uid);
        let same = there.filter(|(there, served)| there.study_uid == described.study_uid && *served == staged.sha256());
        Ok(same.map(|(there, _)| there))
    }
}

fn describe_staged(staged: &Staged, file: &FileMeta) -> Result<Described, Defect> {
    // The data set of an object whose announced names are no UIDs cannot agree with them.
    if DicomUid::parse_lenient(&file.sop_instance).is_err() {
        return Err(Defect::MissingUid);
    }
    let head = staged.head_len();
    let mut read = |offset: u64, len: usize| staged.read_at(head + offset, len).map_err(|_| Defect::Unreadable);
    describe(&mut read, staged.len() - head, announced(file))
}
