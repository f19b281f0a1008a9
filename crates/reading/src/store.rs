use crate::model::Cursor;
use crate::{CaseCount, How, Lock, Page, ReadingError, ReadingQuery, ReadingRow, Reason, Sort, StudyLink, Unmatched};
use jiff::civil::Date;
use mingying_archive::StudyRow;
use mingying_db::{AssertSqlSafe, Db, DbError, Row, Tx, Value, params, scope_sql};
use mingying_kernel::{OrderId, OrgId, PatientId, Scope, Timestamp};
use mingying_orders::{ExamState, Priority};
use mingying_patients::{PatientSummary, Sex, folded};
use std::fmt::Write as _;

/// Serialises everything about one study: FNV-1a of its UID, as an advisory lock key.
pub(crate) fn study_key(study_uid: &str) -> i64 {
    let hash = study_uid
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    i64::from_ne_bytes(hash.to_ne_bytes())
}

/// `parse` of a stored word; a word that is not ours is a fault of the row.
fn word<T>(row: &Row, column: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, DbError> {
    parse(&row.get::<String>(column)?).ok_or_else(|| DbError::Column(column.to_owned()))
}

const LINK: &str = "s.study_uid, s.order_id, s.how, s.linked_at, s.images";

fn link(row: &Row) -> Result<StudyLink, DbError> {
    Ok(StudyLink {
        study_uid: row.get("study_uid")?,
        order: row.get("order_id")?,
        how: word(row, "how", How::parse)?,
        linked_at: row.get("linked_at")?,
        images: row.get("images")?,
    })
}

pub(crate) async fn link_of(tx: &mut Tx, study_uid: &str) -> Result<Option<StudyLink>, DbError> {
    let sql = format!("SELECT {LINK} FROM order_studies s WHERE s.study_uid = $1");
    tx.query_opt(AssertSqlSafe(sql), params![study_uid]).await?.as_ref().map(link).transpose()
}

pub(crate) async fn links_of(db: &Db, scope: Scope, order: OrderId) -> Result<Vec<StudyLink>, ReadingError> {
    let sql = format!(
        "SELECT {LINK} FROM order_studies s WHERE s.order_id = $1 AND {} ORDER BY s.linked_at, s.study_uid",
        scope_sql(scope, "s.org_id")
    );
    let rows = db.query(AssertSqlSafe(sql), params![order]).await?;
    Ok(rows.iter().map(link).collect::<Result<_, _>>()?)
}

/// `($2, $3, …)` for `count` values after the first `before` parameters.
fn list(before: usize, count: usize) -> String {
    let mut out = String::new();
    for i in 0..count {
        let _ = write!(out, "{}${}", if i == 0 { "" } else { ", " }, before + i + 1);
    }
    out
}

pub(crate) async fn links_of_orders(db: &Db, scope: Scope, orders: &[OrderId]) -> Result<Vec<StudyLink>, ReadingError> {
    let mut links = Vec::new();
    for chunk in orders.chunks(200) {
        let sql = format!(
            "SELECT {LINK} FROM order_studies s WHERE s.order_id IN ({}) AND {} ORDER BY s.linked_at, s.study_uid",
            list(0, chunk.len()),
            scope_sql(scope, "s.org_id")
        );
        let values: Vec<Value> = chunk.iter().map(Value::from).collect();
        for row in db.query(AssertSqlSafe(sql), &values).await? {
            links.push(link(&row)?);
        }
    }
    Ok(links)
}

pub(crate) async fn links_of_studies(
    db: &Db,
    scope: Scope,
    study_uids: &[String],
) -> Result<Vec<StudyLink>, ReadingError> {
    let mut links = Vec::new();
    for chunk in study_uids.chunks(200) {
        let sql = format!(
            "SELECT {LINK} FROM order_studies s WHERE s.study_uid IN ({}) AND {}",
            list(0, chunk.len()),
            scope_sql(scope, "s.org_id")
        );
        let values: Vec<Value> = chunk.iter().map(Value::from).collect();
        for row in db.query(AssertSqlSafe(sql), &values).await? {
            links.push(link(&row)?);
        }
    }
    Ok(links)
}

/// Studies of other orders of the same patient, most recently linked first.
pub(crate) async fn priors_of(
    db: &Db,
    scope: Scope,
    patient: PatientId,
    except: OrderId,
    limit: u32,
) -> Result<Vec<StudyLink>, ReadingError> {
    let sql = format!(
        "SELECT {LINK} FROM order_studies s JOIN orders o ON o.id = s.order_id \
         WHERE o.patient_id = $1 AND o.id <> $2 AND s.images > 0 AND {} \
         ORDER BY s.linked_at DESC, s.study_uid LIMIT $3",
        scope_sql(scope, "o.org_id")
    );
    let rows = db.query(AssertSqlSafe(sql), params![patient, except, limit]).await?;
    Ok(rows.iter().map(link).collect::<Result<_, _>>()?)
}

pub(crate) async fn insert_link(
    tx: &mut Tx,
    study: &StudyRow,
    order: OrderId,
    how: How,
    at: Timestamp,
    by: &str,
) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO order_studies (study_uid, order_id, org_id, how, linked_at, linked_by, images) \
         VALUES ($1, $2, $3, $4, $5, $6, 0)",
        params![&study.study_uid, order, study.org_id, how.as_str(), at, by],
    )
    .await?;
    Ok(())
}

