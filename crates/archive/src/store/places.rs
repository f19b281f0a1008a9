//! Which rows need which bytes, what is damaged, and how far the background check is.

use crate::Compacted;
use crate::model::Damaged;
use crate::record::{Address, Place};
use mingying_blob::{Damage, Location};
use mingying_db::{AssertSqlSafe, Db, DbError, Row, Tx, params};
use mingying_kernel::{OrgId, Timestamp};
use std::collections::{HashMap, HashSet};

/// A row that needs the bytes of a record.
pub(crate) struct Claim {
    /// What a report calls it: a SOP instance UID or a quarantine number.
    pub name: String,
    pub place: Place,
}

const PLACE: &str = "t.sha256, t.pack, t.record_at, t.payload_at, t.size, t.head_len, t.moved_to, t.moved_at";
/// Rows whose record begins in pack $1 from $2 on and before $3.
const HERE: &str = "((t.pack = $1 AND t.record_at >= $2 AND t.record_at < $3 AND t.moved_to IS NULL) \
     OR (t.moved_to = $1 AND t.moved_at >= $2 AND t.moved_at < $3))";

/// Everything that needs bytes of records that begin in this part of a pack.
pub(crate) async fn claims(db: &Db, pack: u64, from: u64, to: u64) -> Result<Vec<Claim>, DbError> {
    let statements = [
        format!("SELECT t.sop_uid AS name, {PLACE} FROM instances t WHERE {HERE}"),
        format!(
            "SELECT i.sop_uid AS name, {PLACE} FROM duplicates t JOIN instances i ON i.key = t.instance_key WHERE {HERE}"
        ),
        format!(
            "SELECT 'quarantine ' || CAST(t.key AS TEXT) AS name, {PLACE} FROM quarantine t \
             WHERE t.state = 'held' AND {HERE}"
        ),
        format!(
            "SELECT 'deleted in ' || d.study_uid AS name, {PLACE} FROM deleted_objects t \
             JOIN deletions d ON d.key = t.deletion_key WHERE d.state = 'deleted' AND {HERE}"
        ),
    ];
    let mut claims = Vec::new();
    for sql in statements {
        for row in db.query(AssertSqlSafe(sql), params![pack, from, to]).await? {
            claims.push(Claim { name: row.get("name")?, place: super::place(&row)? });
        }
    }
    Ok(claims)
}

/// Whether any row knows the record that was first written at this address, whatever became of it.
pub(crate) async fn is_known(db: &Db, at: Address) -> Result<bool, DbError> {
    let row = db
        .query_opt(
            "SELECT record_at FROM instances WHERE pack = $1 AND record_at = $2 \
             UNION SELECT record_at FROM duplicates WHERE pack = $1 AND record_at = $2 \
             UNION SELECT record_at FROM quarantine WHERE pack = $1 AND record_at = $2 \
             UNION SELECT record_at FROM repeated_records WHERE pack = $1 AND record_at = $2 \
             UNION SELECT record_at FROM deleted_objects WHERE pack = $1 AND record_at = $2",
            params![at.pack, at.record],
        )
        .await?;
    Ok(row.is_some())
}

/// Where an instance lies now. `NotFound` when it is no more.
pub(crate) async fn place_of(db: &Db, instance_key: i64) -> Result<Location, DbError> {
    let sql = format!("SELECT {PLACE} FROM instances t WHERE t.key = $1");
    Ok(super::place(&db.query_one(AssertSqlSafe(sql), params![instance_key]).await?)?.location)
}

const TABLES: [&str; 4] = ["instances", "duplicates", "quarantine", "deleted_objects"];

/// Packs that rows point into.
pub(crate) async fn packs_in_use(db: &Db) -> Result<HashSet<u64>, DbError> {
    Ok(living(db).await?.into_keys().collect())
}

/// Living objects and their bytes by pack.
pub(crate) async fn living(db: &Db) -> Result<HashMap<u64, (u64, u64)>, DbError> {
    let mut living: HashMap<u64, (u64, u64)> = HashMap::new();
    for table in TABLES {
        let lives = match table {
            "quarantine" => "WHERE state = 'held'",
            "deleted_objects" => "WHERE deletion_key IN (SELECT key FROM deletions WHERE state = 'deleted')",
            _ => "",
        };
        let sql = format!(
            "SELECT COALESCE(moved_to, pack) AS there, COUNT(*) AS n, CAST(SUM(size) AS BIGINT) AS size \
             FROM {table} {lives} GROUP BY COALESCE(moved_to, pack)"
        );
        for row in db.query(AssertSqlSafe(sql), params![]).await? {
            let sum = living.entry(row.get("there")?).or_default();
            sum.0 += row.get::<u64>("n")?;
            sum.1 += row.get::<u64>("size")?;
        }
    }
    Ok(living)
}

