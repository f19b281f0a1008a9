//! Row keys, and how far packs are indexed and events have told.

use super::{INDEX_LOCK, StudyBrief};
use mingying_db::{AssertSqlSafe, Db, DbError, Tx, params};
use mingying_kernel::Timestamp;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Row keys, taken from the database in blocks.
pub(crate) struct Keys {
    next: i64,
    end: i64,
    block: i64,
    /// The session of the node that writes the index; empty where there are no nodes.
    holder: String,
    said: Mutex<Said>,
}

/// Checkpoints, each a pack and how far it is indexed.
#[derive(Clone, Copy, Default)]
struct Said {
    /// The newest that was committed.
    committed: Option<(u64, u64)>,
    /// In the transaction that runs.
    running: Option<(u64, u64)>,
}

impl Keys {
    pub fn in_blocks_of(block: i64) -> Self {
        Self { next: 0, end: 0, block, holder: String::new(), said: Mutex::default() }
    }

    /// For the index of stores that this session holds.
    pub fn of(self, holder: Option<&str>) -> Self {
        Self { holder: holder.unwrap_or_default().to_owned(), ..self }
    }

    /// Forgets the block and the checkpoint: they were of a transaction that did not commit.
    pub fn forget(&mut self) {
        self.end = self.next;
        self.said.get_mut().unwrap_or_else(PoisonError::into_inner).running = None;
    }

    /// Forgets everything: the database is not as it was left.
    pub fn forget_all(&mut self) {
        self.end = self.next;
        *self.said.get_mut().unwrap_or_else(PoisonError::into_inner) = Said::default();
    }

