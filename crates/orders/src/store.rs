//! The only SQL of this crate.

use crate::model::{
    CatalogueItem, Finding, NewOrder, Order, OrderItem, Placer, Priority, Side, Source, Special, VisitClass,
};
use crate::{ExamState, OrderQuery, Step};
use jiff::civil::Date;
use mingying_db::{AssertSqlSafe, Db, DbError, Row, Tx, Value, params, scope_sql};
use mingying_kernel::{AccessionNumber, CampusId, DepartmentId, DicomUid, OrderId, OrgId, PatientId, Scope, Timestamp};
use mingying_patients::{PatientSummary, Sex};
use sha2::{Digest, Sha256};
use std::collections::HashMap;

const COLUMNS: &str = "o.id, o.org_id, o.accession, o.placer_issuer, o.placer_number, o.patient_id, o.state, \
     o.priority, o.visit_class, o.department, o.physician, o.diagnosis, o.history, o.purpose, o.special, o.findings, \
     o.modality, o.study_uid, o.source, o.reason, o.created_at, o.state_at, o.started_at, o.imaged_at, o.completed_at, \
     o.version, p.name AS patient_name, p.name_latin AS patient_latin, p.sex AS patient_sex, \
     p.birth_date AS patient_birth, p.mrn AS patient_mrn";

const FROM: &str = "FROM orders o JOIN patients p ON p.id = o.patient_id";

/// The key of an advisory lock for `text`.
pub(crate) fn lock_key(text: &str) -> i64 {
    let hash = Sha256::digest(text.as_bytes());
    hash.iter().take(8).fold(0i64, |key, byte| (key << 8) | i64::from(*byte))
}

