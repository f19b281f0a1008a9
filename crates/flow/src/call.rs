//! What technologists and nurses do with those who wait.

use crate::model::{Act, BEFORE_RETURNED, QueueEntry, QueueState};
use crate::{CallPatients, FlowError, store};
use mingying_access::record;
use mingying_db::{Db, Tx};
use mingying_events::About;
use mingying_events::payload::flow::{
    QueueCalled, QueueDone, QueueEntered, QueueHeld, QueueLeft, QueueMoved, QueuePassed, QueueReturned,
};
use mingying_kernel::{Action, DeviceId, Permit, QueueEntryId, RoomId, Timestamp};
use mingying_orders::Step;

pub(crate) fn about(entry: &QueueEntry) -> About {
    About::new("queue_entry", entry.id, entry.org).case(entry.order).patient(entry.patient)
}

fn optional(reason: Option<&str>) -> Result<String, FlowError> {
    let reason = reason.map(str::trim).unwrap_or_default();
    if reason.chars().count() > 500 || reason.chars().any(|c| c.is_control() && c != '\n') {
        return Err(FlowError::Invalid { field: "reason" });
    }
    Ok(reason.to_owned())
}

fn required(reason: &str) -> Result<String, FlowError> {
    let reason = optional(Some(reason))?;
    if reason.is_empty() { Err(FlowError::Invalid { field: "reason" }) } else { Ok(reason) }
}

/// Moves an entry that is held by this transaction.
pub(crate) async fn act(tx: &mut Tx, entry: &mut QueueEntry, act: Act, now: Timestamp) -> Result<(), FlowError> {
    let state = entry.state.after(act).ok_or(FlowError::State { state: entry.state, act })?;
    if state == QueueState::Called {
        entry.calls += 1;
        entry.called_at = Some(now);
    }
    entry.state = state;
    store::set_state(tx, entry.id, state, entry.calls, now).await?;
    Ok(())
}

async fn held<A: Action>(tx: &mut Tx, permit: &Permit<A>, id: QueueEntryId) -> Result<QueueEntry, FlowError> {
    store::hold(tx, permit.scope(), id).await?.ok_or(FlowError::NotFound)
}

async fn room_name<A: Action>(tx: &mut Tx, permit: &Permit<A>, room: RoomId) -> Result<String, FlowError> {
    Ok(mingying_scheduling::room_in(tx, permit.scope(), room).await?.name)
}

/// Calls the next one for a room (顺呼); `None` when nobody waits.
pub async fn call_next(db: &Db, permit: &Permit<CallPatients>, room: RoomId) -> Result<Option<QueueEntry>, FlowError> {
    let mut tx = db.begin().await?;
    // Two terminals of one room call one after the other, never the same patient.
    tx.lock(lock_of(room)).await?;
    let Some(id) = store::first_waiting(&mut tx, permit.scope(), room).await? else { return Ok(None) };
    let entry = call_in(&mut tx, permit, id).await?;
    tx.commit().await?;
    Ok(Some(entry))
}

/// The low half of a room's id, as the key of its lock.
fn lock_of(room: RoomId) -> i64 {
    room.uuid().as_u64_pair().1 as i64
}

/// Calls one in particular (选呼), or again (重呼).
pub async fn call(db: &Db, permit: &Permit<CallPatients>, id: QueueEntryId) -> Result<QueueEntry, FlowError> {
    let mut tx = db.begin().await?;
    let entry = call_in(&mut tx, permit, id).await?;
    tx.commit().await?;
    Ok(entry)
}

async fn call_in(tx: &mut Tx, permit: &Permit<CallPatients>, id: QueueEntryId) -> Result<QueueEntry, FlowError> {
    let mut entry = held(tx, permit, id).await?;
    act(tx, &mut entry, Act::Call, permit.now()).await?;
    let room = room_name(tx, permit, entry.room).await?;
    record(tx, permit, &about(&entry), &QueueCalled { ticket: entry.ticket.clone(), room, calls: entry.calls }).await?;
    Ok(entry)
}

/// No answer, or another one first (跳呼): the entry is passed (过号).
pub async fn skip(
    db: &Db,
    permit: &Permit<CallPatients>,
    id: QueueEntryId,
    reason: Option<&str>,
) -> Result<QueueEntry, FlowError> {
    let reason = optional(reason)?;
    let mut tx = db.begin().await?;
    let mut entry = held(&mut tx, permit, id).await?;
    act(&mut tx, &mut entry, Act::Skip, permit.now()).await?;
    let event = QueuePassed { ticket: entry.ticket.clone(), calls: entry.calls, reason };
    record(&mut tx, permit, &about(&entry), &event).await?;
    tx.commit().await?;
    Ok(entry)
}

