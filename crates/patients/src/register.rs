//! Registering and changing people, by hand and from interfaces.

use crate::{
    EditCatalogue, EditPatient, ID_CARD_ISSUER, Identifier, IdentifierKind, NewPatient, Patient, PatientError,
    RegisterPatient, Sex, store,
};
use jiff::civil::Date;
use mingying_db::{Db, Tx};
use mingying_events::About;
use mingying_events::payload::patients::{IssuersSet, PatientRegistered, PatientUpdated};
use mingying_kernel::{Action, OrgId, PatientId, Permit, Scope, Timestamp};
use std::time::Duration;

/// How an organization numbers people: the assigning authorities of its own numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuers {
    pub mrn: String,
    /// Letters before the medical record number.
    pub mrn_prefix: String,
    pub temporary: String,
}

impl Issuers {
    /// Until an organization sets its registered OID: arcs below 2.25.<UUID> of the organization (X.667).
    fn default_of(org: OrgId) -> Self {
        let root = format!("2.25.{}", org.uuid().as_u128());
        Self { mrn: format!("{root}.1"), mrn_prefix: "P".to_owned(), temporary: format!("{root}.2") }
    }

    /// Who issues identifiers of `kind` when nobody said so.
    fn of(&self, kind: IdentifierKind) -> Option<&str> {
        match kind {
            IdentifierKind::Mrn => Some(&self.mrn),
            IdentifierKind::Temporary => Some(&self.temporary),
            IdentifierKind::IdCard => Some(ID_CARD_ISSUER),
            IdentifierKind::Outpatient => Some("2.16.156.10011.1.11"),
            IdentifierKind::Inpatient => Some("2.16.156.10011.1.12"),
            IdentifierKind::Insurance => Some("2.16.156.10011.1.14"),
            IdentifierKind::Foreign => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upserted {
    pub id: PatientId,
    pub created: bool,
}

/// The latest date anywhere on earth: nobody is born after it.
fn latest_today(now: Timestamp) -> Date {
    now.plus(Duration::from_hours(14)).to_jiff().to_zoned(jiff::tz::TimeZone::UTC).date()
}

/// Registers somebody. A medical record number is issued unless one was given; somebody unidentified gets a temporary
/// number instead. An identifier that another patient carries refuses the whole (R-5.1.2-b).
pub async fn register(db: &Db, permit: &Permit<RegisterPatient>, new: NewPatient) -> Result<Patient, PatientError> {
    let mut tx = db.begin().await?;
    let org = home_org_in(&mut tx, permit.scope()).await?;
    let patient = insert(&mut tx, permit, org, new).await?;
    tx.commit().await?;
    Ok(patient)
}

/// Fills in issuers that were left open and checks the rest.
async fn complete(
    tx: &mut Tx,
    org: OrgId,
    mut new: NewPatient,
    now: Timestamp,
) -> Result<(NewPatient, Issuers), PatientError> {
    let issuers = issuers_of(tx, org).await?;
    for identifier in &mut new.identifiers {
        if identifier.issuer.trim().is_empty() {
            issuers
                .of(identifier.kind)
                .ok_or(PatientError::Invalid { field: "identifiers" })?
                .clone_into(&mut identifier.issuer);
        }
    }
    Ok((new.checked(latest_today(now))?, issuers))
}

/// Serialises everybody who registers or looks up the same identifiers.
async fn lock(tx: &mut Tx, org: OrgId, identifiers: &[Identifier]) -> Result<(), PatientError> {
    let mut keys: Vec<i64> =
        identifiers.iter().map(|i| store::lock_key(&format!("patient|{org}|{}|{}", i.issuer, i.value))).collect();
    // Always in the same order, so that two of them never wait for each other.
    keys.sort_unstable();
    keys.dedup();
    for key in keys {
        tx.lock(key).await?;
    }
    Ok(())
}

async fn insert<A: Action>(
    tx: &mut Tx,
    permit: &Permit<A>,
    org: OrgId,
    new: NewPatient,
) -> Result<Patient, PatientError> {
    let now = permit.now();
    let (new, issuers) = complete(tx, org, new, now).await?;
    lock(tx, org, &new.identifiers).await?;
    let mut patient = Patient {
        id: PatientId::new(),
        org,
        name: new.name,
        name_latin: new.name_latin.unwrap_or_default(),
        sex: new.sex.unwrap_or(Sex::Unknown),
        birth_date: new.birth_date,
        phone: new.phone,
        address: new.address,
        identifiers: new.identifiers,
        alerts: new.alerts,
        temporary: new.unidentified,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    for identifier in &patient.identifiers {
        if store::owner(tx, org, identifier).await?.is_some() {
            return Err(PatientError::IdentifierTaken);
        }
    }
    if let Some(issued) = issue_number(tx, &patient, &issuers, now).await? {
        patient.identifiers.push(issued);
    }
    store::insert(tx, &patient).await?;
    for identifier in &patient.identifiers {
        if !store::add_identifier(tx, org, patient.id, identifier, now).await? {
            return Err(PatientError::IdentifierTaken);
        }
    }
    let about = About::new("patient", patient.id, org).patient(patient.id);
    mingying_access::record(tx, permit, &about, &PatientRegistered { temporary: patient.temporary }).await?;
    Ok(patient)
}

/// A number of our own for somebody who has none yet. A number that was typed by hand before its turn is skipped.
async fn issue_number(
    tx: &mut Tx,
    patient: &Patient,
    issuers: &Issuers,
    now: Timestamp,
) -> Result<Option<Identifier>, PatientError> {
    let has = |kind| patient.identifiers.iter().any(|i| i.kind == kind);
    if has(IdentifierKind::Mrn) || (patient.temporary && has(IdentifierKind::Temporary)) {
        return Ok(None);
    }
    loop {
        let identifier = if patient.temporary {
            let serial = store::count(tx, &format!("{}|temporary", patient.org)).await?;
            let year = now.to_jiff().to_zoned(jiff::tz::TimeZone::UTC).year().rem_euclid(100);
            Identifier {
                issuer: issuers.temporary.clone(),
                kind: IdentifierKind::Temporary,
                value: format!("T{year:02}{serial:06}"),
            }
        } else {
            let serial = store::count(tx, &format!("{}|mrn", patient.org)).await?;
            Identifier {
                issuer: issuers.mrn.clone(),
                kind: IdentifierKind::Mrn,
                value: format!("{}{serial:08}", issuers.mrn_prefix),
            }
        };
        if store::owner(tx, patient.org, &identifier).await?.is_none() {
            return Ok(Some(identifier));
        }
    }
}

/// Replaces what is known about somebody, when `version` is still the present one. Numbers that this organization
/// issued stay; other identifiers that are left out were wrong and go.
pub async fn update(
    db: &Db,
    permit: &Permit<EditPatient>,
    id: PatientId,
    version: i64,
    new: NewPatient,
) -> Result<Patient, PatientError> {
    let mut tx = db.begin().await?;
    let now = permit.now();
    let before = crate::load_in(&mut tx, permit.scope(), id).await?;
    if before.version != version {
        return Err(PatientError::Stale);
    }
    let (new, issuers) = complete(&mut tx, before.org, new, now).await?;
    lock(&mut tx, before.org, &new.identifiers).await?;
    let own = |i: &Identifier| i.issuer == issuers.mrn || i.issuer == issuers.temporary;
    let mut after = Patient {
        name: new.name,
        name_latin: new.name_latin.unwrap_or_default(),
        sex: new.sex.unwrap_or(Sex::Unknown),
        birth_date: new.birth_date,
        phone: new.phone,
        address: new.address,
        alerts: new.alerts,
        temporary: new.unidentified,
        identifiers: before.identifiers.iter().filter(|i| own(i) || new.identifiers.contains(i)).cloned().collect(),
        ..before.clone()
    };
    for gone in before.identifiers.iter().filter(|i| !after.identifiers.contains(i)) {
        store::remove_identifier(&mut tx, id, gone).await?;
    }
    for identifier in new.identifiers {
        if !after.identifiers.iter().any(|i| i.issuer == identifier.issuer && i.value == identifier.value) {
            after.identifiers.push(identifier);
        }
    }
    if let Some(issued) = issue_number(&mut tx, &after, &issuers, now).await? {
        after.identifiers.push(issued);
    }
    save(&mut tx, permit, &before, &mut after, now).await?;
    tx.commit().await?;
    Ok(after)
}

/// Writes `after` over `before` with its new identifiers, the event and the audit row; nothing when nothing differs.
async fn save<A: Action>(
    tx: &mut Tx,
    permit: &Permit<A>,
    before: &Patient,
    after: &mut Patient,
    now: Timestamp,
) -> Result<(), PatientError> {
    let mut fields = Vec::new();
    let mut note = |differs: bool, name: &str| {
        if differs {
            fields.push(name.to_owned());
        }
    };
    note(before.name != after.name, "name");
    note(before.name_latin != after.name_latin, "name_latin");
    note(before.sex != after.sex, "sex");
    note(before.birth_date != after.birth_date, "birth_date");
    note(before.phone != after.phone, "phone");
    note(before.address != after.address, "address");
    note(before.alerts != after.alerts, "alerts");
    note(before.temporary != after.temporary, "temporary");
    note(before.identifiers != after.identifiers, "identifiers");
    if fields.is_empty() {
        return Ok(());
    }
    for identifier in after.identifiers.iter().filter(|i| !before.identifiers.contains(i)) {
        if !store::add_identifier(tx, after.org, after.id, identifier, now).await? {
            return Err(PatientError::IdentifierTaken);
        }
    }
    after.version = before.version + 1;
    after.updated_at = now;
    if !store::save(tx, after, before.version).await? {
        return Err(PatientError::Stale);
    }
    let about = About::new("patient", after.id, after.org).patient(after.id);
    mingying_access::record(tx, permit, &about, &PatientUpdated { version: after.version, fields }).await?;
    Ok(())
}

/// From an interface: whoever carries one of the identifiers is updated with what was sent, else registered.
/// The same message twice changes nothing the second time. Identifiers of two different patients in one message are a
/// contradiction that a person must solve.
pub async fn upsert<A: Action>(tx: &mut Tx, permit: &Permit<A>, new: NewPatient) -> Result<Upserted, PatientError> {
    let now = permit.now();
    let org = home_org_in(tx, permit.scope()).await?;
    let (new, _) = complete(tx, org, new, now).await?;
    lock(tx, org, &new.identifiers).await?;
    let mut owners = Vec::new();
    for identifier in &new.identifiers {
        if let Some(owner) = store::owner(tx, org, identifier).await?
            && !owners.contains(&owner)
        {
            owners.push(owner);
        }
    }
    let id = match owners.as_slice() {
        [] => {
            let patient = insert(tx, permit, org, new).await?;
            return Ok(Upserted { id: patient.id, created: true });
        }
        [one] => *one,
        _ => return Err(PatientError::IdentifierTaken),
    };
    // Two messages about one person with different identifiers still take turns.
    tx.lock(store::lock_key(&format!("patient|{id}"))).await?;
    let before = crate::load_in(tx, Scope::Org(org), id).await?;
    let mut after = before.clone();
    // What a message leaves out is unknown to its sender, not gone.
    after.name = new.name;
    after.name_latin = new.name_latin.unwrap_or_default();
    after.sex = new.sex.filter(|s| *s != Sex::Unknown).unwrap_or(before.sex);
    after.birth_date = new.birth_date.or(before.birth_date);
    after.phone = new.phone.or(after.phone);
    after.address = new.address.or(after.address);
    for alert in new.alerts {
        if !after.alerts.contains(&alert) {
            after.alerts.push(alert);
        }
    }
    after.temporary = before.temporary && new.unidentified;
    for identifier in new.identifiers {
        if !after.identifiers.iter().any(|i| i.issuer == identifier.issuer && i.value == identifier.value) {
            after.identifiers.push(identifier);
        }
    }
    save(tx, permit, &before, &mut after, now).await?;
    Ok(Upserted { id, created: false })
}

/// The organization in which this actor registers: its own, or the first one of the installation.
pub async fn home_org(db: &Db, scope: Scope) -> Result<OrgId, PatientError> {
    match scope {
        Scope::Org(org) => Ok(org),
        Scope::All => store::first_org(db).await?.ok_or(PatientError::NoOrganization),
    }
}

/// As `home_org`, within a transaction.
pub async fn home_org_in(tx: &mut Tx, scope: Scope) -> Result<OrgId, PatientError> {
    match scope {
        Scope::Org(org) => Ok(org),
        Scope::All => store::first_org_in(tx).await?.ok_or(PatientError::NoOrganization),
    }
}

/// How this organization numbers people.
pub async fn issuers_of(tx: &mut Tx, org: OrgId) -> Result<Issuers, PatientError> {
    Ok(store::issuers(tx, org).await?.unwrap_or_else(|| Issuers::default_of(org)))
}

/// Sets how an organization numbers people from now on; numbers already issued stay.
pub async fn set_issuers(
    db: &Db,
    permit: &Permit<EditCatalogue>,
    org: OrgId,
    issuers: &Issuers,
) -> Result<(), PatientError> {
    for (text, field) in [(&issuers.mrn, "mrn"), (&issuers.temporary, "temporary")] {
        mingying_kernel::PatientIdentifier::parse(text, "1").map_err(|_| PatientError::Invalid { field })?;
    }
    if issuers.mrn_prefix.len() > 8 || !issuers.mrn_prefix.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(PatientError::Invalid { field: "mrn_prefix" });
    }
    if !permit.scope().sees(org) {
        return Err(PatientError::NotFound);
    }
    let mut tx = db.begin().await?;
    store::put_issuers(&mut tx, org, issuers).await?;
    let about = About::new("org", org, org);
    let payload = IssuersSet { mrn: issuers.mrn.clone(), temporary: issuers.temporary.clone() };
    mingying_access::record(&mut tx, permit, &about, &payload).await?;
    tx.commit().await?;
    Ok(())
}
