use crate::{CreateOrder, NewOrder, Order, OrderError};
use mingying_db::{Db, Tx};
use mingying_kernel::{AccessionNumber, Action, DicomUid, OrderId, Permit};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created { pub id: OrderId, pub accession: AccessionNumber, pub study_uid: DicomUid, pub created: bool, pub state: crate::ExamState }

pub async fn create(db: &Db, permit: &Permit<CreateOrder>, new: NewOrder) -> Result<Order, OrderError> { todo!() }
/// In the caller's transaction, for interfaces.
pub async fn create_in<A: Action>(tx: &mut Tx, permit: &Permit<A>, new: NewOrder) -> Result<Created, OrderError> { todo!() }
