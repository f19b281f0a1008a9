//! The one place where an exam's state changes.

use crate::{AcceptOrder, ExamState, Order, OrderError, Step, store};
use mingying_db::{Db, Tx};
use mingying_events::payload::orders::{OrderAccepted, OrderCancelled, OrderReturned};
use mingying_events::{About, Payload};
use mingying_kernel::{Action, CampusId, DepartmentId, EventId, OrderId, OrgId, PatientId, Permit, Timestamp};

/// What a step did. The caller records it: with `record`, or with its own event of the same topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advanced {
    pub order: OrderId,
    pub org: OrgId,
    pub patient: PatientId,
    pub step: Step,
    pub from: ExamState,
    pub to: ExamState,
}

impl Advanced {
    /// The event's subject, `kind` and `id`, with this order as its case.
    pub fn about(&self, kind: &'static str, id: impl ToString) -> About {
        About::new(kind, id, self.org).case(self.order).patient(self.patient)
    }

    /// Writes event and audit row. The payload's topic must be the step's, so that no step is recorded as another.
    pub async fn record<A: Action, P: Payload>(
        &self,
        tx: &mut Tx,
        permit: &Permit<A>,
        about: &About,
        payload: &P,
    ) -> Result<EventId, OrderError> {
        if self.step.topic() != P::TOPIC {
            return Err(OrderError::WrongTopic { step: self.step, topic: P::TOPIC });
        }
        Ok(mingying_access::record(tx, permit, about, payload).await?)
    }
}

/// Moves one exam by one step, in the caller's transaction: the one place where an exam's state changes.
///
/// The order's row is locked until the transaction ends. `OrderError::State` when the present state does not allow
/// the step, `OrderError::NotFound` outside the permit's scope. The event (`Step::topic`) is the caller's to write,
/// because it knows the details: see `Advanced::record`.
#[must_use = "a step is recorded with its event in the same transaction"]
pub async fn advance<A: Action>(
    tx: &mut Tx,
    permit: &Permit<A>,
    order: OrderId,
    step: Step,
) -> Result<Advanced, OrderError> {
    advance_at(tx, permit, order, step, None, None).await
}

/// As `advance`, with a reason kept on the order and the time at which it really happened.
#[must_use = "a step is recorded with its event in the same transaction"]
pub async fn advance_at<A: Action>(
    tx: &mut Tx,
    permit: &Permit<A>,
    order: OrderId,
    step: Step,
    reason: Option<&str>,
    at: Option<Timestamp>,
) -> Result<Advanced, OrderError> {
    let held = store::hold(tx, permit.scope(), order).await?.ok_or(OrderError::NotFound)?;
    let to = held.state.after(step).ok_or(OrderError::State { state: held.state, step })?;
    let now = permit.now();
    store::set_state(tx, order, step, to, reason, at.unwrap_or(now), now).await?;
    Ok(Advanced { order, org: held.org, patient: held.patient, step, from: held.state, to })
}

/// The campus and department that perform the exam, known when it gets a device.
pub async fn set_place(
    tx: &mut Tx,
    order: OrderId,
    campus: CampusId,
    department: DepartmentId,
) -> Result<(), OrderError> {
    Ok(store::set_place(tx, order, campus, department).await?)
}

/// A reason that a person must give.
fn required(reason: &str) -> Result<&str, OrderError> {
    let reason = reason.trim();
    if reason.is_empty() || reason.chars().count() > 500 || reason.chars().any(|c| c.is_control() && c != '\n') {
        return Err(OrderError::Invalid { field: "reason" });
    }
    Ok(reason)
}

/// A clerk accepts an order in spite of what the automatic check missed.
pub async fn accept(db: &Db, permit: &Permit<AcceptOrder>, order: OrderId) -> Result<Order, OrderError> {
    let mut tx = db.begin().await?;
    accept_in(&mut tx, permit, order).await?;
    let after = crate::load_in(&mut tx, permit.scope(), order).await?;
    tx.commit().await?;
    Ok(after)
}

/// As `accept`, in the caller's transaction: an emergency is accepted by whoever receives the patient.
pub async fn accept_in<A: Action>(tx: &mut Tx, permit: &Permit<A>, order: OrderId) -> Result<Advanced, OrderError> {
    let step = advance(tx, permit, order, Step::Accept).await?;
    let findings = crate::load_in(tx, permit.scope(), order).await?.findings;
    let payload = OrderAccepted { automatic: false, findings: findings.iter().map(ToString::to_string).collect() };
    step.record(tx, permit, &step.about("order", order), &payload).await?;
    Ok(step)
}

/// A clerk sends an order back to the clinician.
pub async fn return_order(
    db: &Db,
    permit: &Permit<AcceptOrder>,
    order: OrderId,
    reason: &str,
) -> Result<Order, OrderError> {
    let reason = required(reason)?;
    let mut tx = db.begin().await?;
    let step = advance_at(&mut tx, permit, order, Step::Return, Some(reason), None).await?;
    let payload = OrderReturned { reason: reason.to_owned() };
    step.record(&mut tx, permit, &step.about("order", order), &payload).await?;
    let after = crate::load_in(&mut tx, permit.scope(), order).await?;
    tx.commit().await?;
    Ok(after)
}

/// Cancels in the caller's transaction; what stands on calendars and in queues is the caller's to free.
pub async fn cancel<A: Action>(
    tx: &mut Tx,
    permit: &Permit<A>,
    order: OrderId,
    reason: &str,
) -> Result<Advanced, OrderError> {
    let reason = required(reason)?;
    let step = advance_at(tx, permit, order, Step::Cancel, Some(reason), None).await?;
    let payload = OrderCancelled { reason: reason.to_owned(), from: step.from.to_string() };
    step.record(tx, permit, &step.about("order", order), &payload).await?;
    Ok(step)
}
