//! What stands beside the index: quarantine, frame indexes, figures.

use crate::model::{Quarantined, Stats};
use crate::record::{Address, Place};
use mingying_db::{AssertSqlSafe, Db, DbError, Row, Tx, params, scope_sql};
use mingying_kernel::{OrgId, Scope};

/// A quarantined object with its place.
pub(crate) struct Held {
    pub shown: Quarantined,
    pub org: OrgId,
    pub place: Place,
}

const QUARANTINE: &str = "key, org_id, reason, sop_uid, study_uid, sha256, pack, record_at, payload_at, size, \
     head_len, moved_to, moved_at, received_at, source";

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

/// The quarantined object of a record.
pub(crate) async fn held_at(db: &Db, at: Address) -> Result<Option<Held>, DbError> {
    let sql = format!("SELECT {QUARANTINE} FROM quarantine WHERE pack = $1 AND record_at = $2 AND state = 'held'");
    let row = db.query_opt(AssertSqlSafe(sql), params![at.pack, at.record]).await?;
    row.map(|row| held(&row)).transpose()
}

/// Moves a quarantined object from `held` to `state`. `false` when it was not held (any more).
pub(crate) async fn settle_quarantined(tx: &mut Tx, at: Address, state: &str) -> Result<bool, DbError> {
    let changed = tx
        .execute(
            "UPDATE quarantine SET state = $1 WHERE pack = $2 AND record_at = $3 AND state = 'held'",
            params![state, at.pack, at.record],
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
             (SELECT COUNT(*) FROM quarantine WHERE state = 'held') AS quarantined, \
             (SELECT COUNT(*) FROM damages WHERE state = 'found') AS damaged FROM studies",
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
        damaged: row.get("damaged")?,
        ..Stats::default()
    })
}

/// Whether nothing was ever received or told here.
pub(crate) async fn is_empty(db: &Db) -> Result<bool, DbError> {
    let row = db
        .query_one("SELECT (SELECT COUNT(*) FROM studies) + (SELECT COUNT(*) FROM pack_checkpoints) AS n", params![])
        .await?;
    Ok(row.get::<i64>("n")? == 0)
}
