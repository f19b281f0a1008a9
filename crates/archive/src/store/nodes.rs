//! Nodes, and which of them holds which store.

use crate::nodes::{Kind, NodeRow, StoreRow};
use mingying_db::{Db, DbError, Row, Tx, params};
use mingying_kernel::Timestamp;
use std::time::Duration;

/// Taken by whoever changes who holds what: a node that comes back and one that takes its store over wait for each other.
const NODES_LOCK: i64 = 0x6e6f_6465;

/// A node that holds nothing is forgotten after this time.
const FORGOTTEN: Duration = Duration::from_hours(30 * 24);

fn node(row: &Row) -> Result<NodeRow, DbError> {
    Ok(NodeRow {
        id: row.get("id")?,
        name: row.get("name")?,
        address: row.get("address")?,
        certificate: row.get("certificate")?,
        key_check: row.get("key_check")?,
        version: row.get("version")?,
        session: row.get("session")?,
        started_at: row.get("started_at")?,
        beat: row.get("beat")?,
        seen_at: row.get("seen_at")?,
        stopped: row.get::<i64>("stopped")? == 1,
    })
}

fn store(row: &Row) -> Result<StoreRow, DbError> {
    Ok(StoreRow {
        store: row.get("store")?,
        kind: if row.get::<String>("kind")? == "siblings" { Kind::Siblings } else { Kind::Originals },
        node_id: row.get("node_id")?,
        holder: row.get("holder")?,
        folder: row.get::<String>("folder")?.into(),
        made_by: row.get("made_by")?,
        since: row.get("since")?,
    })
}

pub(crate) async fn nodes(db: &Db) -> Result<Vec<NodeRow>, DbError> {
    let sql = "SELECT id, name, address, certificate, key_check, version, session, started_at, beat, seen_at, stopped \
         FROM nodes ORDER BY name, id";
    db.query(sql, params![]).await?.iter().map(node).collect()
}

pub(crate) async fn stores(db: &Db) -> Result<Vec<StoreRow>, DbError> {
    let sql = "SELECT store, kind, node_id, holder, folder, made_by, since FROM pack_stores ORDER BY store";
    db.query(sql, params![]).await?.iter().map(store).collect()
}

/// Begins a session of a node; all that it held it holds again. A node that nobody has heard of for ever and that holds
/// nothing is not kept.
pub(crate) async fn join(db: &Db, node: &NodeRow) -> Result<(), DbError> {
    let mut tx = db.begin().await?;
    tx.lock(NODES_LOCK).await?;
    tx.execute(
        "INSERT INTO nodes (id, name, address, certificate, key_check, version, session, started_at, beat, seen_at, \
         stopped) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, $8, 0) ON CONFLICT (id) DO UPDATE SET \
         name = excluded.name, address = excluded.address, certificate = excluded.certificate, \
         key_check = excluded.key_check, version = excluded.version, session = excluded.session, \
         started_at = excluded.started_at, beat = nodes.beat + 1, seen_at = excluded.seen_at, stopped = 0",
        params![
            &node.id,
            &node.name,
            &node.address,
            &node.certificate,
            &node.key_check,
            &node.version,
            &node.session,
            node.started_at
        ],
    )
    .await?;
    tx.execute(
        "DELETE FROM nodes WHERE seen_at < $1 AND NOT EXISTS \
         (SELECT 1 FROM pack_stores s WHERE s.node_id = nodes.id OR s.made_by = nodes.id)",
        params![node.started_at.minus(FORGOTTEN)],
    )
    .await?;
    tx.execute("UPDATE pack_stores SET holder = $1 WHERE node_id = $2", params![&node.session, &node.id]).await?;
    tx.commit().await
}

