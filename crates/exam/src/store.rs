use crate::{Mpps, MppsSeries, MppsState, Progress, WorklistQuery};
use mingying_db::{AssertSqlSafe, Db, DbError, Row, Tx, Value, params, scope_sql};
use mingying_kernel::{DeviceId, DicomUid, OrderId, OrgId, Scope, Timestamp};

const MPPS: &str =
    "uid, org_id, order_id, station_aet, study_uid, accession, state, started_at, ended_at, images, reason";

fn mpps(row: &Row) -> Result<Mpps, DbError> {
    Ok(Mpps {
        uid: row.get("uid")?,
        org: row.get("org_id")?,
        order: row.get("order_id")?,
        station_aet: row.get("station_aet")?,
        study_uid: row.get("study_uid")?,
        accession: row.get("accession")?,
        state: MppsState::parse(&row.get::<String>("state")?).ok_or_else(|| DbError::Column("state".to_owned()))?,
        started_at: row.get("started_at")?,
        ended_at: row.get("ended_at")?,
        images: row.get("images")?,
        reason: row.get("reason")?,
    })
}

/// What N-CREATE stores beside `Mpps`.
pub(crate) struct NewMpps<'a> {
    pub sps_id: Option<&'a str>,
    pub patient_id: Option<&'a str>,
    pub dataset: &'a str,
}

pub(crate) async fn insert_mpps(tx: &mut Tx, m: &Mpps, new: &NewMpps<'_>, now: Timestamp) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO mpps (uid, org_id, campus_id, department_id, sensitivity, order_id, station_aet, study_uid, accession, \
         sps_id, patient_id, state, started_at, images, series, reason, created_dataset, final_dataset, created_at, \
         updated_at) VALUES ($1, $2, '', '', 0, $3, $4, $5, $6, $7, $8, $9, $10, 0, '[]', '', $11, '', $12, $12)",
        params![
            &m.uid,
            m.org,
            m.order,
            &m.station_aet,
            &m.study_uid,
            m.accession.clone(),
            new.sps_id,
            new.patient_id,
            m.state.as_str(),
            m.started_at,
            new.dataset,
            now
        ],
    )
    .await?;
    Ok(())
}

/// Loads a step and keeps other N-SETs off it until the transaction ends.
pub(crate) async fn hold_mpps(tx: &mut Tx, scope: Scope, uid: &DicomUid) -> Result<Option<Mpps>, DbError> {
    tx.execute("UPDATE mpps SET updated_at = updated_at WHERE uid = $1", params![uid]).await?;
    let sql = format!("SELECT {MPPS} FROM mpps WHERE uid = $1 AND {}", scope_sql(scope, "org_id"));
    tx.query_opt(AssertSqlSafe(sql), params![uid]).await?.as_ref().map(mpps).transpose()
}

pub(crate) async fn update_mpps(
    tx: &mut Tx,
    m: &Mpps,
    series: &[MppsSeries],
    dataset: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    let series = serde_json::to_string(series).map_err(|e| DbError::Column(e.to_string()))?;
    tx.execute(
        "UPDATE mpps SET state = $1, ended_at = $2, images = $3, series = $4, reason = $5, final_dataset = $6, \
         updated_at = $7 WHERE uid = $8",
        params![m.state.as_str(), m.ended_at, m.images, series, &m.reason, dataset, now, &m.uid],
    )
    .await?;
    Ok(())
}

pub(crate) async fn mpps_of(db: &Db, scope: Scope, order: OrderId) -> Result<Vec<Mpps>, DbError> {
    let sql =
        format!("SELECT {MPPS} FROM mpps WHERE order_id = $1 AND {} ORDER BY created_at, uid", scope_sql(scope, "org_id"));
    db.query(AssertSqlSafe(sql), params![order]).await?.iter().map(mpps).collect()
}

pub(crate) async fn unlinked(db: &Db, scope: Scope, limit: u32) -> Result<Vec<Mpps>, DbError> {
    let sql = format!(
        "SELECT {MPPS} FROM mpps WHERE order_id IS NULL AND {} ORDER BY created_at DESC LIMIT $1",
        scope_sql(scope, "org_id")
    );
    db.query(AssertSqlSafe(sql), params![limit]).await?.iter().map(mpps).collect()
}

/// How many performed steps of the order are still going on, and how many images the finished ones name.
pub(crate) async fn steps_of(tx: &mut Tx, order: OrderId) -> Result<(u32, u32, u32), DbError> {
    let row = tx
        .query_one(
            "SELECT COUNT(*) AS steps, CAST(COALESCE(SUM(CASE WHEN state = 'in_progress' THEN 1 ELSE 0 END), 0) AS BIGINT) \
             AS going, CAST(COALESCE(SUM(images), 0) AS BIGINT) AS images FROM mpps WHERE order_id = $1",
            params![order],
        )
        .await?;
    Ok((row.get("steps")?, row.get("going")?, row.get("images")?))
}

/// Adds images to an exam's progress and returns the new count. `quiet`: the exam waits for quiet time from now on.
pub(crate) async fn add_images(
    tx: &mut Tx,
    order: OrderId,
    org: OrgId,
    count: u32,
    quiet: bool,
    now: Timestamp,
) -> Result<u32, DbError> {
    let since = quiet.then_some(now);
    tx.query_one(
        "INSERT INTO exam_progress (order_id, org_id, images, last_image_at, quiet_since, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $4) ON CONFLICT (order_id) DO UPDATE SET \
         images = exam_progress.images + excluded.images, last_image_at = excluded.last_image_at, \
         quiet_since = excluded.quiet_since, updated_at = excluded.updated_at RETURNING images",
        params![order, org, count, now, since],
    )
    .await?
    .get("images")
}

