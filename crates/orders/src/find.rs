use crate::{Order, OrderError, OrderQuery, Page, Placer, ReadOrders};
use mingying_db::{Db, Tx};
use mingying_kernel::{OrderId, Permit, Scope};

pub async fn load(db: &Db, permit: &Permit<ReadOrders>, id: OrderId) -> Result<Order, OrderError> { todo!() }
pub async fn load_in(tx: &mut Tx, scope: Scope, id: OrderId) -> Result<Order, OrderError> { todo!() }
pub async fn load_many(db: &Db, scope: Scope, ids: &[OrderId]) -> Result<Vec<Order>, OrderError> { todo!() }
pub async fn list(db: &Db, permit: &Permit<ReadOrders>, query: &OrderQuery) -> Result<Page<Order>, OrderError> { todo!() }
pub async fn by_accession(tx: &mut Tx, scope: Scope, accession: &str) -> Result<Option<OrderId>, OrderError> { todo!() }
pub async fn by_study_uid(tx: &mut Tx, scope: Scope, study_uid: &str) -> Result<Option<OrderId>, OrderError> { todo!() }
pub async fn by_placer(tx: &mut Tx, scope: Scope, placer: &Placer) -> Result<Option<OrderId>, OrderError> { todo!() }