/// Packs with a damaged place, healed or not.
pub(crate) async fn damaged_packs(db: &Db) -> Result<HashSet<u64>, DbError> {
    let sql = "SELECT DISTINCT pack FROM damages WHERE what = 'damaged'";
    db.query(sql, params![]).await?.iter().map(|row| row.get("pack")).collect()
}

/// Damaged places that wait and begin in this part of a pack.
pub(crate) async fn damage_between(db: &Db, pack: u64, from: u64, to: u64) -> Result<Vec<Damage>, DbError> {
    let sql = "SELECT starts_at, ends_at FROM damages \
         WHERE pack = $1 AND starts_at >= $2 AND starts_at < $3 AND state = 'found' ORDER BY starts_at";
    let rows = db.query(sql, params![pack, from, to]).await?;
    rows.iter().map(|row| Ok(Damage { from: row.get("starts_at")?, to: row.get("ends_at")? })).collect()
}

/// Whether this damage is known and hurts nobody.
pub(crate) async fn is_settled(db: &Db, pack: u64, damage: Damage) -> Result<bool, DbError> {
    let sql = "SELECT state FROM damages WHERE pack = $1 AND starts_at = $2 AND ends_at >= $3 AND state <> 'found'";
    Ok(db.query_opt(sql, params![pack, damage.from, damage.to]).await?.is_some())
}

/// Notes bytes that a power cut tore before anybody was told of them.
pub(crate) async fn note_torn(db: &Db, pack: u64, damage: Damage, now: Timestamp) -> Result<(), DbError> {
    db.execute(
        "INSERT INTO damages (pack, starts_at, ends_at, what, name, state, found_at, settled_at) \
         VALUES ($1, $2, $3, 'torn', '', 'unused', $4, $4) ON CONFLICT (pack, starts_at) DO NOTHING",
        params![pack, damage.from, damage.to, now],
    )
    .await?;
    Ok(())
}

/// Notes a damaged place; whether it is news.
pub(crate) async fn note_damage(
    db: &Db,
    pack: u64,
    damage: Damage,
    what: &str,
    name: &str,
    now: Timestamp,
) -> Result<bool, DbError> {
    let added = db
        .execute(
            "INSERT INTO damages (pack, starts_at, ends_at, what, name, state, found_at) \
             VALUES ($1, $2, $3, $4, $5, 'found', $6) ON CONFLICT (pack, starts_at) DO UPDATE \
             SET ends_at = excluded.ends_at, what = excluded.what, name = excluded.name, state = 'found', \
             found_at = excluded.found_at, settled_at = NULL \
             WHERE damages.state <> 'found' OR damages.ends_at <> excluded.ends_at",
            params![pack, damage.from, damage.to, what, name, now],
        )
        .await?;
    Ok(added == 1)
}

/// A damaged place hurts nobody any more.
pub(crate) async fn settle_damage(
    db: &Db,
    pack: u64,
    starts_at: u64,
    state: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    db.execute(
        "UPDATE damages SET state = $1, settled_at = $2 WHERE pack = $3 AND starts_at = $4 AND state = 'found'",
        params![state, now, pack, starts_at],
    )
    .await?;
    Ok(())
}

pub(crate) async fn damage_waiting(db: &Db) -> Result<u64, DbError> {
    db.query_one("SELECT COUNT(*) AS n FROM damages WHERE state = 'found'", params![]).await?.get("n")
}

fn damaged(row: &Row) -> Result<Damaged, DbError> {
    Ok(Damaged {
        pack: row.get("pack")?,
        from: row.get("starts_at")?,
        to: row.get("ends_at")?,
        missing: row.get::<String>("what")? == "missing",
        name: row.get("name")?,
        state: row.get("state")?,
        found_at: row.get("found_at")?,
        settled_at: row.get("settled_at")?,
    })
}

/// Damaged places that wait for a sound copy, newest first.
pub(crate) async fn damages_waiting(db: &Db, limit: u32) -> Result<Vec<Damaged>, DbError> {
    let sql = "SELECT pack, starts_at, ends_at, what, name, state, found_at, settled_at FROM damages \
         WHERE state = 'found' ORDER BY found_at DESC, pack DESC, starts_at DESC LIMIT $1";
    db.query(sql, params![limit]).await?.iter().map(damaged).collect()
}

/// Damaged places, newest first.
pub(crate) async fn damages(db: &Db, limit: u32) -> Result<Vec<Damaged>, DbError> {
    let sql = "SELECT pack, starts_at, ends_at, what, name, state, found_at, settled_at FROM damages \
         ORDER BY found_at DESC, pack DESC, starts_at DESC LIMIT $1";
    db.query(sql, params![limit]).await?.iter().map(damaged).collect()
}

/// Where the background check goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ScrubPlace {
    pub pack: u64,
    pub at: u64,
    /// When the last round ended; `None` while one is under way.
    pub ended: Option<Timestamp>,
    /// When this was written.
    pub stepped: Option<Timestamp>,
}

/// What is kept of the check of one store; each node checks its own.
fn scrub_name(what: &str, store: u32) -> String {
    format!("scrub_{what}:{store:08x}")
}

