use crate::queue::{Direction, MessageRow, MessageState};
use mingying_db::{AssertSqlSafe, Db, DbError, Row, Tx, params};
use mingying_hl7::Charset;
use mingying_kernel::{EventId, MessageId, OrderId, Timestamp};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// SHA-256 of a message's bytes, lower-case hex.
pub(crate) fn hash_of(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A message as it arrived or was sent.
pub(crate) struct NewMessage<'a> {
    pub id: MessageId,
    pub direction: Direction,
    pub peer: &'a str,
    pub kind: &'a str,
    pub control_id: &'a str,
    pub charset: Charset,
    pub raw: &'a [u8],
    pub hash: &'a str,
    pub event: Option<EventId>,
    pub order: Option<OrderId>,
    pub at: Timestamp,
}

pub(crate) async fn insert(tx: &mut Tx, message: &NewMessage<'_>) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO hl7_messages (id, direction, peer, kind, control_id, state, charset, raw, hash, order_id, event_id, \
         attempts, received_at) VALUES ($1, $2, $3, $4, $5, 'received', $6, $7, $8, $9, $10, 0, $11)",
        params![
            message.id,
            message.direction.as_str(),
            message.peer,
            message.kind,
            message.control_id,
            message.charset.msh18(),
            message.raw,
            message.hash,
            message.order,
            message.event,
            message.at
        ],
    )
    .await?;
    Ok(())
}

pub(crate) async fn finish(tx: &mut Tx, id: MessageId, order: Option<OrderId>, now: Timestamp) -> Result<(), DbError> {
    tx.execute(
        "UPDATE hl7_messages SET state = 'done', order_id = COALESCE($1, order_id), error_code = NULL, error_at = NULL, \
         attempts = attempts + 1, finished_at = $2 WHERE id = $3",
        params![order, now, id],
    )
    .await?;
    Ok(())
}

pub(crate) async fn fail(tx: &mut Tx, id: MessageId, code: &str, at: &str, now: Timestamp) -> Result<(), DbError> {
    tx.execute(
        "UPDATE hl7_messages SET state = 'error', error_code = $1, error_at = $2, attempts = attempts + 1, \
         finished_at = $3 WHERE id = $4",
        params![code, at, now, id],
    )
    .await?;
    Ok(())
}

/// Who sent the message, and its kind.
pub(crate) async fn origin(tx: &mut Tx, id: MessageId) -> Result<(String, String), DbError> {
    let row = tx.query_one("SELECT peer, kind FROM hl7_messages WHERE id = $1", params![id]).await?;
    Ok((row.get("peer")?, row.get("kind")?))
}

pub(crate) async fn correct(tx: &mut Tx, id: MessageId, text: &[u8]) -> Result<(), DbError> {
    tx.execute("UPDATE hl7_messages SET corrected = $1 WHERE id = $2", params![text, id]).await?;
    Ok(())
}

/// Whether the very same message was already acted on: a sender that lost our answer sends it again.
pub(crate) async fn already_done(db: &Db, peer: &str, control_id: &str, hash: &str) -> Result<bool, DbError> {
    let row = db
        .query_opt(
            "SELECT id FROM hl7_messages WHERE peer = $1 AND control_id = $2 AND hash = $3 AND direction = 'in' \
             AND state = 'done' LIMIT 1",
            params![peer, control_id, hash],
        )
        .await?;
    Ok(row.is_some())
}

/// The message sent to `peer` for `event`, if there is one.
pub(crate) async fn sent_for(
    db: &Db,
    event: EventId,
    peer: &str,
) -> Result<Option<(MessageId, MessageState)>, DbError> {
    let row = db
        .query_opt(
            "SELECT id, state FROM hl7_messages WHERE event_id = $1 AND peer = $2 AND direction = 'out'",
            params![event, peer],
        )
        .await?;
    row.map(|row| Ok((row.get("id")?, MessageState::parse(&row.get::<String>("state")?)))).transpose()
}

const COLUMNS: &str =
    "id, direction, peer, kind, control_id, state, error_code, error_at, order_id, attempts, received_at";

fn message(row: &Row) -> Result<MessageRow, DbError> {
    Ok(MessageRow {
        id: row.get("id")?,
        direction: if row.get::<String>("direction")? == "in" { Direction::In } else { Direction::Out },
        peer: row.get("peer")?,
        kind: row.get("kind")?,
        control_id: row.get("control_id")?,
        state: MessageState::parse(&row.get::<String>("state")?),
        error_code: row.get("error_code")?,
        error_at: row.get("error_at")?,
        order: row.get("order_id")?,
        attempts: row.get("attempts")?,
        received_at: row.get("received_at")?,
    })
}

/// Newest first; `before` is the id of the last row of the page before.
pub(crate) async fn list(
    db: &Db,
    state: Option<MessageState>,
    direction: Option<Direction>,
    before: Option<MessageId>,
    limit: u32,
) -> Result<Vec<MessageRow>, DbError> {
    // Ids are time-ordered, so one index serves page and order.
    let mut sql = format!("SELECT {COLUMNS} FROM hl7_messages WHERE id < $1");
    if let Some(state) = state {
        let _ = write!(sql, " AND state = '{}'", state.as_str());
    }
    if let Some(direction) = direction {
        let _ = write!(sql, " AND direction = '{}'", direction.as_str());
    }
    sql.push_str(" ORDER BY id DESC LIMIT $2");
    let before = before.map_or_else(|| "~".to_owned(), |id| id.to_string());
    db.query(AssertSqlSafe(sql), params![before, limit]).await?.iter().map(message).collect()
}

/// The row, and the text to act on: the corrected one where there is one.
pub(crate) async fn load(db: &Db, id: MessageId) -> Result<(MessageRow, Vec<u8>), DbError> {
    let sql = format!("SELECT {COLUMNS}, COALESCE(corrected, raw) AS body FROM hl7_messages WHERE id = $1");
    let row = db.query_one(AssertSqlSafe(sql), params![id]).await?;
    Ok((message(&row)?, row.get("body")?))
}

/// A system that gets results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receiver {
    pub name: String,
    pub host: String,
    pub port: u16,
    /// MSH-5
    pub application: String,
    /// MSH-6
    pub facility: String,
    pub charset: Charset,
    pub tls: bool,
    pub active: bool,
}

pub(crate) async fn receivers(db: &Db) -> Result<Vec<Receiver>, DbError> {
    db.query(
        "SELECT name, host, port, application, facility, charset, tls, active FROM hl7_receivers ORDER BY name",
        params![],
    )
    .await?
    .iter()
    .map(|row| {
        Ok(Receiver {
            name: row.get("name")?,
            host: row.get("host")?,
            port: row.get("port")?,
            application: row.get("application")?,
            facility: row.get("facility")?,
            charset: Charset::parse(&row.get::<String>("charset")?).unwrap_or(Charset::Utf8),
            tls: row.get("tls")?,
            active: row.get("active")?,
        })
    })
    .collect()
}

pub(crate) async fn put_receiver(tx: &mut Tx, receiver: &Receiver) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO hl7_receivers (name, host, port, application, facility, charset, tls, active) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (name) DO UPDATE SET host = excluded.host, \
         port = excluded.port, application = excluded.application, facility = excluded.facility, \
         charset = excluded.charset, tls = excluded.tls, active = excluded.active",
        params![
            &receiver.name,
            &receiver.host,
            receiver.port,
            &receiver.application,
            &receiver.facility,
            receiver.charset.msh18(),
            receiver.tls,
            receiver.active
        ],
    )
    .await?;
    Ok(())
}
