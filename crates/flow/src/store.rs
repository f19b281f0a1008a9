use crate::model::{Mode, QueueClass, QueueEntry, QueueState};
use mingying_db::{AssertSqlSafe, Db, DbError, Row, Tx, params, scope_sql};
use mingying_kernel::{CampusId, DepartmentId, DeviceId, OrderId, OrgId, QueueEntryId, RoomId, Scope, Timestamp};

const COLUMNS: &str = "id, org_id, order_id, patient_id, room_id, device_id, ticket, mode, class, state, calls, \
     arrived_at, called_at, version";

fn entry(row: &Row) -> Result<QueueEntry, DbError> {
    let word = |name: &str| row.get::<String>(name);
    let bad = |name: &str| DbError::Column(name.to_owned());
    Ok(QueueEntry {
        id: row.get("id")?,
        org: row.get("org_id")?,
        order: row.get("order_id")?,
        patient: row.get("patient_id")?,
        room: row.get("room_id")?,
        device: row.get("device_id")?,
        ticket: row.get("ticket")?,
        mode: Mode::parse(&word("mode")?).ok_or_else(|| bad("mode"))?,
        class: QueueClass::parse(&word("class")?).ok_or_else(|| bad("class"))?,
        state: QueueState::parse(&word("state")?).ok_or_else(|| bad("state"))?,
        calls: row.get("calls")?,
        arrived_at: row.get("arrived_at")?,
        called_at: row.get("called_at")?,
        version: row.get("version")?,
    })
}

/// What a new entry adds to `QueueEntry`.
pub(crate) struct Place {
    pub campus: CampusId,
    pub department: DepartmentId,
    pub day: String,
    pub rank: i64,
    pub rank_at: Timestamp,
    pub reason: String,
}

pub(crate) async fn insert(tx: &mut Tx, e: &QueueEntry, place: &Place) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO queue_entries (id, org_id, campus_id, department_id, sensitivity, order_id, patient_id, room_id, \
         device_id, ticket, day, mode, class, state, calls, rank, rank_at, arrived_at, reason, version) \
         VALUES ($1, $2, $3, $4, 0, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, 1)",
        params![
            e.id,
            e.org,
            place.campus,
            place.department,
            e.order,
            e.patient,
            e.room,
            e.device,
            &e.ticket,
            &place.day,
            e.mode.as_str(),
            e.class.as_str(),
            e.state.as_str(),
            e.calls,
            place.rank,
            place.rank_at,
            e.arrived_at,
            &place.reason
        ],
    )
    .await?;
    Ok(())
}

/// The next number of a room on a day; two desks never draw the same.
pub(crate) async fn next_number(tx: &mut Tx, room: RoomId, day: &str) -> Result<i64, DbError> {
    tx.query_one(
        "INSERT INTO ticket_counters (room_id, day, value) VALUES ($1, $2, 1) \
         ON CONFLICT (room_id, day) DO UPDATE SET value = ticket_counters.value + 1 RETURNING value",
        params![room, day],
    )
    .await?
    .get("value")
}

/// Loads an entry and keeps others off it until the transaction ends.
pub(crate) async fn hold(tx: &mut Tx, scope: Scope, id: QueueEntryId) -> Result<Option<QueueEntry>, DbError> {
    // Writing the row takes its lock on both engines.
    tx.execute("UPDATE queue_entries SET version = version + 1 WHERE id = $1", params![id]).await?;
    let sql = format!("SELECT {COLUMNS} FROM queue_entries WHERE id = $1 AND {}", scope_sql(scope, "org_id"));
    tx.query_opt(AssertSqlSafe(sql), params![id]).await?.as_ref().map(entry).transpose()
}

/// The open entry of an order, held likewise.
pub(crate) async fn hold_open(tx: &mut Tx, order: OrderId) -> Result<Option<QueueEntry>, DbError> {
    tx.execute(
        "UPDATE queue_entries SET version = version + 1 WHERE order_id = $1 AND state NOT IN ('done', 'left')",
        params![order],
    )
    .await?;
    let sql = format!(
        "SELECT {COLUMNS} FROM queue_entries WHERE order_id = $1 AND state NOT IN ('done', 'left') ORDER BY id DESC LIMIT 1"
    );
    tx.query_opt(AssertSqlSafe(sql), params![order]).await?.as_ref().map(entry).transpose()
}

/// The first of those who wait for a room.
pub(crate) async fn first_waiting(tx: &mut Tx, scope: Scope, room: RoomId) -> Result<Option<QueueEntryId>, DbError> {
    let sql = format!(
        "SELECT id FROM queue_entries WHERE room_id = $1 AND state = 'waiting' AND {} ORDER BY rank, rank_at, id LIMIT 1",
        scope_sql(scope, "org_id")
    );
    tx.query_opt(AssertSqlSafe(sql), params![room]).await?.map(|row| row.get("id")).transpose()
}

/// The rank time of the `n`th (from 1) of those who wait for a room, or of the last one.
pub(crate) async fn rank_of_nth(tx: &mut Tx, room: RoomId, n: u32) -> Result<Option<(i64, Timestamp)>, DbError> {
    let rows = tx
        .query(
            "SELECT rank, rank_at FROM queue_entries WHERE room_id = $1 AND state = 'waiting' \
             ORDER BY rank, rank_at, id LIMIT $2",
            params![room, n],
        )
        .await?;
    rows.last().map(|row| Ok((row.get("rank")?, row.get("rank_at")?))).transpose()
}

