//! The only SQL of this crate.

use crate::model::{Mpps, MppsSeries, MppsState, Progress, WorklistCode, WorklistItem, WorklistQuery};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use mingying_db::{AssertSqlSafe, Db, DbError, Row, Tx, Value, params, scope_sql};
use mingying_kernel::{DeviceId, DicomUid, OrderId, OrgId, Scope, Timestamp};
use mingying_orders::{Priority, Side};
use mingying_patients::{Alert, AlertKind, Sex};
use std::collections::HashMap;

fn text<T>(value: &str, column: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, DbError> {
    parse(value).ok_or_else(|| DbError::Column(column.to_owned()))
}

fn inlined(ids: &[OrderId]) -> String {
    // Ids are UUIDs that this process parsed: safe to inline.
    ids.iter().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(", ")
}

const MPPS: &str =
    "uid, org_id, order_id, station_aet, study_uid, accession, state, started_at, ended_at, images, reason";

fn mpps_row(row: &Row) -> Result<Mpps, DbError> {
    Ok(Mpps {
        uid: row.get("uid")?,
        org: row.get("org_id")?,
        order: row.get("order_id")?,
        station_aet: row.get("station_aet")?,
        study_uid: row.get("study_uid")?,
        accession: row.get("accession")?,
        state: text(&row.get::<String>("state")?, "state", MppsState::parse)?,
        started_at: row.get("started_at")?,
        ended_at: row.get("ended_at")?,
        images: row.get("images")?,
        reason: row.get("reason")?,
    })
}

/// Writes a new step; false when the UID is known.
pub(crate) async fn insert_mpps(
    tx: &mut Tx,
    mpps: &Mpps,
    sps_id: Option<&str>,
    patient_id: Option<&str>,
    dataset: &str,
    now: Timestamp,
) -> Result<bool, DbError> {
    let changed = tx
        .execute(
            "INSERT INTO mpps (uid, org_id, campus_id, department_id, sensitivity, order_id, station_aet, study_uid, \
             accession, sps_id, patient_id, state, started_at, ended_at, images, series, reason, \
             superseded, created_dataset, final_dataset, created_at, updated_at) VALUES ($1, $2, '', '', 0, $3, $4, \
             $5, $6, $7, $8, $9, $10, NULL, 0, '[]', '', 0, $11, '', $12, $12) ON CONFLICT (uid) DO NOTHING",
            params![
                &mpps.uid,
                mpps.org,
                mpps.order,
                &mpps.station_aet,
                mpps.study_uid.clone(),
                mpps.accession.clone(),
                sps_id.map(str::to_owned),
                patient_id.map(str::to_owned),
                mpps.state.as_str(),
                mpps.started_at,
                dataset,
                now
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// The step with its row locked for the rest of the transaction.
pub(crate) async fn hold_mpps(tx: &mut Tx, scope: Scope, uid: &DicomUid) -> Result<Option<Mpps>, DbError> {
    let sql = format!(
        "UPDATE mpps SET updated_at = updated_at WHERE uid = $1 AND {} RETURNING {MPPS}",
        scope_sql(scope, "org_id")
    );
    tx.query_opt(AssertSqlSafe(sql), params![uid]).await?.as_ref().map(mpps_row).transpose()
}

pub(crate) async fn save_mpps(
    tx: &mut Tx,
    mpps: &Mpps,
    series: &[MppsSeries],
    dataset: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    let series = serde_json::to_string(series).map_err(|e| DbError::Column(e.to_string()))?;
    tx.execute(
        "UPDATE mpps SET state = $2, ended_at = $3, images = $4, series = $5, reason = $6, final_dataset = $7, \
         updated_at = $8 WHERE uid = $1",
        params![&mpps.uid, mpps.state.as_str(), mpps.ended_at, mpps.images, series, &mpps.reason, dataset, now],
    )
    .await?;
    Ok(())
}

pub(crate) async fn mpps_of(db: &Db, scope: Scope, order: OrderId) -> Result<Vec<Mpps>, DbError> {
    let sql = format!(
        "SELECT {MPPS} FROM mpps WHERE order_id = $1 AND {} ORDER BY created_at, uid",
        scope_sql(scope, "org_id")
    );
    db.query(AssertSqlSafe(sql), params![order]).await?.iter().map(mpps_row).collect()
}

pub(crate) async fn unlinked(db: &Db, scope: Scope, limit: u32) -> Result<Vec<Mpps>, DbError> {
    let sql = format!(
        "SELECT {MPPS} FROM mpps WHERE order_id IS NULL AND {} ORDER BY created_at DESC LIMIT {limit}",
        scope_sql(scope, "org_id")
    );
    db.query(AssertSqlSafe(sql), params![]).await?.iter().map(mpps_row).collect()
}

/// How an order's performed steps of the present round stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Steps {
    pub open: u32,
    pub ended: u32,
    /// Images that the ended ones name.
    pub named: u32,
}

pub(crate) async fn steps_of(tx: &mut Tx, order: OrderId) -> Result<Steps, DbError> {
    let rows = tx
        .query(
            "SELECT state, COUNT(*) AS n, CAST(SUM(images) AS BIGINT) AS named FROM mpps \
             WHERE order_id = $1 AND superseded = 0 GROUP BY state",
            params![order],
        )
        .await?;
    let mut steps = Steps::default();
    for row in rows {
        let (n, named): (u32, u32) = (row.get("n")?, row.get("named")?);
        match text(&row.get::<String>("state")?, "state", MppsState::parse)? {
            MppsState::InProgress => steps.open += n,
            MppsState::Completed | MppsState::Discontinued => {
                steps.ended += n;
                steps.named += named;
            }
        }
    }
    Ok(steps)
}

/// The exam is taken again: what was reported and received so far belongs to the round before.
pub(crate) async fn next_round(tx: &mut Tx, order: OrderId) -> Result<(), DbError> {
    tx.execute("UPDATE mpps SET superseded = 1 WHERE order_id = $1", params![order]).await?;
    tx.execute("UPDATE exam_progress SET round_images = 0, quiet_since = NULL WHERE order_id = $1", params![order])
        .await?;
    Ok(())
}

/// Steps of that study or accession that no order was found for when they came.
pub(crate) async fn link_mpps(
    tx: &mut Tx,
    org: OrgId,
    order: OrderId,
    study_uid: &str,
    accession: &str,
) -> Result<u64, DbError> {
    tx.execute(
        "UPDATE mpps SET order_id = $2 WHERE order_id IS NULL AND org_id = $1 AND (study_uid = $3 OR accession = $4)",
        params![org, order, study_uid, accession],
    )
    .await
}

/// Counts images; `quiet` says whether the exam now waits for quiet time.
pub(crate) async fn add_images(
    tx: &mut Tx,
    org: OrgId,
    order: OrderId,
    count: u32,
    quiet: bool,
    now: Timestamp,
) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO exam_progress (order_id, org_id, images, round_images, last_image_at, quiet_since, updated_at) \
         VALUES ($1, $2, $3, $3, $4, CASE WHEN $5 = 1 THEN $4 ELSE NULL END, $4) \
         ON CONFLICT (order_id) DO UPDATE SET images = exam_progress.images + excluded.images, \
         round_images = exam_progress.round_images + excluded.round_images, \
         last_image_at = excluded.last_image_at, quiet_since = excluded.quiet_since, \
         updated_at = excluded.updated_at",
        params![order, org, count, now, quiet],
    )
    .await?;
    Ok(())
}

/// The exam waits for quiet time from `now` on: what its performed steps name is not all here.
pub(crate) async fn wait_quiet(tx: &mut Tx, org: OrgId, order: OrderId, now: Timestamp) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO exam_progress (order_id, org_id, images, round_images, quiet_since, updated_at) \
         VALUES ($1, $2, 0, 0, $3, $3) \
         ON CONFLICT (order_id) DO UPDATE SET quiet_since = excluded.quiet_since, updated_at = excluded.updated_at",
        params![order, org, now],
    )
    .await?;
    Ok(())
}

