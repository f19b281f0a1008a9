//! Deletions: rows that leave the index and may come back, and places that records move to.

use super::StudyBrief;
use super::index::brief;
use super::{INDEX_LOCK, Keys};
use crate::model::{Deletion, DeletionFilter, DeletionState, Reason};
use crate::record::{Address, DeletionMeta, Place};
use mingying_blob::Location;
use mingying_db::{AssertSqlSafe, Db, DbError, Row, Tx, params, scope_sql};
use mingying_kernel::{OrgId, Scope, Timestamp};

/// The instances that a deletion names: $1 study key, $2 series UID or nothing, $3 SOP instance UID or nothing.
const TARGET: &str = "study_key = $1 \
     AND ($2 = '' OR series_key IN (SELECT key FROM series WHERE study_key = $1 AND series_uid = $2)) \
     AND ($3 = '' OR sop_uid = $3)";

const DELETION: &str = "key, pack, record_at, org_id, study_uid, series_uid, sop_uid, patient_id, accession, study_date, \
     reason, note, actor_id, deleted_at, instances, size, state";

fn deletion(row: &Row) -> Result<Deletion, DbError> {
    let (reason, state): (String, String) = (row.get("reason")?, row.get("state")?);
    Ok(Deletion {
        id: row.get("key")?,
        study_uid: row.get("study_uid")?,
        series_uid: row.get("series_uid")?,
        sop_uid: row.get("sop_uid")?,
        patient_id: row.get("patient_id")?,
        accession: row.get("accession")?,
        study_date: row.get("study_date")?,
        reason: Reason::parse(&reason).ok_or_else(|| DbError::Column("reason".to_owned()))?,
        note: row.get("note")?,
        actor_id: row.get("actor_id")?,
        deleted_at: row.get("deleted_at")?,
        instances: row.get("instances")?,
        size: row.get("size")?,
        state: DeletionState::parse(&state).ok_or_else(|| DbError::Column("state".to_owned()))?,
    })
}

fn address(row: &Row) -> Result<Address, DbError> {
    Ok(Address { pack: row.get("pack")?, record: row.get("record_at")? })
}

/// Takes the instances that a tombstone names out of the index. `None` when there are none, or it was done already. The
/// study comes with its number of instances afterwards.
pub(crate) async fn delete(
    tx: &mut Tx,
    keys: &mut Keys,
    tombstone: Address,
    meta: &DeletionMeta,
) -> Result<Option<(Deletion, StudyBrief)>, DbError> {
    tx.lock(INDEX_LOCK).await?;
    let done = "SELECT key FROM deletions WHERE pack = $1 AND record_at = $2";
    if tx.query_opt(done, params![tombstone.pack, tombstone.record]).await?.is_some() {
        return Ok(None);
    }
    let study = tx
        .query_opt(
            "SELECT key, study_uid, org_id, accession, patient_id, patient_id_issuer, instance_count, study_date \
             FROM studies WHERE study_uid = $1",
            params![&meta.study_uid],
        )
        .await?;
    let Some(row) = study else { return Ok(None) };
    let (mut study, study_date) = (brief(&row)?, row.get::<String>("study_date")?);
    let target = params![study.key, &meta.series_uid, &meta.sop_uid];
    let sum =
        format!("SELECT COUNT(*) AS n, COALESCE(CAST(SUM(size) AS BIGINT), 0) AS size FROM instances WHERE {TARGET}");
    let sum = tx.query_one(AssertSqlSafe(sum), target).await?;
    let (instances, size): (i64, i64) = (sum.get("n")?, sum.get("size")?);
    if instances == 0 {
        return Ok(None);
    }
    let deletion = Deletion {
        id: keys.take(tx).await?,
        study_uid: meta.study_uid.clone(),
        series_uid: meta.series_uid.clone(),
        sop_uid: meta.sop_uid.clone(),
        patient_id: study.patient_id.clone(),
        accession: study.accession.clone(),
        study_date,
        reason: meta.reason,
        note: meta.note.clone(),
        actor_id: meta.by.id.clone(),
        deleted_at: meta.at,
        instances,
        size,
        state: DeletionState::Deleted,
    };
    insert(tx, tombstone, study.org, &deletion).await?;
    take_out(tx, deletion.id, study.key, meta).await?;
    study.instances -= instances;
    recount(tx, &study).await?;
    Ok(Some((deletion, study)))
}

