//! What the images themselves tell about the exam.

use crate::model::{ImagedBy, StartedBy};
use crate::{ExamError, Progress, perform, store};
use mingying_db::{Db, Tx};
use mingying_kernel::{Action, OrderId, Permit, Scope};
use std::time::Duration;

/// `count` new images of this order were stored (called by `reading`'s matcher in its transaction). A device that said
/// nothing before has begun now; one that reports by MPPS is waited for, any other by quiet time.
pub async fn images_arrived<A: Action>(
    tx: &mut Tx,
    permit: &Permit<A>,
    order: OrderId,
    count: u32,
) -> Result<(), ExamError> {
    let org = mingying_orders::load_in(tx, permit.scope(), order).await?.org;
    let (steps, going, _) = store::steps_of(tx, order).await?;
    let now = permit.now();
    store::add_images(tx, order, org, count, steps == 0, now).await?;
    if steps == 0 {
        perform::begin(tx, permit, order, StartedBy::Images, None, None).await?;
    } else if going == 0 {
        // MPPS was completed before its images were here.
        ready_by_mpps(tx, permit, order).await?;
    }
    Ok(())
}

/// Every performed step has ended: IMAGED as soon as what they named is here, else when it has been quiet.
pub(crate) async fn ready_by_mpps<A: Action>(
    tx: &mut Tx,
    permit: &Permit<A>,
    order: OrderId,
) -> Result<(), ExamError> {
    let (_, going, named) = store::steps_of(tx, order).await?;
    if going > 0 {
        return Ok(());
    }
    let here = store::images_of(tx, order).await?;
    if here >= named {
        perform::imaged(tx, permit, order, ImagedBy::Mpps, None).await?;
    } else {
        let org = mingying_orders::load_in(tx, permit.scope(), order).await?.org;
        store::add_images(tx, order, org, 0, true, permit.now()).await?;
    }
    Ok(())
}

/// Exams whose last image is older than `quiet` and that nothing else will end become IMAGED. Returns how many.
pub async fn close_quiet<A: Action>(db: &Db, permit: &Permit<A>, quiet: Duration) -> Result<u32, ExamError> {
    let before = permit.now().minus(quiet);
    let mut closed = 0;
    for order in store::quiet(db, permit.scope(), before).await? {
        let mut tx = db.begin().await?;
        let images = store::images_of(&mut tx, order).await?;
        if images > 0 && perform::imaged(&mut tx, permit, order, ImagedBy::QuietTime, None).await? {
            closed += 1;
        } else {
            store::stop_waiting(&mut tx, order).await?;
        }
        tx.commit().await?;
    }
    Ok(closed)
}

/// How far the images of these exams are.
pub async fn progress_of(db: &Db, scope: Scope, orders: &[OrderId]) -> Result<Vec<Progress>, ExamError> {
    Ok(store::progress(db, scope, orders).await?)
}
