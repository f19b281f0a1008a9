//! The audit log: append-only rows written in the change's transaction, unsealed; the sealer chains them later.

use crate::ReadAudit;
use mingying_db::{AssertSqlSafe, Db, DbError, Row, Tx, params};
use mingying_events::{About, Payload};
use mingying_kernel::{Action, Ctx, EventId, Permit, Timestamp};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Denied,
    Failed,
}

impl Outcome {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Denied => "denied",
            Self::Failed => "failed",
        }
    }
}

/// Writes the event and its audit row: what every use case calls once per change.
pub async fn record<A: Action, P: Payload>(
    tx: &mut Tx,
    permit: &Permit<A>,
    about: &About,
    payload: &P,
) -> Result<EventId, DbError> {
    let event = mingying_events::emit(tx, permit.ctx(), about, payload).await?;
    audit(tx, permit.ctx(), permit.action(), about.kind, &about.id, Outcome::Done, P::TOPIC).await?;
    Ok(event)
}

/// Writes an audit row alone: reads of patient data, refusals, sign-ins. `detail` holds codes, never patient data.
pub async fn audit(
    tx: &mut Tx,
    ctx: &Ctx,
    action: &str,
    object_kind: &str,
    object_id: &str,
    outcome: Outcome,
    detail: &str,
) -> Result<(), DbError> {
    let actor = ctx.actor();
    let id = EventId::new();
    tx.execute("INSERT INTO audit_unsealed (audit_id) VALUES ($1)", params![id]).await?;
    tx.execute(
        "INSERT INTO audit (id, at, actor_kind, actor_id, source, request_id, action, object_kind, object_id, outcome, \
         detail) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        params![
            id,
            ctx.now(),
            actor.kind.as_str(),
            &actor.id,
            ctx.source(),
            ctx.request().to_string(),
            action,
            object_kind,
            object_id,
            outcome.as_str(),
            detail
        ],
    )
    .await?;
    Ok(())
}

/// Writes the audit row of a read of patient data, in a small transaction of its own. Its commit does not wait for the
/// disk: a power cut may lose the reads of the last moment, never a change.
pub async fn audit_read<A: Action>(
    db: &Db,
    permit: &Permit<A>,
    object_kind: &str,
    object_id: &str,
) -> Result<(), DbError> {
    let mut tx = db.begin_replayable().await?;
    audit(&mut tx, permit.ctx(), permit.action(), object_kind, object_id, Outcome::Done, "read").await?;
    tx.commit().await
}

/// Writes the audit row of a refusal: the role does not allow `action`.
pub async fn audit_denied(db: &Db, ctx: &Ctx, action: &str, detail: &str) -> Result<(), DbError> {
    let mut tx = db.begin_replayable().await?;
    audit(&mut tx, ctx, action, "action", action, Outcome::Denied, detail).await?;
    tx.commit().await
}

/// One audit row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    pub id: String,
    pub at: Timestamp,
    pub actor_kind: String,
    pub actor_id: String,
    pub source: String,
    pub request_id: String,
    pub action: String,
    pub object_kind: String,
    pub object_id: String,
    pub outcome: String,
    pub detail: String,
    pub sealed: bool,
}

/// Which rows to list; `None` means any.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    pub object_kind: Option<String>,
    pub object_id: Option<String>,
    pub actor_id: Option<String>,
    /// Continues after this row, as the page before gave it.
    pub cursor: Option<String>,
    pub limit: u32,
}

#[derive(Debug, Clone)]
pub struct AuditPage {
    pub rows: Vec<AuditRow>,
    pub next: Option<String>,
}

const COLUMNS: &str = "a.id, a.at, a.actor_kind, a.actor_id, a.source, a.request_id, a.action, a.object_kind, \
     a.object_id, a.outcome, a.detail";

