use crate::{ReadTimeline, TimelineError};
use mingying_db::Db;
use mingying_events::{Recorded, read_case, read_subject};
use mingying_kernel::{OrderId, Permit};
use std::collections::BTreeSet;

/// One event of a case.
pub type Entry = Recorded;

/// All events of the case and of the studies linked to it, oldest first by when they happened. Images arrive without
/// knowing the order, so their events carry no case; they join it here through the link. Reading is audited.
pub async fn replay(db: &Db, permit: &Permit<ReadTimeline>, order: OrderId) -> Result<Vec<Entry>, TimelineError> {
    if mingying_orders::load_many(db, permit.scope(), &[order]).await?.is_empty() {
        return Err(TimelineError::NotFound);
    }
    let mut entries = read_case(db, order).await?;
    for link in mingying_reading::study_uids(db, permit.scope(), order).await? {
        let of_study = read_subject(db, "study", &link.study_uid).await?;
        // A study that another case had before keeps that case's links for itself.
        entries.extend(of_study.into_iter().filter(|event| event.case.is_none() && permit.scope().sees(event.org)));
    }
    let mut seen = BTreeSet::new();
    entries.retain(|entry| seen.insert(entry.id));
    entries.sort_by_key(|entry| (entry.occurred_at, entry.recorded_at, entry.id));
    mingying_access::audit_read(db, permit, "order", &order.to_string()).await?;
    Ok(entries)
}