fn word<T>(row: &Row, column: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, DbError> {
    parse(&row.get::<String>(column)?).ok_or_else(|| DbError::Column(column.to_owned()))
}

fn list<T: serde::de::DeserializeOwned>(row: &Row, column: &str) -> Result<Vec<T>, DbError> {
    serde_json::from_str(&row.get::<String>(column)?).map_err(|_| DbError::Column(column.to_owned()))
}

pub(crate) fn json<T: serde::Serialize>(values: &[T]) -> Result<String, DbError> {
    serde_json::to_string(values).map_err(|e| DbError::Column(e.to_string()))
}

fn order(row: &Row, items: Vec<OrderItem>) -> Result<Order, DbError> {
    let birth_date: Option<Date> = row
        .get::<Option<String>>("patient_birth")?
        .map(|text| text.parse().map_err(|_| DbError::Column("birth_date".to_owned())))
        .transpose()?;
    let placer = match (row.get::<Option<String>>("placer_issuer")?, row.get::<Option<String>>("placer_number")?) {
        (Some(issuer), Some(number)) => Some(Placer { issuer, number }),
        _ => None,
    };
    Ok(Order {
        id: row.get("id")?,
        org: row.get("org_id")?,
        accession: row.get("accession")?,
        placer,
        patient: PatientSummary {
            id: row.get("patient_id")?,
            name: row.get("patient_name")?,
            name_latin: row.get("patient_latin")?,
            sex: word(row, "patient_sex", Sex::parse)?,
            birth_date,
            mrn: row.get("patient_mrn")?,
        },
        state: word(row, "state", ExamState::parse)?,
        priority: word(row, "priority", Priority::parse)?,
        visit_class: word(row, "visit_class", VisitClass::parse)?,
        department: row.get("department")?,
        physician: row.get("physician")?,
        diagnosis: row.get("diagnosis")?,
        history: row.get("history")?,
        purpose: row.get("purpose")?,
        special: list::<Special>(row, "special")?,
        modality: row.get("modality")?,
        items,
        study_uid: row.get("study_uid")?,
        source: word(row, "source", Source::parse)?,
        findings: list::<Finding>(row, "findings")?,
        reason: row.get("reason")?,
        created_at: row.get("created_at")?,
        state_at: row.get("state_at")?,
        started_at: row.get("started_at")?,
        imaged_at: row.get("imaged_at")?,
        completed_at: row.get("completed_at")?,
        version: row.get("version")?,
    })
}

fn item(row: &Row) -> Result<OrderItem, DbError> {
    let side = row
        .get::<Option<String>>("side")?
        .map(|text| Side::parse(&text).ok_or_else(|| DbError::Column("side".to_owned())))
        .transpose()?;
    Ok(OrderItem {
        id: row.get("id")?,
        catalogue_id: row.get("catalogue_id")?,
        code: row.get("code")?,
        name: row.get("name")?,
        name_en: row.get("name_en")?,
        modality: row.get("modality")?,
        body_part: row.get("body_part")?,
        side,
        contrast: row.get("contrast")?,
        duration_min: row.get("duration_min")?,
    })
}

const ITEMS: &str =
    "id, order_id, catalogue_id, code, name, name_en, modality, body_part, side, contrast, duration_min";
const ITEMS_OF: &str = "SELECT id, order_id, catalogue_id, code, name, name_en, modality, body_part, side, contrast, \
                        duration_min FROM order_items WHERE order_id = $1 ORDER BY seq";

fn by_id(scope: Scope) -> AssertSqlSafe<String> {
    AssertSqlSafe(format!("SELECT {COLUMNS} {FROM} WHERE o.id = $1 AND {}", scope_sql(scope, "o.org_id")))
}

pub(crate) async fn load(db: &Db, scope: Scope, id: OrderId) -> Result<Option<Order>, DbError> {
    let Some(row) = db.query_opt(by_id(scope), params![id]).await? else { return Ok(None) };
    let items = db.query(ITEMS_OF, params![id]).await?.iter().map(item).collect::<Result<_, _>>()?;
    Ok(Some(order(&row, items)?))
}

pub(crate) async fn load_in(tx: &mut Tx, scope: Scope, id: OrderId) -> Result<Option<Order>, DbError> {
    let Some(row) = tx.query_opt(by_id(scope), params![id]).await? else { return Ok(None) };
    let items = tx.query(ITEMS_OF, params![id]).await?.iter().map(item).collect::<Result<_, _>>()?;
    Ok(Some(order(&row, items)?))
}

/// Ids are UUIDs that this process parsed: safe to inline.
fn inlined(ids: &[OrderId]) -> String {
    ids.iter().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(", ")
}

async fn with_items(db: &Db, rows: &[Row]) -> Result<Vec<Order>, DbError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids = rows.iter().map(|row| row.get("id")).collect::<Result<Vec<OrderId>, _>>()?;
    let sql = format!("SELECT {ITEMS} FROM order_items WHERE order_id IN ({}) ORDER BY order_id, seq", inlined(&ids));
    let mut items: HashMap<OrderId, Vec<OrderItem>> = HashMap::new();
    for row in db.query(AssertSqlSafe(sql), params![]).await? {
        items.entry(row.get("order_id")?).or_default().push(item(&row)?);
    }
    rows.iter().map(|row| order(row, items.remove(&row.get("id")?).unwrap_or_default())).collect()
}

pub(crate) async fn load_many(db: &Db, scope: Scope, ids: &[OrderId]) -> Result<Vec<Order>, DbError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!("SELECT {COLUMNS} {FROM} WHERE o.id IN ({}) AND {}", inlined(ids), scope_sql(scope, "o.org_id"));
    with_items(db, &db.query(AssertSqlSafe(sql), params![]).await?).await
}