/// Waits again: the place is behind the next three who wait; one who was only on hold keeps the old place.
pub async fn put_back(
    db: &Db,
    permit: &Permit<CallPatients>,
    id: QueueEntryId,
    reason: Option<&str>,
) -> Result<QueueEntry, FlowError> {
    let reason = optional(reason)?;
    let mut tx = db.begin().await?;
    let mut entry = held(&mut tx, permit, id).await?;
    let from = entry.state;
    let behind = match from {
        QueueState::Passed => store::rank_of_nth(&mut tx, entry.room, BEFORE_RETURNED).await?,
        _ => None,
    };
    act(&mut tx, &mut entry, Act::PutBack, permit.now()).await?;
    if from == QueueState::Passed {
        let (rank, at) = behind.unwrap_or((1, permit.now()));
        // An emergency in front does not make an emergency of whoever comes back.
        store::set_rank(&mut tx, entry.id, rank.max(1), Timestamp::from_micros(at.as_micros() + 1)).await?;
    }
    let event = QueueReturned { ticket: entry.ticket.clone(), from: from.to_string(), reason };
    record(&mut tx, permit, &about(&entry), &event).await?;
    tx.commit().await?;
    Ok(entry)
}

/// Identity confirmed, in the room.
pub async fn enter(db: &Db, permit: &Permit<CallPatients>, id: QueueEntryId) -> Result<QueueEntry, FlowError> {
    let mut tx = db.begin().await?;
    let mut entry = held(&mut tx, permit, id).await?;
    enter_in(&mut tx, permit, &mut entry).await?;
    tx.commit().await?;
    Ok(entry)
}

pub(crate) async fn enter_in<A: Action>(
    tx: &mut Tx,
    permit: &Permit<A>,
    entry: &mut QueueEntry,
) -> Result<(), FlowError> {
    act(tx, entry, Act::Enter, permit.now()).await?;
    let room = room_name(tx, permit, entry.room).await?;
    record(tx, permit, &about(entry), &QueueEntered { ticket: entry.ticket.clone(), room }).await?;
    Ok(())
}

pub(crate) async fn finish_in<A: Action>(
    tx: &mut Tx,
    permit: &Permit<A>,
    entry: &mut QueueEntry,
) -> Result<(), FlowError> {
    act(tx, entry, Act::Finish, permit.now()).await?;
    record(tx, permit, &about(entry), &QueueDone { ticket: entry.ticket.clone() }).await?;
    Ok(())
}

/// Off the queue for a while: preparation, drinking, an anaesthetist.
pub async fn hold(
    db: &Db,
    permit: &Permit<CallPatients>,
    id: QueueEntryId,
    reason: Option<&str>,
) -> Result<QueueEntry, FlowError> {
    let reason = optional(reason)?;
    let mut tx = db.begin().await?;
    let mut entry = held(&mut tx, permit, id).await?;
    act(&mut tx, &mut entry, Act::Hold, permit.now()).await?;
    record(&mut tx, permit, &about(&entry), &QueueHeld { ticket: entry.ticket.clone(), reason }).await?;
    tx.commit().await?;
    Ok(entry)
}

/// The patient went away without the exam; the desk owns the exam again.
pub async fn leave(
    db: &Db,
    permit: &Permit<CallPatients>,
    id: QueueEntryId,
    reason: &str,
) -> Result<QueueEntry, FlowError> {
    let reason = required(reason)?;
    let mut tx = db.begin().await?;
    let mut entry = held(&mut tx, permit, id).await?;
    act(&mut tx, &mut entry, Act::Leave, permit.now()).await?;
    let step = mingying_orders::advance_at(&mut tx, permit, entry.order, Step::Leave, Some(&reason), None).await?;
    // The time and the place in the worklist are free for others; whoever comes back is booked or received anew.
    mingying_scheduling::free_order(&mut tx, permit, entry.order, &reason).await?;
    let event = QueueLeft { ticket: entry.ticket.clone(), reason };
    step.record(&mut tx, permit, &about(&entry), &event).await?;
    tx.commit().await?;
    Ok(entry)
}

/// To another room: the ticket stays, the worklist item moves to the new device at once, the place follows the old
/// arrival.
pub async fn transfer(
    db: &Db,
    permit: &Permit<CallPatients>,
    id: QueueEntryId,
    device: DeviceId,
    reason: &str,
) -> Result<QueueEntry, FlowError> {
    let reason = required(reason)?;
    let mut tx = db.begin().await?;
    let mut entry = held(&mut tx, permit, id).await?;
    let device = mingying_scheduling::device_in(&mut tx, permit.scope(), device).await?;
    let from_room = room_name(&mut tx, permit, entry.room).await?;
    let room = room_name(&mut tx, permit, device.room).await?;
    let start = mingying_scheduling::step_of_in(&mut tx, entry.order).await?.map_or(permit.now(), |step| step.start);
    mingying_scheduling::ensure_step(&mut tx, permit, entry.order, &device, start).await?;
    act(&mut tx, &mut entry, Act::Transfer, permit.now()).await?;
    store::set_room(&mut tx, entry.id, device.room, device.id).await?;
    entry.room = device.room;
    entry.device = device.id;
    let event = QueueMoved { ticket: entry.ticket.clone(), from_room, room, reason };
    record(&mut tx, permit, &about(&entry), &event).await?;
    tx.commit().await?;
    Ok(entry)
}
