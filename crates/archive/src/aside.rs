//! Quarantine and verification: what a person looks after.

use crate::commit::tell_stored;
use crate::model::{Ingested, Quarantined, Verified};
use crate::record::{Arrived, ObjectMeta, RelinkMeta, TargetMeta, TombstoneMeta, arrived, describe_stored, hex};
use crate::store::{self, ClaimTable, Held, Keys, Outcome};
use crate::{Archive, ArchiveError, ManageQuarantine};
use mingying_access::record;
use mingying_blob::{BlobError, Entry, Kind};
use mingying_events::About;
use mingying_events::payload::archive::{InstancesStored, QuarantineDeleted, QuarantineReleased, SeriesStored};
use mingying_kernel::Permit;
use serde::Serialize;

/// Rows of one step of `verify`.
const STEP: u32 = 500;

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
        let object = ObjectMeta { defect: None, ..meta };
        self.publish(
            Kind::Relink,
            &RelinkMeta {
                v: 1,
                at: permit.now(),
                actor_id: permit.actor().id.clone(),
                target: TargetMeta::of(&held.place),
                sha256: hex(&held.place.sha256),
                object: object.clone(),
            },
        )
        .await?;
        let item = Arrived { meta: object, place: held.place, what };
        let mut tx = self.db().begin().await?;
        let changes = store::index(&mut tx, &mut Keys::in_blocks_of(8), std::slice::from_ref(&item)).await?;
        let ingested = match changes.outcomes.first() {
            Some(Outcome::Stored(ingested)) => ingested.clone(),
            Some(Outcome::Quarantined { defect, .. }) => {
                let reason = defect.as_str();
                tx.commit().await?;
                return Err(ArchiveError::Quarantined { id, reason });
            }
            None => return Err(ArchiveError::NotFound),
        };
        let at = held.place.location;
        if !store::settle_quarantined(&mut tx, at.pack, at.record, "released").await? {
            return Err(ArchiveError::NotFound);
        }
        let payload = QuarantineReleased {
            quarantine_id: id,
            study_uid: ingested.study_uid.clone(),
            sop_uid: ingested.sop_uid.clone(),
        };
        record(&mut tx, permit, &About::new("quarantine", id, held.org), &payload).await?;
        for study in changes.grown.values() {
            let series = changes.stored.iter().map(|(_, series, _)| SeriesStored {
                series_uid: series.series_uid.clone(),
                modality: series.modality.clone(),
                added: 1,
                requested_procedure_id: series.requested_procedure_id.clone(),
                scheduled_step_id: series.scheduled_step_id.clone(),
            });
            let payload = InstancesStored {
                study_uid: study.study_uid.clone(),
                accession: study.accession.clone(),
                patient_id: study.patient_id.clone(),
                patient_id_issuer: study.patient_id_issuer.clone(),
                added: 1,
                total: study.instances,
                series: series.collect(),
                source: item.meta.source.clone(),
            };
            tell_stored(&mut tx, permit.ctx(), study, &payload).await?;
            store::announced(&mut tx, study.key).await?;
        }
        tx.commit().await?;
        Ok(ingested)
    }

    /// Deletes a quarantined object by a tombstone.
    pub async fn delete_quarantined(&self, permit: &Permit<ManageQuarantine>, id: i64) -> Result<(), ArchiveError> {
        let held = store::quarantined_one(self.db(), permit.scope(), id).await?;
        self.publish(
            Kind::Tombstone,
            &TombstoneMeta {
                v: 1,
                at: permit.now(),
                actor_id: permit.actor().id.clone(),
                target: TargetMeta::of(&held.place),
            },
        )
        .await?;
        let at = held.place.location;
        let mut tx = self.db().begin().await?;
        if !store::settle_quarantined(&mut tx, at.pack, at.record, "deleted").await? {
            return Err(ArchiveError::NotFound);
        }
        let about = About::new("quarantine", id, held.org);
        record(&mut tx, permit, &about, &QuarantineDeleted { quarantine_id: id }).await?;
        Ok(tx.commit().await?)
    }

    async fn publish(&self, kind: Kind, meta: &impl Serialize) -> Result<(), ArchiveError> {
        let meta = serde_json::to_vec(meta).map_err(|_| ArchiveError::Unreadable("meta"))?;
        let entry = Entry { kind, meta, staged: self.blobs().stage().finish() };
        self.blobs().publish(vec![entry], self.clock().now()).await?;
        Ok(())
    }

    /// The meta of a quarantined object's record.
    async fn meta_of(&self, held: &Held) -> Result<ObjectMeta, ArchiveError> {
        let at = held.place.location;
        let scan = self.blobs().scan(at.pack, at.record, 1).await?;
        let found = scan.records.first().filter(|found| found.location == at);
        let found = found.ok_or(ArchiveError::Blob(BlobError::Corrupt("quarantined record")))?.clone();
        let blobs = self.blobs().clone();
        tokio::task::spawn_blocking(move || arrived(&blobs, &found))
            .await
            .map_err(|_| ArchiveError::Closed)?
            .map(|item| item.meta)
            .ok_or(ArchiveError::Unreadable("meta"))
    }

    /// Computes the hash of every object again and compares packs and index both ways. Runs beside normal work.
    pub async fn verify(&self) -> Result<Verified, ArchiveError> {
        self.flush().await?;
        let mut verified = Verified::default();
        for table in [ClaimTable::Instances, ClaimTable::Duplicates, ClaimTable::Quarantine] {
            let mut after = 0;
            loop {
                let claims = store::claims(self.db(), table, after, STEP).await?;
                let Some(last) = claims.last() else { break };
                after = last.key;
                for claim in claims {
                    verified.checked += 1;
                    verified.bytes += claim.place.location.len;
                    match self.blobs().hash(claim.place.location, claim.place.head_len).await {
                        Ok(hash) if hash == claim.place.sha256 => {}
                        Ok(_) => verified.corrupt.push(claim.name),
                        Err(BlobError::NotFound | BlobError::Corrupt(_)) => verified.missing.push(claim.name),
                        Err(error) => return Err(error.into()),
                    }
                }
            }
        }
        for pack in self.blobs().packs() {
            // Records first: a row that comes meanwhile is known by the time it is asked for.
            let (mut records, mut damaged) = (Vec::new(), Vec::new());
            let mut at = 0;
            loop {
                let scan = self.blobs().scan(pack.id, at, 4096).await?;
                damaged.extend(scan.damaged);
                records.extend(scan.records.iter().filter(|f| f.kind == Kind::Object).map(|f| f.location.record));
                match scan.next {
                    Some(next) if next < pack.len => at = next,
                    _ => break,
                }
            }
            let known = store::known_records(self.db(), pack.id).await?;
            let of_pack = records.iter().filter(|record| **record < pack.len);
            verified.damaged += damaged.iter().filter(|record| known.contains(record)).count() as u64;
            verified.orphans += of_pack.filter(|record| !known.contains(record)).count() as u64;
        }
        Ok(verified)
    }
}