pub(crate) async fn remove_link(tx: &mut Tx, study_uid: &str) -> Result<(), DbError> {
    tx.execute("DELETE FROM order_studies WHERE study_uid = $1", params![study_uid]).await?;
    Ok(())
}

pub(crate) async fn set_images(tx: &mut Tx, study_uid: &str, images: i64) -> Result<(), DbError> {
    tx.execute("UPDATE order_studies SET images = $1 WHERE study_uid = $2", params![images, study_uid]).await?;
    Ok(())
}

/// Inserts or refreshes. `true` when the row is new or its reason changed.
pub(crate) async fn put_unmatched(tx: &mut Tx, study: &StudyRow, reason: Reason) -> Result<bool, DbError> {
    let known = tx
        .query_opt("SELECT reason FROM unmatched_studies WHERE study_uid = $1", params![&study.study_uid])
        .await?
        .map(|row| row.get::<String>("reason"))
        .transpose()?;
    tx.execute(
        "INSERT INTO unmatched_studies (study_uid, org_id, campus_id, department_id, sensitivity, patient_name, \
         patient_id, modality, accession, study_date, description, images, source, received_at, reason) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) \
         ON CONFLICT (study_uid) DO UPDATE SET patient_name = excluded.patient_name, \
         patient_id = excluded.patient_id, modality = excluded.modality, accession = excluded.accession, \
         study_date = excluded.study_date, description = excluded.description, images = excluded.images, \
         reason = excluded.reason",
        params![
            &study.study_uid,
            study.org_id,
            &study.campus_id,
            &study.department_id,
            study.sensitivity,
            study.patient_name.display(),
            &study.patient_id,
            study.modalities.join("\\"),
            &study.accession,
            &study.study_date,
            &study.description,
            study.instances,
            &study.source,
            study.first_received_at,
            reason.as_str()
        ],
    )
    .await?;
    Ok(known.as_deref() != Some(reason.as_str()))
}

/// Whose it was and how many images it had, when it was there.
pub(crate) async fn remove_unmatched(tx: &mut Tx, study_uid: &str) -> Result<Option<(OrgId, i64)>, DbError> {
    let sql = "DELETE FROM unmatched_studies WHERE study_uid = $1 RETURNING org_id, images";
    tx.query_opt(sql, params![study_uid]).await?.map(|row| Ok((row.get("org_id")?, row.get("images")?))).transpose()
}

