//! The technologist at the device.

use crate::model::{ImagedBy, StartedBy};
use crate::{ExamError, PerformExam, store};
use mingying_db::{Db, Tx};
use mingying_events::payload::exam::{
    ExamCompleted, ExamDiscontinued, ExamImaged, ExamRedo, ExamStarted, PreparationDone,
};
use mingying_kernel::{Action, DeviceId, OrderId, Permit, Timestamp};
use mingying_orders::{ExamState, Step, advance, advance_at};
use mingying_scheduling::SpsState;

fn given(reason: &str) -> Result<&str, ExamError> {
    let reason = reason.trim();
    if reason.is_empty() || reason.chars().count() > 500 || reason.chars().any(|c| c.is_control() && c != '\n') {
        return Err(ExamError::Invalid { field: "reason" });
    }
    Ok(reason)
}

/// The nurse has finished the preparation.
pub async fn prepare(db: &Db, permit: &Permit<PerformExam>, order: OrderId) -> Result<(), ExamError> {
    let mut tx = db.begin().await?;
    let step = advance(&mut tx, permit, order, Step::Prepare).await?;
    step.record(&mut tx, permit, &step.about("order", order), &PreparationDone {}).await?;
    tx.commit().await?;
    Ok(())
}

/// The technologist starts the exam, on another device than planned where one is named.
pub async fn start(
    db: &Db,
    permit: &Permit<PerformExam>,
    order: OrderId,
    device: Option<DeviceId>,
) -> Result<(), ExamError> {
    let mut tx = db.begin().await?;
    start_in(&mut tx, permit, order, device).await?;
    tx.commit().await?;
    Ok(())
}

/// As `start`, in the caller's transaction.
pub async fn start_in<A: Action>(
    tx: &mut Tx,
    permit: &Permit<A>,
    order: OrderId,
    device: Option<DeviceId>,
) -> Result<(), ExamError> {
    if let Some(device) = device {
        let device = mingying_scheduling::device_in(tx, permit.scope(), device).await?;
        mingying_scheduling::ensure_step(tx, permit, order, &device, permit.now()).await?;
    }
    begin(tx, permit, order, StartedBy::Technologist, None, None).await
}

/// Moves an exam to IN_PROGRESS. Whoever comes second finds it there and changes nothing.
pub(crate) async fn begin<A: Action>(
    tx: &mut Tx,
    permit: &Permit<A>,
    order: OrderId,
    by: StartedBy,
    station: Option<&str>,
    at: Option<Timestamp>,
) -> Result<(), ExamError> {
    let before = mingying_orders::load_in(tx, permit.scope(), order).await?;
    if by != StartedBy::Technologist && !may_begin(before.state) {
        return Ok(());
    }
    // The desk was skipped: a fact that the case keeps as the exam's reason.
    let skipped = matches!(before.state, ExamState::Accepted | ExamState::Scheduled)
        .then(|| format!("started by {by} in state {}", before.state));
    let step = advance_at(tx, permit, order, Step::Start, skipped.as_deref(), at).await?;
    let planned = mingying_scheduling::step_of_in(tx, order).await?;
    let device = station.map(str::to_owned).or_else(|| planned.as_ref().map(|s| s.station_aet.to_string()));
    let mut about = step.about("order", order);
    about.occurred_at = at;
    let event = ExamStarted { by: by.to_string(), device: device.unwrap_or_default(), from: step.from.to_string() };
    step.record(tx, permit, &about, &event).await?;
    if let Some(planned) = planned {
        store::set_device(tx, order, step.org, planned.device, permit.now()).await?;
        mingying_scheduling::set_step_state(tx, permit, order, SpsState::Started).await?;
    }
    Ok(())
}

/// States in which a device's own word moves the exam to IN_PROGRESS.
const fn may_begin(state: ExamState) -> bool {
    state.after(Step::Start).is_some()
}

