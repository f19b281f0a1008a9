//! The only SQL of this crate.

use crate::model::Busy;
use crate::{Appointment, AppointmentRow, AppointmentState, Device, OpeningHours, Room, Sps, SpsState};
use jiff::civil::Time;
use mingying_db::{AssertSqlSafe, Db, DbError, Row, Tx, params, scope_sql};
use mingying_kernel::{AeTitle, AppointmentId, DeviceId, OrderId, OrgId, RoomId, Scope, Timestamp};
use sha2::{Digest, Sha256};

/// The key of an advisory lock for `text`.
pub(crate) fn lock_key(text: &str) -> i64 {
    let hash = Sha256::digest(text.as_bytes());
    hash.iter().take(8).fold(0i64, |key, byte| (key << 8) | i64::from(*byte))
}

const ROOM: &str = "id, org_id, campus_id, department_id, code, name, name_en, ticket_prefix";
const DEVICE: &str =
    "id, org_id, campus_id, department_id, room_id, ae_title, name, modality, capacity, active, mobile";

fn room_of(row: &Row) -> Result<Room, DbError> {
    Ok(Room {
        id: row.get("id")?,
        org: row.get("org_id")?,
        campus: row.get("campus_id")?,
        department: row.get("department_id")?,
        code: row.get("code")?,
        name: row.get("name")?,
        name_en: row.get("name_en")?,
        ticket_prefix: row.get("ticket_prefix")?,
    })
}

fn device_of(row: &Row) -> Result<Device, DbError> {
    Ok(Device {
        id: row.get("id")?,
        org: row.get("org_id")?,
        campus: row.get("campus_id")?,
        department: row.get("department_id")?,
        room: row.get("room_id")?,
        ae_title: row.get("ae_title")?,
        name: row.get("name")?,
        modality: row.get("modality")?,
        capacity: row.get("capacity")?,
        active: row.get("active")?,
        mobile: row.get("mobile")?,
    })
}

pub(crate) async fn rooms(db: &Db, scope: Scope) -> Result<Vec<Room>, DbError> {
    let sql = format!("SELECT {ROOM} FROM rooms WHERE {} ORDER BY code", scope_sql(scope, "org_id"));
    db.query(AssertSqlSafe(sql), params![]).await?.iter().map(room_of).collect()
}

pub(crate) async fn room(db: &Db, scope: Scope, id: RoomId) -> Result<Option<Room>, DbError> {
    let sql = format!("SELECT {ROOM} FROM rooms WHERE id = $1 AND {}", scope_sql(scope, "org_id"));
    db.query_opt(AssertSqlSafe(sql), params![id]).await?.as_ref().map(room_of).transpose()
}

pub(crate) async fn room_in(tx: &mut Tx, scope: Scope, id: RoomId) -> Result<Option<Room>, DbError> {
    let sql = format!("SELECT {ROOM} FROM rooms WHERE id = $1 AND {}", scope_sql(scope, "org_id"));
    tx.query_opt(AssertSqlSafe(sql), params![id]).await?.as_ref().map(room_of).transpose()
}

pub(crate) async fn put_room(tx: &mut Tx, room: &Room) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO rooms (id, org_id, campus_id, department_id, code, name, name_en, ticket_prefix) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO UPDATE SET campus_id = excluded.campus_id, \
         department_id = excluded.department_id, code = excluded.code, name = excluded.name, \
         name_en = excluded.name_en, ticket_prefix = excluded.ticket_prefix",
        params![
            room.id,
            room.org,
            room.campus,
            room.department,
            &room.code,
            &room.name,
            &room.name_en,
            &room.ticket_prefix
        ],
    )
    .await?;
    Ok(())
}

pub(crate) async fn devices(db: &Db, scope: Scope) -> Result<Vec<Device>, DbError> {
    let sql = format!("SELECT {DEVICE} FROM devices WHERE {} ORDER BY modality, ae_title", scope_sql(scope, "org_id"));
    db.query(AssertSqlSafe(sql), params![]).await?.iter().map(device_of).collect()
}

pub(crate) async fn device(db: &Db, scope: Scope, id: DeviceId) -> Result<Option<Device>, DbError> {
    let sql = format!("SELECT {DEVICE} FROM devices WHERE id = $1 AND {}", scope_sql(scope, "org_id"));
    db.query_opt(AssertSqlSafe(sql), params![id]).await?.as_ref().map(device_of).transpose()
}

