use crate::{ExamError, PerformExam};
use mingying_db::{Db, Tx};
use mingying_kernel::{Action, DeviceId, OrderId, Permit};

pub async fn prepare(db: &Db, permit: &Permit<PerformExam>, order: OrderId) -> Result<(), ExamError> { todo!() }
pub async fn start(db: &Db, permit: &Permit<PerformExam>, order: OrderId, device: Option<DeviceId>) -> Result<(), ExamError> { todo!() }
pub async fn start_in<A: Action>(tx: &mut Tx, permit: &Permit<A>, order: OrderId, device: Option<DeviceId>) -> Result<(), ExamError> { todo!() }
/// The technologist confirms the images. Without any image a reason is needed.
pub async fn complete(db: &Db, permit: &Permit<PerformExam>, order: OrderId, reason: Option<&str>) -> Result<(), ExamError> { todo!() }
pub async fn complete_in<A: Action>(tx: &mut Tx, permit: &Permit<A>, order: OrderId, reason: Option<&str>) -> Result<(), ExamError> { todo!() }
pub async fn discontinue(db: &Db, permit: &Permit<PerformExam>, order: OrderId, reason: &str) -> Result<(), ExamError> { todo!() }
pub async fn discontinue_in<A: Action>(tx: &mut Tx, permit: &Permit<A>, order: OrderId, reason: &str) -> Result<(), ExamError> { todo!() }
pub async fn redo(db: &Db, permit: &Permit<PerformExam>, order: OrderId, reason: &str) -> Result<(), ExamError> { todo!() }
pub async fn redo_in<A: Action>(tx: &mut Tx, permit: &Permit<A>, order: OrderId, reason: &str) -> Result<(), ExamError> { todo!() }