/// The newest first. A text matches the beginning of a name, its pinyin or initials, or the exact accession, placer
/// number or patient identifier.
pub(crate) async fn list_page(db: &Db, scope: Scope, query: &OrderQuery, limit: u32) -> Result<Vec<Order>, DbError> {
    let mut sql = format!("SELECT {COLUMNS} {FROM} WHERE {}", scope_sql(scope, "o.org_id"));
    let mut values: Vec<Value> = Vec::new();
    let mut bind = |sql: &mut String, text: &str, value: Value| {
        values.push(value);
        sql.push_str(&text.replace('?', &format!("${}", values.len())));
    };
    if !query.states.is_empty() {
        let states = query.states.iter().map(|s| format!("'{s}'")).collect::<Vec<_>>().join(", ");
        sql.push_str(&format!(" AND o.state IN ({states})"));
    }
    if let Some(modality) = &query.modality {
        bind(&mut sql, " AND o.modality = ?", modality.into());
    }
    if let Some(from) = query.from {
        bind(&mut sql, " AND o.created_at >= ?", from.into());
    }
    if let Some(to) = query.to {
        bind(&mut sql, " AND o.created_at < ?", to.into());
    }
    if let Some(patient) = query.patient {
        bind(&mut sql, " AND o.patient_id = ?", patient.into());
    }
    if let Some(cursor) = &query.cursor {
        bind(&mut sql, " AND o.id < ?", cursor.into());
    }
    if let Some(text) = query.text.as_deref().map(str::trim).filter(|t| !t.is_empty()) {
        let upper = text.to_uppercase();
        let end = |t: &str| format!("{t}{}", char::MAX);
        let folded = mingying_patients::folded(text);
        bind(&mut sql, " AND ((o.accession >= ? ", upper.as_str().into());
        bind(&mut sql, "AND o.accession < ?) ", end(&upper).into());
        bind(&mut sql, "OR o.placer_number = ? ", text.into());
        bind(
            &mut sql,
            "OR o.patient_id IN (SELECT i.patient_id FROM patient_identifiers i WHERE i.value_key = ?) ",
            upper.into(),
        );
        if !folded.is_empty() {
            for column in ["p.name_key", "p.sound", "p.initials"] {
                bind(&mut sql, &format!("OR ({column} >= ? "), folded.as_str().into());
                bind(&mut sql, &format!("AND {column} < ?) "), end(&folded).into());
            }
        }
        sql.push(')');
    }
    sql.push_str(&format!(" ORDER BY o.id DESC LIMIT {limit}"));
    with_items(db, &db.query(AssertSqlSafe(sql), &values).await?).await
}

/// What identifies one order from outside.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Key<'a> {
    Accession(&'a str),
    StudyUid(&'a str),
    Placer(&'a Placer),
}

pub(crate) async fn find(tx: &mut Tx, scope: Scope, key: Key<'_>) -> Result<Option<OrderId>, DbError> {
    let visible = scope_sql(scope, "org_id");
    let row = match key {
        Key::Accession(value) => {
            let sql = format!("SELECT id FROM orders WHERE accession = $1 AND {visible} ORDER BY id LIMIT 2");
            let rows = tx.query(AssertSqlSafe(sql), params![value]).await?;
            // Two organizations may use one number; somebody who sees both gets no guess.
            if rows.len() == 1 { rows.into_iter().next() } else { None }
        }
        Key::StudyUid(value) => {
            let sql = format!("SELECT id FROM orders WHERE study_uid = $1 AND {visible}");
            tx.query_opt(AssertSqlSafe(sql), params![value]).await?
        }
        Key::Placer(placer) => {
            let sql = format!("SELECT id FROM orders WHERE placer_issuer = $1 AND placer_number = $2 AND {visible}");
            tx.query_opt(AssertSqlSafe(sql), params![&placer.issuer, &placer.number]).await?
        }
    };
    row.map(|row| row.get("id")).transpose()
}

/// The values with which a new order is written.
pub(crate) struct Fresh<'a> {
    pub id: OrderId,
    pub org: OrgId,
    pub accession: &'a AccessionNumber,
    pub study_uid: &'a DicomUid,
    pub modality: &'a str,
    pub state: ExamState,
    pub findings: &'a [Finding],
    pub now: Timestamp,
}

pub(crate) async fn insert(tx: &mut Tx, fresh: &Fresh<'_>, new: &NewOrder) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO orders (id, org_id, campus_id, department_id, sensitivity, accession, placer_issuer, \
         placer_number, patient_id, state, priority, visit_class, department, physician, diagnosis, history, purpose, \
         special, findings, modality, study_uid, source, reason, created_at, updated_at, state_at, version) \
         VALUES ($1, $2, '', '', 0, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, '', \
         $20, $20, $20, 1)",
        params![
            fresh.id,
            fresh.org,
            fresh.accession,
            new.placer.as_ref().map(|p| p.issuer.clone()),
            new.placer.as_ref().map(|p| p.number.clone()),
            new.patient,
            fresh.state.as_str(),
            new.priority.as_str(),
            new.visit_class.as_str(),
            &new.department,
            &new.physician,
            &new.diagnosis,
            &new.history,
            &new.purpose,
            json(&new.special)?,
            json(fresh.findings)?,
            fresh.modality,
            fresh.study_uid,
            new.source.as_str(),
            fresh.now
        ],
    )
    .await?;
    Ok(())
}

