//! Siblings: which originals have one, which wait, and what each pack of siblings holds.

use super::INDEX_LOCK;
use super::find::{INSTANCE, INSTANCES, instance};
use crate::model::InstanceRef;
use mingying_blob::Location;
use mingying_db::{AssertSqlSafe, Db, DbError, Row, Statements, params};
use mingying_kernel::Timestamp;

/// An original with its sibling, or the code of why it has none.
pub(crate) struct SiblingRow {
    pub instance_key: i64,
    pub received_at: Timestamp,
    pub made: Result<Location, &'static str>,
}

/// What the rows say of a pack of siblings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SiblingPack {
    pub pack: u64,
    /// Bytes of the siblings that are needed.
    pub living: u64,
    /// When the newest of their originals was received.
    pub newest: Timestamp,
    /// Where the last one's payload ends.
    pub payload_end: u64,
}

/// A study, and how many of its originals wait.
pub(crate) struct WaitingStudy {
    pub key: i64,
    pub study_uid: String,
    pub received_at: Timestamp,
    pub waiting: u64,
}

/// Originals that come into question: native, and not packed by deflate, which would have to be undone for each frame.
const CANDIDATE: &str = "i.pixel_at > 0 AND i.pixel_len > 0 \
     AND i.transfer_syntax IN ('1.2.840.10008.1.2', '1.2.840.10008.1.2.1', '1.2.840.10008.1.2.2')";
const WITHOUT: &str = "NOT EXISTS (SELECT 1 FROM siblings w WHERE w.instance_key = i.key)";

/// Each node makes the siblings of what it holds. Without any store named: of everything.
fn in_stores(own: &[u32]) -> String {
    if own.is_empty() {
        return String::new();
    }
    let stores: Vec<String> = own.iter().map(u32::to_string).collect();
    format!(" AND i.pack / 4294967296 IN ({})", stores.join(", "))
}

/// From the columns that `INSTANCE` joins.
pub(super) fn sibling_place(row: &Row) -> Result<Option<Location>, DbError> {
    let pack: Option<u64> = row.get("s_pack")?;
    let Some(pack) = pack else { return Ok(None) };
    Ok(Some(Location { pack, record: row.get("s_record")?, at: row.get("s_payload")?, len: row.get("s_size")? }))
}

/// Originals of a study that have no row yet, in the order of reading.
pub(crate) async fn without_sibling(
    db: &Db,
    study_uid: &str,
    own: &[u32],
    limit: u32,
) -> Result<Vec<InstanceRef>, DbError> {
    let sql = format!(
        "SELECT st.study_uid AS st_uid, se.series_uid AS se_uid, {INSTANCE} {INSTANCES} \
         WHERE st.study_uid = $1 AND {CANDIDATE} AND {WITHOUT}{} \
         ORDER BY se.number NULLS LAST, se.key, i.number NULLS LAST, i.key LIMIT $2",
        in_stores(own)
    );
    db.query(AssertSqlSafe(sql), params![study_uid, i64::from(limit)]).await?.iter().map(instance).collect()
}

/// The next study behind a place in the order of their last image, which came until then.
pub(crate) async fn study_after(
    db: &Db,
    after: (Timestamp, i64),
    until: Timestamp,
) -> Result<Option<(i64, String, Timestamp)>, DbError> {
    let row = db
        .query_opt(
            "SELECT key, study_uid, last_received_at FROM studies \
             WHERE (last_received_at, key) > ($1, $2) AND last_received_at <= $3 ORDER BY last_received_at, key LIMIT 1",
            params![after.0, after.1, until],
        )
        .await?;
    row.map(|row| Ok((row.get("key")?, row.get("study_uid")?, row.get("last_received_at")?))).transpose()
}

/// Studies below a place in the order of their last image, newest first.
pub(crate) async fn studies_before(
    db: &Db,
    before: (Timestamp, i64),
    own: &[u32],
    limit: u32,
) -> Result<Vec<WaitingStudy>, DbError> {
    let sql = format!(
        "SELECT st.key AS st_key, st.study_uid AS st_uid, st.last_received_at AS st_last, \
         (SELECT COUNT(*) FROM instances i WHERE i.study_key = st.key AND {CANDIDATE} AND {WITHOUT}{}) AS waiting \
         FROM studies st WHERE (st.last_received_at, st.key) < ($1, $2) \
         ORDER BY st.last_received_at DESC, st.key DESC LIMIT $3",
        in_stores(own)
    );
    let rows = db.query(AssertSqlSafe(sql), params![before.0, before.1, i64::from(limit)]).await?;
    rows.iter()
        .map(|row| {
            Ok(WaitingStudy {
                key: row.get("st_key")?,
                study_uid: row.get("st_uid")?,
                received_at: row.get("st_last")?,
                waiting: row.get("waiting")?,
            })
        })
        .collect()
}

