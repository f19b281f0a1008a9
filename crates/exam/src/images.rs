//! Images as witnesses: they start an exam that nobody started, and silence after them ends it.

use crate::model::{ImagedBy, StartedBy};
use crate::perform::{begin, imaged};
use crate::{ExamError, Progress, store};
use mingying_db::{Db, Tx};
use mingying_kernel::{Action, OrderId, Permit, Scope};
use mingying_orders::{ExamState, Step};
use std::time::Duration;

/// `count` new images of this order were stored; called by `reading`'s matcher in its transaction.
///
/// An exam that has not begun begins now, whoever forgot to say so. Where the modality reports by MPPS its word ends
/// the exam, as soon as what it names is here; else `close_quiet` does. Images that come after IMAGED are counted and
/// move nothing.
pub async fn images_arrived<A: Action>(
    tx: &mut Tx,
    permit: &Permit<A>,
    order: OrderId,
    count: u32,
) -> Result<(), ExamError> {
    let found = mingying_orders::load_locked(tx, permit.scope(), order).await?;
    // A step that was reported before its order could be found belongs to it now.
    store::link_mpps(tx, found.org, order, found.study_uid.as_str(), found.accession.as_str()).await?;
    let steps = store::steps_of(tx, order).await?;
    let begins = found.state != ExamState::Discontinued && found.state.after(Step::Start).is_some();
    let running = begins || found.state == ExamState::InProgress;
    store::add_images(tx, found.org, order, count, running && steps.open == 0, permit.now()).await?;
    if begins {
        let _ = begin(tx, permit, order, None, StartedBy::Images, None).await?;
    }
    if running { all_here(tx, permit, order).await } else { Ok(()) }
}

/// Every performed step has ended: IMAGED as soon as what they name is here, else when it has been quiet.
pub(crate) async fn all_here<A: Action>(tx: &mut Tx, permit: &Permit<A>, order: OrderId) -> Result<(), ExamError> {
    let steps = store::steps_of(tx, order).await?;
    if steps.open > 0 || steps.ended == 0 {
        return Ok(());
    }
    if store::images(tx, order).await? >= steps.named {
        imaged(tx, permit, order, ImagedBy::Mpps).await
    } else {
        let org = mingying_orders::load_in(tx, permit.scope(), order).await?.org;
        Ok(store::wait_quiet(tx, org, order, permit.now()).await?)
    }
}

/// For devices without MPPS, and for images that MPPS names and that never come: exams that have been quiet for longer
/// than `quiet` become IMAGED. Returns how many. The server calls it every few seconds.
pub async fn close_quiet<A: Action>(db: &Db, permit: &Permit<A>, quiet: Duration) -> Result<u32, ExamError> {
    let before = permit.now().minus(quiet);
    let mut closed = 0;
    for order in store::quiet(db, permit.scope(), before).await? {
        let mut tx = db.begin().await?;
        let found = mingying_orders::load_locked(&mut tx, permit.scope(), order).await?;
        // An image may have come since.
        if !store::still_quiet(&mut tx, order, before).await? {
            continue;
        }
        if found.state == ExamState::InProgress && store::images(&mut tx, order).await? > 0 {
            imaged(&mut tx, permit, order, ImagedBy::QuietTime).await?;
            closed += 1;
        } else {
            store::stop_waiting(&mut tx, order).await?;
        }
        tx.commit().await?;
    }
    Ok(closed)
}

/// What has been seen of each exam's images.
pub async fn progress_of(db: &Db, scope: Scope, orders: &[OrderId]) -> Result<Vec<Progress>, ExamError> {
    Ok(store::progress(db, scope, orders).await?)
}