pub(crate) async fn device_in(tx: &mut Tx, scope: Scope, id: DeviceId) -> Result<Option<Device>, DbError> {
    let sql = format!("SELECT {DEVICE} FROM devices WHERE id = $1 AND {}", scope_sql(scope, "org_id"));
    tx.query_opt(AssertSqlSafe(sql), params![id]).await?.as_ref().map(device_of).transpose()
}

pub(crate) async fn device_by_aet(tx: &mut Tx, scope: Scope, aet: &AeTitle) -> Result<Option<Device>, DbError> {
    let sql = format!("SELECT {DEVICE} FROM devices WHERE ae_title = $1 AND {}", scope_sql(scope, "org_id"));
    tx.query_opt(AssertSqlSafe(sql), params![aet]).await?.as_ref().map(device_of).transpose()
}

pub(crate) async fn devices_in_room(tx: &mut Tx, scope: Scope, room: RoomId) -> Result<Vec<Device>, DbError> {
    let sql =
        format!("SELECT {DEVICE} FROM devices WHERE room_id = $1 AND {} ORDER BY ae_title", scope_sql(scope, "org_id"));
    tx.query(AssertSqlSafe(sql), params![room]).await?.iter().map(device_of).collect()
}

pub(crate) async fn put_device(tx: &mut Tx, device: &Device) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO devices (id, org_id, campus_id, department_id, room_id, ae_title, name, modality, capacity, \
         active, mobile) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (id) DO UPDATE SET \
         campus_id = excluded.campus_id, department_id = excluded.department_id, room_id = excluded.room_id, \
         ae_title = excluded.ae_title, name = excluded.name, modality = excluded.modality, \
         capacity = excluded.capacity, active = excluded.active, mobile = excluded.mobile",
        params![
            device.id,
            device.org,
            device.campus,
            device.department,
            device.room,
            &device.ae_title,
            &device.name,
            &device.modality,
            device.capacity,
            device.active,
            device.mobile
        ],
    )
    .await?;
    Ok(())
}

fn minute(time: Time) -> i64 {
    let minutes = i64::from(time.hour()) * 60 + i64::from(time.minute());
    // The last minute of the day stands for the next midnight.
    if minutes == 1439 { 1440 } else { minutes }
}

fn time_of(minutes: i64) -> Result<Time, DbError> {
    let minutes = minutes.min(1439);
    let (hour, minute) = (i8::try_from(minutes / 60), i8::try_from(minutes % 60));
    match (hour, minute) {
        (Ok(hour), Ok(minute)) => Time::new(hour, minute, 0, 0).map_err(|_| DbError::Column("from_min".to_owned())),
        _ => Err(DbError::Column("from_min".to_owned())),
    }
}

pub(crate) async fn put_hours(tx: &mut Tx, device: DeviceId, hours: &[OpeningHours]) -> Result<(), DbError> {
    tx.execute("DELETE FROM device_hours WHERE device_id = $1", params![device]).await?;
    for h in hours {
        tx.execute(
            "INSERT INTO device_hours (device_id, weekday, from_min, to_min) VALUES ($1, $2, $3, $4)",
            params![device, i64::from(h.weekday), minute(h.from), minute(h.to)],
        )
        .await?;
    }
    Ok(())
}

fn hours_of(row: &Row) -> Result<OpeningHours, DbError> {
    let weekday = i8::try_from(row.get::<i64>("weekday")?).map_err(|_| DbError::Column("weekday".to_owned()))?;
    Ok(OpeningHours { weekday, from: time_of(row.get("from_min")?)?, to: time_of(row.get("to_min")?)? })
}

const HOURS: &str =
    "SELECT weekday, from_min, to_min FROM device_hours WHERE device_id = $1 ORDER BY weekday, from_min";

pub(crate) async fn hours(db: &Db, device: DeviceId) -> Result<Vec<OpeningHours>, DbError> {
    db.query(HOURS, params![device]).await?.iter().map(hours_of).collect()
}

pub(crate) async fn hours_in(tx: &mut Tx, device: DeviceId) -> Result<Vec<OpeningHours>, DbError> {
    tx.query(HOURS, params![device]).await?.iter().map(hours_of).collect()
}

const ZONE: &str = "SELECT zone FROM facility_zones WHERE org_id = $1";

