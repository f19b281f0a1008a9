//! A study finds its order: by accession number, then by the Study Instance UID of the worklist item.

use crate::plausible::{Identity, Verdict, compare};
use crate::{How, ReadingError, Reason, store};
use mingying_archive::{Archive, ReadStudies, StudyRow};
use mingying_db::{Db, Tx};
use mingying_events::About;
use mingying_events::payload::reading::{StudyMatched, StudyUnmatched};
use mingying_kernel::{Action, Ctx, OrderId, Permit, Scope};
use mingying_orders::{ExamState, Order};

/// What became of a study.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Matched {
    Order(OrderId),
    Unmatched(Reason),
}

/// Links the study to its order, or tells the exam about further images of a linked one, or puts it into the unmatched
/// list. Idempotent: what is counted is the difference to what was counted before.
pub async fn match_study(db: &Db, archive: &Archive, ctx: &Ctx, study_uid: &str) -> Result<Matched, ReadingError> {
    let permit = ctx.permit::<crate::LinkStudy>()?;
    let study = archive.study(&ctx.permit::<ReadStudies>()?, study_uid).await?;
    let mut tx = db.begin().await?;
    tx.lock(store::study_key(study_uid)).await?;
    let result = match store::link_of(&mut tx, study_uid).await? {
        Some(link) => {
            count_images(&mut tx, &permit, &study, link.order, link.images).await?;
            Matched::Order(link.order)
        }
        None => match find_order(&mut tx, &study).await? {
            Found::Order(order, how) => {
                connect(&mut tx, &permit, &study, &order, how).await?;
                Matched::Order(order.id)
            }
            Found::Nothing(reason) => {
                put_aside(&mut tx, &permit, &study, reason).await?;
                Matched::Unmatched(reason)
            }
        },
    };
    tx.commit().await?;
    Ok(result)
}

enum Found {
    Order(Box<Order>, How),
    Nothing(Reason),
}

async fn find_order(tx: &mut Tx, study: &StudyRow) -> Result<Found, ReadingError> {
    let scope = Scope::Org(study.org_id);
    let accession = study.accession.trim();
    let mut reason = Reason::NoOrder;
    for how in [How::Accession, How::WorklistUid] {
        let found = match how {
            How::Accession if accession.is_empty() => None,
            How::Accession => mingying_orders::by_accession(tx, scope, accession).await?,
            _ => mingying_orders::by_study_uid(tx, scope, &study.study_uid).await?,
        };
        let Some(id) = found else { continue };
        let order = mingying_orders::load_in(tx, scope, id).await?;
        let patient = mingying_patients::load_in(tx, scope, order.patient.id).await?;
        if compare(&Identity::of(study), &patient) == Verdict::Differs {
            reason = Reason::PatientDiffers;
        } else if !takes_images(order.state) {
            reason = Reason::OrderState;
        } else {
            return Ok(Found::Order(Box::new(order), how));
        }
    }
    Ok(Found::Nothing(reason))
}

/// Images are a fact even where nobody pressed a button; but an order that nobody accepted, or that was called off,
/// needs a person to decide.
pub(crate) const fn takes_images(state: ExamState) -> bool {
    !matches!(state, ExamState::Draft | ExamState::Ordered | ExamState::Returned | ExamState::Cancelled)
}

/// Links in the caller's transaction: row, event, audit, and the exam hears of its images.
pub(crate) async fn connect<A: Action>(
    tx: &mut Tx,
    permit: &Permit<A>,
    study: &StudyRow,
    order: &Order,
    how: How,
) -> Result<(), ReadingError> {
    store::insert_link(tx, study, order.id, how, permit.now(), &permit.actor().id).await?;
    store::remove_unmatched(tx, &study.study_uid).await?;
    let about = About::new("study", &study.study_uid, order.org).case(order.id).patient(order.patient.id);
    let payload = StudyMatched { study_uid: study.study_uid.clone(), how: how.to_string() };
    mingying_access::record(tx, permit, &about, &payload).await?;
    count_images(tx, permit, study, order.id, 0).await
}

async fn count_images<A: Action>(
    tx: &mut Tx,
    permit: &Permit<A>,
    study: &StudyRow,
    order: OrderId,
    counted: i64,
) -> Result<(), ReadingError> {
    let new = u32::try_from(study.instances.saturating_sub(counted)).unwrap_or(0);
    if new > 0 {
        store::set_images(tx, &study.study_uid, study.instances).await?;
        mingying_exam::images_arrived(tx, permit, order, new).await?;
    }
    Ok(())
}

pub(crate) async fn put_aside<A: Action>(
    tx: &mut Tx,
    permit: &Permit<A>,
    study: &StudyRow,
    reason: Reason,
) -> Result<(), ReadingError> {
    // Each further batch of images refreshes the row; only a new row or a new reason is an event.
    if store::put_unmatched(tx, study, reason).await? {
        let about = About::new("study", &study.study_uid, study.org_id);
        let payload = StudyUnmatched { study_uid: study.study_uid.clone(), reason: reason.to_string() };
        mingying_access::record(tx, permit, &about, &payload).await?;
    }
    Ok(())
}