async fn insert(tx: &mut Tx, tombstone: Address, org: OrgId, deletion: &Deletion) -> Result<(), DbError> {
    let sql = format!(
        "INSERT INTO deletions ({DELETION}) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)"
    );
    tx.execute(
        AssertSqlSafe(sql),
        params![
            deletion.id,
            tombstone.pack,
            tombstone.record,
            org,
            &deletion.study_uid,
            &deletion.series_uid,
            &deletion.sop_uid,
            &deletion.patient_id,
            &deletion.accession,
            &deletion.study_date,
            deletion.reason.as_str(),
            &deletion.note,
            &deletion.actor_id,
            deletion.deleted_at,
            deletion.instances,
            deletion.size,
            deletion.state.as_str()
        ],
    )
    .await?;
    Ok(())
}

/// Moves the rows of instances, and of what is kept beside them, to the deletion.
async fn take_out(tx: &mut Tx, deletion_key: i64, study_key: i64, meta: &DeletionMeta) -> Result<(), DbError> {
    const KEPT: &str = "sha256, payload_at, size, head_len, moved_to, moved_at";
    let target = params![study_key, &meta.series_uid, &meta.sop_uid];
    let with_key = params![study_key, &meta.series_uid, &meta.sop_uid, deletion_key];
    let of_target = format!("instance_key IN (SELECT key FROM instances WHERE {TARGET})");
    let copies = [
        format!(
            "INSERT INTO deleted_objects (pack, record_at, deletion_key, {KEPT}) \
             SELECT pack, record_at, CAST($4 AS BIGINT), {KEPT} FROM instances WHERE {TARGET}"
        ),
        format!(
            "INSERT INTO deleted_objects (pack, record_at, deletion_key, {KEPT}) \
             SELECT pack, record_at, CAST($4 AS BIGINT), {KEPT} FROM duplicates WHERE {of_target}"
        ),
    ];
    for sql in copies {
        tx.execute(AssertSqlSafe(sql), with_key).await?;
    }
    let removals = [
        format!("DELETE FROM frame_indexes WHERE {of_target}"),
        format!("DELETE FROM siblings WHERE {of_target}"),
        format!("DELETE FROM duplicates WHERE {of_target}"),
        format!("DELETE FROM instances WHERE {TARGET}"),
    ];
    for sql in removals {
        tx.execute(AssertSqlSafe(sql), target).await?;
    }
    Ok(())
}

/// Brings the figures of a study in line with the instances it has left; without any it goes.
async fn recount(tx: &mut Tx, study: &StudyBrief) -> Result<(), DbError> {
    let key = params![study.key];
    tx.execute(
        "UPDATE series SET instance_count = (SELECT COUNT(*) FROM instances WHERE series_key = series.key) \
         WHERE study_key = $1",
        key,
    )
    .await?;
    tx.execute("DELETE FROM series WHERE study_key = $1 AND instance_count = 0", key).await?;
    if study.instances == 0 {
        tx.execute("DELETE FROM study_names WHERE study_key = $1", key).await?;
        tx.execute("DELETE FROM studies WHERE key = $1", key).await?;
        return Ok(());
    }
    let rows = tx.query("SELECT DISTINCT modality FROM series WHERE study_key = $1 ORDER BY modality", key).await?;
    let modalities = rows.iter().map(|row| row.get("modality")).collect::<Result<Vec<String>, _>>()?;
    let modalities: Vec<String> = modalities.into_iter().filter(|m| !m.is_empty()).collect();
    tx.execute(
        "UPDATE studies SET modalities = $2, instance_count = $3, \
         announced = CASE WHEN announced > $3 THEN $3 ELSE announced END, \
         series_count = (SELECT COUNT(*) FROM series WHERE study_key = $1), \
         size = (SELECT CAST(SUM(size) AS BIGINT) FROM instances WHERE study_key = $1), \
         first_received_at = (SELECT MIN(received_at) FROM instances WHERE study_key = $1), \
         last_received_at = (SELECT MAX(received_at) FROM instances WHERE study_key = $1) WHERE key = $1",
        params![study.key, modalities.join("\\"), study.instances],
    )
    .await?;
    Ok(())
}

/// The deletion of a tombstone that can still be taken back or ended.
pub(crate) async fn deletion_at(db: &Db, tombstone: Address) -> Result<Option<(Deletion, OrgId)>, DbError> {
    let sql = format!("SELECT {DELETION} FROM deletions WHERE pack = $1 AND record_at = $2 AND state = 'deleted'");
    let row = db.query_opt(AssertSqlSafe(sql), params![tombstone.pack, tombstone.record]).await?;
    row.map(|row| Ok((deletion(&row)?, row.get("org_id")?))).transpose()
}