pub(crate) async fn set_device(
    tx: &mut Tx,
    order: OrderId,
    org: OrgId,
    device: DeviceId,
    now: Timestamp,
) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO exam_progress (order_id, org_id, device_id, images, updated_at) VALUES ($1, $2, $3, 0, $4) \
         ON CONFLICT (order_id) DO UPDATE SET device_id = excluded.device_id, updated_at = excluded.updated_at",
        params![order, org, device, now],
    )
    .await?;
    Ok(())
}

pub(crate) async fn stop_waiting(tx: &mut Tx, order: OrderId) -> Result<(), DbError> {
    tx.execute("UPDATE exam_progress SET quiet_since = NULL WHERE order_id = $1", params![order]).await?;
    Ok(())
}

pub(crate) async fn images_of(tx: &mut Tx, order: OrderId) -> Result<u32, DbError> {
    match tx.query_opt("SELECT images FROM exam_progress WHERE order_id = $1", params![order]).await? {
        Some(row) => row.get("images"),
        None => Ok(0),
    }
}

/// Exams that have been quiet since `before`.
pub(crate) async fn quiet(db: &Db, scope: Scope, before: Timestamp) -> Result<Vec<OrderId>, DbError> {
    let sql = format!(
        "SELECT order_id FROM exam_progress WHERE quiet_since IS NOT NULL AND quiet_since <= $1 AND {} \
         ORDER BY quiet_since LIMIT 200",
        scope_sql(scope, "org_id")
    );
    db.query(AssertSqlSafe(sql), params![before]).await?.iter().map(|row| row.get("order_id")).collect()
}

pub(crate) async fn progress(db: &Db, scope: Scope, orders: &[OrderId]) -> Result<Vec<Progress>, DbError> {
    if orders.is_empty() {
        return Ok(Vec::new());
    }
    // Ids are UUIDs of ours: safe to inline.
    let list = orders.iter().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "SELECT order_id, device_id, images, last_image_at FROM exam_progress WHERE order_id IN ({list}) AND {}",
        scope_sql(scope, "org_id")
    );
    db.query(AssertSqlSafe(sql), params![])
        .await?
        .iter()
        .map(|row| {
            Ok(Progress {
                order: row.get("order_id")?,
                device: row.get("device_id")?,
                images: row.get("images")?,
                last_image_at: row.get("last_image_at")?,
            })
        })
        .collect()
}

/// One scheduled step as the worklist needs it; order and patient are loaded beside it.
pub(crate) struct StepRow {
    pub order: OrderId,
    pub sps_id: String,
    pub procedure_id: String,
    pub station_aet: String,
    pub station_name: String,
    pub location: String,
    pub modality: String,
    pub start: Timestamp,
    pub description: String,
}

/// Scheduled steps that a modality may still perform, earliest first. Exact keys and the time range are matched here,
/// names and wildcards by the caller.
pub(crate) async fn steps(
    db: &Db,
    scope: Scope,
    query: &WorklistQuery,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    limit: u32,
) -> Result<Vec<StepRow>, DbError> {
    let mut sql = format!(
        "SELECT s.order_id, s.sps_id, s.procedure_id, s.station_aet, d.name AS station_name, r.name AS location, s.modality, \
         s.start_at, s.description FROM scheduled_steps s JOIN orders o ON o.id = s.order_id \
         JOIN devices d ON d.id = s.device_id JOIN rooms r ON r.id = d.room_id \
         WHERE s.state IN ('scheduled', 'started') \
         AND o.state IN ('scheduled', 'arrived', 'prepared', 'in_progress', 'redo') AND {}",
        scope_sql(scope, "s.org_id")
    );
    let mut values: Vec<Value> = Vec::new();
    let mut exact = |sql: &mut String, column: &str, value: &Option<String>| {
        if let Some(value) = value {
            values.push(Value::from(value.as_str()));
            sql.push_str(&format!(" AND {column} = ${}", values.len()));
        }
    };
    exact(&mut sql, "s.station_aet", &query.station_aet);
    exact(&mut sql, "s.modality", &query.modality);
    exact(&mut sql, "o.accession", &query.accession);
    exact(&mut sql, "o.study_uid", &query.study_uid);
    exact(&mut sql, "s.sps_id", &query.sps_id);
    exact(&mut sql, "s.procedure_id", &query.procedure_id);
    for (column, bound) in [("s.start_at >=", from), ("s.start_at <=", to)] {
        if let Some(bound) = bound {
            values.push(Value::from(bound));
            sql.push_str(&format!(" AND {column} ${}", values.len()));
        }
    }
    values.push(Value::from(limit));
    sql.push_str(&format!(" ORDER BY s.start_at, s.id LIMIT ${}", values.len()));
    db.query(AssertSqlSafe(sql), &values)
        .await?
        .iter()
        .map(|row| {
            Ok(StepRow {
                order: row.get("order_id")?,
                sps_id: row.get("sps_id")?,
                procedure_id: row.get("procedure_id")?,
                station_aet: row.get("station_aet")?,
                station_name: row.get("station_name")?,
                location: row.get("location")?,
                modality: row.get("modality")?,
                start: row.get("start_at")?,
                description: row.get("description")?,
            })
        })
        .collect()
}