pub(crate) async fn scrub_place(db: &Db, store: u32) -> Result<ScrubPlace, DbError> {
    let names = ["pack", "at", "ended", "stepped"].map(|what| scrub_name(what, store));
    let rows = db
        .query(
            "SELECT name, value FROM archive_state WHERE name IN ($1, $2, $3, $4)",
            params![&names[0], &names[1], &names[2], &names[3]],
        )
        .await?;
    let mut place = ScrubPlace::default();
    for row in rows {
        match row.get::<String>("name")?.split(':').next().unwrap_or_default() {
            "scrub_pack" => place.pack = row.get("value")?,
            "scrub_at" => place.at = row.get("value")?,
            "scrub_ended" => place.ended = Some(row.get("value")?),
            "scrub_stepped" => place.stepped = Some(row.get("value")?),
            _ => {}
        }
    }
    Ok(place)
}

pub(crate) async fn set_scrub_place(db: &Db, store: u32, place: ScrubPlace) -> Result<(), DbError> {
    let mut tx = db.begin_replayable().await?;
    set(&mut tx, &scrub_name("pack", store), place.pack as i64).await?;
    set(&mut tx, &scrub_name("at", store), place.at as i64).await?;
    match place.ended {
        Some(ended) => set(&mut tx, &scrub_name("ended", store), ended.as_micros()).await?,
        None => {
            let ended = scrub_name("ended", store);
            tx.execute("DELETE FROM archive_state WHERE name = $1", params![&ended]).await?;
        }
    }
    if let Some(stepped) = place.stepped {
        set(&mut tx, &scrub_name("stepped", store), stepped.as_micros()).await?;
    }
    tx.commit().await
}

async fn set(tx: &mut Tx, name: &str, value: i64) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO archive_state (name, value) VALUES ($1, $2) \
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        params![name, value],
    )
    .await?;
    Ok(())
}

/// What waits for a person or for its time.
pub(crate) struct Waiting {
    pub damaged: u64,
    pub quarantined: u64,
    pub deletions: u64,
    pub deleted_bytes: u64,
}

pub(crate) async fn waiting(db: &Db) -> Result<Waiting, DbError> {
    let row = db
        .query_one(
            "SELECT COUNT(*) AS deletions, COALESCE(CAST(SUM(size) AS BIGINT), 0) AS bytes, \
             (SELECT COUNT(*) FROM damages WHERE state = 'found') AS damaged, \
             (SELECT COUNT(*) FROM quarantine WHERE state = 'held') AS quarantined \
             FROM deletions WHERE state = 'deleted'",
            params![],
        )
        .await?;
    Ok(Waiting {
        damaged: row.get("damaged")?,
        quarantined: row.get("quarantined")?,
        deletions: row.get("deletions")?,
        deleted_bytes: row.get("bytes")?,
    })
}

/// Bytes of the studies that got their last image since then, and when the first one of all that are here did.
pub(crate) async fn received_since(db: &Db, since: Timestamp) -> Result<(u64, Option<Timestamp>), DbError> {
    let row = db
        .query_one(
            "SELECT COALESCE(CAST(SUM(size) AS BIGINT), 0) AS bytes, \
             (SELECT MIN(last_received_at) FROM studies) AS first FROM studies WHERE last_received_at >= $1",
            params![since],
        )
        .await?;
    Ok((row.get("bytes")?, row.get("first")?))
}

/// Bytes of all studies of an organization.
pub(crate) async fn bytes_of(db: &Db, org: OrgId) -> Result<u64, DbError> {
    let sql = "SELECT COALESCE(CAST(SUM(size) AS BIGINT), 0) AS bytes FROM studies WHERE org_id = $1";
    db.query_one(sql, params![org]).await?.get("bytes")
}

pub(crate) async fn note_compaction(db: &Db, done: Compacted, now: Timestamp) -> Result<(), DbError> {
    let mut tx = db.begin_replayable().await?;
    set(&mut tx, "compact_ended", now.as_micros()).await?;
    set(&mut tx, "compact_purged", done.purged as i64).await?;
    set(&mut tx, "compact_packs", done.packs as i64).await?;
    set(&mut tx, "compact_freed", done.freed as i64).await?;
    tx.commit().await
}

pub(crate) async fn last_compaction(db: &Db) -> Result<(Option<Timestamp>, Compacted), DbError> {
    let rows = db.query("SELECT name, value FROM archive_state WHERE name LIKE 'compact_%'", params![]).await?;
    let (mut ended, mut done) = (None, Compacted::default());
    for row in rows {
        match row.get::<String>("name")?.as_str() {
            "compact_ended" => ended = Some(row.get("value")?),
            "compact_purged" => done.purged = row.get("value")?,
            "compact_packs" => done.packs = row.get("value")?,
            "compact_freed" => done.freed = row.get("value")?,
            _ => {}
        }
    }
    Ok((ended, done))
}