pub(crate) async fn zone_name(db: &Db, org: OrgId) -> Result<Option<String>, DbError> {
    db.query_opt(ZONE, params![org]).await?.map(|row| row.get("zone")).transpose()
}

pub(crate) async fn zone_name_in(tx: &mut Tx, org: OrgId) -> Result<Option<String>, DbError> {
    tx.query_opt(ZONE, params![org]).await?.map(|row| row.get("zone")).transpose()
}

pub(crate) async fn put_zone(tx: &mut Tx, org: OrgId, name: &str) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO facility_zones (org_id, zone) VALUES ($1, $2) ON CONFLICT (org_id) DO UPDATE SET zone = excluded.zone",
        params![org, name],
    )
    .await?;
    Ok(())
}

/// What occupies a device in `[from, to)`: appointments that are not over or given up, and holds that have not
/// expired at `now`.
const BUSY: &str = "SELECT id, start_at, end_at FROM appointments WHERE device_id = $1 AND start_at < $3 \
     AND end_at > $2 AND (state IN ('booked', 'checked_in', 'fulfilled') OR (state = 'held' AND hold_until > $4)) \
     ORDER BY start_at";

fn busy_of(row: &Row) -> Result<Busy, DbError> {
    Ok(Busy { start: row.get("start_at")?, end: row.get("end_at")? })
}

pub(crate) async fn busy(
    db: &Db,
    device: DeviceId,
    from: Timestamp,
    to: Timestamp,
    now: Timestamp,
) -> Result<Vec<Busy>, DbError> {
    db.query(BUSY, params![device, from, to, now]).await?.iter().map(busy_of).collect()
}

/// As `busy`, without the appointment `except`, which is about to be replaced.
pub(crate) async fn busy_in(
    tx: &mut Tx,
    device: DeviceId,
    from: Timestamp,
    to: Timestamp,
    now: Timestamp,
    except: Option<AppointmentId>,
) -> Result<Vec<Busy>, DbError> {
    let mut found = Vec::new();
    for row in tx.query(BUSY, params![device, from, to, now]).await? {
        if except.is_none_or(|id| row.get::<AppointmentId>("id").is_ok_and(|other| other != id)) {
            found.push(busy_of(&row)?);
        }
    }
    Ok(found)
}

const APPOINTMENT: &str = "a.id, a.org_id, a.order_id, a.device_id, a.start_at, a.end_at, a.state, a.hold_until, \
                           a.moved_from, a.overbooked, a.reason, a.version";

fn appointment_of_row(row: &Row) -> Result<Appointment, DbError> {
    Ok(Appointment {
        id: row.get("id")?,
        org: row.get("org_id")?,
        order: row.get("order_id")?,
        device: row.get("device_id")?,
        start: row.get("start_at")?,
        end: row.get("end_at")?,
        state: AppointmentState::parse(&row.get::<String>("state")?)
            .ok_or_else(|| DbError::Column("state".to_owned()))?,
        hold_until: row.get("hold_until")?,
        moved_from: row.get("moved_from")?,
        overlaps: row.get("overbooked")?,
        reason: row.get("reason")?,
        version: row.get("version")?,
    })
}

pub(crate) async fn insert_appointment(
    tx: &mut Tx,
    a: &Appointment,
    device: &Device,
    now: Timestamp,
) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO appointments (id, org_id, campus_id, department_id, sensitivity, order_id, device_id, start_at, \
         end_at, state, hold_until, moved_from, overbooked, reason, version, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, 0, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $15)",
        params![
            a.id,
            a.org,
            device.campus,
            device.department,
            a.order,
            a.device,
            a.start,
            a.end,
            a.state.as_str(),
            a.hold_until,
            a.moved_from,
            a.overlaps,
            &a.reason,
            a.version,
            now
        ],
    )
    .await?;
    Ok(())
}

/// Changes the state when it is still `from`; whether it was.
pub(crate) async fn set_appointment_state(
    tx: &mut Tx,
    id: AppointmentId,
    from: AppointmentState,
    to: AppointmentState,
    reason: &str,
    now: Timestamp,
) -> Result<bool, DbError> {
    let changed = tx
        .execute(
            "UPDATE appointments SET state = $3, hold_until = NULL, version = version + 1, updated_at = $5, \
             reason = CASE WHEN $4 = '' THEN reason ELSE $4 END WHERE id = $1 AND state = $2",
            params![id, from.as_str(), to.as_str(), reason, now],
        )
        .await?;
    Ok(changed == 1)
}

