use crate::{ExamError, Progress};
use mingying_db::{Db, Tx};
use mingying_kernel::{Action, OrderId, Permit, Scope};
use std::time::Duration;

/// `count` new images of this order were stored (called by `reading`'s matcher in its transaction).
pub async fn images_arrived<A: Action>(tx: &mut Tx, permit: &Permit<A>, order: OrderId, count: u32) -> Result<(), ExamError> { todo!() }
/// For devices without MPPS: exams whose last image is older than `quiet` become IMAGED. Returns how many.
pub async fn close_quiet<A: Action>(db: &Db, permit: &Permit<A>, quiet: Duration) -> Result<u32, ExamError> { todo!() }
pub async fn progress_of(db: &Db, scope: Scope, orders: &[OrderId]) -> Result<Vec<Progress>, ExamError> { todo!() }
