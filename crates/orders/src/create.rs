//! Making an order, by hand or from an interface, and the automatic check.

use crate::model::{accession, missing};
use crate::store::{self, Fresh, Key};
use crate::{CatalogueItem, CreateOrder, ExamState, NewOrder, Order, OrderError, Side, Step};
use jiff::civil::Date;
use mingying_db::{Db, DbError, Tx};
use mingying_events::About;
use mingying_events::payload::orders::{OrderAccepted, OrderCreated, OrderUpdated};
use mingying_kernel::{AccessionNumber, Action, DicomUid, OrderId, OrgId, Permit, Scope, Timestamp};

/// What `create_in` made or found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    pub id: OrderId,
    pub org: OrgId,
    pub accession: AccessionNumber,
    pub study_uid: DicomUid,
    /// False: the placer had sent this order before.
    pub created: bool,
    pub state: ExamState,
}

/// Makes an order at the desk. With all required fields it is accepted at once, else it waits with its findings.
pub async fn create(db: &Db, permit: &Permit<CreateOrder>, new: NewOrder) -> Result<Order, OrderError> {
    let mut tx = db.begin().await?;
    let made = create_in(&mut tx, permit, new).await?;
    let order = crate::load_in(&mut tx, permit.scope(), made.id).await?;
    tx.commit().await?;
    Ok(order)
}

/// In the caller's transaction, for interfaces. A placer's number that is known changes its order as long as nothing
/// has been done to the patient, and is otherwise left alone; it never makes a second order.
pub async fn create_in<A: Action>(tx: &mut Tx, permit: &Permit<A>, new: NewOrder) -> Result<Created, OrderError> {
    let new = new.checked()?;
    let now = permit.now();
    let patient = mingying_patients::load_in(tx, permit.scope(), new.patient).await?;
    let org = patient.org;
    let items = items_of(tx, org, &new).await?;
    let modality = one_modality(&items)?;
    let findings = missing(&new, &items, patient.birth_date.is_some() || patient.temporary);

    if let Some(placer) = &new.placer {
        tx.lock(store::lock_key(&format!("order|{org}|{}|{}", placer.issuer, placer.number))).await?;
        if let Some(known) = store::find(tx, Scope::Org(org), Key::Placer(placer)).await? {
            return change(tx, permit, known, &new, &items, &modality).await;
        }
    }

    let accession = match new.accession.clone() {
        Some(given) => given,
        None => next_accession(tx, org, now).await?,
    };
    let study_uid = new.study_uid.clone().unwrap_or_else(DicomUid::generate);
    let id = OrderId::new();
    let state = if findings.is_empty() { ExamState::Accepted } else { ExamState::Ordered };
    let fresh = Fresh {
        id,
        org,
        accession: &accession,
        study_uid: &study_uid,
        modality: &modality,
        state,
        findings: &findings,
        now,
    };
    store::insert(tx, &fresh, &new).await.map_err(|error| match error {
        DbError::Unique { .. } => OrderError::Duplicate,
        other => other.into(),
    })?;
    store::put_items(tx, id, &items).await?;
    let about = About::new("order", id, org).case(id).patient(patient.id);
    let created = OrderCreated {
        accession: accession.to_string(),
        modality,
        items: items.iter().map(|(item, _)| item.code.clone()).collect(),
        priority: new.priority.to_string(),
        source: new.source.to_string(),
        placer_number: new.placer.as_ref().map(|p| p.number.clone()),
    };
    mingying_access::record(tx, permit, &about, &created).await?;
    if state == ExamState::Accepted {
        let accepted = OrderAccepted { automatic: true, findings: Vec::new() };
        mingying_access::record(tx, permit, &about, &accepted).await?;
    }
    Ok(Created { id, org, accession, study_uid, created: true, state })
}

async fn items_of(tx: &mut Tx, org: OrgId, new: &NewOrder) -> Result<Vec<(CatalogueItem, Option<Side>)>, OrderError> {
    let mut items = Vec::with_capacity(new.items.len());
    for item in &new.items {
        items.push((crate::catalogue_item(tx, org, &item.catalogue_id).await?, item.side));
    }
    Ok(items)
}