/// How many originals wait in all studies. Reads every instance: for once in a while.
pub(crate) async fn siblings_waiting(db: &Db) -> Result<u64, DbError> {
    let sql = format!("SELECT COUNT(*) AS n FROM instances i WHERE {CANDIDATE} AND {WITHOUT}");
    db.query_one(AssertSqlSafe(sql), params![]).await?.get("n")
}

/// Keeps rows of originals that are still there. What another process kept meanwhile stays.
pub(crate) async fn add_siblings(db: &Db, rows: &[SiblingRow]) -> Result<(), DbError> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut tx = db.begin_replayable().await?;
    // No original goes between the look and the row.
    tx.lock(INDEX_LOCK).await?;
    let mut statements = Statements::default();
    for row in rows {
        let (unfit, at) = match &row.made {
            Ok(location) => ("", Some(location)),
            Err(code) => (*code, None),
        };
        statements.push(
            "INSERT INTO siblings (instance_key, unfit, received_at, pack, record_at, payload_at, size) \
             SELECT i.key, CAST($2 AS TEXT), CAST($3 AS BIGINT), CAST($4 AS BIGINT), CAST($5 AS BIGINT), CAST($6 AS BIGINT), \
             CAST($7 AS BIGINT) FROM instances i WHERE i.key = $1 ON CONFLICT (instance_key) DO NOTHING",
            params![
                row.instance_key,
                unfit,
                row.received_at,
                at.map(|l| l.pack),
                at.map(|l| l.record),
                at.map(|l| l.at),
                at.map(|l| l.len)
            ],
        );
    }
    tx.run(statements).await?;
    tx.commit().await
}

/// The packs that rows point into.
pub(crate) async fn sibling_packs(db: &Db) -> Result<Vec<SiblingPack>, DbError> {
    db.query(
        "SELECT pack, CAST(SUM(size) AS BIGINT) AS living, MAX(received_at) AS newest, \
         MAX(payload_at + size) AS payload_end FROM siblings WHERE pack IS NOT NULL GROUP BY pack",
        params![],
    )
    .await?
    .iter()
    .map(|row| {
        Ok(SiblingPack {
            pack: row.get("pack")?,
            living: row.get("living")?,
            newest: row.get("newest")?,
            payload_end: row.get("payload_end")?,
        })
    })
    .collect()
}

/// How many rows there are by code, and the bytes of the siblings; the empty code stands for those that were made.
pub(crate) async fn sibling_counts(db: &Db) -> Result<Vec<(String, u64, u64)>, DbError> {
    db.query(
        "SELECT unfit, COUNT(*) AS n, COALESCE(CAST(SUM(size) AS BIGINT), 0) AS size FROM siblings \
         GROUP BY unfit ORDER BY unfit",
        params![],
    )
    .await?
    .iter()
    .map(|row| Ok((row.get("unfit")?, row.get("n")?, row.get("size")?)))
    .collect()
}

/// Forgets the siblings in a pack, which then may go; how many there were.
pub(crate) async fn drop_sibling_pack(db: &Db, pack: u64) -> Result<u64, DbError> {
    let mut tx = db.begin_replayable().await?;
    let dropped = tx.execute("DELETE FROM siblings WHERE pack = $1", params![pack]).await?;
    tx.commit().await?;
    Ok(dropped)
}

/// Forgets one sibling whose bytes are damaged: it is made again.
pub(crate) async fn forget_sibling(db: &Db, instance_key: i64, at: Location) -> Result<(), DbError> {
    let mut tx = db.begin_replayable().await?;
    tx.execute(
        "DELETE FROM siblings WHERE instance_key = $1 AND pack = $2 AND record_at = $3",
        params![instance_key, at.pack, at.record],
    )
    .await?;
    tx.commit().await
}