/// Replaces what the placer may still change.
pub(crate) async fn save_request(
    tx: &mut Tx,
    id: OrderId,
    new: &NewOrder,
    modality: &str,
    findings: &[Finding],
    now: Timestamp,
) -> Result<(), DbError> {
    tx.execute(
        "UPDATE orders SET priority = $2, visit_class = $3, department = $4, physician = $5, diagnosis = $6, \
         history = $7, purpose = $8, special = $9, findings = $10, modality = $11, updated_at = $12, \
         version = version + 1 WHERE id = $1",
        params![
            id,
            new.priority.as_str(),
            new.visit_class.as_str(),
            &new.department,
            &new.physician,
            &new.diagnosis,
            &new.history,
            &new.purpose,
            json(&new.special)?,
            json(findings)?,
            modality,
            now
        ],
    )
    .await?;
    Ok(())
}

pub(crate) async fn put_items(
    tx: &mut Tx,
    id: OrderId,
    items: &[(CatalogueItem, Option<Side>)],
) -> Result<(), DbError> {
    tx.execute("DELETE FROM order_items WHERE order_id = $1", params![id]).await?;
    for (seq, (entry, side)) in items.iter().enumerate() {
        tx.execute(
            "INSERT INTO order_items (id, order_id, seq, catalogue_id, code, name, name_en, modality, body_part, side, \
             contrast, duration_min) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            params![
                // A position within its order is stable; no id of its own is needed outside.
                format!("{id}.{seq}"),
                id,
                seq,
                &entry.id,
                &entry.code,
                &entry.name,
                &entry.name_en,
                &entry.modality,
                &entry.body_part,
                side.map(|s| s.as_str().to_owned()),
                entry.contrast,
                entry.duration_min
            ],
        )
        .await?;
    }
    Ok(())
}

/// Who an order is about, locked for the rest of the transaction.
pub(crate) struct Held {
    pub org: OrgId,
    pub patient: PatientId,
    pub state: ExamState,
}

pub(crate) async fn hold(tx: &mut Tx, scope: Scope, id: OrderId) -> Result<Option<Held>, DbError> {
    // Writing first takes the row's lock on PostgreSQL, so that what is read next is the present state.
    let sql = format!(
        "UPDATE orders SET version = version WHERE id = $1 AND {} RETURNING org_id, patient_id, state",
        scope_sql(scope, "org_id")
    );
    tx.query_opt(AssertSqlSafe(sql), params![id])
        .await?
        .map(|row| {
            Ok(Held {
                org: row.get("org_id")?,
                patient: row.get("patient_id")?,
                state: word(&row, "state", ExamState::parse)?,
            })
        })
        .transpose()
}

pub(crate) async fn set_state(
    tx: &mut Tx,
    id: OrderId,
    step: Step,
    to: ExamState,
    reason: Option<&str>,
    at: Timestamp,
    now: Timestamp,
) -> Result<(), DbError> {
    tx.execute(
        "UPDATE orders SET state = $2, state_at = $3, updated_at = $4, version = version + 1, \
         reason = CASE WHEN $5 = '' THEN reason ELSE $5 END WHERE id = $1",
        params![id, to.as_str(), at, now, reason.unwrap_or("")],
    )
    .await?;
    match step {
        // A repetition starts again; its first start stays the beginning of the exam.
        Step::Start => {
            tx.execute("UPDATE orders SET started_at = COALESCE(started_at, $2) WHERE id = $1", params![id, at])
                .await?;
        }
        Step::Image => {
            tx.execute("UPDATE orders SET imaged_at = $2 WHERE id = $1", params![id, at]).await?;
        }
        Step::Complete => {
            tx.execute("UPDATE orders SET completed_at = $2 WHERE id = $1", params![id, at]).await?;
        }
        _ => {}
    }
    Ok(())
}

pub(crate) async fn set_place(
    tx: &mut Tx,
    id: OrderId,
    campus: CampusId,
    department: DepartmentId,
) -> Result<(), DbError> {
    tx.execute("UPDATE orders SET campus_id = $2, department_id = $3 WHERE id = $1", params![id, campus, department])
        .await?;
    Ok(())
}

