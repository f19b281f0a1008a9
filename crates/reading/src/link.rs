//! A person decides what the matcher could not.

use crate::match_study::{connect, put_aside, takes_images};
use crate::{How, LinkStudy, Page, ReadingError, Reason, Unmatched, store};
use mingying_archive::{Archive, ReadStudies};
use mingying_db::Db;
use mingying_events::About;
use mingying_events::payload::reading::StudyUnlinked;
use mingying_kernel::{OrderId, Permit};

/// Studies that wait for a person, newest first.
pub async fn unmatched(
    db: &Db,
    permit: &Permit<LinkStudy>,
    limit: Option<u32>,
    cursor: Option<&str>,
) -> Result<Page<Unmatched>, ReadingError> {
    store::list_unmatched(db, permit.scope(), limit.unwrap_or(50).clamp(1, 200), cursor).await
}

/// Links the study to the order on a person's word, also where the patient in the images differs.
pub async fn link(
    db: &Db,
    archive: &Archive,
    permit: &Permit<LinkStudy>,
    study_uid: &str,
    order: OrderId,
) -> Result<(), ReadingError> {
    let study = archive.study(&permit.ctx().permit::<ReadStudies>()?, study_uid).await?;
    let mut tx = db.begin().await?;
    tx.lock(store::study_key(study_uid)).await?;
    let order = mingying_orders::load_in(&mut tx, permit.scope(), order).await?;
    if order.org != study.org_id {
        return Err(ReadingError::NotFound);
    }
    if !takes_images(order.state) {
        return Err(ReadingError::OrderState);
    }
    match store::link_of(&mut tx, study_uid).await? {
        Some(known) if known.order == order.id => return Ok(()),
        Some(_) => return Err(ReadingError::Linked),
        None => {}
    }
    connect(&mut tx, permit, &study, &order, How::Person).await?;
    tx.commit().await?;
    Ok(())
}

/// Takes the study off its order; it goes back to the unmatched list.
pub async fn unlink(
    db: &Db,
    archive: &Archive,
    permit: &Permit<LinkStudy>,
    study_uid: &str,
    order: OrderId,
) -> Result<(), ReadingError> {
    let study = archive.study(&permit.ctx().permit::<ReadStudies>()?, study_uid).await?;
    let mut tx = db.begin().await?;
    tx.lock(store::study_key(study_uid)).await?;
    let order = mingying_orders::load_in(&mut tx, permit.scope(), order).await?;
    match store::link_of(&mut tx, study_uid).await? {
        Some(known) if known.order == order.id => {}
        _ => return Err(ReadingError::NotFound),
    }
    store::remove_link(&mut tx, study_uid).await?;
    let about = About::new("study", study_uid, order.org).case(order.id).patient(order.patient.id);
    mingying_access::record(&mut tx, permit, &about, &StudyUnlinked { study_uid: study_uid.to_owned() }).await?;
    put_aside(&mut tx, permit, &study, Reason::Unlinked).await?;
    tx.commit().await?;
    Ok(())
}
