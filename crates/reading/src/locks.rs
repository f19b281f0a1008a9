//! One reader holds a case at a time; another one may take it over, which is recorded.

use crate::{ReadCases, ReadingError, store};
use mingying_db::{Db, Tx};
use mingying_events::payload::reading::CaseTakenOver;
use mingying_kernel::{Action, OrderId, Permit, Timestamp};
use std::time::Duration;

/// Who holds a case. Renewed by each save; a forgotten one ends by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    pub order: OrderId,
    pub user_id: String,
    pub user_name: String,
    pub until: Timestamp,
}

/// How long a case stays held without a save.
const HOLD: Duration = Duration::from_mins(10);

/// Holds the case. `Locked` when another reader has it, unless `take_over`.
pub async fn lock(db: &Db, permit: &Permit<ReadCases>, order: OrderId, take_over: bool) -> Result<Lock, ReadingError> {
    let mut tx = db.begin().await?;
    let order = mingying_orders::load_in(&mut tx, permit.scope(), order).await?;
    let now = permit.now();
    let mine = Lock {
        order: order.id,
        user_id: permit.actor().id.clone(),
        user_name: permit.actor().name.clone(),
        until: now.plus(HOLD),
    };
    let held = store::lock_of(&mut tx, order.id, now).await?;
    if let Some(other) = held.filter(|lock| lock.user_id != mine.user_id) {
        if !take_over {
            return Err(ReadingError::Locked { by: other.user_name });
        }
        let about = mingying_events::About::new("order", order.id, order.org).case(order.id).patient(order.patient.id);
        mingying_access::record(&mut tx, permit, &about, &CaseTakenOver { from: other.user_name }).await?;
    }
    store::put_lock(&mut tx, &mine, now).await?;
    tx.commit().await?;
    Ok(mine)
}

/// Lets the case go, if it is one's own.
pub async fn unlock(db: &Db, permit: &Permit<ReadCases>, order: OrderId) -> Result<(), ReadingError> {
    let mut tx = db.begin().await?;
    store::remove_lock(&mut tx, order, &permit.actor().id).await?;
    tx.commit().await?;
    Ok(())
}

/// In a writer's transaction: prolongs the own hold, takes a free case, refuses one that another reader holds.
pub async fn renew_in<A: Action>(tx: &mut Tx, permit: &Permit<A>, order: OrderId) -> Result<(), ReadingError> {
    let now = permit.now();
    let actor = permit.actor();
    match store::lock_of(tx, order, now).await? {
        Some(other) if other.user_id != actor.id => Err(ReadingError::Locked { by: other.user_name }),
        _ => {
            let mine = Lock { order, user_id: actor.id.clone(), user_name: actor.name.clone(), until: now.plus(HOLD) };
            store::put_lock(tx, &mine, now).await
        }
    }
}

/// In a writer's transaction: the work is handed on, whoever comes next finds the case free.
pub async fn release_in(tx: &mut Tx, order: OrderId, user_id: &str) -> Result<(), ReadingError> {
    Ok(store::remove_lock(tx, order, user_id).await?)
}

/// Who holds the case at `now`.
pub async fn holder(db: &Db, order: OrderId, now: Timestamp) -> Result<Option<Lock>, ReadingError> {
    Ok(holders(db, &[order], now).await?.into_iter().next())
}

/// Who holds which of these cases at `now`.
pub async fn holders(db: &Db, orders: &[OrderId], now: Timestamp) -> Result<Vec<Lock>, ReadingError> {
    store::locks_of(db, orders, now).await
}