    /// Commits a transaction in which a checkpoint moved.
    pub async fn commit(&self, tx: Tx) -> Result<(), DbError> {
        tx.commit().await?;
        let mut said = self.said();
        said.committed = said.running.take().or(said.committed);
        Ok(())
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the database has lost what was committed last: a commit is not synced, so a crash of the database, which
    /// this process outlives, takes the newest ones back.
    pub async fn has_gap(&self, db: &Db) -> Result<bool, DbError> {
        let Some((pack, to)) = self.said().committed else { return Ok(false) };
        let row = db.query_opt("SELECT indexed_to FROM pack_checkpoints WHERE pack = $1", params![pack]).await?;
        Ok(row.map(|row| row.get::<u64>("indexed_to")).transpose()?.unwrap_or(0) < to)
    }

    pub async fn take(&mut self, tx: &mut Tx) -> Result<i64, DbError> {
        if self.next >= self.end {
            let row = tx
                .query_one(
                    "UPDATE archive_keys SET next = next + $1 WHERE name = 'archive' RETURNING next",
                    params![self.block],
                )
                .await?;
            self.end = row.get("next")?;
            self.next = self.end - self.block;
        }
        self.next += 1;
        Ok(self.next - 1)
    }
}

/// Moves the checkpoint of a pack forward. `Serialization`, and nothing of the transaction may be committed, when the
/// pack's store is held by another session than the one that writes the index, and when the checkpoint before this one
/// is not there: then the database has lost commits, and what they held is to be replayed first.
pub(crate) async fn checkpoint(tx: &mut Tx, keys: &Keys, pack: u64, indexed_to: u64) -> Result<(), DbError> {
    let (last, to) = keys.said().committed.unwrap_or((0, 0));
    let moved = tx
        .execute(
            "INSERT INTO pack_checkpoints (pack, indexed_to) SELECT CAST($1 AS BIGINT), CAST($2 AS BIGINT) \
             WHERE NOT EXISTS (SELECT 1 FROM pack_stores WHERE store = $3 AND holder <> $4) \
             AND (CAST($5 AS BIGINT) = 0 OR EXISTS (SELECT 1 FROM pack_checkpoints WHERE pack = $5 AND indexed_to >= $6)) \
             ON CONFLICT (pack) DO UPDATE SET indexed_to = CASE WHEN pack_checkpoints.indexed_to < excluded.indexed_to \
             THEN excluded.indexed_to ELSE pack_checkpoints.indexed_to END",
            params![pack, indexed_to, mingying_blob::store_of(pack), keys.holder.as_str(), last, to],
        )
        .await?;
    if moved == 0 {
        tracing::error!(
            pack,
            "the index is not as it was left, or the store is another node's now; nothing is indexed"
        );
        return Err(DbError::Serialization);
    }
    keys.said().running = Some((pack, indexed_to));
    Ok(())
}

/// Up to where each pack is indexed.
pub(crate) async fn checkpoints(db: &Db) -> Result<HashMap<u64, u64>, DbError> {
    db.query("SELECT pack, indexed_to FROM pack_checkpoints", params![])
        .await?
        .iter()
        .map(|row| Ok((row.get("pack")?, row.get("indexed_to")?)))
        .collect()
}

/// Notes that an event has told about all instances the study has now.
pub(crate) async fn announced(tx: &mut Tx, study_key: i64) -> Result<(), DbError> {
    tx.execute("UPDATE studies SET announced = instance_count WHERE key = $1", params![study_key]).await?;
    Ok(())
}

/// Studies with instances that no event has told about, and how many: what a crash left.
/// Only of studies with instances of this store: other nodes tell of theirs.
pub(crate) async fn unannounced(db: &Db, store: u32) -> Result<Vec<(StudyBrief, i64, String)>, DbError> {
    let packs = u64::from(store) << 32;
    db.query(
        "SELECT key, study_uid, org_id, accession, patient_id, patient_id_issuer, instance_count, announced, source \
         FROM studies WHERE announced <> instance_count AND EXISTS (SELECT 1 FROM instances i \
         WHERE i.study_key = studies.key AND i.pack >= $1 AND i.pack <= $2) ORDER BY key",
        params![packs, packs | u64::from(u32::MAX)],
    )
    .await?
    .iter()
    .map(|row| {
        let brief = super::index::brief(row)?;
        let missing = brief.instances - row.get::<i64>("announced")?;
        Ok((brief, missing, row.get("source")?))
    })
    .collect()
}

/// Packs that were taken out of the index: their files are to go.
pub(crate) async fn removed_packs(db: &Db) -> Result<Vec<u64>, DbError> {
    db.query("SELECT pack FROM removed_packs ORDER BY pack", params![])
        .await?
        .iter()
        .map(|row| row.get("pack"))
        .collect()
}

/// Takes a pack out of the index, with the rows of what is dead in it. `false` when something there still lives.
pub(crate) async fn retire(db: &Db, pack: u64, now: Timestamp) -> Result<bool, DbError> {
    let mut tx = db.begin().await?;
    tx.lock(INDEX_LOCK).await?;
    let row = tx.query_one(LIVING, params![pack]).await?;
    if row.get::<i64>("n")? > 0 {
        return Ok(false);
    }
    for table in ["deleted_objects", "quarantine"] {
        let sql = format!("DELETE FROM {table} WHERE COALESCE(moved_to, pack) = $1");
        tx.execute(AssertSqlSafe(sql), params![pack]).await?;
    }
    tx.execute("DELETE FROM repeated_records WHERE pack = $1", params![pack]).await?;
    tx.execute("DELETE FROM damages WHERE pack = $1", params![pack]).await?;
    tx.execute(
        "INSERT INTO removed_packs (pack, removed_at) VALUES ($1, $2) ON CONFLICT (pack) DO NOTHING",
        params![pack, now],
    )
    .await?;
    tx.commit().await?;
    Ok(true)
}

/// How many rows need bytes of a pack.
const LIVING: &str = "SELECT \
     (SELECT COUNT(*) FROM instances WHERE (pack = $1 AND moved_to IS NULL) OR moved_to = $1) + \
     (SELECT COUNT(*) FROM duplicates WHERE (pack = $1 AND moved_to IS NULL) OR moved_to = $1) + \
     (SELECT COUNT(*) FROM quarantine WHERE state = 'held' AND ((pack = $1 AND moved_to IS NULL) OR moved_to = $1)) + \
     (SELECT COUNT(*) FROM deleted_objects o JOIN deletions d ON d.key = o.deletion_key \
      WHERE d.state = 'deleted' AND ((o.pack = $1 AND o.moved_to IS NULL) OR o.moved_to = $1)) AS n";

const REBUILDING: &str = "rebuilding";

/// The archive's tables, those that refer to others first. Deletions come back with their tombstones.
const INDEX: [&str; 12] = [
    "DELETE FROM deleted_objects",
    "DELETE FROM deletions",
    "DELETE FROM frame_indexes",
    "DELETE FROM siblings",
    "DELETE FROM duplicates",
    "DELETE FROM quarantine",
    "DELETE FROM repeated_records",
    "DELETE FROM instances",
    "DELETE FROM series",
    "DELETE FROM study_names",
    "DELETE FROM studies",
    "DELETE FROM pack_checkpoints",
];

/// Empties the index. Notes that it is being rebuilt when there was anything in it, so that what it held is not told of
/// again; row keys go on, so that no old one ever means something new.
pub(crate) async fn clear(tx: &mut Tx) -> Result<(), DbError> {
    let row = tx.query_one("SELECT COUNT(*) AS n FROM pack_checkpoints", params![]).await?;
    if row.get::<i64>("n")? > 0 {
        tx.execute(
            "INSERT INTO archive_state (name, value) VALUES ($1, 1) ON CONFLICT (name) DO UPDATE SET value = 1",
            params![REBUILDING],
        )
        .await?;
    }
    for sql in INDEX {
        tx.execute(sql, params![]).await?;
    }
    Ok(())
}

/// Whether the index is being made again beside events that told of it already.
pub(crate) async fn is_rebuilding(db: &Db) -> Result<bool, DbError> {
    let row = db.query_opt("SELECT value FROM archive_state WHERE name = $1", params![REBUILDING]).await?;
    row.map_or(Ok(false), |row| Ok(row.get::<i64>("value")? == 1))
}

/// The index is whole again, and nothing in it is news.
pub(crate) async fn end_rebuild(db: &Db) -> Result<(), DbError> {
    let mut tx = db.begin().await?;
    tx.execute("UPDATE studies SET announced = instance_count WHERE announced <> instance_count", params![]).await?;
    tx.execute("DELETE FROM archive_state WHERE name = $1", params![REBUILDING]).await?;
    tx.commit().await
}
