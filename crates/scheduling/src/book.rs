//! Booking, moving, cancelling. Each takes the device's lock, looks, and writes, in one transaction.

use crate::model::{Busy, micros, occupancy, opening};
use crate::worklist_step::{StepNames, ensure_named, ensure_step};
use crate::{Appointment, AppointmentState, BookAppointment, Device, SchedulingError, SpsState, store};
use mingying_db::{Db, Tx};
use mingying_events::payload::scheduling::{
    AppointmentBooked, AppointmentCheckedIn, AppointmentHeld, AppointmentMoved, SlotFreed,
};
use mingying_events::{About, Payload};
use mingying_kernel::{Action, AeTitle, AppointmentId, DeviceId, OrderId, Permit, Scope, Timestamp};
use mingying_orders::{ExamState, Order, OrderError, Step};
use std::time::Duration;

/// How long a hold keeps a time (`domain.md` section 2).
const HOLD: Duration = Duration::from_mins(5);

fn about(order: &Order) -> About {
    About::new("order", order.id, order.org).case(order.id).patient(order.patient.id)
}

async fn event<A: Action, P: Payload>(
    tx: &mut Tx,
    permit: &Permit<A>,
    order: &Order,
    payload: &P,
) -> Result<(), SchedulingError> {
    mingying_access::record(tx, permit, &about(order), payload).await?;
    Ok(())
}

/// The order with its row locked, so that two bookers of one order take turns.
async fn locked<A: Action>(tx: &mut Tx, permit: &Permit<A>, id: OrderId) -> Result<Order, SchedulingError> {
    tx.lock(store::lock_key(&format!("order|{id}"))).await?;
    Ok(mingying_orders::load_in(tx, permit.scope(), id).await?)
}

/// The device with its calendar locked.
async fn calendar_of(tx: &mut Tx, scope: Scope, id: DeviceId) -> Result<Device, SchedulingError> {
    tx.lock(store::lock_key(&format!("calendar|{id}"))).await?;
    crate::device_in(tx, scope, id).await
}

/// Whether `[start, end)` can be booked on `device`: it fits the exam, lies in the future and the opening hours, and
/// the occupancy stays within the capacity.
async fn check_slot(
    tx: &mut Tx,
    device: &Device,
    order: &Order,
    start: Timestamp,
    except: Option<AppointmentId>,
    now: Timestamp,
) -> Result<Timestamp, SchedulingError> {
    if !device.active || device.modality != order.modality {
        return Err(SchedulingError::WrongDevice);
    }
    if start < now {
        return Err(SchedulingError::SlotPast);
    }
    let end = Timestamp::from_micros(start.as_micros().saturating_add(micros(order.duration_min())));
    let zone = crate::facility_zone_in(tx, device.org).await?;
    let day = start.to_jiff().to_zoned(zone.clone()).date();
    let hours = store::hours_in(tx, device.id).await?;
    if !opening(&hours, day, &zone).iter().any(|open| open.start <= start && end <= open.end) {
        return Err(SchedulingError::SlotClosed);
    }
    if occupied(tx, device, start, end, except, now).await? {
        return Err(SchedulingError::SlotTaken);
    }
    Ok(end)
}

async fn occupied(
    tx: &mut Tx,
    device: &Device,
    start: Timestamp,
    end: Timestamp,
    except: Option<AppointmentId>,
    now: Timestamp,
) -> Result<bool, SchedulingError> {
    let busy: Vec<Busy> = store::busy_in(tx, device.id, start, end, now, except).await?;
    Ok(occupancy(&busy, start, end) >= device.capacity)
}

fn new_appointment(order: &Order, device: &Device, start: Timestamp, end: Timestamp) -> Appointment {
    Appointment {
        id: AppointmentId::new(),
        org: order.org,
        order: order.id,
        device: device.id,
        start,
        end,
        state: AppointmentState::Booked,
        hold_until: None,
        moved_from: None,
        overlaps: false,
        reason: String::new(),
        version: 1,
    }
}

