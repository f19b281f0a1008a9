use crate::{AcceptOrder, CancelOrder, ExamState, Order, OrderError, Step};
use mingying_db::{Db, Tx};
use mingying_events::{About, Payload};
use mingying_kernel::{Action, CampusId, DepartmentId, EventId, OrderId, OrgId, PatientId, Permit, Timestamp};

/// What a step did. The caller records it, with `record` or with its own event of the same topic.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a step is recorded with its event in the same transaction"]
pub struct Advanced {
    pub order: OrderId,
    pub org: OrgId,
    pub patient: PatientId,
    pub step: Step,
    pub from: ExamState,
    pub to: ExamState,
}

impl Advanced {
    /// The event's subject: `kind` and `id`, with this order as its case.
    pub fn about(&self, kind: &'static str, id: impl ToString) -> About {
        About::new(kind, id, self.org).case(self.order).patient(self.patient)
    }

    /// Writes event and audit row; the payload's topic must be the step's.
    pub async fn record<A: Action, P: Payload>(&self, tx: &mut Tx, permit: &Permit<A>, about: &About, payload: &P) -> Result<EventId, OrderError> { todo!() }
}

/// Moves one exam by one step, in the caller's transaction: the one place where an exam's state changes.
/// `OrderError::State` when the present state does not allow it, `NotFound` outside the permit's scope.
pub async fn advance<A: Action>(tx: &mut Tx, permit: &Permit<A>, order: OrderId, step: Step) -> Result<Advanced, OrderError> { todo!() }
/// As `advance`, with the reason kept on the order and the time at which it really happened.
pub async fn advance_at<A: Action>(tx: &mut Tx, permit: &Permit<A>, order: OrderId, step: Step, reason: Option<&str>, at: Option<Timestamp>) -> Result<Advanced, OrderError> { todo!() }
/// The campus and department that perform the exam, known when it gets a device.
pub async fn set_place(tx: &mut Tx, order: OrderId, campus: CampusId, department: DepartmentId) -> Result<(), OrderError> { todo!() }
pub async fn accept(db: &Db, permit: &Permit<AcceptOrder>, order: OrderId) -> Result<Order, OrderError> { todo!() }
pub async fn return_order(db: &Db, permit: &Permit<AcceptOrder>, order: OrderId, reason: &str) -> Result<Order, OrderError> { todo!() }
/// Cancels in the caller's transaction; what stands on calendars and queues is the caller's to free.
pub async fn cancel<A: Action>(tx: &mut Tx, permit: &Permit<A>, order: OrderId, reason: &str) -> Result<Advanced, OrderError> { todo!() }
