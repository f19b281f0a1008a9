//! The patient is here.

use crate::model::{Mode, QueueClass, QueueEntry, QueueState, place};
use crate::{CheckIn, FlowError, store};
use mingying_access::record;
use mingying_db::Db;
use mingying_events::payload::flow::{PatientArrived, QueueJoined};
use mingying_kernel::{DeviceId, OrderId, Permit, QueueEntryId, Timestamp};
use mingying_orders::{ExamState, Priority, Step};

/// How somebody arrives.
#[derive(Debug, Clone)]
pub struct Arrival {
    pub order: OrderId,
    pub mode: Mode,
    /// Required without an appointment; with one, its device is taken.
    pub device: Option<DeviceId>,
    /// Required without an appointment.
    pub reason: Option<String>,
}

/// Receives a patient for one exam: the exam becomes ARRIVED, the worklist item stands on the device, the patient gets
/// a ticket of the device's room. An emergency is accepted by whoever receives it.
pub async fn arrive(db: &Db, permit: &Permit<CheckIn>, arrival: Arrival) -> Result<QueueEntry, FlowError> {
    let reason = arrival.reason.as_deref().map(str::trim).filter(|r| !r.is_empty());
    if arrival.mode != Mode::Appointment && reason.is_none() {
        return Err(FlowError::Invalid { field: "reason" });
    }
    if reason.is_some_and(|r| r.chars().count() > 500 || r.chars().any(|c| c.is_control() && c != '\n')) {
        return Err(FlowError::Invalid { field: "reason" });
    }
    let scope = permit.scope();
    let now = permit.now();
    let mut tx = db.begin().await?;
    let order = mingying_orders::load_in(&mut tx, scope, arrival.order).await?;
    if store::hold_open(&mut tx, order.id).await?.is_some() {
        return Err(FlowError::AlreadyHere);
    }
    if order.state == ExamState::Ordered && arrival.mode == Mode::Emergency {
        let _accepted = mingying_orders::accept_in(&mut tx, permit, order.id).await?;
    }
    let appointment = mingying_scheduling::check_in(&mut tx, permit, order.id).await?;
    let device = match (arrival.mode, &appointment) {
        (Mode::Appointment, None) => return Err(FlowError::NoAppointment),
        (Mode::Appointment, Some(appointment)) => appointment.device,
        (_, appointment) => arrival
            .device
            .or(appointment.as_ref().map(|a| a.device))
            .ok_or(FlowError::Invalid { field: "device_id" })?,
    };
    let device = mingying_scheduling::device_in(&mut tx, scope, device).await?;
    let room = mingying_scheduling::room_in(&mut tx, scope, device.room).await?;
    // A booked patient keeps the planned time in the worklist, everybody else is due now.
    let start = match (arrival.mode, &appointment) {
        (Mode::Appointment, Some(appointment)) => appointment.start,
        _ => now,
    };
    mingying_scheduling::ensure_step(&mut tx, permit, order.id, &device, start).await?;
    let step = mingying_orders::advance_at(&mut tx, permit, order.id, Step::Arrive, reason, None).await?;
    step.record(
        &mut tx,
        permit,
        &step.about("order", order.id),
        &PatientArrived { mode: arrival.mode.to_string(), reason: reason.unwrap_or_default().to_owned() },
    )
    .await?;

    let class = match (arrival.mode, order.priority) {
        (Mode::Emergency, _) | (_, Priority::Emergency) => QueueClass::Emergency,
        (Mode::Appointment, _) => QueueClass::Appointment,
        (Mode::WalkIn | Mode::Bedside, _) => QueueClass::WalkIn,
    };
    let zone = mingying_scheduling::facility_zone_in(&mut tx, order.org).await?;
    let day = now.to_jiff().to_zoned(zone).date().to_string();
    let number = store::next_number(&mut tx, room.id, &day).await?;
    let (rank, rank_at) = place(class, appointment.as_ref().map(|a| a.start), now);
    let entry = QueueEntry {
        id: QueueEntryId::new(),
        org: order.org,
        order: order.id,
        patient: order.patient.id,
        room: room.id,
        device: device.id,
        ticket: format!("{}{number:03}", room.ticket_prefix),
        mode: arrival.mode,
        class,
        state: QueueState::Waiting,
        calls: 0,
        arrived_at: now,
        called_at: None::<Timestamp>,
        version: 1,
    };
    let place = store::Place {
        campus: device.campus,
        department: device.department,
        day,
        rank,
        rank_at,
        reason: reason.unwrap_or_default().to_owned(),
    };
    store::insert(&mut tx, &entry, &place).await?;
    let joined = QueueJoined { ticket: entry.ticket.clone(), room: room.name.clone(), class: entry.class.to_string() };
    record(&mut tx, permit, &step.about("queue_entry", entry.id), &joined).await?;
    tx.commit().await?;
    Ok(entry)
}
