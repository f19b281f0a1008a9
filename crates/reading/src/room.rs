//! What the reader has in view: the order, the patient, the studies, earlier exams.

use crate::{Prior, ReadCases, ReadingError, Room, StudyLink, StudyView, store};
use mingying_archive::{Archive, ArchiveError, ReadStudies};
use mingying_db::Db;
use mingying_kernel::{OrderId, Permit, Scope};
use std::collections::BTreeMap;

/// Earlier exams that are shown, newest first.
const PRIORS: u32 = 50;

/// The bundle of one case; opening it is a read of patient data and audited.
pub async fn room(
    db: &Db,
    archive: &Archive,
    permit: &Permit<ReadCases>,
    order: OrderId,
) -> Result<Room, ReadingError> {
    let order = one_order(db, permit.scope(), order).await?;
    let patient = mingying_patients::load(db, &permit.ctx().permit()?, order.patient.id).await?;
    let studies = studies_of(db, archive, &permit.ctx().permit()?, order.id).await?;
    let links = store::priors_of(db, permit.scope(), order.patient.id, order.id, PRIORS).await?;
    let ids: Vec<OrderId> = links.iter().map(|link| link.order).collect();
    let loaded = mingying_orders::load_many(db, permit.scope(), &ids).await?;
    let by_id: BTreeMap<OrderId, _> = loaded.into_iter().map(|order| (order.id, order)).collect();
    let mut priors: Vec<Prior> = links
        .into_iter()
        .filter_map(|link| {
            let order = by_id.get(&link.order)?.clone();
            Some(Prior { at: order.imaged_at.unwrap_or(order.created_at), study_uid: link.study_uid, order })
        })
        .collect();
    priors.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.study_uid.cmp(&b.study_uid)));
    mingying_access::audit_read(db, permit, "order", &order.id.to_string()).await?;
    Ok(Room { order, patient, studies, priors })
}

/// The linked studies of an order with their series, in the order in which they were linked.
pub async fn studies_of(
    db: &Db,
    archive: &Archive,
    permit: &Permit<ReadStudies>,
    order: OrderId,
) -> Result<Vec<StudyView>, ReadingError> {
    let mut studies = Vec::new();
    for link in study_uids(db, permit.scope(), order).await? {
        match archive.study(permit, &link.study_uid).await {
            Ok(study) => {
                let series = archive.series_of(permit, &link.study_uid).await?;
                studies.push(StudyView { study, series });
            }
            Err(ArchiveError::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(studies)
}

/// The studies linked to an order.
pub async fn study_uids(db: &Db, scope: Scope, order: OrderId) -> Result<Vec<StudyLink>, ReadingError> {
    store::links_of(db, scope, order).await
}

/// The studies linked to these orders; those of one order in the order in which they were linked.
pub async fn links_of(db: &Db, scope: Scope, orders: &[OrderId]) -> Result<Vec<StudyLink>, ReadingError> {
    store::links_of_orders(db, scope, orders).await
}

/// The order that a study is linked to.
pub async fn order_of(db: &Db, scope: Scope, study_uid: &str) -> Result<Option<OrderId>, ReadingError> {
    Ok(orders_of(db, scope, &[study_uid.to_owned()]).await?.into_iter().next().map(|link| link.order))
}

/// The orders that these studies are linked to.
pub async fn orders_of(db: &Db, scope: Scope, study_uids: &[String]) -> Result<Vec<StudyLink>, ReadingError> {
    store::links_of_studies(db, scope, study_uids).await
}

async fn one_order(db: &Db, scope: Scope, id: OrderId) -> Result<mingying_orders::Order, ReadingError> {
    mingying_orders::load_many(db, scope, &[id]).await?.into_iter().next().ok_or(ReadingError::NotFound)
}
