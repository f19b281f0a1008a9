//! From a stored message to patients, orders and appointments.

use crate::{MllpError, store};
use mingying_db::{Db, DbError, Tx};
use mingying_events::payload::interfaces::MessageFailed;
use mingying_events::{About, emit};
use mingying_flow::FlowError;
use mingying_hl7::{Control, Inbound, Message, OrderMessage, PatientData, Refusal, VisitData};
use mingying_kernel::{Action, Coded, Ctx, ErrorKind, MessageId, OrderId, OrgId, Permit, Scope, Timestamp};
use mingying_orders::{
    Created, ExamState, NewItem, NewOrder, OrderError, Placer, Priority, Side, Source, VisitClass, catalogue_by_code,
};
use mingying_patients::{ID_CARD_ISSUER, Identifier, IdentifierKind, NewPatient, PatientError, Sex, Upserted};
use mingying_scheduling::SchedulingError;

/// How often a message is tried when another transaction gets in the way.
const TRIES: usize = 4;

/// Acts on message `id` with this text, and keeps the outcome with it in the same transaction. The outer error is a
/// fault of ours (the sender should try again), the inner one the message's.
pub(crate) async fn act<A: Action>(
    db: &Db,
    permit: &Permit<A>,
    id: MessageId,
    body: &[u8],
) -> Result<Result<(), Refusal>, MllpError> {
    let text = mingying_hl7::decode(body).0;
    let inbound = Message::parse(&text).and_then(|message| mingying_hl7::read(&message));
    let refusal = match inbound {
        Ok(inbound) => {
            let mut tries = 1;
            loop {
                match attempt(db, permit, id, &inbound).await {
                    Ok(()) => return Ok(Ok(())),
                    Err(Fault::Message(refusal)) => break refusal,
                    Err(Fault::Ours(error)) if tries >= TRIES || !is_collision(&error) => return Err(error.into()),
                    Err(Fault::Ours(_)) => tries += 1,
                }
            }
        }
        Err(refusal) => refusal,
    };
    set_aside(db, permit.ctx(), id, &refusal).await?;
    Ok(Err(refusal))
}

/// Puts a message into the error queue, with the event that tells those who look after it.
pub(crate) async fn set_aside(db: &Db, ctx: &Ctx, id: MessageId, refusal: &Refusal) -> Result<(), DbError> {
    let mut tx = db.begin().await?;
    store::fail(&mut tx, id, refusal.code, &refusal.location, ctx.now()).await?;
    let scope = ctx.actor().org.map_or(Scope::All, Scope::Org);
    match mingying_patients::home_org_in(&mut tx, scope).await {
        Ok(org) => {
            let (peer, kind) = store::origin(&mut tx, id).await?;
            let payload =
                MessageFailed { peer, kind, code: refusal.code.to_owned(), location: refusal.location.clone() };
            emit(&mut tx, ctx, &About::new("message", id, org), &payload).await?;
        }
        Err(PatientError::Db(error)) => return Err(error),
        // Nobody's message yet: an installation without an organization has nobody to tell.
        Err(_) => {}
    }
    tx.commit().await
}

fn is_collision(error: &DbError) -> bool {
    matches!(error, DbError::Serialization | DbError::Unique { .. })
}

enum Fault {
    Message(Refusal),
    Ours(DbError),
}

impl From<DbError> for Fault {
    fn from(error: DbError) -> Self {
        Self::Ours(error)
    }
}

impl From<PatientError> for Fault {
    fn from(error: PatientError) -> Self {
        match error {
            PatientError::Db(error) => Self::Ours(error),
            PatientError::IdentifierTaken => Self::Message(refused(&error, "PID-3")),
            PatientError::Invalid { field } => Self::Message(refused(
                &error,
                match field {
                    "name" | "name_latin" => "PID-5",
                    "birth_date" => "PID-7",
                    "phone" => "PID-13",
                    "address" => "PID-11",
                    _ => "PID-3",
                },
            )),
            other => Self::Message(refused(&other, "PID")),
        }
    }
}