/// Shows that the node lives. `false` when another session of it has begun.
pub(crate) async fn beat(db: &Db, id: &str, session: &str, now: Timestamp) -> Result<bool, DbError> {
    let mut tx = db.begin_replayable().await?;
    let sql = "UPDATE nodes SET beat = beat + 1, seen_at = $1 WHERE id = $2 AND session = $3";
    let changed = tx.execute(sql, params![now, id, session]).await?;
    tx.commit().await?;
    Ok(changed == 1)
}

/// Notes that a session ends in good order.
pub(crate) async fn leave(db: &Db, id: &str, session: &str, now: Timestamp) -> Result<(), DbError> {
    let sql = "UPDATE nodes SET stopped = 1, beat = beat + 1, seen_at = $1 WHERE id = $2 AND session = $3";
    db.execute(sql, params![now, id, session]).await?;
    Ok(())
}

/// Notes that a node holds the store that it writes into a folder. `false` when another one holds it. What else the node
/// noted for this folder was never written.
pub(crate) async fn claim_store(db: &Db, row: &StoreRow) -> Result<bool, DbError> {
    let kind = row.kind.as_str();
    let folder = row.folder.to_string_lossy().into_owned();
    let mut tx = db.begin().await?;
    tx.lock(NODES_LOCK).await?;
    tx.execute(
        "DELETE FROM pack_stores WHERE node_id = $1 AND made_by = $1 AND folder = $2 AND kind = $3 AND store <> $4",
        params![&row.node_id, &folder, kind, row.store],
    )
    .await?;
    let changed = tx
        .execute(
            "INSERT INTO pack_stores (store, kind, node_id, holder, folder, made_by, since) \
             VALUES ($1, $2, $3, $4, $5, $3, $6) ON CONFLICT (store) DO UPDATE SET holder = excluded.holder, \
             folder = excluded.folder WHERE pack_stores.node_id = excluded.node_id \
             AND pack_stores.made_by = excluded.made_by",
            params![row.store, kind, &row.node_id, &row.holder, &folder, row.since],
        )
        .await?;
    tx.commit().await?;
    Ok(changed == 1)
}

/// Makes every store this node's: on SQLite, where no other can be.
pub(crate) async fn claim_all(db: &Db, node: &NodeRow) -> Result<(), DbError> {
    let mut tx = db.begin().await?;
    tx.execute(
        "UPDATE pack_stores SET node_id = $1, made_by = $1, holder = $2 WHERE node_id <> $1",
        params![&node.id, &node.session],
    )
    .await?;
    tx.execute("DELETE FROM nodes WHERE id <> $1", params![&node.id]).await?;
    tx.commit().await
}

/// Takes a store over from a node that has shown no life since `seen`; in which folder it lies now. `false` when that
/// node lives after all, or another one was faster.
pub(crate) async fn take_over(
    db: &Db,
    store: &StoreRow,
    seen: &NodeRow,
    by: (&str, &str),
    now: Timestamp,
) -> Result<bool, DbError> {
    let mut tx: Tx = db.begin().await?;
    tx.lock(NODES_LOCK).await?;
    let changed = tx
        .execute(
            "UPDATE pack_stores SET node_id = $1, holder = $2, folder = $3, since = $4 \
             WHERE store = $5 AND node_id = $6 AND holder = $7 \
             AND EXISTS (SELECT 1 FROM nodes WHERE id = $6 AND beat = $8 AND session = $9)",
            params![
                by.0,
                by.1,
                store.folder.to_string_lossy().into_owned(),
                now,
                store.store,
                &store.node_id,
                &store.holder,
                seen.beat,
                &seen.session
            ],
        )
        .await?;
    tx.commit().await?;
    Ok(changed == 1)
}

/// Forgets all of it: the rows are of the installation that a backup was made of.
pub(crate) async fn forget_nodes(db: &Db) -> Result<(), DbError> {
    let mut tx = db.begin().await?;
    tx.execute("DELETE FROM pack_stores", params![]).await?;
    tx.execute("DELETE FROM nodes", params![]).await?;
    tx.commit().await
}
