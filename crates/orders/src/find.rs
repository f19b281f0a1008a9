//! Finding orders.

use crate::store::{self, Key};
use crate::{Order, OrderError, OrderQuery, Page, Placer, ReadOrders};
use mingying_db::{Db, Tx};
use mingying_kernel::{OrderId, Permit, Scope};

/// One order; the read is audited.
pub async fn load(db: &Db, permit: &Permit<ReadOrders>, id: OrderId) -> Result<Order, OrderError> {
    let order = store::load(db, permit.scope(), id).await?.ok_or(OrderError::NotFound)?;
    mingying_access::audit_read(db, permit, "order", &id.to_string()).await?;
    Ok(order)
}

/// Within a transaction, by whoever holds a scope.
pub async fn load_in(tx: &mut Tx, scope: Scope, id: OrderId) -> Result<Order, OrderError> {
    store::load_in(tx, scope, id).await?.ok_or(OrderError::NotFound)
}

/// As `load_in`, and keeps every other step of this order waiting until the transaction ends.
pub async fn load_locked(tx: &mut Tx, scope: Scope, id: OrderId) -> Result<Order, OrderError> {
    store::hold(tx, scope, id).await?.ok_or(OrderError::NotFound)?;
    load_in(tx, scope, id).await
}

/// Those that are visible, in no particular order.
pub async fn load_many(db: &Db, scope: Scope, ids: &[OrderId]) -> Result<Vec<Order>, OrderError> {
    Ok(store::load_many(db, scope, ids).await?)
}

/// A page of orders, the newest first.
pub async fn list(db: &Db, permit: &Permit<ReadOrders>, query: &OrderQuery) -> Result<Page<Order>, OrderError> {
    if query.cursor.as_ref().is_some_and(|c| c.parse::<OrderId>().is_err()) {
        return Err(OrderError::Invalid { field: "cursor" });
    }
    if query.text.as_ref().is_some_and(|t| t.chars().count() > 64) {
        return Err(OrderError::Invalid { field: "q" });
    }
    let limit = query.limit.unwrap_or(50).clamp(1, 200);
    let mut items = store::list_page(db, permit.scope(), query, limit + 1).await?;
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next = if more { items.last().map(|o| o.id.to_string()) } else { None };
    Ok(Page { items, next })
}

/// The order with this accession number, when exactly one is visible.
pub async fn by_accession(tx: &mut Tx, scope: Scope, accession: &str) -> Result<Option<OrderId>, OrderError> {
    let accession = accession.trim();
    if accession.is_empty() {
        return Ok(None);
    }
    Ok(store::find(tx, scope, Key::Accession(accession)).await?)
}

/// The order to which this Study Instance UID was assigned.
pub async fn by_study_uid(tx: &mut Tx, scope: Scope, study_uid: &str) -> Result<Option<OrderId>, OrderError> {
    Ok(store::find(tx, scope, Key::StudyUid(study_uid.trim_end_matches(['\0', ' ']))).await?)
}

/// The order that this placer's number made.
pub async fn by_placer(tx: &mut Tx, scope: Scope, placer: &Placer) -> Result<Option<OrderId>, OrderError> {
    Ok(store::find(tx, scope, Key::Placer(placer)).await?)
}
