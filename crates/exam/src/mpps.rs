//! Modality Performed Procedure Step (PS3.4 Annex F): what the modality says it does.

use crate::model::StartedBy;
use crate::{ExamError, Mpps, MppsCreate, MppsSet, MppsState, ReadExams, WriteMpps, images, perform, store};
use mingying_access::record;
use mingying_db::{Db, DbError, Tx};
use mingying_events::About;
use mingying_events::payload::exam::{MppsCreated, MppsUpdated};
use mingying_kernel::{OrderId, OrgId, Permit};

/// N-CREATE. The step is tied to its order by the scheduled step, the Study Instance UID or the accession number; one
/// that fits no order is kept for a person. A second N-CREATE of the same UID is refused (PS3.7 10.1.5.1.6).
pub async fn mpps_create(db: &Db, permit: &Permit<WriteMpps>, create: MppsCreate) -> Result<Mpps, ExamError> {
    let now = permit.now();
    let mut tx = db.begin().await?;
    let order = order_of(&mut tx, permit, &create).await?;
    let org = match order {
        Some(order) => mingying_orders::load_in(&mut tx, permit.scope(), order).await?.org,
        None => mingying_patients::home_org_in(&mut tx, permit.scope()).await?,
    };
    let step = Mpps {
        uid: create.uid,
        org,
        order,
        station_aet: create.station_aet,
        study_uid: create.study_uid,
        accession: create.accession,
        state: MppsState::InProgress,
        started_at: create.started_at.unwrap_or(now),
        ended_at: None,
        images: 0,
        reason: String::new(),
    };
    let new = store::NewMpps {
        sps_id: create.sps_id.as_deref(),
        patient_id: create.patient_id.as_deref(),
        dataset: &create.dataset_json,
    };
    match store::insert_mpps(&mut tx, &step, &new, now).await {
        Err(DbError::Unique { .. }) => return Err(ExamError::MppsDuplicate),
        other => other?,
    }
    let event = MppsCreated { station_aet: step.station_aet.clone(), linked: order.is_some() };
    record(&mut tx, permit, &about(&step, org), &event).await?;
    if let Some(order) = order {
        perform::begin(&mut tx, permit, order, StartedBy::Mpps, Some(&step.station_aet), Some(step.started_at)).await?;
    }
    tx.commit().await?;
    Ok(step)
}

fn about(step: &Mpps, org: OrgId) -> About {
    let mut about = About::new("mpps", &step.uid, org);
    about.case = step.order;
    about
}

async fn order_of(
    tx: &mut Tx,
    permit: &Permit<WriteMpps>,
    create: &MppsCreate,
) -> Result<Option<OrderId>, ExamError> {
    let scope = permit.scope();
    if let Some(id) = create.sps_id.as_deref().filter(|t| !t.is_empty())
        && let Some(step) = mingying_scheduling::step_by_id(tx, scope, id).await?
    {
        return Ok(Some(step.order));
    }
    if let Some(uid) = &create.study_uid
        && let Some(order) = mingying_orders::by_study_uid(tx, scope, uid.as_str()).await?
    {
        return Ok(Some(order));
    }
    match create.accession.as_deref().filter(|t| !t.is_empty()) {
        Some(accession) => Ok(mingying_orders::by_accession(tx, scope, accession).await?),
        None => Ok(None),
    }
}

/// N-SET. A final step takes no further change (PS3.4 F.7.2.2.3).
pub async fn mpps_set(db: &Db, permit: &Permit<WriteMpps>, set: MppsSet) -> Result<Mpps, ExamError> {
    let now = permit.now();
    let mut tx = db.begin().await?;
    let mut step = store::hold_mpps(&mut tx, permit.scope(), &set.uid).await?.ok_or(ExamError::MppsUnknown)?;
    if step.state != MppsState::InProgress {
        return Err(ExamError::MppsFinal);
    }
    step.state = set.status;
    step.images = set.series.iter().map(|s| s.images).sum();
    if set.status != MppsState::InProgress {
        step.ended_at = Some(set.ended_at.unwrap_or(now));
    }
    step.reason = set.reason.unwrap_or_default();
    store::update_mpps(&mut tx, &step, &set.series, &set.dataset_json, now).await?;
    let event =
        MppsUpdated { state: step.state.to_string(), images: step.images, series: set.series.len() as u32 };
    record(&mut tx, permit, &about(&step, step.org), &event).await?;
    if let Some(order) = step.order {
        match step.state {
            MppsState::InProgress => {}
            MppsState::Completed => images::ready_by_mpps(&mut tx, permit, order).await?,
            MppsState::Discontinued => discontinued(&mut tx, permit, order, &step).await?,
        }
    }
    tx.commit().await?;
    Ok(step)
}

/// The modality broke off. Images that exist are kept and read; without any the exam is discontinued.
async fn discontinued(
    tx: &mut Tx,
    permit: &Permit<WriteMpps>,
    order: OrderId,
    step: &Mpps,
) -> Result<(), ExamError> {
    let (_, going, _) = store::steps_of(tx, order).await?;
    let images = store::images_of(tx, order).await?;
    if going > 0 {
        return Ok(());
    }
    if images > 0 {
        return images::ready_by_mpps(tx, permit, order).await;
    }
    let state = mingying_orders::load_in(tx, permit.scope(), order).await?.state;
    if state.after(mingying_orders::Step::Discontinue).is_some() {
        let reason = if step.reason.is_empty() { "MPPS DISCONTINUED" } else { &step.reason };
        perform::break_off(tx, permit, order, reason, StartedBy::Mpps).await?;
    }
    Ok(())
}

/// The performed steps of an exam, oldest first.
pub async fn mpps_of(db: &Db, permit: &Permit<ReadExams>, order: OrderId) -> Result<Vec<Mpps>, ExamError> {
    Ok(store::mpps_of(db, permit.scope(), order).await?)
}

/// Performed steps that fit no order, newest first.
pub async fn unlinked_mpps(db: &Db, permit: &Permit<ReadExams>, limit: u32) -> Result<Vec<Mpps>, ExamError> {
    Ok(store::unlinked(db, permit.scope(), limit.clamp(1, 500)).await?)
}