pub(crate) async fn set_state(
    tx: &mut Tx,
    id: QueueEntryId,
    state: QueueState,
    calls: u32,
    now: Timestamp,
) -> Result<(), DbError> {
    let column = match state {
        QueueState::Called => "called_at",
        QueueState::InRoom => "entered_at",
        QueueState::Done | QueueState::Left => "done_at",
        QueueState::Waiting | QueueState::Passed | QueueState::OnHold => {
            tx.execute(
                "UPDATE queue_entries SET state = $1, calls = $2 WHERE id = $3",
                params![state.as_str(), calls, id],
            )
            .await?;
            return Ok(());
        }
    };
    let sql = format!("UPDATE queue_entries SET state = $1, calls = $2, {column} = $3 WHERE id = $4");
    tx.execute(AssertSqlSafe(sql), params![state.as_str(), calls, now, id]).await?;
    Ok(())
}

pub(crate) async fn set_rank(tx: &mut Tx, id: QueueEntryId, rank: i64, rank_at: Timestamp) -> Result<(), DbError> {
    tx.execute("UPDATE queue_entries SET rank = $1, rank_at = $2 WHERE id = $3", params![rank, rank_at, id]).await?;
    Ok(())
}

pub(crate) async fn set_room(tx: &mut Tx, id: QueueEntryId, room: RoomId, device: DeviceId) -> Result<(), DbError> {
    tx.execute("UPDATE queue_entries SET room_id = $1, device_id = $2 WHERE id = $3", params![room, device, id])
        .await?;
    Ok(())
}

pub(crate) async fn load(db: &Db, scope: Scope, id: QueueEntryId) -> Result<Option<QueueEntry>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM queue_entries WHERE id = $1 AND {}", scope_sql(scope, "org_id"));
    db.query_opt(AssertSqlSafe(sql), params![id]).await?.as_ref().map(entry).transpose()
}

/// Entries in calling order. With a room: that room's. `closed_since` adds those that ended since then.
pub(crate) async fn queue(
    db: &Db,
    scope: Scope,
    room: Option<RoomId>,
    states: &[QueueState],
    since: Timestamp,
    limit: u32,
) -> Result<Vec<QueueEntry>, DbError> {
    let states = states.iter().map(|s| format!("'{s}'")).collect::<Vec<_>>().join(", ");
    let scope = scope_sql(scope, "org_id");
    let order = "ORDER BY rank, rank_at, id";
    let rows = match room {
        Some(room) => {
            let sql = format!(
                "SELECT {COLUMNS} FROM queue_entries WHERE room_id = $1 AND state IN ({states}) AND arrived_at >= $2 \
                 AND {scope} {order} LIMIT $3"
            );
            db.query(AssertSqlSafe(sql), params![room, since, limit]).await?
        }
        None => {
            let sql = format!(
                "SELECT {COLUMNS} FROM queue_entries WHERE state IN ({states}) AND arrived_at >= $1 AND {scope} \
                 {order} LIMIT $2"
            );
            db.query(AssertSqlSafe(sql), params![since, limit]).await?
        }
    };
    rows.iter().map(entry).collect()
}

/// The newest ticket of each order.
pub(crate) async fn tickets(db: &Db, scope: Scope, orders: &[OrderId]) -> Result<Vec<(OrderId, String)>, DbError> {
    if orders.is_empty() {
        return Ok(Vec::new());
    }
    // Ids are UUIDs of ours: safe to inline.
    let list = orders.iter().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "SELECT order_id, ticket FROM queue_entries WHERE order_id IN ({list}) AND {} ORDER BY id",
        scope_sql(scope, "org_id")
    );
    db.query(AssertSqlSafe(sql), params![])
        .await?
        .iter()
        .map(|row| Ok((row.get("order_id")?, row.get("ticket")?)))
        .collect()
}

pub(crate) async fn insert_display(
    tx: &mut Tx,
    id: &str,
    org: OrgId,
    name: &str,
    rooms: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO displays (id, org_id, name, rooms, created_at) VALUES ($1, $2, $3, $4, $5)",
        params![id, org, name, rooms, now],
    )
    .await?;
    Ok(())
}

/// id, name, rooms as JSON
pub(crate) async fn displays(
    db: &Db,
    scope: Scope,
    id: Option<&str>,
) -> Result<Vec<(String, String, String)>, DbError> {
    let scope = scope_sql(scope, "org_id");
    let rows = match id {
        Some(id) => {
            let sql = format!("SELECT id, name, rooms FROM displays WHERE id = $1 AND {scope}");
            db.query(AssertSqlSafe(sql), params![id]).await?
        }
        None => {
            let sql = format!("SELECT id, name, rooms FROM displays WHERE {scope} ORDER BY id");
            db.query(AssertSqlSafe(sql), params![]).await?
        }
    };
    rows.iter().map(|row| Ok((row.get("id")?, row.get("name")?, row.get("rooms")?))).collect()
}