pub(crate) async fn set_device(
    tx: &mut Tx,
    org: OrgId,
    order: OrderId,
    device: DeviceId,
    now: Timestamp,
) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO exam_progress (order_id, org_id, device_id, images, round_images, updated_at) \
         VALUES ($1, $2, $3, 0, 0, $4) \
         ON CONFLICT (order_id) DO UPDATE SET device_id = excluded.device_id, updated_at = excluded.updated_at",
        params![order, org, device, now],
    )
    .await?;
    Ok(())
}

/// The exam no longer waits for quiet time.
pub(crate) async fn stop_waiting(tx: &mut Tx, order: OrderId) -> Result<(), DbError> {
    tx.execute("UPDATE exam_progress SET quiet_since = NULL WHERE order_id = $1", params![order]).await?;
    Ok(())
}

/// Images of the present round.
pub(crate) async fn images(tx: &mut Tx, order: OrderId) -> Result<u32, DbError> {
    tx.query_opt("SELECT round_images FROM exam_progress WHERE order_id = $1", params![order])
        .await?
        .map_or(Ok(0), |row| row.get("round_images"))
}

/// Exams whose last image came before `before` and that wait for quiet time.
pub(crate) async fn quiet(db: &Db, scope: Scope, before: Timestamp) -> Result<Vec<OrderId>, DbError> {
    let sql = format!(
        "SELECT order_id FROM exam_progress WHERE quiet_since <= $1 AND {} ORDER BY quiet_since LIMIT 200",
        scope_sql(scope, "org_id")
    );
    db.query(AssertSqlSafe(sql), params![before]).await?.iter().map(|row| row.get("order_id")).collect()
}