/// The objects of a deletion behind `after`, in the order of the log.
pub(crate) async fn deleted_objects(
    db: &Db,
    deletion_key: i64,
    after: Address,
    limit: usize,
) -> Result<Vec<Place>, DbError> {
    db.query(
        "SELECT pack, record_at, sha256, payload_at, size, head_len, moved_to, moved_at FROM deleted_objects \
         WHERE deletion_key = $1 AND (pack, record_at) > ($2, $3) ORDER BY pack, record_at LIMIT $4",
        params![deletion_key, after.pack, after.record, limit],
    )
    .await?
    .iter()
    .map(super::place)
    .collect()
}

/// The object is in the index again.
pub(crate) async fn forget_deleted(tx: &mut Tx, at: Address) -> Result<(), DbError> {
    tx.execute("DELETE FROM deleted_objects WHERE pack = $1 AND record_at = $2", params![at.pack, at.record]).await?;
    Ok(())
}

/// Moves a deletion from `deleted` to `state`; whether it was there.
pub(crate) async fn settle_deletion(tx: &mut Tx, key: i64, state: &str) -> Result<bool, DbError> {
    let sql = "UPDATE deletions SET state = $1 WHERE key = $2 AND state = 'deleted'";
    Ok(tx.execute(sql, params![state, key]).await? == 1)
}

/// Deletions, newest first.
pub(crate) async fn deletions(
    db: &Db,
    scope: Scope,
    filter: &DeletionFilter,
    limit: u32,
    after: Option<i64>,
) -> Result<Vec<Deletion>, DbError> {
    let sql = format!(
        "SELECT {DELETION} FROM deletions WHERE key < $1 AND {} AND ($3 = '' OR state = $3) \
         AND ($4 = '' OR study_uid = $4 OR (patient_id >= $4 AND patient_id < $5) \
         OR (accession >= $4 AND accession < $5)) ORDER BY key DESC LIMIT $2",
        scope_sql(scope, "org_id")
    );
    let state = filter.state.map_or("", DeletionState::as_str);
    let text = filter.text.trim();
    // Everything that begins with the text lies below the text followed by the last code point.
    let beyond = format!("{text}\u{10ffff}");
    let values = params![after.unwrap_or(i64::MAX), limit, state, text, &beyond];
    db.query(AssertSqlSafe(sql), values).await?.iter().map(deletion).collect()
}

/// Studies of which something was deleted and not brought back.
pub(crate) async fn deleted_studies(db: &Db) -> Result<Vec<String>, DbError> {
    let sql = "SELECT DISTINCT study_uid FROM deletions WHERE state <> 'restored'";
    db.query(sql, params![]).await?.iter().map(|row| row.get("study_uid")).collect()
}

/// One deletion and the address of its tombstone.
pub(crate) async fn deletion_one(db: &Db, scope: Scope, key: i64) -> Result<(Deletion, Address), DbError> {
    let sql = format!("SELECT {DELETION} FROM deletions WHERE key = $1 AND {}", scope_sql(scope, "org_id"));
    let row = db.query_one(AssertSqlSafe(sql), params![key]).await?;
    Ok((deletion(&row)?, address(&row)?))
}

/// Tombstones of deletions made before `before` that can still be taken back.
pub(crate) async fn old_deletions(db: &Db, before: Timestamp, limit: u32) -> Result<Vec<Address>, DbError> {
    db.query(
        "SELECT pack, record_at FROM deletions WHERE state = 'deleted' AND deleted_at < $1 ORDER BY deleted_at LIMIT $2",
        params![before, limit],
    )
    .await?
    .iter()
    .map(address)
    .collect()
}

/// Points the rows of a record at its copy; how many there are.
pub(crate) async fn move_record(tx: &mut Tx, address: Address, to: Location) -> Result<u64, DbError> {
    let mut moved = 0;
    for table in ["instances", "duplicates", "quarantine", "deleted_objects"] {
        let sql = format!(
            "UPDATE {table} SET moved_to = $1, moved_at = $2, payload_at = $3 WHERE pack = $4 AND record_at = $5"
        );
        let values = params![to.pack, to.record, to.at, address.pack, address.record];
        moved += tx.execute(AssertSqlSafe(sql), values).await?;
    }
    Ok(moved)
}