fn row_of(row: &Row, sealed: bool) -> Result<AuditRow, DbError> {
    Ok(AuditRow {
        id: row.get("id")?,
        at: row.get("at")?,
        actor_kind: row.get("actor_kind")?,
        actor_id: row.get("actor_id")?,
        source: row.get("source")?,
        request_id: row.get("request_id")?,
        action: row.get("action")?,
        object_kind: row.get("object_kind")?,
        object_id: row.get("object_id")?,
        outcome: row.get("outcome")?,
        detail: row.get("detail")?,
        sealed,
    })
}

/// Audit rows, newest first. Reading the log is itself written into it.
pub async fn list_audit(db: &Db, permit: &Permit<ReadAudit>, filter: &AuditFilter) -> Result<AuditPage, DbError> {
    let limit = filter.limit.clamp(1, 500);
    let cursor = filter.cursor.as_deref().and_then(|text| text.split_once('_'));
    let (at, id) = match cursor.and_then(|(at, id)| Some((at.parse::<i64>().ok()?, id))) {
        Some((at, id)) => (at, id.to_owned()),
        None => (i64::MAX, String::new()),
    };
    let sql = format!(
        "SELECT {COLUMNS}, CASE WHEN s.seq IS NULL THEN 0 ELSE 1 END AS sealed FROM audit a \
         LEFT JOIN audit_seals s ON s.audit_id = a.id \
         WHERE (a.at < $1 OR (a.at = $1 AND a.id < $2)) \
         AND (CAST($3 AS TEXT) IS NULL OR a.object_kind = $3) AND (CAST($4 AS TEXT) IS NULL OR a.object_id = $4) \
         AND (CAST($5 AS TEXT) IS NULL OR a.actor_id = $5) ORDER BY a.at DESC, a.id DESC LIMIT $6"
    );
    let rows = db
        .query(
            AssertSqlSafe(sql),
            params![at, id, filter.object_kind.clone(), filter.object_id.clone(), filter.actor_id.clone(), limit],
        )
        .await?
        .iter()
        .map(|row| row_of(row, row.get("sealed")?))
        .collect::<Result<Vec<_>, DbError>>()?;
    if filter.cursor.is_none() {
        audit_read(db, permit, "audit", filter.object_id.as_deref().unwrap_or("")).await?;
    }
    let next = if rows.len() < limit as usize {
        None
    } else {
        rows.last().map(|row| format!("{}_{}", row.at.as_micros(), row.id))
    };
    Ok(AuditPage { rows, next })
}

/// Rows without a seal, oldest first.
pub(crate) async fn unsealed(tx: &mut Tx, limit: u32) -> Result<Vec<AuditRow>, DbError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM audit_unsealed w JOIN audit a ON a.id = w.audit_id ORDER BY w.audit_id LIMIT $1"
    );
    tx.query(AssertSqlSafe(sql), params![limit]).await?.iter().map(|row| row_of(row, false)).collect()
}

pub(crate) struct Seal {
    pub seq: i64,
    pub prev_hash: String,
    pub hash: String,
}

/// Seals after `seq` in chain order, each with its row if that still exists.
pub(crate) async fn sealed_after(db: &Db, seq: i64, limit: u32) -> Result<Vec<(Seal, Option<AuditRow>)>, DbError> {
    let sql = format!(
        "SELECT s.seq, s.prev_hash, s.hash, {COLUMNS} FROM audit_seals s LEFT JOIN audit a ON a.id = s.audit_id \
         WHERE s.seq > $1 ORDER BY s.seq LIMIT $2"
    );
    db.query(AssertSqlSafe(sql), params![seq, limit])
        .await?
        .iter()
        .map(|row| {
            let seal = Seal { seq: row.get("seq")?, prev_hash: row.get("prev_hash")?, hash: row.get("hash")? };
            let id: Option<String> = row.get("id")?;
            let found = if id.is_some() { Some(row_of(row, true)?) } else { None };
            Ok((seal, found))
        })
        .collect()
}