pub(crate) async fn still_quiet(tx: &mut Tx, order: OrderId, before: Timestamp) -> Result<bool, DbError> {
    let row = tx
        .query_opt(
            "SELECT order_id FROM exam_progress WHERE order_id = $1 AND quiet_since <= $2",
            params![order, before],
        )
        .await?;
    Ok(row.is_some())
}

pub(crate) async fn progress(db: &Db, scope: Scope, orders: &[OrderId]) -> Result<Vec<Progress>, DbError> {
    if orders.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT order_id, device_id, images, last_image_at FROM exam_progress WHERE order_id IN ({}) AND {}",
        inlined(orders),
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

const WORKLIST: &str = "SELECT o.id, o.org_id, o.patient_id, o.accession, o.study_uid, o.priority, o.physician, \
     o.department, o.purpose, o.diagnosis, o.special, p.name, p.name_latin, p.sex, p.birth_date, p.alerts, s.sps_id, \
     s.procedure_id, s.station_aet, s.modality, s.start_at, s.description, d.name AS device_name, r.name AS room_name \
     FROM scheduled_steps s JOIN orders o ON o.id = s.order_id JOIN patients p ON p.id = o.patient_id \
     JOIN devices d ON d.id = s.device_id JOIN rooms r ON r.id = d.room_id \
     WHERE s.state = 'scheduled' AND o.state IN ('scheduled', 'arrived', 'prepared', 'redo')";

/// Scheduled steps of exams that have not begun, by start. Names and patient ids are matched by the caller, because
/// their wildcards have no common form in both engines.
pub(crate) async fn worklist(
    db: &Db,
    scope: Scope,
    query: &WorklistQuery,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    zones: &mut HashMap<OrgId, TimeZone>,
) -> Result<Vec<WorklistItem>, DbError> {
    let mut sql = format!("{WORKLIST} AND {}", scope_sql(scope, "s.org_id"));
    let mut values: Vec<Value> = Vec::new();
    let mut bind = |condition: &str, value: Value| {
        values.push(value);
        sql.push_str(&condition.replace('?', &format!("${}", values.len())));
    };
    let exact = [
        (" AND s.station_aet = ?", &query.station_aet),
        (" AND s.modality = ?", &query.modality),
        (" AND o.accession = ?", &query.accession),
        (" AND o.study_uid = ?", &query.study_uid),
        (" AND s.sps_id = ?", &query.sps_id),
        (" AND s.procedure_id = ?", &query.procedure_id),
    ];
    for (condition, value) in exact {
        if let Some(value) = value.as_deref().map(str::trim).filter(|v| !v.is_empty()) {
            bind(condition, value.into());
        }
    }
    if let Some(from) = from {
        bind(" AND s.start_at >= ?", from.into());
    }
    if let Some(to) = to {
        bind(" AND s.start_at <= ?", to.into());
    }
    // Bounded: nobody reads more on a console, and the rest of the filter runs in memory.
    sql.push_str(" ORDER BY s.start_at, s.id LIMIT 5000");
    let rows = db.query(AssertSqlSafe(sql), &values).await?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let orders = rows.iter().map(|row| row.get("id")).collect::<Result<Vec<OrderId>, _>>()?;
    let mut codes = items(db, &orders).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        let org: OrgId = row.get("org_id")?;
        let zone = zones.get(&org).cloned().unwrap_or(TimeZone::UTC);
        found.push(worklist_row(row, org, &zone, codes.remove(&row.get("id")?).unwrap_or_default())?);
    }
    Ok(found)
}

/// The organizations that have something in the worklist.
pub(crate) async fn worklist_orgs(db: &Db, scope: Scope) -> Result<Vec<OrgId>, DbError> {
    match scope {
        Scope::Org(org) => Ok(vec![org]),
        Scope::All => {
            db.query("SELECT id FROM orgs ORDER BY id", params![]).await?.iter().map(|row| row.get("id")).collect()
        }
    }
}