/// The next value of a counter, unique under concurrency: the row is locked by the update.
pub(crate) async fn count(tx: &mut Tx, name: &str) -> Result<i64, DbError> {
    tx.query_one(
        "INSERT INTO order_counters (name, value) VALUES ($1, 1) \
         ON CONFLICT (name) DO UPDATE SET value = order_counters.value + 1 RETURNING value",
        params![name],
    )
    .await?
    .get("value")
}

/// The letters before an organization's accession numbers: `A` for the first, `B` for the second, and so on.
pub(crate) async fn prefix(tx: &mut Tx, org: OrgId) -> Result<String, DbError> {
    const FIND: &str = "SELECT prefix FROM order_prefixes WHERE org_id = $1";
    if let Some(row) = tx.query_opt(FIND, params![org]).await? {
        return row.get("prefix");
    }
    let mut number = count(tx, "prefix").await? - 1;
    let mut letters = String::new();
    loop {
        let letter = u8::try_from(number.rem_euclid(26)).unwrap_or(0);
        letters.insert(0, char::from(b'A' + letter));
        number = number / 26 - 1;
        if number < 0 {
            break;
        }
    }
    tx.execute(
        "INSERT INTO order_prefixes (org_id, prefix) VALUES ($1, $2) ON CONFLICT (org_id) DO NOTHING",
        params![org, letters],
    )
    .await?;
    tx.query_one(FIND, params![org]).await?.get("prefix")
}

const CATALOGUE: &str = "id, code, name, name_en, modality, body_part, sided, contrast, duration_min, preparation, \
                         preparation_en, price_cents";

fn catalogue_item(row: &Row) -> Result<CatalogueItem, DbError> {
    Ok(CatalogueItem {
        id: row.get("id")?,
        code: row.get("code")?,
        name: row.get("name")?,
        name_en: row.get("name_en")?,
        modality: row.get("modality")?,
        body_part: row.get("body_part")?,
        sided: row.get("sided")?,
        contrast: row.get("contrast")?,
        duration_min: row.get("duration_min")?,
        preparation: row.get("preparation")?,
        preparation_en: row.get("preparation_en")?,
        price_cents: row.get("price_cents")?,
    })
}

pub(crate) async fn catalogue(db: &Db, scope: Scope) -> Result<Vec<CatalogueItem>, DbError> {
    let sql =
        format!("SELECT {CATALOGUE} FROM catalogue_items WHERE {} ORDER BY modality, code", scope_sql(scope, "org_id"));
    db.query(AssertSqlSafe(sql), params![]).await?.iter().map(catalogue_item).collect()
}

pub(crate) async fn catalogue_by(
    tx: &mut Tx,
    org: OrgId,
    column: &'static str,
    value: &str,
) -> Result<Option<CatalogueItem>, DbError> {
    let sql = format!("SELECT {CATALOGUE} FROM catalogue_items WHERE org_id = $1 AND {column} = $2");
    tx.query_opt(AssertSqlSafe(sql), params![org, value]).await?.as_ref().map(catalogue_item).transpose()
}

pub(crate) async fn put_catalogue_item(tx: &mut Tx, org: OrgId, entry: &CatalogueItem) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO catalogue_items (id, org_id, code, name, name_en, modality, body_part, sided, contrast, \
         duration_min, preparation, preparation_en, price_cents) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
         ON CONFLICT (org_id, code) DO UPDATE SET name = excluded.name, name_en = excluded.name_en, \
         modality = excluded.modality, body_part = excluded.body_part, sided = excluded.sided, \
         contrast = excluded.contrast, duration_min = excluded.duration_min, preparation = excluded.preparation, \
         preparation_en = excluded.preparation_en, price_cents = excluded.price_cents",
        params![
            &entry.id,
            org,
            &entry.code,
            &entry.name,
            &entry.name_en,
            &entry.modality,
            &entry.body_part,
            entry.sided,
            entry.contrast,
            entry.duration_min,
            &entry.preparation,
            &entry.preparation_en,
            entry.price_cents
        ],
    )
    .await?;
    Ok(())
}
