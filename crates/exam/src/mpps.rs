//! Modality Performed Procedure Step (PS3.4 Annex F): what the modality says it performs.
//!
//! Every step is kept, also one that no order is found for. A step that is linked moves its exam; one that comes too
//! late for that (the technologist was faster) is recorded and moves nothing.

use crate::images::all_here;
use crate::model::StartedBy;
use crate::perform::{begin, broken_off};
use crate::{ExamError, Mpps, MppsCreate, MppsSet, MppsState, ReadExams, WriteMpps, store};
use mingying_db::{Db, Tx};
use mingying_events::About;
use mingying_events::payload::exam::{MppsCreated, MppsUpdated};
use mingying_kernel::{AeTitle, OrderId, OrgId, Permit, Scope};
use mingying_orders::{ExamState, Order, Step};

/// N-CREATE. A known UID is refused with `MppsDuplicate` (PS3.7 10.1.5.1.6), whatever it contains.
pub async fn mpps_create(db: &Db, permit: &Permit<WriteMpps>, create: MppsCreate) -> Result<Mpps, ExamError> {
    let mut tx = db.begin().await?;
    let now = permit.now();
    let order = match find_order(&mut tx, permit.scope(), &create).await? {
        Some(id) => Some(mingying_orders::load_locked(&mut tx, permit.scope(), id).await?),
        None => None,
    };
    let org: OrgId = match &order {
        Some(order) => order.org,
        None => owner(&mut tx, permit.scope(), &create.station_aet).await?,
    };
    let mpps = Mpps {
        uid: create.uid,
        org,
        order: order.as_ref().map(|o| o.id),
        station_aet: create.station_aet,
        study_uid: create.study_uid,
        accession: create.accession,
        state: MppsState::InProgress,
        // A modality's clock may be wrong by years; a start in the future is not one.
        started_at: create.started_at.filter(|at| *at <= now).unwrap_or(now),
        ended_at: None,
        images: 0,
        reason: String::new(),
    };
    let (sps, patient) = (create.sps_id.as_deref(), create.patient_id.as_deref());
    if !store::insert_mpps(&mut tx, &mpps, sps, patient, &create.dataset_json, now).await? {
        return Err(ExamError::MppsDuplicate);
    }
    let about = about(&mpps, order.as_ref());
    let payload = MppsCreated { station_aet: mpps.station_aet.clone(), linked: order.is_some() };
    mingying_access::record(&mut tx, permit, &about, &payload).await?;
    if let Some(order) = &order {
        store::stop_waiting(&mut tx, order.id).await?;
        if order.state.after(Step::Start).is_some() {
            let device = match AeTitle::parse(&mpps.station_aet) {
                Ok(aet) => mingying_scheduling::device_by_aet(&mut tx, Scope::Org(org), &aet).await?,
                Err(_) => None,
            };
            let device = device.filter(|d| d.modality == order.modality).map(|d| d.id);
            let _ = begin(&mut tx, permit, order.id, device, StartedBy::Mpps, Some(mpps.started_at)).await?;
        }
    }
    tx.commit().await?;
    Ok(mpps)
}

/// By the Study Instance UID of the worklist, then the accession number, then the scheduled step's id.
async fn find_order(tx: &mut Tx, scope: Scope, create: &MppsCreate) -> Result<Option<OrderId>, ExamError> {
    if let Some(uid) = &create.study_uid
        && let Some(order) = mingying_orders::by_study_uid(tx, scope, uid.as_str()).await?
    {
        return Ok(Some(order));
    }
    if let Some(accession) = &create.accession
        && let Some(order) = mingying_orders::by_accession(tx, scope, accession).await?
    {
        return Ok(Some(order));
    }
    if let Some(sps_id) = &create.sps_id
        && let Some(step) = mingying_scheduling::step_by_id(tx, scope, sps_id).await?
    {
        return Ok(Some(step.order));
    }
    Ok(None)
}

/// Whose an unlinked step is: the device's organization, else the sender's.
async fn owner(tx: &mut Tx, scope: Scope, station_aet: &str) -> Result<OrgId, ExamError> {
    if let Ok(aet) = AeTitle::parse(station_aet)
        && let Some(device) = mingying_scheduling::device_by_aet(tx, scope, &aet).await?
    {
        return Ok(device.org);
    }
    Ok(mingying_patients::home_org_in(tx, scope).await?)
}

fn about(mpps: &Mpps, order: Option<&Order>) -> About {
    let about = About::new("mpps", &mpps.uid, mpps.org);
    match order {
        Some(order) => about.case(order.id).patient(order.patient.id),
        None => about,
    }
}

/// N-SET. A final step may not change any more (PS3.4 F.7.2.2.2). When the last open step of the exam has ended, the
/// exam is IMAGED as soon as the images that were named are here; it is DISCONTINUED when the last one was broken off
/// and there is no image at all.
pub async fn mpps_set(db: &Db, permit: &Permit<WriteMpps>, set: MppsSet) -> Result<Mpps, ExamError> {
    let mut tx = db.begin().await?;
    let now = permit.now();
    let mut mpps = store::hold_mpps(&mut tx, permit.scope(), &set.uid).await?.ok_or(ExamError::MppsUnknown)?;
    if mpps.state != MppsState::InProgress {
        return Err(ExamError::MppsFinal);
    }
    mpps.state = set.status;
    mpps.images = set.series.iter().map(|s| s.images).sum::<u32>().max(mpps.images);
    if set.status != MppsState::InProgress {
        mpps.ended_at = Some(set.ended_at.filter(|at| *at <= now).unwrap_or(now));
    }
    if let Some(reason) = set.reason.as_deref().map(str::trim).filter(|r| !r.is_empty()) {
        mpps.reason = reason.chars().filter(|c| !c.is_control()).take(200).collect();
    }
    store::save_mpps(&mut tx, &mpps, &set.series, &set.dataset_json, now).await?;
    let order = match mpps.order {
        Some(id) => Some(mingying_orders::load_locked(&mut tx, permit.scope(), id).await?),
        None => None,
    };
    let payload = MppsUpdated {
        state: mpps.state.to_string(),
        images: mpps.images,
        series: u32::try_from(set.series.len()).unwrap_or(u32::MAX),
    };
    mingying_access::record(&mut tx, permit, &about(&mpps, order.as_ref()), &payload).await?;
    if let Some(order) = order.filter(|o| o.state == ExamState::InProgress) {
        let steps = store::steps_of(&mut tx, order.id).await?;
        let nothing = store::images(&mut tx, order.id).await? == 0 && steps.named == 0;
        match mpps.state {
            MppsState::InProgress => {}
            MppsState::Discontinued if steps.open == 0 && nothing => {
                let reason = if mpps.reason.is_empty() { "MPPS DISCONTINUED" } else { mpps.reason.as_str() };
                broken_off(&mut tx, permit, order.id, reason, StartedBy::Mpps).await?;
            }
            MppsState::Completed | MppsState::Discontinued => all_here(&mut tx, permit, order.id).await?,
        }
    }
    tx.commit().await?;
    Ok(mpps)
}

/// The performed steps of one exam, the oldest first.
pub async fn mpps_of(db: &Db, permit: &Permit<ReadExams>, order: OrderId) -> Result<Vec<Mpps>, ExamError> {
    Ok(store::mpps_of(db, permit.scope(), order).await?)
}

/// Performed steps that no order was found for, the newest first.
pub async fn unlinked_mpps(db: &Db, permit: &Permit<ReadExams>, limit: u32) -> Result<Vec<Mpps>, ExamError> {
    Ok(store::unlinked(db, permit.scope(), limit.clamp(1, 500)).await?)
}
