//! Queues as people see them.

use crate::model::{QueueEntry, QueueState};
use crate::{FlowError, ReadQueues, store};
use mingying_db::Db;
use mingying_kernel::{DeviceId, OrderId, Permit, QueueEntryId, RoomId, Scope};
use mingying_orders::Order;
use mingying_scheduling::{Device, Room};
use std::time::Duration;

/// Entries older than this belong to no queue of today, whatever their state.
const DAY: Duration = Duration::from_hours(24);

#[derive(Debug, Clone, Default)]
pub struct QueueQuery {
    pub room: Option<RoomId>,
    pub device: Option<DeviceId>,
    /// Empty: everybody who is still here.
    pub states: Vec<QueueState>,
}

/// An entry with what stands beside it on the screen.
#[derive(Debug, Clone)]
pub struct QueueRow {
    pub entry: QueueEntry,
    pub order: Order,
    pub room_name: String,
    pub device_name: String,
    /// From 1 among those who wait for the same room; 0 for everybody else.
    pub position: u32,
}

const OPEN: [QueueState; 5] =
    [QueueState::Waiting, QueueState::Called, QueueState::InRoom, QueueState::Passed, QueueState::OnHold];

/// The queue of a room, or of all rooms, in calling order; at most 500.
pub async fn queue(db: &Db, permit: &Permit<ReadQueues>, query: &QueueQuery) -> Result<Vec<QueueRow>, FlowError> {
    let states: &[QueueState] = if query.states.is_empty() { &OPEN } else { &query.states };
    let since = permit.now().minus(DAY);
    let mut entries = store::queue(db, permit.scope(), query.room, states, since, 500).await?;
    if let Some(device) = query.device {
        entries.retain(|entry| entry.device == device);
    }
    rows(db, permit.scope(), entries).await
}

/// One entry as the list shows it. Its position is found among those who wait for its room.
pub async fn entry(db: &Db, permit: &Permit<ReadQueues>, id: QueueEntryId) -> Result<QueueRow, FlowError> {
    entry_in(db, permit.scope(), id).await
}

/// As `entry`, for whoever has just changed it.
pub async fn entry_in(db: &Db, scope: Scope, id: QueueEntryId) -> Result<QueueRow, FlowError> {
    let found = store::load(db, scope, id).await?.ok_or(FlowError::NotFound)?;
    let since = found.arrived_at.minus(DAY);
    let waiting = store::queue(db, scope, Some(found.room), &[QueueState::Waiting], since, 500).await?;
    let position = waiting.iter().position(|e| e.id == id).map_or(0, |n| n as u32 + 1);
    let mut row = rows(db, scope, vec![found]).await?.into_iter().next().ok_or(FlowError::NotFound)?;
    row.position = position;
    Ok(row)
}

/// The newest ticket of each order that has one.
pub async fn tickets_of(db: &Db, scope: Scope, orders: &[OrderId]) -> Result<Vec<(OrderId, String)>, FlowError> {
    Ok(store::tickets(db, scope, orders).await?)
}

async fn rows(db: &Db, scope: Scope, entries: Vec<QueueEntry>) -> Result<Vec<QueueRow>, FlowError> {
    let ids: Vec<OrderId> = entries.iter().map(|entry| entry.order).collect();
    let orders = mingying_orders::load_many(db, scope, &ids).await?;
    let rooms: Vec<Room> = mingying_scheduling::rooms(db, scope).await?;
    let devices: Vec<Device> = mingying_scheduling::devices(db, scope).await?;
    let mut waiting: Vec<(RoomId, u32)> = Vec::new();
    Ok(entries
        .into_iter()
        .filter_map(|entry| {
            let order = orders.iter().find(|order| order.id == entry.order)?.clone();
            let room_name = rooms.iter().find(|room| room.id == entry.room).map(|r| r.name.clone()).unwrap_or_default();
            let device_name =
                devices.iter().find(|device| device.id == entry.device).map(|d| d.name.clone()).unwrap_or_default();
            let position = if entry.state == QueueState::Waiting {
                match waiting.iter_mut().find(|(room, _)| *room == entry.room) {
                    Some((_, count)) => {
                        *count += 1;
                        *count
                    }
                    None => {
                        waiting.push((entry.room, 1));
                        1
                    }
                }
            } else {
                0
            };
            Some(QueueRow { entry, order, room_name, device_name, position })
        })
        .collect())
}
