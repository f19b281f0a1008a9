//! What the technologist does: prepare, start, confirm, discontinue, repeat.

use crate::model::{ImagedBy, StartedBy};
use crate::{ExamError, PerformExam, store};
use mingying_db::{Db, Tx};
use mingying_events::payload::exam::{
    ExamCompleted, ExamDiscontinued, ExamImaged, ExamRedo, ExamStarted, PreparationDone,
};
use mingying_kernel::{Action, DeviceId, OrderId, Permit, Scope, Timestamp};
use mingying_orders::{Advanced, ExamState, OrderError, Step, advance_at};
use mingying_scheduling::SpsState;

fn required(reason: &str) -> Result<&str, ExamError> {
    let reason = reason.trim();
    if reason.is_empty() || reason.chars().count() > 500 || reason.chars().any(char::is_control) {
        return Err(ExamError::Invalid { field: "reason" });
    }
    Ok(reason)
}

/// The nurse has finished the preparation.
pub async fn prepare(db: &Db, permit: &Permit<PerformExam>, order: OrderId) -> Result<(), ExamError> {
    let mut tx = db.begin().await?;
    let step = mingying_orders::advance(&mut tx, permit, order, Step::Prepare).await?;
    step.record(&mut tx, permit, &step.about("order", order), &PreparationDone {}).await?;
    tx.commit().await?;
    Ok(())
}

/// The technologist starts the exam, on the device of its worklist item or on another one.
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
    begin(tx, permit, order, device, StartedBy::Technologist, None).await.map(drop)
}

/// The one way into IN_PROGRESS. Whoever begins without the desk (from ACCEPTED or SCHEDULED) leaves that in the
/// event and as the order's reason.
pub(crate) async fn begin<A: Action>(
    tx: &mut Tx,
    permit: &Permit<A>,
    order: OrderId,
    device: Option<DeviceId>,
    by: StartedBy,
    at: Option<Timestamp>,
) -> Result<Advanced, ExamError> {
    let from = mingying_orders::load_locked(tx, permit.scope(), order).await?.state;
    // The desk was skipped: a fact that the case keeps.
    let skipped =
        matches!(from, ExamState::Accepted | ExamState::Scheduled).then(|| format!("started by {by} in state {from}"));
    let step = advance_at(tx, permit, order, Step::Start, skipped.as_deref(), at).await?;
    let scope = Scope::Org(step.org);
    let sps = mingying_scheduling::step_of_in(tx, order).await?;
    let device = match device.or(sps.as_ref().map(|s| s.device)) {
        Some(id) => Some(mingying_scheduling::device_in(tx, scope, id).await?),
        None => None,
    };
    if let Some(device) = &device {
        if sps.as_ref().is_none_or(|s| s.device != device.id) {
            // Performed elsewhere than planned: the worklist item follows, so that later questions find one answer.
            let start = sps.as_ref().map_or(permit.now(), |s| s.start);
            mingying_scheduling::ensure_step(tx, permit, order, device, start).await?;
        }
        store::set_device(tx, step.org, order, device.id, permit.now()).await?;
    }
    mingying_scheduling::set_step_state(tx, permit, order, SpsState::Started).await?;
    let mut about = step.about("order", order);
    if let Some(at) = at {
        about = about.occurred_at(at);
    }
    let payload = ExamStarted {
        by: by.to_string(),
        device: device.map(|d| d.ae_title.to_string()).unwrap_or_default(),
        from: step.from.to_string(),
    };
    step.record(tx, permit, &about, &payload).await?;
    Ok(step)
}

/// The one way into IMAGED.
pub(crate) async fn imaged<A: Action>(
    tx: &mut Tx,
    permit: &Permit<A>,
    order: OrderId,
    by: ImagedBy,
) -> Result<(), ExamError> {
    let step = mingying_orders::advance(tx, permit, order, Step::Image).await?;
    let images = store::images(tx, order).await?;
    store::stop_waiting(tx, order).await?;
    mingying_scheduling::set_step_state(tx, permit, order, SpsState::Completed).await?;
    let payload = ExamImaged { by: by.to_string(), images };
    step.record(tx, permit, &step.about("order", order), &payload).await?;
    Ok(())
}

/// The technologist confirms the images, which ends the exam. Where neither MPPS nor quiet time has ended it yet, the
/// confirmation does that too. Without any image a reason is needed: a device that sends none, images to come by disk.
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

/// As `complete`, in the caller's transaction.
pub async fn complete_in<A: Action>(
    tx: &mut Tx,
    permit: &Permit<A>,
    order: OrderId,
    reason: Option<&str>,
) -> Result<(), ExamError> {
    let reason = reason.map(str::trim).filter(|r| !r.is_empty()).map(required).transpose()?;
    let found = mingying_orders::load_locked(tx, permit.scope(), order).await?;
    if !matches!(found.state, ExamState::InProgress | ExamState::Imaged) {
        return Err(OrderError::State { state: found.state, step: Step::Complete }.into());
    }
    let images = store::images(tx, order).await?;
    if images == 0 && reason.is_none() {
        return Err(ExamError::NoImages);
    }
    if found.state == ExamState::InProgress {
        imaged(tx, permit, order, ImagedBy::Technologist).await?;
    }
    let step = advance_at(tx, permit, order, Step::Complete, reason, None).await?;
    mingying_scheduling::mark_fulfilled(tx, permit, order).await?;
    let payload = ExamCompleted { images, reason: reason.map(str::to_owned) };
    step.record(tx, permit, &step.about("order", order), &payload).await?;
    Ok(())
}

/// The exam is broken off after it began.
pub async fn discontinue(db: &Db, permit: &Permit<PerformExam>, order: OrderId, reason: &str) -> Result<(), ExamError> {
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
    broken_off(tx, permit, order, required(reason)?, StartedBy::Technologist).await
}

pub(crate) async fn broken_off<A: Action>(
    tx: &mut Tx,
    permit: &Permit<A>,
    order: OrderId,
    reason: &str,
    by: StartedBy,
) -> Result<(), ExamError> {
    let step = advance_at(tx, permit, order, Step::Discontinue, Some(reason), None).await?;
    store::stop_waiting(tx, order).await?;
    mingying_scheduling::set_step_state(tx, permit, order, SpsState::Discontinued).await?;
    mingying_scheduling::mark_fulfilled(tx, permit, order).await?;
    let payload = ExamDiscontinued { reason: reason.to_owned(), by: by.to_string() };
    step.record(tx, permit, &step.about("order", order), &payload).await?;
    Ok(())
}

/// The images are of no use (grade 丁): to be taken again. The exam stands in the worklist again.
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
    let reason = required(reason)?;
    let step = advance_at(tx, permit, order, Step::Redo, Some(reason), None).await?;
    store::next_round(tx, order).await?;
    mingying_scheduling::set_step_state(tx, permit, order, SpsState::Scheduled).await?;
    step.record(tx, permit, &step.about("order", order), &ExamRedo { reason: reason.to_owned() }).await?;
    Ok(())
}