pub(crate) async fn appointment_in(
    tx: &mut Tx,
    scope: Scope,
    id: AppointmentId,
) -> Result<Option<Appointment>, DbError> {
    let sql = format!("SELECT {APPOINTMENT} FROM appointments a WHERE a.id = $1 AND {}", scope_sql(scope, "a.org_id"));
    tx.query_opt(AssertSqlSafe(sql), params![id]).await?.as_ref().map(appointment_of_row).transpose()
}

/// The order's appointment that still stands.
pub(crate) async fn standing_in(tx: &mut Tx, order: OrderId) -> Result<Option<Appointment>, DbError> {
    let sql = format!(
        "SELECT {APPOINTMENT} FROM appointments a WHERE a.order_id = $1 \
         AND a.state IN ('held', 'booked', 'checked_in') ORDER BY a.id DESC LIMIT 1"
    );
    tx.query_opt(AssertSqlSafe(sql), params![order]).await?.as_ref().map(appointment_of_row).transpose()
}

pub(crate) async fn expired_holds(tx: &mut Tx, scope: Scope, now: Timestamp) -> Result<Vec<Appointment>, DbError> {
    let sql = format!(
        "SELECT {APPOINTMENT} FROM appointments a WHERE a.state = 'held' AND a.hold_until <= $1 AND {} LIMIT 200",
        scope_sql(scope, "a.org_id")
    );
    tx.query(AssertSqlSafe(sql), params![now]).await?.iter().map(appointment_of_row).collect()
}

const ROW_FROM: &str = "FROM appointments a JOIN orders o ON o.id = a.order_id JOIN patients p ON p.id = o.patient_id \
     JOIN devices d ON d.id = a.device_id JOIN rooms r ON r.id = d.room_id \
     JOIN order_items i ON i.order_id = o.id AND i.seq = 0";
const ROW_EXTRA: &str = "o.accession, p.name AS patient_name, i.name AS item_name, i.name_en AS item_name_en, \
     d.name AS device_name, r.name AS room_name";

fn row_of(row: &Row) -> Result<AppointmentRow, DbError> {
    Ok(AppointmentRow {
        appointment: appointment_of_row(row)?,
        accession: row.get("accession")?,
        patient_name: row.get("patient_name")?,
        item_name: row.get("item_name")?,
        item_name_en: row.get("item_name_en")?,
        device_name: row.get("device_name")?,
        room_name: row.get("room_name")?,
    })
}

pub(crate) async fn calendar(
    db: &Db,
    scope: Scope,
    device: Option<DeviceId>,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<AppointmentRow>, DbError> {
    let sql = format!(
        "SELECT {APPOINTMENT}, {ROW_EXTRA} {ROW_FROM} WHERE a.start_at >= $1 AND a.start_at < $2 \
         AND ($3 = '' OR a.device_id = $3) AND {} ORDER BY a.start_at, a.id LIMIT 5000",
        scope_sql(scope, "a.org_id")
    );
    let device = device.map(|d| d.to_string()).unwrap_or_default();
    db.query(AssertSqlSafe(sql), params![from, to, device]).await?.iter().map(row_of).collect()
}

pub(crate) async fn appointment(db: &Db, scope: Scope, id: AppointmentId) -> Result<Option<AppointmentRow>, DbError> {
    let sql =
        format!("SELECT {APPOINTMENT}, {ROW_EXTRA} {ROW_FROM} WHERE a.id = $1 AND {}", scope_sql(scope, "a.org_id"));
    db.query_opt(AssertSqlSafe(sql), params![id]).await?.as_ref().map(row_of).transpose()
}

/// The last appointment of each order that was not given up.
pub(crate) async fn appointments_of(db: &Db, scope: Scope, orders: &[OrderId]) -> Result<Vec<AppointmentRow>, DbError> {
    if orders.is_empty() {
        return Ok(Vec::new());
    }
    // Ids are UUIDs that this process parsed: safe to inline.
    let list = orders.iter().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "SELECT {APPOINTMENT}, {ROW_EXTRA} {ROW_FROM} WHERE a.order_id IN ({list}) \
         AND a.state IN ('held', 'booked', 'checked_in', 'fulfilled', 'no_show') AND {} ORDER BY a.id DESC",
        scope_sql(scope, "a.org_id")
    );
    let mut kept: Vec<AppointmentRow> = Vec::new();
    for row in db.query(AssertSqlSafe(sql), params![]).await? {
        let found = row_of(&row)?;
        if !kept.iter().any(|k| k.appointment.order == found.appointment.order) {
            kept.push(found);
        }
    }
    Ok(kept)
}

