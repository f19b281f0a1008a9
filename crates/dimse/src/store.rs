//! The peers table: the only SQL of this crate.

use crate::peers::{Echo, NewPeer, Peer, PeerKind, PeerRules};
use mingying_db::{AssertSqlSafe, Db, DbError, Row, Tx, params};
use mingying_kernel::{AeTitle, OrgId, Timestamp};

const COLUMNS: &str = "aet, host, port, kind, charset, services, max_associations, org_id, created_at, received, \
                       last_seen_at, echo_at, echo_ok, echo_ms, echo_error";

fn peer(row: &Row) -> Result<Peer, DbError> {
    let echo = match row.get::<Option<Timestamp>>("echo_at")? {
        Some(at) => Some(Echo {
            at,
            ok: row.get::<Option<bool>>("echo_ok")?.unwrap_or_default(),
            ms: row.get::<Option<u64>>("echo_ms")?.unwrap_or_default(),
            error: row.get("echo_error")?,
        }),
        None => None,
    };
    Ok(Peer {
        aet: row.get("aet")?,
        host: row.get("host")?,
        port: row.get("port")?,
        kind: PeerKind::parse(&row.get::<String>("kind")?),
        charset: row.get("charset")?,
        // Words of a later version would open what they are to close: an unknown rule is a fault.
        rules: PeerRules::parse(
            &row.get::<String>("services")?,
            row.get::<Option<i64>>("max_associations")?.and_then(|most| u32::try_from(most).ok()),
        )
        .map_err(|_| DbError::Column("services".to_owned()))?,
        org: row.get("org_id")?,
        created_at: row.get("created_at")?,
        received: row.get("received")?,
        last_seen: row.get("last_seen_at")?,
        last_echo: echo,
    })
}

pub(crate) async fn list(db: &Db) -> Result<Vec<Peer>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM peers ORDER BY aet");
    db.query(AssertSqlSafe(sql), params![]).await?.iter().map(peer).collect()
}

pub(crate) async fn find(db: &Db, aet: &AeTitle) -> Result<Option<Peer>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM peers WHERE aet = $1");
    db.query_opt(AssertSqlSafe(sql), params![aet]).await?.as_ref().map(peer).transpose()
}

/// False when the title is taken.
pub(crate) async fn insert(tx: &mut Tx, new: &NewPeer, org: Option<OrgId>, at: Timestamp) -> Result<bool, DbError> {
    let rows = tx
        .execute(
            "INSERT INTO peers (aet, host, port, kind, charset, services, max_associations, org_id, created_at, received) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0) ON CONFLICT (aet) DO NOTHING",
            params![
                &new.aet,
                &new.host,
                new.port,
                new.kind.as_str(),
                &new.charset,
                new.rules.words(),
                new.rules.max_associations.map(i64::from),
                org,
                at
            ],
        )
        .await?;
    Ok(rows == 1)
}

pub(crate) async fn delete(tx: &mut Tx, aet: &AeTitle) -> Result<bool, DbError> {
    Ok(tx.execute("DELETE FROM peers WHERE aet = $1", params![aet]).await? == 1)
}

pub(crate) async fn set_echo(tx: &mut Tx, aet: &AeTitle, echo: &Echo) -> Result<(), DbError> {
    tx.execute(
        "UPDATE peers SET echo_at = $2, echo_ok = $3, echo_ms = $4, echo_error = $5 WHERE aet = $1",
        params![aet, echo.at, echo.ok, echo.ms, echo.error.clone()],
    )
    .await?;
    Ok(())
}

/// Adds what came from a peer since the last time.
pub(crate) async fn add_received(tx: &mut Tx, aet: &str, received: u64, seen: Timestamp) -> Result<(), DbError> {
    tx.execute(
        "UPDATE peers SET received = received + $2, last_seen_at = $3 WHERE aet = $1",
        params![aet, received, seen],
    )
    .await?;
    Ok(())
}
