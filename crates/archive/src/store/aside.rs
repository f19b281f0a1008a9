//! What stands beside the index: quarantine, frame indexes, figures, and the rows that `verify` compares.

use crate::model::{Quarantined, Stats};
use crate::record::Place;
use mingying_db::{AssertSqlSafe, Db, DbError, Row, Tx, params, scope_sql};
use mingying_kernel::{OrgId, Scope};
use std::collections::HashSet;

/// A quarantined object with its place.
pub(crate) struct Held {
    pub shown: Quarantined,
    pub org: OrgId,
    pub place: Place,
}

const QUARANTINE: &str = "key, org_id, reason, sop_uid, study_uid, sha256, pack, record_at, payload_at, size, \
     head_len, received_at, source";

fn held(row: &Row) -> Result<Held, DbError> {
    Ok(Held {
        shown: Quarantined {
            id: row.get("key")?,
            received_at: row.get("received_at")?,
            source: row.get("source")?,
            reason: row.get("reason")?,
            size: row.get("size")?,
            sop_uid: row.get("sop_uid")?,
            study_uid: row.get("study_uid")?,
        },
        org: row.get("org_id")?,
        place: super::place(row)?,
    })
}

pub(crate) async fn quarantined(
    db: &Db,
    scope: Scope,
    limit: u32,
    after: Option<i64>,
) -> Result<Vec<Quarantined>, DbError> {
    let sql = format!(
        "SELECT {QUARANTINE} FROM quarantine WHERE state = 'held' AND key < $1 AND {} ORDER BY key DESC LIMIT $2",
        scope_sql(scope, "org_id")
    );
    db.query(AssertSqlSafe(sql), params![after.unwrap_or(i64::MAX), limit])
        .await?
        .iter()
        .map(|row| held(row).map(|h| h.shown))
        .collect()
}

pub(crate) async fn quarantined_one(db: &Db, scope: Scope, key: i64) -> Result<Held, DbError> {
    let sql = format!(
        "SELECT {QUARANTINE} FROM quarantine WHERE key = $1 AND state = 'held' AND {}",
        scope_sql(scope, "org_id")
    );
    held(&db.query_one(AssertSqlSafe(sql), params![key]).await?)
}

/// Moves a quarantined object from `held` to `state`. `false` when it was not held (any more).
pub(crate) async fn settle_quarantined(tx: &mut Tx, pack: u64, record: u64, state: &str) -> Result<bool, DbError> {
    let changed = tx
        .execute(
            "UPDATE quarantine SET state = $1 WHERE pack = $2 AND record_at = $3 AND state = 'held'",
            params![state, pack, record],
        )
        .await?;
    Ok(changed == 1)
}

pub(crate) async fn frame_index(db: &Db, instance_key: i64) -> Result<Option<Vec<u8>>, DbError> {
    let row = db.query_opt("SELECT body FROM frame_indexes WHERE instance_key = $1", params![instance_key]).await?;
    row.map(|row| row.get("body")).transpose()
}

/// Figures of the index; those of the packs are added by the caller.
pub(crate) async fn stats(db: &Db) -> Result<Stats, DbError> {
    let row = db
        .query_one(
            "SELECT COUNT(*) AS studies, COALESCE(CAST(SUM(series_count) AS BIGINT), 0) AS series, \
             COALESCE(CAST(SUM(instance_count) AS BIGINT), 0) AS instances, \
             COALESCE(CAST(SUM(size) AS BIGINT), 0) AS size, \
             (SELECT COUNT(*) FROM duplicates) AS duplicates, \
             (SELECT COUNT(*) FROM quarantine WHERE state = 'held') AS quarantined FROM studies",
            params![],
        )
        .await?;
    Ok(Stats {
        studies: row.get("studies")?,
        series: row.get("series")?,
        instances: row.get("instances")?,
        size: row.get("size")?,
        duplicates: row.get("duplicates")?,
        quarantined: row.get("quarantined")?,
        ..Stats::default()
    })
}

/// A row that says where a blob lies.
pub(crate) struct Claim {
    pub key: i64,
    /// What a report calls it: a SOP instance UID or a quarantine number.
    pub name: String,
    pub place: Place,
}

/// Indexed blobs by key, for `verify`: instances, then duplicates, then quarantined objects.
pub(crate) async fn claims(db: &Db, table: ClaimTable, after: i64, limit: u32) -> Result<Vec<Claim>, DbError> {
    let sql = match table {
        ClaimTable::Instances => {
            "SELECT key, sop_uid AS name, sha256, pack, record_at, payload_at, size, head_len FROM instances \
             WHERE key > $1 ORDER BY key LIMIT $2"
        }
        ClaimTable::Duplicates => {
            "SELECT d.key, i.sop_uid AS name, d.sha256, d.pack, d.record_at, d.payload_at, d.size, d.head_len \
             FROM duplicates d JOIN instances i ON i.key = d.instance_key WHERE d.key > $1 ORDER BY d.key LIMIT $2"
        }
        ClaimTable::Quarantine => {
            "SELECT key, 'quarantine ' || CAST(key AS TEXT) AS name, sha256, pack, record_at, payload_at, size, \
             head_len FROM quarantine WHERE state = 'held' AND key > $1 ORDER BY key LIMIT $2"
        }
    };
    db.query(sql, params![after, limit])
        .await?
        .iter()
        .map(|row| Ok(Claim { key: row.get("key")?, name: row.get("name")?, place: super::place(row)? }))
        .collect()
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum ClaimTable {
    Instances,
    Duplicates,
    Quarantine,
}

/// Where the records of a pack lie that the index knows, whatever became of them.
pub(crate) async fn known_records(db: &Db, pack: u64) -> Result<HashSet<u64>, DbError> {
    db.query(
        "SELECT record_at FROM instances WHERE pack = $1 UNION SELECT record_at FROM duplicates WHERE pack = $1 \
         UNION SELECT record_at FROM quarantine WHERE pack = $1 \
         UNION SELECT record_at FROM repeated_records WHERE pack = $1",
        params![pack],
    )
    .await?
    .iter()
    .map(|row| row.get("record_at"))
    .collect()
}

/// Whether nothing was ever received or told here.
pub(crate) async fn is_empty(db: &Db) -> Result<bool, DbError> {
    let row = db
        .query_one("SELECT (SELECT COUNT(*) FROM studies) + (SELECT COUNT(*) FROM pack_checkpoints) AS n", params![])
        .await?;
    Ok(row.get::<i64>("n")? == 0)
}