/// Reserves a time for five minutes while the patient decides. A later hold of the same order replaces it.
pub async fn hold(
    db: &Db,
    permit: &Permit<BookAppointment>,
    order: OrderId,
    device: DeviceId,
    start: Timestamp,
) -> Result<Appointment, SchedulingError> {
    let mut tx = db.begin().await?;
    let now = permit.now();
    let order = locked(&mut tx, permit, order).await?;
    if !matches!(order.state, ExamState::Accepted | ExamState::Redo) {
        return Err(OrderError::State { state: order.state, step: Step::Schedule }.into());
    }
    let device = calendar_of(&mut tx, Scope::Org(order.org), device).await?;
    let before = store::standing_in(&mut tx, order.id).await?;
    let end = check_slot(&mut tx, &device, &order, start, before.as_ref().map(|a| a.id), now).await?;
    free_hold(&mut tx, permit, &order, before, "replaced").await?;
    let until = now.plus(HOLD);
    let held = Appointment {
        state: AppointmentState::Held,
        hold_until: Some(until),
        ..new_appointment(&order, &device, start, end)
    };
    store::insert_appointment(&mut tx, &held, &device, now).await?;
    let payload =
        AppointmentHeld { device: device.ae_title.to_string(), start: start.to_rfc3339(), until: until.to_rfc3339() };
    event(&mut tx, permit, &order, &payload).await?;
    tx.commit().await?;
    Ok(held)
}

/// Gives up a hold of the order, if there is one.
async fn free_hold<A: Action>(
    tx: &mut Tx,
    permit: &Permit<A>,
    order: &Order,
    held: Option<Appointment>,
    reason: &str,
) -> Result<(), SchedulingError> {
    let Some(held) = held.filter(|a| a.state == AppointmentState::Held) else { return Ok(()) };
    let now = permit.now();
    if store::set_appointment_state(tx, held.id, held.state, AppointmentState::Cancelled, reason, now).await? {
        let device = crate::device_in(tx, Scope::Org(order.org), held.device).await?;
        let payload = SlotFreed {
            device: device.ae_title.to_string(),
            start: held.start.to_rfc3339(),
            reason: reason.to_owned(),
        };
        event(tx, permit, order, &payload).await?;
    }
    Ok(())
}

/// Books a time. Of two who want the same one the second gets `SlotTaken`.
pub async fn book(
    db: &Db,
    permit: &Permit<BookAppointment>,
    order: OrderId,
    device: DeviceId,
    start: Timestamp,
) -> Result<Appointment, SchedulingError> {
    let mut tx = db.begin().await?;
    let now = permit.now();
    let order = locked(&mut tx, permit, order).await?;
    if order.state == ExamState::Scheduled {
        // A second booking would leave the first one standing: moving is another act.
        return Err(OrderError::State { state: order.state, step: Step::Schedule }.into());
    }
    let device = calendar_of(&mut tx, Scope::Org(order.org), device).await?;
    let held = store::standing_in(&mut tx, order.id).await?;
    let end = check_slot(&mut tx, &device, &order, start, held.as_ref().map(|a| a.id), now).await?;
    free_hold(&mut tx, permit, &order, held, "booked").await?;
    let booked = new_appointment(&order, &device, start, end);
    write_booking(&mut tx, permit, &order, &device, &booked).await?;
    ensure_step(&mut tx, permit, order.id, &device, start).await?;
    tx.commit().await?;
    Ok(booked)
}

/// The order's step to SCHEDULED, the row and its event; the worklist step records the transition (`sps.created`).
async fn write_booking<A: Action>(
    tx: &mut Tx,
    permit: &Permit<A>,
    order: &Order,
    device: &Device,
    booked: &Appointment,
) -> Result<(), SchedulingError> {
    let _ = mingying_orders::advance(tx, permit, order.id, Step::Schedule).await?;
    store::insert_appointment(tx, booked, device, permit.now()).await?;
    let payload = AppointmentBooked {
        device: device.ae_title.to_string(),
        start: booked.start.to_rfc3339(),
        end: booked.end.to_rfc3339(),
        overlaps: booked.overlaps,
    };
    event(tx, permit, order, &payload).await
}