impl From<OrderError> for Fault {
    fn from(error: OrderError) -> Self {
        match error {
            OrderError::Db(error) => Self::Ours(error),
            OrderError::Patient(error) => error.into(),
            OrderError::UnknownItem => Self::Message(Refusal::unknown_key("OBR-4")),
            OrderError::NotFound => Self::Message(Refusal::unknown_key("ORC-2")),
            OrderError::State { .. } => Self::Message(refused(&error, "ORC-1")),
            OrderError::Duplicate => Self::Message(refused(&error, "IPC-1")),
            other => Self::Message(refused(&other, "ORC")),
        }
    }
}

impl From<SchedulingError> for Fault {
    fn from(error: SchedulingError) -> Self {
        match error {
            SchedulingError::Db(error) => Self::Ours(error),
            SchedulingError::Order(error) => error.into(),
            SchedulingError::DeviceNotFound => Self::Message(Refusal::unknown_key("IPC-9")),
            other => Self::Message(refused(&other, "TQ1-7")),
        }
    }
}

impl From<FlowError> for Fault {
    fn from(error: FlowError) -> Self {
        match error {
            FlowError::Db(error) => Self::Ours(error),
            FlowError::Order(error) => error.into(),
            FlowError::Scheduling(error) => error.into(),
            other => Self::Message(refused(&other, "ORC-1")),
        }
    }
}

/// A refusal of the product's own rules, under the rule's code.
fn refused(error: &impl Coded, location: &str) -> Refusal {
    let hl7_code = match error.kind() {
        ErrorKind::NotFound => 204,
        ErrorKind::Invalid => 102,
        ErrorKind::Conflict => 205,
        _ => 207,
    };
    Refusal { code: error.code(), hl7_code, location: location.to_owned(), reject: false }
}

async fn attempt<A: Action>(db: &Db, permit: &Permit<A>, id: MessageId, inbound: &Inbound) -> Result<(), Fault> {
    let mut tx = db.begin().await?;
    let order = match inbound {
        Inbound::Patient { patient, visit, .. } => {
            upsert(&mut tx, permit, patient, visit).await?;
            None
        }
        Inbound::Order(order) => Some(take_order(&mut tx, permit, order).await?),
    };
    store::finish(&mut tx, id, order, permit.now()).await?;
    tx.commit().await?;
    Ok(())
}

async fn upsert<A: Action>(
    tx: &mut Tx,
    permit: &Permit<A>,
    patient: &PatientData,
    visit: &VisitData,
) -> Result<Upserted, Fault> {
    let identifiers = patient
        .identifiers
        .iter()
        .map(|(identifier, kind)| Identifier {
            issuer: identifier.issuer.clone(),
            kind: identifier_kind(&identifier.issuer, kind, visit),
            value: identifier.value.clone(),
        })
        .collect();
    let sex = match patient.sex {
        'M' => Some(Sex::Male),
        'F' => Some(Sex::Female),
        'O' => Some(Sex::Other),
        _ => None,
    };
    let new = NewPatient {
        name: patient.name.clone(),
        // XPN and PN separate family and given name by a circumflex, the product by a space.
        name_latin: patient.name_latin.as_ref().map(|latin| latin.replace('^', " ")),
        sex,
        birth_date: patient.birth_date,
        phone: patient.phone.clone(),
        address: patient.address.clone(),
        identifiers,
        alerts: Vec::new(),
        unidentified: false,
    };
    Ok(mingying_patients::upsert(tx, permit, new).await?)
}

