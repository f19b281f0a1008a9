use crate::{Device, SchedulingError, Sps, SpsState};
use mingying_db::{Db, Tx};
use mingying_kernel::{Action, OrderId, Permit, Scope, Timestamp};

/// Makes the order's scheduled step on `device`, or moves the one it has there.
pub async fn ensure_step<A: Action>(tx: &mut Tx, permit: &Permit<A>, order: OrderId, device: &Device, start: Timestamp) -> Result<Sps, SchedulingError> { todo!() }
pub async fn set_step_state<A: Action>(tx: &mut Tx, permit: &Permit<A>, order: OrderId, state: SpsState) -> Result<(), SchedulingError> { todo!() }
pub async fn step_of(db: &Db, scope: Scope, order: OrderId) -> Result<Option<Sps>, SchedulingError> { todo!() }
pub async fn step_of_in(tx: &mut Tx, order: OrderId) -> Result<Option<Sps>, SchedulingError> { todo!() }
pub async fn step_by_id(tx: &mut Tx, scope: Scope, sps_id: &str) -> Result<Option<Sps>, SchedulingError> { todo!() }
