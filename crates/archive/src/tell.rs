//! What events tell of stored objects.

use crate::DeleteStudies;
use crate::commit::STORE;
use crate::model::Deletion;
use crate::record::Arrived;
use crate::store::{self, Changes, GrownSeries, Outcome, StudyBrief};
use mingying_access::audit;
use mingying_db::{DbError, Tx};
use mingying_events::payload::archive::{
    DuplicateFound, InstancesRestored, InstancesStored, ObjectQuarantined, SeriesStored, StudyCreated,
};
use mingying_events::{About, emit};
use mingying_kernel::{Action as _, Ctx, OrgId};
use std::collections::{BTreeMap, HashMap};
use tokio::time::Instant;

/// What events have yet to tell about one study.
pub(crate) struct Untold {
    pub study: StudyBrief,
    pub since: Instant,
    by_source: BTreeMap<String, UntoldBySource>,
}

pub(crate) struct UntoldBySource {
    ctx: Ctx,
    added: i64,
    series: BTreeMap<String, SeriesStored>,
}

impl Untold {
    pub fn copy(&self) -> Self {
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

pub(crate) fn merge(into: &mut Option<Untold>, fresh: &Untold) {
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
pub(crate) fn gather(items: &[Arrived], contexts: &[Ctx], changes: &Changes) -> HashMap<i64, Untold> {
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

pub(crate) async fn tell(tx: &mut Tx, untold: &Untold) -> Result<(), DbError> {
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

/// Tells of new instances at once and of all of them, where the committer's gathering does not reach.
pub(crate) async fn tell_stored_now(
    tx: &mut Tx,
    ctx: &Ctx,
    items: &[Arrived],
    changes: &Changes,
) -> Result<(), DbError> {
    let contexts = vec![ctx.clone(); items.len()];
    for untold in gather(items, &contexts, changes).values() {
        tell(tx, untold).await?;
    }
    Ok(())
}

pub(crate) async fn tell_restored(tx: &mut Tx, ctx: &Ctx, org: OrgId, deletion: &Deletion) -> Result<(), DbError> {
    let payload = InstancesRestored { study_uid: deletion.study_uid.clone(), restored: deletion.instances };
    let about = About::new("study", &deletion.study_uid, org);
    emit(tx, ctx, &about, &payload).await?;
    let done = mingying_access::Outcome::Done;
    audit(tx, ctx, DeleteStudies::NAME, "study", &deletion.study_uid, done, "instances.restored").await
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