/// One order is one study on one device.
fn one_modality(items: &[(CatalogueItem, Option<Side>)]) -> Result<String, OrderError> {
    let Some((first, _)) = items.first() else { return Err(OrderError::Invalid { field: "items" }) };
    if items.iter().any(|(item, _)| item.modality != first.modality) {
        return Err(OrderError::MixedModality);
    }
    Ok(first.modality.clone())
}

/// The next number of the organization's day. A number that another filler has used is skipped.
async fn next_accession(tx: &mut Tx, org: OrgId, now: Timestamp) -> Result<AccessionNumber, OrderError> {
    let prefix = store::prefix(tx, org).await?;
    // Only a label: the day of China's clock, where most sites are; uniqueness does not rest on it.
    let day: Date = now.to_jiff().to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(8))).date();
    loop {
        let serial = store::count(tx, &format!("{org}|accession|{day}")).await?;
        let number = accession(&prefix, day, serial)?;
        if store::find(tx, Scope::Org(org), Key::Accession(number.as_str())).await?.is_none() {
            return Ok(number);
        }
    }
}

/// A placer sent its order again: take over what changed while that is still possible.
async fn change<A: Action>(
    tx: &mut Tx,
    permit: &Permit<A>,
    id: OrderId,
    new: &NewOrder,
    items: &[(CatalogueItem, Option<Side>)],
    modality: &str,
) -> Result<Created, OrderError> {
    // The row's lock comes before the read, so that a concurrent step is seen.
    store::hold(tx, permit.scope(), id).await?.ok_or(OrderError::NotFound)?;
    let before = crate::load_in(tx, permit.scope(), id).await?;
    if before.patient.id != new.patient {
        return Err(OrderError::Duplicate);
    }
    let found = |state| Created {
        id,
        org: before.org,
        accession: before.accession.clone(),
        study_uid: before.study_uid.clone(),
        created: false,
        state,
    };
    if !before.state.is_open_request() {
        return Ok(found(before.state));
    }
    let same_items = before.items.len() == items.len()
        && before.items.iter().zip(items).all(|(old, (item, side))| old.catalogue_id == item.id && old.side == *side);
    if !same_items && before.modality != modality && before.state == ExamState::Scheduled {
        // It stands on a device of the other modality; a person must book again.
        return Err(OrderError::State { state: before.state, step: Step::Submit });
    }
    let mut fields = Vec::new();
    let mut note = |differs: bool, name: &str| {
        if differs {
            fields.push(name.to_owned());
        }
    };
    note(!same_items, "items");
    note(before.priority != new.priority, "priority");
    note(before.visit_class != new.visit_class, "visit_class");
    note(before.department != new.department, "department");
    note(before.physician != new.physician, "physician");
    note(before.diagnosis != new.diagnosis, "diagnosis");
    note(before.history != new.history, "history");
    note(before.purpose != new.purpose, "purpose");
    note(before.special != new.special, "special");
    if fields.is_empty() {
        return Ok(found(before.state));
    }
    let patient = mingying_patients::load_in(tx, permit.scope(), new.patient).await?;
    let findings = missing(new, items, patient.birth_date.is_some() || patient.temporary);
    store::save_request(tx, id, new, modality, &findings, permit.now()).await?;
    if !same_items {
        store::put_items(tx, id, items).await?;
    }
    let about = About::new("order", id, before.org).case(id).patient(new.patient);
    mingying_access::record(tx, permit, &about, &OrderUpdated { fields, version: before.version + 1 }).await?;
    let mut state = before.state;
    if state == ExamState::Returned {
        // Sending it again is the clinician's answer to the return.
        state = crate::advance(tx, permit, id, Step::Submit).await?.to;
    }
    if state == ExamState::Ordered && findings.is_empty() {
        let step = crate::advance(tx, permit, id, Step::Accept).await?;
        step.record(tx, permit, &about, &OrderAccepted { automatic: true, findings: Vec::new() }).await?;
        state = step.to;
    }
    Ok(found(state))
}