const STEP: &str = "id, org_id, order_id, sps_id, procedure_id, device_id, station_aet, modality, start_at, \
                    description, state";

fn step_of_row(row: &Row) -> Result<Sps, DbError> {
    Ok(Sps {
        id: row.get("id")?,
        org: row.get("org_id")?,
        order: row.get("order_id")?,
        sps_id: row.get("sps_id")?,
        procedure_id: row.get("procedure_id")?,
        device: row.get("device_id")?,
        station_aet: row.get("station_aet")?,
        modality: row.get("modality")?,
        start: row.get("start_at")?,
        description: row.get("description")?,
        state: SpsState::parse(&row.get::<String>("state")?).ok_or_else(|| DbError::Column("state".to_owned()))?,
    })
}

pub(crate) async fn step(db: &Db, scope: Scope, order: OrderId) -> Result<Option<Sps>, DbError> {
    let sql = format!("SELECT {STEP} FROM scheduled_steps WHERE order_id = $1 AND {}", scope_sql(scope, "org_id"));
    db.query_opt(AssertSqlSafe(sql), params![order]).await?.as_ref().map(step_of_row).transpose()
}

pub(crate) async fn step_in(tx: &mut Tx, order: OrderId) -> Result<Option<Sps>, DbError> {
    let sql = format!("SELECT {STEP} FROM scheduled_steps WHERE order_id = $1");
    tx.query_opt(AssertSqlSafe(sql), params![order]).await?.as_ref().map(step_of_row).transpose()
}

pub(crate) async fn step_by_id(tx: &mut Tx, scope: Scope, sps_id: &str) -> Result<Option<Sps>, DbError> {
    let sql = format!(
        "SELECT {STEP} FROM scheduled_steps WHERE sps_id = $1 AND {} ORDER BY id LIMIT 2",
        scope_sql(scope, "org_id")
    );
    let rows = tx.query(AssertSqlSafe(sql), params![sps_id]).await?;
    // Two organizations may use one number; somebody who sees both gets no guess.
    if rows.len() == 1 { rows.first().map(step_of_row).transpose() } else { Ok(None) }
}

/// Writes the order's one step; the UNIQUE order_id makes it one.
pub(crate) async fn put_step(tx: &mut Tx, sps: &Sps, device: &Device, now: Timestamp) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO scheduled_steps (id, org_id, campus_id, department_id, sensitivity, order_id, sps_id, \
         procedure_id, device_id, station_aet, modality, start_at, description, state, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, 0, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $14) \
         ON CONFLICT (order_id) DO UPDATE SET campus_id = excluded.campus_id, \
         department_id = excluded.department_id, sps_id = excluded.sps_id, procedure_id = excluded.procedure_id, \
         device_id = excluded.device_id, station_aet = excluded.station_aet, modality = excluded.modality, \
         start_at = excluded.start_at, description = excluded.description, state = excluded.state, \
         updated_at = excluded.updated_at",
        params![
            sps.id,
            sps.org,
            device.campus,
            device.department,
            sps.order,
            &sps.sps_id,
            &sps.procedure_id,
            sps.device,
            &sps.station_aet,
            &sps.modality,
            sps.start,
            &sps.description,
            sps.state.as_str(),
            now
        ],
    )
    .await?;
    Ok(())
}

pub(crate) async fn set_step_state(
    tx: &mut Tx,
    order: OrderId,
    state: SpsState,
    now: Timestamp,
) -> Result<bool, DbError> {
    let changed = tx
        .execute(
            "UPDATE scheduled_steps SET state = $2, updated_at = $3 WHERE order_id = $1 AND state <> $2",
            params![order, state.as_str(), now],
        )
        .await?;
    Ok(changed == 1)
}

/// The next value of a counter, unique under concurrency: the row is locked by the update.
pub(crate) async fn count(tx: &mut Tx, name: &str) -> Result<i64, DbError> {
    tx.query_one(
        "INSERT INTO scheduling_counters (name, value) VALUES ($1, 1) \
         ON CONFLICT (name) DO UPDATE SET value = scheduling_counters.value + 1 RETURNING value",
        params![name],
    )
    .await?
    .get("value")
}