/// OMI^O23 with station and start: the sender is the scheduler and owns that calendar, so that its booking is a fact
/// to record, not a wish to check. It may lie in the past, outside the hours or over another booking, which is noted
/// (`overlaps`) and counts for every later booking of ours. The same message again moves what it made, or changes
/// nothing. `sps_id` and `procedure_id` are kept as the sender names them.
pub async fn book_direct<A: Action>(
    tx: &mut Tx,
    permit: &Permit<A>,
    order: OrderId,
    station_aet: &str,
    start: Timestamp,
    sps_id: Option<&str>,
    procedure_id: Option<&str>,
) -> Result<Appointment, SchedulingError> {
    let now = permit.now();
    let order = locked(tx, permit, order).await?;
    let scope = Scope::Org(order.org);
    let aet = AeTitle::parse(station_aet).map_err(|_| SchedulingError::Invalid { field: "station_aet" })?;
    let found = crate::device_by_aet(tx, scope, &aet).await?.ok_or(SchedulingError::DeviceNotFound)?;
    let device = calendar_of(tx, scope, found.id).await?;
    if device.modality != order.modality {
        return Err(SchedulingError::WrongDevice);
    }
    if order.state == ExamState::Ordered {
        // The scheduler has looked at it: that is the acceptance.
        let _ = mingying_orders::accept_in(tx, permit, order.id).await?;
    }
    let names = StepNames { sps_id, procedure_id };
    let end = Timestamp::from_micros(start.as_micros().saturating_add(micros(order.duration_min())));
    let before = store::standing_in(tx, order.id).await?;
    if let Some(same) =
        before.as_ref().filter(|a| a.device == device.id && a.start == start && a.state != AppointmentState::Held)
    {
        return Ok(same.clone());
    }
    let overlaps = occupied(tx, &device, start, end, before.as_ref().map(|a| a.id), now).await?;
    let mut booked = Appointment { overlaps, ..new_appointment(&order, &device, start, end) };
    match before {
        Some(old) if old.state == AppointmentState::Booked => {
            booked.moved_from = Some(old.id);
            replace(tx, permit, &order, &old, &device, &booked).await?;
        }
        other => {
            free_hold(tx, permit, &order, other, "booked").await?;
            write_booking(tx, permit, &order, &device, &booked).await?;
        }
    }
    ensure_named(tx, permit, order.id, &device, start, names).await?;
    Ok(booked)
}

/// Closes `old` as moved, writes `new`, and records both as one move.
async fn replace<A: Action>(
    tx: &mut Tx,
    permit: &Permit<A>,
    order: &Order,
    old: &Appointment,
    device: &Device,
    new: &Appointment,
) -> Result<(), SchedulingError> {
    let now = permit.now();
    if !store::set_appointment_state(tx, old.id, AppointmentState::Booked, AppointmentState::Moved, "", now).await? {
        return Err(SchedulingError::State);
    }
    let _ = mingying_orders::advance(tx, permit, order.id, Step::Schedule).await?;
    store::insert_appointment(tx, new, device, now).await?;
    let from = crate::device_in(tx, Scope::Org(order.org), old.device).await?;
    let payload = AppointmentMoved {
        from_device: from.ae_title.to_string(),
        from_start: old.start.to_rfc3339(),
        device: device.ae_title.to_string(),
        start: new.start.to_rfc3339(),
        end: new.end.to_rfc3339(),
    };
    event(tx, permit, order, &payload).await
}

/// Moves an appointment to another time or device: a new row that names the old one.
pub async fn move_to(
    db: &Db,
    permit: &Permit<BookAppointment>,
    id: AppointmentId,
    device: DeviceId,
    start: Timestamp,
) -> Result<Appointment, SchedulingError> {
    let mut tx = db.begin().await?;
    let now = permit.now();
    let old = store::appointment_in(&mut tx, permit.scope(), id).await?.ok_or(SchedulingError::NotFound)?;
    let order = locked(&mut tx, permit, old.order).await?;
    let device = calendar_of(&mut tx, Scope::Org(order.org), device).await?;
    let end = check_slot(&mut tx, &device, &order, start, Some(old.id), now).await?;
    let moved = Appointment { moved_from: Some(old.id), ..new_appointment(&order, &device, start, end) };
    replace(&mut tx, permit, &order, &old, &device, &moved).await?;
    ensure_step(&mut tx, permit, order.id, &device, start).await?;
    tx.commit().await?;
    Ok(moved)
}