/// Moves an exam to IMAGED; nothing when it is not IN_PROGRESS (any more).
pub(crate) async fn imaged<A: Action>(
    tx: &mut Tx,
    permit: &Permit<A>,
    order: OrderId,
    by: ImagedBy,
    at: Option<Timestamp>,
) -> Result<bool, ExamError> {
    let state = mingying_orders::load_in(tx, permit.scope(), order).await?.state;
    if state != ExamState::InProgress {
        return Ok(false);
    }
    let images = store::images_of(tx, order).await?;
    let step = advance_at(tx, permit, order, Step::Image, None, at).await?;
    let mut about = step.about("order", order);
    about.occurred_at = at;
    step.record(tx, permit, &about, &ExamImaged { by: by.to_string(), images }).await?;
    store::stop_waiting(tx, order).await?;
    Ok(true)
}

/// The technologist confirms the images. Without any image a reason is needed.
pub async fn complete(
    db: &Db,
    permit: &Permit<PerformExam>,
    order: OrderId,
    reason: Option<&str>,
) -> Result<(), ExamError> {
    let mut tx = db.begin().await?;
    complete_in(&mut tx, permit, order, reason).await?;
    tx.commit().await?;
    Ok(())
}

/// As `complete`, in the caller's transaction. The technologist's word also ends the waiting for more images.
pub async fn complete_in<A: Action>(
    tx: &mut Tx,
    permit: &Permit<A>,
    order: OrderId,
    reason: Option<&str>,
) -> Result<(), ExamError> {
    let reason = reason.map(str::trim).filter(|r| !r.is_empty()).map(given).transpose()?;
    let images = store::images_of(tx, order).await?;
    if images == 0 && reason.is_none() {
        return Err(ExamError::NoImages);
    }
    imaged(tx, permit, order, ImagedBy::Technologist, None).await?;
    let step = advance_at(tx, permit, order, Step::Complete, reason, None).await?;
    let event = ExamCompleted { images, reason: reason.map(str::to_owned) };
    step.record(tx, permit, &step.about("order", order), &event).await?;
    mingying_scheduling::set_step_state(tx, permit, order, SpsState::Completed).await?;
    mingying_scheduling::mark_fulfilled(tx, permit, order).await?;
    Ok(())
}

/// The exam is broken off.
pub async fn discontinue(
    db: &Db,
    permit: &Permit<PerformExam>,
    order: OrderId,
    reason: &str,
) -> Result<(), ExamError> {
    let mut tx = db.begin().await?;
    discontinue_in(&mut tx, permit, order, reason).await?;
    tx.commit().await?;
    Ok(())
}

/// As `discontinue`, in the caller's transaction.
pub async fn discontinue_in<A: Action>(
    tx: &mut Tx,
    permit: &Permit<A>,
    order: OrderId,
    reason: &str,
) -> Result<(), ExamError> {
    break_off(tx, permit, order, given(reason)?, StartedBy::Technologist).await
}

pub(crate) async fn break_off<A: Action>(
    tx: &mut Tx,
    permit: &Permit<A>,
    order: OrderId,
    reason: &str,
    by: StartedBy,
) -> Result<(), ExamError> {
    let step = advance_at(tx, permit, order, Step::Discontinue, Some(reason), None).await?;
    let event = ExamDiscontinued { reason: reason.to_owned(), by: by.to_string() };
    step.record(tx, permit, &step.about("order", order), &event).await?;
    store::stop_waiting(tx, order).await?;
    mingying_scheduling::set_step_state(tx, permit, order, SpsState::Discontinued).await?;
    Ok(())
}

/// The images are no good (grade 丁): the exam is to be taken again and stands in the worklist again.
pub async fn redo(db: &Db, permit: &Permit<PerformExam>, order: OrderId, reason: &str) -> Result<(), ExamError> {
    let mut tx = db.begin().await?;
    redo_in(&mut tx, permit, order, reason).await?;
    tx.commit().await?;
    Ok(())
}

/// As `redo`, in the caller's transaction.
pub async fn redo_in<A: Action>(
    tx: &mut Tx,
    permit: &Permit<A>,
    order: OrderId,
    reason: &str,
) -> Result<(), ExamError> {
    let reason = given(reason)?;
    let step = advance_at(tx, permit, order, Step::Redo, Some(reason), None).await?;
    step.record(tx, permit, &step.about("order", order), &ExamRedo { reason: reason.to_owned() }).await?;
    store::stop_waiting(tx, order).await?;
    mingying_scheduling::set_step_state(tx, permit, order, SpsState::Scheduled).await?;
    Ok(())
}