async fn items(db: &Db, orders: &[OrderId]) -> Result<HashMap<OrderId, Vec<WorklistCode>>, DbError> {
    let sql = format!(
        "SELECT order_id, code, name, body_part, side FROM order_items WHERE order_id IN ({}) ORDER BY order_id, seq",
        inlined(orders)
    );
    let mut found: HashMap<OrderId, Vec<WorklistCode>> = HashMap::new();
    for row in db.query(AssertSqlSafe(sql), params![]).await? {
        let side = row.get::<Option<String>>("side")?.map(|s| text(&s, "side", Side::parse)).transpose()?;
        found.entry(row.get("order_id")?).or_default().push(WorklistCode {
            code: row.get("code")?,
            meaning: row.get("name")?,
            body_part: row.get("body_part")?,
            side,
        });
    }
    Ok(found)
}

fn worklist_row(row: &Row, org: OrgId, zone: &TimeZone, items: Vec<WorklistCode>) -> Result<WorklistItem, DbError> {
    let start: Timestamp = row.get("start_at")?;
    let alerts: Vec<Alert> =
        serde_json::from_str(&row.get::<String>("alerts")?).map_err(|_| DbError::Column("alerts".to_owned()))?;
    let special: Vec<String> =
        serde_json::from_str(&row.get::<String>("special")?).map_err(|_| DbError::Column("special".to_owned()))?;
    let birth_date: Option<Date> = row
        .get::<Option<String>>("birth_date")?
        .map(|d| d.parse().map_err(|_| DbError::Column("birth_date".to_owned())))
        .transpose()?;
    let lo = |s: String| s.chars().take(64).collect::<String>();
    let (purpose, diagnosis) = (row.get::<String>("purpose")?, row.get::<String>("diagnosis")?);
    Ok(WorklistItem {
        order: row.get("id")?,
        org,
        patient: row.get("patient_id")?,
        patient_name: row.get("name")?,
        patient_name_latin: row.get("name_latin")?,
        // Filled in from the identifiers by the caller.
        patient_id: String::new(),
        patient_id_issuer: String::new(),
        sex: text(&row.get::<String>("sex")?, "sex", Sex::parse)?,
        birth_date,
        allergies: alerts.iter().filter(|a| a.kind == AlertKind::Allergy).map(|a| lo(a.text.clone())).collect(),
        pregnant: alerts.iter().any(|a| a.kind == AlertKind::Pregnancy) || special.iter().any(|s| s == "pregnant"),
        alerts: alerts.iter().filter(|a| a.kind != AlertKind::Allergy).map(|a| lo(a.text.clone())).collect(),
        special,
        accession: row.get("accession")?,
        study_uid: row.get("study_uid")?,
        procedure_id: row.get("procedure_id")?,
        procedure_description: row.get("description")?,
        procedure_code: items.first().map(|i| i.code.clone()).unwrap_or_default(),
        priority: text(&row.get::<String>("priority")?, "priority", Priority::parse)?,
        referring_physician: row.get("physician")?,
        requesting_department: row.get("department")?,
        reason: lo(if purpose.is_empty() { diagnosis } else { purpose }),
        sps_id: row.get("sps_id")?,
        station_aet: row.get("station_aet")?,
        station_name: row.get("device_name")?,
        modality: row.get("modality")?,
        start,
        start_local: start.to_jiff().to_zoned(zone.clone()).datetime(),
        description: row.get("description")?,
        location: row.get("room_name")?,
        items,
    })
}

/// The identifier each patient shows to devices: the first medical record number, else the temporary number, else the
/// first of all.
pub(crate) async fn primary_identifiers(
    db: &Db,
    patients: &[String],
) -> Result<HashMap<String, (String, String)>, DbError> {
    let mut found: HashMap<String, (u8, String, String)> = HashMap::new();
    for chunk in patients.chunks(500) {
        // Ids come from the database's own id column.
        let list = chunk.iter().map(|id| format!("'{}'", id.replace('\'', ""))).collect::<Vec<_>>().join(", ");
        let sql = format!(
            "SELECT patient_id, issuer, value, kind FROM patient_identifiers WHERE patient_id IN ({list}) \
             ORDER BY patient_id, seq"
        );
        for row in db.query(AssertSqlSafe(sql), params![]).await? {
            let rank = match row.get::<String>("kind")?.as_str() {
                "mrn" => 0,
                "temporary" => 1,
                _ => 2,
            };
            let id: String = row.get("patient_id")?;
            if found.get(&id).is_none_or(|(known, _, _)| rank < *known) {
                found.insert(id, (rank, row.get("value")?, row.get("issuer")?));
            }
        }
    }
    Ok(found.into_iter().map(|(id, (_, value, issuer))| (id, (value, issuer))).collect())
}