pub(crate) async fn list_unmatched(
    db: &Db,
    scope: Scope,
    limit: u32,
    cursor: Option<&str>,
) -> Result<Page<Unmatched>, ReadingError> {
    let after = match cursor {
        Some(text) => Cursor::parse(text)?,
        None => Cursor { rank: 0, at: i64::MAX, order: String::new() },
    };
    let sql = format!(
        "SELECT study_uid, org_id, patient_name, patient_id, modality, accession, study_date, description, images, \
         source, received_at, reason FROM unmatched_studies WHERE {} \
         AND (received_at < $1 OR (received_at = $1 AND study_uid > $2)) \
         ORDER BY received_at DESC, study_uid LIMIT $3",
        scope_sql(scope, "org_id")
    );
    let rows = db.query(AssertSqlSafe(sql), params![after.at, after.order, limit + 1]).await?;
    let mut items = rows
        .iter()
        .map(|row| {
            Ok(Unmatched {
                study_uid: row.get("study_uid")?,
                org: row.get("org_id")?,
                patient_name: row.get("patient_name")?,
                patient_id: row.get("patient_id")?,
                modality: row.get("modality")?,
                accession: row.get("accession")?,
                study_date: row.get("study_date")?,
                description: row.get("description")?,
                images: row.get("images")?,
                source: row.get("source")?,
                received_at: row.get("received_at")?,
                reason: word(row, "reason", Reason::parse)?,
            })
        })
        .collect::<Result<Vec<_>, DbError>>()?;
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next = items
        .last()
        .filter(|_| more)
        .map(|last| Cursor { rank: 0, at: last.received_at.as_micros(), order: last.study_uid.clone() }.text());
    Ok(Page { items, next })
}

fn lock(row: &Row) -> Result<Lock, DbError> {
    Ok(Lock {
        order: row.get("order_id")?,
        user_id: row.get("user_id")?,
        user_name: row.get("user_name")?,
        until: row.get("until")?,
    })
}

pub(crate) async fn lock_of(tx: &mut Tx, order: OrderId, now: Timestamp) -> Result<Option<Lock>, DbError> {
    tx.query_opt(
        "SELECT order_id, user_id, user_name, until FROM reading_locks WHERE order_id = $1 AND until > $2",
        params![order, now],
    )
    .await?
    .as_ref()
    .map(lock)
    .transpose()
}

pub(crate) async fn locks_of(db: &Db, orders: &[OrderId], now: Timestamp) -> Result<Vec<Lock>, ReadingError> {
    let mut locks = Vec::new();
    for chunk in orders.chunks(200) {
        let sql = format!(
            "SELECT order_id, user_id, user_name, until FROM reading_locks WHERE until > $1 AND order_id IN ({})",
            list(1, chunk.len())
        );
        let values: Vec<Value> = std::iter::once(Value::from(now)).chain(chunk.iter().map(Value::from)).collect();
        for row in db.query(AssertSqlSafe(sql), &values).await? {
            locks.push(lock(&row)?);
        }
    }
    Ok(locks)
}

pub(crate) async fn put_lock(tx: &mut Tx, lock: &Lock, now: Timestamp) -> Result<(), ReadingError> {
    tx.execute(
        "INSERT INTO reading_locks (order_id, user_id, user_name, locked_at, until) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (order_id) DO UPDATE SET user_id = excluded.user_id, user_name = excluded.user_name, \
         locked_at = excluded.locked_at, until = excluded.until",
        params![lock.order, &lock.user_id, &lock.user_name, now, lock.until],
    )
    .await?;
    Ok(())
}

pub(crate) async fn remove_lock(tx: &mut Tx, order: OrderId, user_id: &str) -> Result<(), DbError> {
    tx.execute("DELETE FROM reading_locks WHERE order_id = $1 AND user_id = $2", params![order, user_id]).await?;
    Ok(())
}

/// Since when a case waits: its images, else the state it is in.
const SINCE: &str = "COALESCE(o.imaged_at, o.state_at)";
const RANK: &str = "CASE o.priority WHEN 'emergency' THEN 0 WHEN 'urgent' THEN 1 ELSE 2 END";