/// CX.5 (table 0203) in the product's words; the national card is known by its issuer.
fn identifier_kind(issuer: &str, kind: &str, visit: &VisitData) -> IdentifierKind {
    if issuer == ID_CARD_ISSUER {
        return IdentifierKind::IdCard;
    }
    match kind {
        "MR" | "PI" | "" => IdentifierKind::Mrn,
        "SS" | "HC" | "MI" => IdentifierKind::Insurance,
        "VN" | "AN" if visit.class == mingying_hl7::VisitClass::Inpatient => IdentifierKind::Inpatient,
        "VN" | "AN" => IdentifierKind::Outpatient,
        _ => IdentifierKind::Foreign,
    }
}

async fn take_order<A: Action>(tx: &mut Tx, permit: &Permit<A>, message: &OrderMessage) -> Result<OrderId, Fault> {
    let placer = Placer { issuer: message.placer.issuer.clone(), number: message.placer.value.clone() };
    if message.control == Control::Cancel {
        let order = mingying_orders::by_placer(tx, permit.scope(), &placer)
            .await?
            .ok_or_else(|| Fault::Message(Refusal::unknown_key("ORC-2")))?;
        mingying_flow::withdraw(tx, permit, order, "HL7").await?;
        return Ok(order);
    }
    let patient = upsert(tx, permit, &message.patient, &message.visit).await?;
    let org = mingying_patients::home_org_in(tx, permit.scope()).await?;
    let mut items = Vec::with_capacity(message.items.len());
    for item in &message.items {
        let found = catalogue_by_code(tx, org, &item.code).await?;
        let side = item.side.map(|side| match side {
            'L' => Side::Left,
            'R' => Side::Right,
            _ => Side::Both,
        });
        items.push(NewItem { catalogue_id: found.id, side });
    }
    let new = NewOrder {
        items,
        priority: match message.priority {
            mingying_hl7::Priority::Routine => Priority::Routine,
            mingying_hl7::Priority::Urgent => Priority::Urgent,
            mingying_hl7::Priority::Emergency => Priority::Emergency,
        },
        visit_class: match message.visit.class {
            mingying_hl7::VisitClass::Outpatient => VisitClass::Outpatient,
            mingying_hl7::VisitClass::Inpatient => VisitClass::Inpatient,
            mingying_hl7::VisitClass::Emergency => VisitClass::Emergency,
            mingying_hl7::VisitClass::Checkup => VisitClass::Checkup,
        },
        department: message.department.clone(),
        physician: message.physician.clone(),
        diagnosis: message.diagnosis.clone(),
        history: message.history.clone(),
        purpose: message.purpose.clone(),
        source: Source::Hl7,
        placer: Some(placer),
        accession: message.step.accession.clone(),
        study_uid: message.step.study_uid.clone(),
        ..NewOrder::for_patient(patient.id)
    };
    let created = mingying_orders::create_in(tx, permit, new).await?;
    book(tx, permit, message, &created, org).await?;
    Ok(created.id)
}

/// An order that names station and start time is booked at once, so that it stands in that station's worklist.
async fn book<A: Action>(
    tx: &mut Tx,
    permit: &Permit<A>,
    message: &OrderMessage,
    created: &Created,
    org: OrgId,
) -> Result<(), Fault> {
    let (Some(station), Some(start)) = (&message.step.station_aet, message.step.start) else { return Ok(()) };
    // Sent again after the exam has begun: there is nothing left to book.
    if !matches!(created.state, ExamState::Accepted | ExamState::Scheduled) {
        return Ok(());
    }
    let zone = mingying_scheduling::facility_zone_in(tx, org).await?;
    let start = zone
        .to_timestamp(start)
        .map(|at| Timestamp::from_micros(at.as_microsecond()))
        .map_err(|_| Fault::Message(Refusal::data_type("TQ1-7")))?;
    mingying_scheduling::book_direct(
        tx,
        permit,
        created.id,
        station.as_str(),
        start,
        message.step.sps_id.as_deref(),
        message.step.requested_procedure_id.as_deref(),
    )
    .await?;
    Ok(())
}
