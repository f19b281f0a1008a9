use crate::Share;
use mingying_db::{AssertSqlSafe, Db, DbError, Row, Tx, params, scope_sql};
use mingying_kernel::{EventId, OrderId, Scope, ShareId, Timestamp};
use std::time::Duration;

/// The low half of the UUID, which is random, as the key of an advisory lock.
pub(crate) fn share_key(id: ShareId) -> i64 {
    id.uuid().as_u128() as i64
}

const SHARE: &str = "id, order_id, org_id, patient_id, images, created_at, created_by_name, expires_at, revoked_at, \
     opens, last_opened_at";

fn share(row: &Row) -> Result<Share, DbError> {
    Ok(Share {
        id: row.get("id")?,
        order: row.get("order_id")?,
        org: row.get("org_id")?,
        patient: row.get("patient_id")?,
        images: row.get("images")?,
        created_at: row.get("created_at")?,
        created_by: row.get("created_by_name")?,
        expires_at: row.get("expires_at")?,
        revoked_at: row.get("revoked_at")?,
        opens: row.get("opens")?,
        last_opened_at: row.get("last_opened_at")?,
    })
}

/// Place and sensitivity are the order's.
pub(crate) async fn insert(tx: &mut Tx, share: &Share, token_hash: &str, by: &str) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO shares (id, order_id, org_id, campus_id, department_id, sensitivity, patient_id, token_hash, \
         images, created_at, created_by, created_by_name, expires_at, revoked_at, revoked_by, opens, last_opened_at) \
         SELECT $1, o.id, o.org_id, o.campus_id, o.department_id, o.sensitivity, o.patient_id, $2, $3, $4, $5, $6, $7, \
         NULL, NULL, 0, NULL FROM orders o WHERE o.id = $8",
        params![
            share.id,
            token_hash,
            share.images,
            share.created_at,
            by,
            &share.created_by,
            share.expires_at,
            share.order
        ],
    )
    .await?;
    Ok(())
}

pub(crate) async fn load_in(tx: &mut Tx, scope: Scope, id: ShareId) -> Result<Option<Share>, DbError> {
    let sql = format!("SELECT {SHARE} FROM shares WHERE id = $1 AND {}", scope_sql(scope, "org_id"));
    tx.query_opt(AssertSqlSafe(sql), params![id]).await?.as_ref().map(share).transpose()
}

pub(crate) async fn by_token(tx: &mut Tx, token_hash: &str) -> Result<Option<Share>, DbError> {
    let sql = format!("SELECT {SHARE} FROM shares WHERE token_hash = $1");
    tx.query_opt(AssertSqlSafe(sql), params![token_hash]).await?.as_ref().map(share).transpose()
}

pub(crate) async fn by_token_read(db: &Db, token_hash: &str) -> Result<Option<Share>, DbError> {
    let sql = format!("SELECT {SHARE} FROM shares WHERE token_hash = $1");
    db.query_opt(AssertSqlSafe(sql), params![token_hash]).await?.as_ref().map(share).transpose()
}

pub(crate) async fn of_order(db: &Db, scope: Scope, order: OrderId) -> Result<Vec<Share>, DbError> {
    let sql = format!(
        "SELECT {SHARE} FROM shares WHERE order_id = $1 AND {} ORDER BY created_at DESC, id DESC",
        scope_sql(scope, "org_id")
    );
    db.query(AssertSqlSafe(sql), params![order]).await?.iter().map(share).collect()
}

pub(crate) async fn revoke(tx: &mut Tx, id: ShareId, at: Timestamp, by: &str) -> Result<(), DbError> {
    tx.execute("UPDATE shares SET revoked_at = $1, revoked_by = $2 WHERE id = $3", params![at, by, id]).await?;
    tx.execute("DELETE FROM share_sessions WHERE share_id = $1", params![id]).await?;
    Ok(())
}

/// When the window's first failed try was, if there are at least `limit` of them.
pub(crate) async fn tries_of_share(
    tx: &mut Tx,
    id: ShareId,
    since: Timestamp,
    limit: u32,
) -> Result<Option<Timestamp>, DbError> {
    let row = tx
        .query_one(
            "SELECT COUNT(*) AS tries, MIN(at) AS oldest FROM share_tries WHERE share_id = $1 AND at > $2",
            params![id, since],
        )
        .await?;
    let oldest: Option<Timestamp> = row.get("oldest")?;
    Ok(if row.get::<i64>("tries")? >= i64::from(limit) { oldest } else { None })
}

/// As `tries_of_share`, over all links from one address.
pub(crate) async fn tries_of_address(
    tx: &mut Tx,
    address: &str,
    since: Timestamp,
    limit: u32,
) -> Result<Option<Timestamp>, DbError> {
    let row = tx
        .query_one(
            "SELECT COUNT(*) AS tries, MIN(at) AS oldest FROM share_tries WHERE address = $1 AND at > $2",
            params![address, since],
        )
        .await?;
    let oldest: Option<Timestamp> = row.get("oldest")?;
    Ok(if row.get::<i64>("tries")? >= i64::from(limit) { oldest } else { None })
}

/// Notes a failed try and forgets those that no window counts any more.
pub(crate) async fn insert_try(tx: &mut Tx, id: ShareId, address: &str, at: Timestamp) -> Result<(), DbError> {
    tx.execute("DELETE FROM share_tries WHERE at < $1", params![at.minus(Duration::from_hours(1))]).await?;
    tx.execute(
        "INSERT INTO share_tries (id, share_id, address, at) VALUES ($1, $2, $3, $4)",
        params![EventId::new(), id, address, at],
    )
    .await?;
    Ok(())
}

/// Opens a session and forgets ended ones.
pub(crate) async fn insert_session(
    tx: &mut Tx,
    hash: &str,
    id: ShareId,
    at: Timestamp,
    until: Timestamp,
) -> Result<(), DbError> {
    tx.execute("DELETE FROM share_sessions WHERE expires_at < $1", params![at]).await?;
    tx.execute(
        "INSERT INTO share_sessions (hash, share_id, created_at, expires_at) VALUES ($1, $2, $3, $4)",
        params![hash, id, at, until],
    )
    .await?;
    Ok(())
}

pub(crate) async fn has_session(db: &Db, hash: &str, id: ShareId, now: Timestamp) -> Result<bool, DbError> {
    let row = db
        .query_opt(
            "SELECT share_id FROM share_sessions WHERE hash = $1 AND share_id = $2 AND expires_at > $3",
            params![hash, id, now],
        )
        .await?;
    Ok(row.is_some())
}

/// One more opening; how many there are now.
pub(crate) async fn count_open(tx: &mut Tx, id: ShareId, at: Timestamp) -> Result<u32, DbError> {
    tx.query_one(
        "UPDATE shares SET opens = opens + 1, last_opened_at = $1 WHERE id = $2 RETURNING opens",
        params![at, id],
    )
    .await?
    .get("opens")
}