/// A case all of whose images were deleted waits for no first report. One without any linked study stays: not every
/// exam has images here. What is reported already must still be audited or sent back.
const HAS_SOMETHING_TO_READ: &str = "(o.state NOT IN ('imaged', 'completed') \
     OR NOT EXISTS (SELECT 1 FROM order_studies s WHERE s.order_id = o.id) \
     OR EXISTS (SELECT 1 FROM order_studies s WHERE s.order_id = o.id AND s.images > 0))";

/// Conditions on orders `o` and their patients `p`, with the values they name.
struct Conditions {
    values: Vec<Value>,
    sql: Vec<String>,
}

impl Conditions {
    /// `values` are named already, from `$1` on.
    fn new(values: Vec<Value>, scope: Scope) -> Self {
        Self { values, sql: vec![scope_sql(scope, "o.org_id"), HAS_SOMETHING_TO_READ.to_owned()] }
    }

    fn bind(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    fn states(&mut self, states: &[ExamState]) {
        let states: Vec<String> = states.iter().map(|state| self.bind(Value::from(state.as_str()))).collect();
        self.sql.push(format!("o.state IN ({})", states.join(", ")));
    }

    fn equals(&mut self, column: &str, value: &str) {
        let value = self.bind(Value::from(value));
        self.sql.push(format!("{column} = {value}"));
    }

    /// Names, numbers and identifiers that begin with the text.
    fn text(&mut self, text: Option<&str>) {
        let Some(text) = text.map(str::trim).filter(|t| !t.is_empty()) else { return };
        let key = folded(text);
        let ranges = [
            ("o.accession", text.to_uppercase()),
            ("p.name_key", key.clone()),
            ("p.sound", key.clone()),
            ("p.initials", key),
            ("p.mrn", text.to_owned()),
        ]
        .map(|(column, from)| {
            // Everything that begins with the text lies below the text followed by the last code point.
            let to = format!("{from}\u{10ffff}");
            format!("({column} >= {} AND {column} < {})", self.bind(Value::from(from)), self.bind(Value::from(to)))
        });
        self.sql.push(format!("({})", ranges.join(" OR ")));
    }

    fn all(&self) -> String {
        self.sql.join(" AND ")
    }
}

pub(crate) async fn count_cases(
    db: &Db,
    scope: Scope,
    states: &[ExamState],
    text: Option<&str>,
) -> Result<Vec<CaseCount>, DbError> {
    let mut conditions = Conditions::new(Vec::new(), scope);
    conditions.states(states);
    conditions.text(text);
    let sql = format!(
        "SELECT o.state, o.modality, o.priority, COUNT(*) AS cases FROM orders o \
         JOIN patients p ON p.id = o.patient_id WHERE {} \
         GROUP BY o.state, o.modality, o.priority ORDER BY o.state, o.modality, o.priority",
        conditions.all()
    );
    let rows = db.query(AssertSqlSafe(sql), &conditions.values).await?;
    rows.iter()
        .map(|row| {
            Ok(CaseCount {
                state: word(row, "state", ExamState::parse)?,
                modality: row.get("modality")?,
                priority: word(row, "priority", Priority::parse)?,
                cases: row.get("cases")?,
            })
        })
        .collect()
}

pub(crate) async fn worklist(
    db: &Db,
    scope: Scope,
    now: Timestamp,
    query: &ReadingQuery,
    states: &[ExamState],
) -> Result<Page<ReadingRow>, ReadingError> {
    let limit = query.limit.unwrap_or(50).clamp(1, 200);
    let mut conditions = Conditions::new(vec![Value::from(now)], scope);
    conditions.states(states);
    if let Some(modality) = query.modality.as_deref().filter(|m| !m.is_empty()) {
        conditions.equals("o.modality", modality);
    }
    if let Some(priority) = query.priority {
        conditions.equals("o.priority", priority.as_str());
    }
    conditions.text(query.text.as_deref());
    let (rank, order, older) = match query.sort {
        Sort::Waiting => ("0", format!("{SINCE}, o.id"), ">"),
        Sort::Priority => (RANK, format!("{RANK}, {SINCE}, o.id"), ">"),
        Sort::ImagedAt => ("0", format!("{SINCE} DESC, o.id"), "<"),
    };
    if let Some(cursor) = query.cursor.as_deref() {
        let cursor = Cursor::parse(cursor)?;
        let r = conditions.bind(Value::from(cursor.rank));
        let at = conditions.bind(Value::from(cursor.at));
        let id = conditions.bind(Value::from(cursor.order));
        conditions.sql.push(format!(
            "({rank} > {r} OR ({rank} = {r} AND ({SINCE} {older} {at} OR ({SINCE} = {at} AND o.id > {id}))))"
        ));
    }
    let sql = format!(
        "SELECT o.id, o.org_id, o.accession, o.modality, o.priority, o.state, o.study_uid, o.imaged_at, \
         {SINCE} AS since, {rank} AS sort_rank, p.id AS patient_id, p.name, p.name_latin, p.sex, p.birth_date, p.mrn, \
         COALESCE((SELECT i.name FROM order_items i WHERE i.order_id = o.id ORDER BY i.seq LIMIT 1), '') AS item_name, \
         COALESCE((SELECT i.name_en FROM order_items i WHERE i.order_id = o.id ORDER BY i.seq LIMIT 1), '') \
         AS item_name_en, \
         (SELECT COUNT(*) FROM order_items i WHERE i.order_id = o.id) AS items, \
         (SELECT s.study_uid FROM order_studies s WHERE s.order_id = o.id AND s.images > 0 \
         ORDER BY s.linked_at, s.study_uid LIMIT 1) AS linked_uid, \
         COALESCE((SELECT CAST(SUM(s.images) AS BIGINT) FROM order_studies s WHERE s.order_id = o.id), 0) AS images, \
         (SELECT l.user_name FROM reading_locks l WHERE l.order_id = o.id AND l.until > $1) AS locked_by \
         FROM orders o JOIN patients p ON p.id = o.patient_id WHERE {} ORDER BY {order} LIMIT {}",
        conditions.all(),
        limit + 1
    );
    let rows = db.query(AssertSqlSafe(sql), &conditions.values).await?;
    let more = rows.len() > limit as usize;
    let mut items = Vec::with_capacity(rows.len());
    let mut last = None;
    for row in rows.iter().take(limit as usize) {
        let item = reading_row(row)?;
        last = Some(Cursor {
            rank: row.get("sort_rank")?,
            at: item.waiting_since.as_micros(),
            order: item.order.to_string(),
        });
        items.push(item);
    }
    Ok(Page { items, next: last.filter(|_| more).map(|cursor| cursor.text()) })
}

fn reading_row(row: &Row) -> Result<ReadingRow, DbError> {
    let more = row.get::<i64>("items")?.saturating_sub(1);
    let with = |name: String| if more > 0 { format!("{name} +{more}") } else { name };
    let birth = row.get::<Option<String>>("birth_date")?;
    let given: Option<mingying_kernel::DicomUid> = row.get("linked_uid")?;
    Ok(ReadingRow {
        order: row.get("id")?,
        org: row.get("org_id")?,
        accession: row.get("accession")?,
        patient: PatientSummary {
            id: row.get("patient_id")?,
            name: row.get("name")?,
            name_latin: row.get("name_latin")?,
            sex: word(row, "sex", Sex::parse)?,
            birth_date: birth.and_then(|text| text.parse::<Date>().ok()),
            mrn: row.get("mrn")?,
        },
        item_name: with(row.get("item_name")?),
        item_name_en: with(row.get("item_name_en")?),
        modality: row.get("modality")?,
        priority: word(row, "priority", Priority::parse)?,
        state: word(row, "state", ExamState::parse)?,
        study_uid: match given {
            Some(uid) => uid,
            None => row.get("study_uid")?,
        },
        images: row.get("images")?,
        imaged_at: row.get("imaged_at")?,
        waiting_since: row.get("since")?,
        locked_by: row.get("locked_by")?,
    })
}
