//! Objects that are known already, or that the index does not take.

use super::{Keys, Outcome, lists, places};
use crate::describe::Described;
use crate::header::Defect;
use crate::model::Ingested;
use crate::record::{Arrived, Place};
use mingying_db::{AssertSqlSafe, Db, DbError, Tx, Value, params};
use std::collections::HashMap;

pub(super) struct Known {
    pub key: i64,
    pub study_uid: String,
    pub series_uid: String,
    pub sop_class: String,
    pub place: Place,
}

/// The contents of instances that are indexed, of these SOP instance UIDs.
pub(crate) async fn known_contents(
    db: &Db,
    sop_uids: &[&str],
) -> Result<HashMap<String, (Ingested, [u8; 32])>, DbError> {
    let mut known = HashMap::new();
    for list in lists(sop_uids) {
        let sql = known_sql(list.len());
        let values: Vec<Value> = list.iter().map(|uid| Value::from(*uid)).collect();
        for row in db.query(AssertSqlSafe(sql), &values).await? {
            let (uid, found) = known_row(&row)?;
            let ingested = ingested(&uid, &found, true, false);
            known.insert(uid, (ingested, found.place.sha256));
        }
    }
    Ok(known)
}

/// Whether this content is kept beside the one that is served.
pub(crate) async fn is_kept_beside(db: &Db, instance_key: i64, sha256: &[u8; 32]) -> Result<bool, DbError> {
    let row = db
        .query_opt(
            "SELECT key FROM duplicates WHERE instance_key = $1 AND sha256 = $2",
            params![instance_key, sha256.as_slice()],
        )
        .await?;
    Ok(row.is_some())
}

pub(super) fn known_sql(n: usize) -> String {
    format!(
        "SELECT i.sop_uid, i.key, i.sop_class, i.sha256, i.pack, i.record_at, i.payload_at, i.size, i.head_len, \
         i.moved_to, i.moved_at, st.study_uid, se.series_uid FROM instances i JOIN studies st ON st.key = i.study_key \
         JOIN series se ON se.key = i.series_key WHERE i.sop_uid IN ({})",
        places(1, n)
    )
}

pub(super) fn known_row(row: &mingying_db::Row) -> Result<(String, Known), DbError> {
    Ok((
        row.get("sop_uid")?,
        Known {
            key: row.get("key")?,
            study_uid: row.get("study_uid")?,
            series_uid: row.get("series_uid")?,
            sop_class: row.get("sop_class")?,
            place: super::place(row)?,
        },
    ))
}

pub(super) fn ingested(sop_uid: &str, known: &Known, duplicate: bool, conflicting: bool) -> Ingested {
    Ingested {
        instance_key: known.key,
        study_uid: known.study_uid.clone(),
        series_uid: known.series_uid.clone(),
        sop_uid: sop_uid.to_owned(),
        sop_class: known.sop_class.clone(),
        duplicate,
        conflicting,
    }
}

/// The same SOP instance UID again: the same content is nothing new, another content is kept aside. Also says whether
/// it was kept just now.
pub(super) async fn again(
    tx: &mut Tx,
    keys: &mut Keys,
    item: &Arrived,
    d: &Described,
    found: &Known,
) -> Result<(Outcome, bool), DbError> {
    let Place { address, location, head_len, sha256 } = item.place;
    if found.place.address == address {
        return Ok((Outcome::Stored(ingested(&d.sop_uid, found, true, false)), false));
    }
    let other = sha256 != found.place.sha256;
    if other {
        let key = keys.take(tx).await?;
        let kept = tx
            .execute(
                "INSERT INTO duplicates (key, instance_key, sha256, pack, record_at, payload_at, size, head_len, \
                 received_at, source, moved_to, moved_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
                 ON CONFLICT (instance_key, sha256) DO NOTHING",
                params![
                    key,
                    found.key,
                    sha256.as_slice(),
                    address.pack,
                    address.record,
                    location.at,
                    location.len,
                    head_len,
                    item.meta.received_at,
                    &item.meta.source,
                    item.place.moved().0,
                    item.place.moved().1
                ],
            )
            .await?;
        if kept == 1 {
            return Ok((Outcome::Stored(ingested(&d.sop_uid, found, false, true)), true));
        }
        // Kept beside already: by another record, which makes this one a repetition, or by this very one.
        let this = "SELECT key FROM duplicates WHERE pack = $1 AND record_at = $2";
        if tx.query_opt(this, params![address.pack, address.record]).await?.is_some() {
            return Ok((Outcome::Stored(ingested(&d.sop_uid, found, false, true)), false));
        }
    }
    tx.execute(
        "INSERT INTO repeated_records (pack, record_at, instance_key) VALUES ($1, $2, $3) \
         ON CONFLICT (pack, record_at) DO NOTHING",
        params![address.pack, address.record, found.key],
    )
    .await?;
    Ok((Outcome::Stored(ingested(&d.sop_uid, found, !other, other)), false))
}

pub(super) async fn quarantine(
    tx: &mut Tx,
    keys: &mut Keys,
    item: &Arrived,
    defect: Defect,
    sop_uid: &str,
    study_uid: &str,
) -> Result<Outcome, DbError> {
    let Place { address, location, head_len, sha256 } = item.place;
    let there = tx
        .query_opt(
            "SELECT key FROM quarantine WHERE pack = $1 AND record_at = $2",
            params![address.pack, address.record],
        )
        .await?;
    if let Some(row) = there {
        let key = row.get("key")?;
        tx.execute("UPDATE quarantine SET reason = $1 WHERE key = $2", params![defect.as_str(), key]).await?;
        return Ok(Outcome::Quarantined { key, defect, fresh: false });
    }
    let key = keys.take(tx).await?;
    let sop_uid = if sop_uid.is_empty() { &item.meta.file.sop_instance } else { sop_uid };
    tx.execute(
        "INSERT INTO quarantine (key, org_id, reason, state, sop_uid, study_uid, sha256, pack, record_at, payload_at, \
         size, head_len, received_at, source, moved_to, moved_at) \
         VALUES ($1, $2, $3, 'held', $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        params![
            key,
            item.meta.owner.org,
            defect.as_str(),
            sop_uid,
            study_uid,
            sha256.as_slice(),
            address.pack,
            address.record,
            location.at,
            location.len,
            head_len,
            item.meta.received_at,
            &item.meta.source,
            item.place.moved().0,
            item.place.moved().1
        ],
    )
    .await?;
    Ok(Outcome::Quarantined { key, defect, fresh: true })
}