/// Cancels an appointment; the order waits for another one.
pub async fn cancel(
    db: &Db,
    permit: &Permit<BookAppointment>,
    id: AppointmentId,
    reason: &str,
) -> Result<Appointment, SchedulingError> {
    let reason = reason.trim();
    if reason.is_empty() || reason.chars().count() > 500 || reason.chars().any(char::is_control) {
        return Err(SchedulingError::Invalid { field: "reason" });
    }
    let mut tx = db.begin().await?;
    let found = store::appointment_in(&mut tx, permit.scope(), id).await?.ok_or(SchedulingError::NotFound)?;
    let order = locked(&mut tx, permit, found.order).await?;
    let found = store::appointment_in(&mut tx, permit.scope(), id).await?.ok_or(SchedulingError::NotFound)?;
    match found.state {
        AppointmentState::Held => {
            free_hold(&mut tx, permit, &order, Some(found), reason).await?;
        }
        AppointmentState::Booked => {
            release(&mut tx, permit, &order, &found, reason).await?;
            let _ = mingying_orders::advance(&mut tx, permit, order.id, Step::Unschedule).await?;
        }
        _ => return Err(SchedulingError::State),
    }
    let after = store::appointment_in(&mut tx, permit.scope(), id).await?.ok_or(SchedulingError::NotFound)?;
    tx.commit().await?;
    Ok(after)
}

/// Takes a booking off the calendar and its step off the worklist.
async fn release<A: Action>(
    tx: &mut Tx,
    permit: &Permit<A>,
    order: &Order,
    booked: &Appointment,
    reason: &str,
) -> Result<(), SchedulingError> {
    let now = permit.now();
    if !store::set_appointment_state(tx, booked.id, booked.state, AppointmentState::Cancelled, reason, now).await? {
        return Err(SchedulingError::State);
    }
    store::set_step_state(tx, order.id, SpsState::Cancelled, now).await?;
    let device = crate::device_in(tx, Scope::Org(order.org), booked.device).await?;
    let payload =
        SlotFreed { device: device.ae_title.to_string(), start: booked.start.to_rfc3339(), reason: reason.to_owned() };
    event(tx, permit, order, &payload).await
}

/// Frees everything that a cancelled order holds: its time and its place in the worklist. For whoever cancels the
/// order, in the same transaction.
pub async fn free_order<A: Action>(
    tx: &mut Tx,
    permit: &Permit<A>,
    order: OrderId,
    reason: &str,
) -> Result<(), SchedulingError> {
    let order = locked(tx, permit, order).await?;
    match store::standing_in(tx, order.id).await? {
        Some(standing) => release(tx, permit, &order, &standing, reason).await?,
        None => {
            store::set_step_state(tx, order.id, SpsState::Cancelled, permit.now()).await?;
        }
    }
    Ok(())
}

/// The patient is here: the appointment is checked in. `None` when the order has none.
pub async fn check_in<A: Action>(
    tx: &mut Tx,
    permit: &Permit<A>,
    order: OrderId,
) -> Result<Option<Appointment>, SchedulingError> {
    let Some(mut found) = store::standing_in(tx, order).await? else { return Ok(None) };
    if found.state != AppointmentState::Booked {
        return Ok(Some(found));
    }
    let now = permit.now();
    if !store::set_appointment_state(tx, found.id, found.state, AppointmentState::CheckedIn, "", now).await? {
        return Err(SchedulingError::State);
    }
    found.state = AppointmentState::CheckedIn;
    let order = mingying_orders::load_in(tx, permit.scope(), order).await?;
    event(tx, permit, &order, &AppointmentCheckedIn { start: found.start.to_rfc3339() }).await?;
    Ok(Some(found))
}

/// The exam is over: its appointment is fulfilled. Recorded by the exam's own event.
pub async fn mark_fulfilled<A: Action>(tx: &mut Tx, permit: &Permit<A>, order: OrderId) -> Result<(), SchedulingError> {
    if let Some(found) = store::standing_in(tx, order).await?
        && found.state != AppointmentState::Held
    {
        let now = permit.now();
        store::set_appointment_state(tx, found.id, found.state, AppointmentState::Fulfilled, "", now).await?;
    }
    Ok(())
}

/// Frees holds whose five minutes are over. They count as free from that moment on; this only tidies up and says so.
pub async fn expire_holds<A: Action>(db: &Db, permit: &Permit<A>) -> Result<u64, SchedulingError> {
    let mut tx = db.begin().await?;
    let mut freed = 0;
    for held in store::expired_holds(&mut tx, permit.scope(), permit.now()).await? {
        let order = mingying_orders::load_in(&mut tx, permit.scope(), held.order).await?;
        free_hold(&mut tx, permit, &order, Some(held), "expired").await?;
        freed += 1;
    }
    tx.commit().await?;
    Ok(freed)
}
