//! Waiting-room displays: tickets and masked names, nothing else leaves through them (R-6.2.2-l, R-6.2.2-m).

use crate::model::QueueState;
use crate::{FlowError, ManageDisplays, ReadDisplays, store};
use mingying_access::{NewToken, issue_token, record};
use mingying_db::Db;
use mingying_events::About;
use mingying_events::payload::flow::DisplayCreated;
use mingying_kernel::{JobId, Permit, Role, RoomId, Scope, Timestamp};
use mingying_orders::Order;
use mingying_patients::masked_name;
use std::time::Duration;

/// How many of the waiting a display shows per room.
const NEXT: usize = 6;
const DAY: Duration = Duration::from_hours(24);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Display {
    pub id: String,
    pub name: String,
    pub rooms: Vec<RoomId>,
}

/// What one display shows now.
#[derive(Debug, Clone)]
pub struct DisplayView {
    pub id: String,
    pub name: String,
    pub now: Timestamp,
    pub rooms: Vec<DisplayRoom>,
}

#[derive(Debug, Clone)]
pub struct DisplayRoom {
    pub room: RoomId,
    pub name: String,
    pub name_en: String,
    /// Ticket, masked name, and when it was called last.
    pub calling: Option<(String, String, Timestamp)>,
    /// Ticket and masked name, next first.
    pub waiting: Vec<(String, String)>,
    pub waiting_count: u32,
}

/// Makes a display and its key, which is shown this once.
pub async fn create_display(
    db: &Db,
    permit: &Permit<ManageDisplays>,
    name: &str,
    rooms: &[RoomId],
) -> Result<(Display, String), FlowError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > 64 {
        return Err(FlowError::Invalid { field: "name" });
    }
    if rooms.is_empty() || rooms.len() > 24 {
        return Err(FlowError::Invalid { field: "room_ids" });
    }
    let known = mingying_scheduling::rooms(db, permit.scope()).await?;
    let mut org = None;
    for room in rooms {
        org = Some(known.iter().find(|k| k.id == *room).ok_or(FlowError::Invalid { field: "room_ids" })?.org);
    }
    let org = org.ok_or(FlowError::Invalid { field: "room_ids" })?;
    let id = JobId::new().to_string();
    let list = serde_json::to_string(rooms).map_err(|_| FlowError::Invalid { field: "room_ids" })?;
    let mut tx = db.begin().await?;
    store::insert_display(&mut tx, &id, org, name, &list, permit.now()).await?;
    let token =
        NewToken { name: name.to_owned(), subject: id.clone(), role: Role::Display, org: Some(org), expires_at: None };
    let issued = issue_token(&mut tx, permit, token).await?;
    let event = DisplayCreated { name: name.to_owned(), rooms: rooms.len() as u32 };
    record(&mut tx, permit, &About::new("display", &id, org), &event).await?;
    tx.commit().await?;
    Ok((Display { id, name: name.to_owned(), rooms: rooms.to_vec() }, issued.token))
}

/// All displays.
pub async fn displays(db: &Db, permit: &Permit<ReadDisplays>) -> Result<Vec<Display>, FlowError> {
    find(db, permit.scope(), None).await
}

/// What a display shows. A display's own key opens that display only.
pub async fn display_view(db: &Db, permit: &Permit<ReadDisplays>, id: &str) -> Result<DisplayView, FlowError> {
    if permit.actor().roles.contains(&Role::Display) && permit.actor().id != id {
        return Err(FlowError::DisplayNotFound);
    }
    let scope = permit.scope();
    let display = find(db, scope, Some(id)).await?.into_iter().next().ok_or(FlowError::DisplayNotFound)?;
    let known = mingying_scheduling::rooms(db, scope).await?;
    let since = permit.now().minus(DAY);
    let mut rooms = Vec::with_capacity(display.rooms.len());
    for id in &display.rooms {
        let Some(room) = known.iter().find(|room| room.id == *id) else { continue };
        let entries =
            store::queue(db, scope, Some(*id), &[QueueState::Waiting, QueueState::Called], since, 500).await?;
        let ids: Vec<_> = entries.iter().map(|e| e.order).collect();
        let orders: Vec<Order> = mingying_orders::load_many(db, scope, &ids).await?;
        let masked =
            |order| orders.iter().find(|o| o.id == order).map(|o| masked_name(&o.patient.name)).unwrap_or_default();
        let calling = entries
            .iter()
            .filter(|e| e.state == QueueState::Called)
            .max_by_key(|e| e.called_at)
            .and_then(|e| Some((e.ticket.clone(), masked(e.order), e.called_at?)));
        let waiting: Vec<_> = entries.iter().filter(|e| e.state == QueueState::Waiting).collect();
        rooms.push(DisplayRoom {
            room: *id,
            name: room.name.clone(),
            name_en: room.name_en.clone(),
            calling,
            waiting_count: waiting.len() as u32,
            waiting: waiting.iter().take(NEXT).map(|e| (e.ticket.clone(), masked(e.order))).collect(),
        });
    }
    Ok(DisplayView { id: display.id, name: display.name, now: permit.now(), rooms })
}

async fn find(db: &Db, scope: Scope, id: Option<&str>) -> Result<Vec<Display>, FlowError> {
    Ok(store::displays(db, scope, id)
        .await?
        .into_iter()
        .map(|(id, name, rooms)| Display { id, name, rooms: serde_json::from_str(&rooms).unwrap_or_default() })
        .collect())
}
