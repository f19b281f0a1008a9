//! The commitments table.

use super::{Commitment, Object};
use mingying_db::{Db, DbError, Row, Tx, params};
use mingying_kernel::Timestamp;
use std::collections::BTreeMap;

fn commitment(row: &Row) -> Result<Commitment, DbError> {
    let failures: Option<String> = row.get("failures")?;
    let failures: Option<Vec<(usize, u16)>> = failures.map(|text| read(&text, "failures")).transpose()?;
    Ok(Commitment {
        id: row.get("id")?,
        aet: row.get("aet")?,
        transaction_uid: row.get("transaction_uid")?,
        objects: read(&row.get::<String>("objects")?, "objects")?,
        failures: failures.map(|list| list.into_iter().collect()),
        held_until: row.get("held_until")?,
        reported: row.get::<Option<Timestamp>>("reported_at")?.is_some(),
    })
}

fn read<T: serde::de::DeserializeOwned>(text: &str, column: &str) -> Result<T, DbError> {
    serde_json::from_str(text).map_err(|_| DbError::Column(column.to_owned()))
}

fn written<T: serde::Serialize>(value: &T) -> Result<String, DbError> {
    serde_json::to_string(value).map_err(|error| DbError::Column(error.to_string()))
}

pub(super) async fn insert(tx: &mut Tx, new: &Commitment, at: Timestamp) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO commitments (id, aet, transaction_uid, objects, requested_at, held_until) \
         VALUES ($1, $2, $3, $4, $5, $6)",
        params![&new.id, &new.aet, &new.transaction_uid, written::<Vec<Object>>(&new.objects)?, at, new.held_until],
    )
    .await?;
    Ok(())
}

pub(super) async fn load(db: &Db, id: &str) -> Result<Option<Commitment>, DbError> {
    let row = db
        .query_opt(
            "SELECT id, aet, transaction_uid, objects, failures, held_until, reported_at FROM commitments \
             WHERE id = $1",
            params![id],
        )
        .await?;
    row.as_ref().map(commitment).transpose()
}

/// Whether the same caller used the transaction UID before, for other objects: a request that is only sent again is
/// reported again.
pub(super) async fn used_for_others(db: &Db, commitment: &Commitment) -> Result<bool, DbError> {
    let row = db
        .query_one(
            "SELECT COUNT(*) AS n FROM commitments WHERE aet = $1 AND transaction_uid = $2 AND id < $3 \
             AND objects <> $4",
            params![&commitment.aet, &commitment.transaction_uid, &commitment.id, written(&commitment.objects)?],
        )
        .await?;
    Ok(row.get::<i64>("n")? > 0)
}

pub(super) async fn set_failures(db: &Db, id: &str, failures: &BTreeMap<usize, u16>) -> Result<(), DbError> {
    let list: Vec<(usize, u16)> = failures.iter().map(|(at, reason)| (*at, *reason)).collect();
    db.execute("UPDATE commitments SET failures = $2 WHERE id = $1", params![id, written(&list)?]).await?;
    Ok(())
}

pub(super) async fn set_reported(db: &Db, id: &str, at: Timestamp) -> Result<(), DbError> {
    db.execute("UPDATE commitments SET reported_at = $2 WHERE id = $1", params![id, at]).await?;
    Ok(())
}

/// The association of the request does not answer any more.
pub(super) async fn release(db: &Db, id: &str) -> Result<(), DbError> {
    db.execute("UPDATE commitments SET held_until = 0 WHERE id = $1", params![id]).await?;
    Ok(())
}

pub(super) async fn forget_before(tx: &mut Tx, at: Timestamp) -> Result<(), DbError> {
    tx.execute("DELETE FROM commitments WHERE reported_at < $1", params![at]).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(id: &str, transaction: &str, objects: &[&str]) -> Commitment {
        Commitment {
            id: id.to_owned(),
            aet: "CT01".to_owned(),
            transaction_uid: transaction.to_owned(),
            objects: objects.iter().map(|uid| ("1.9".to_owned(), (*uid).to_owned())).collect(),
            failures: None,
            held_until: Timestamp::from_micros(7),
            reported: false,
        }
    }

    mingying_testkit::on_both! {
        async fn commitments_are_kept_until_they_are_reported_and_forgotten(db: Db) {
            let (first, again, other) = (asked("1", "1.2", &["a"]), asked("2", "1.2", &["a"]), asked("3", "1.2", &["b"]));
            let mut tx = db.begin().await.unwrap();
            for commitment in [&first, &again, &other] {
                insert(&mut tx, commitment, Timestamp::from_micros(5)).await.unwrap();
            }
            tx.commit().await.unwrap();
            assert_eq!(load(&db, "1").await.unwrap(), Some(first.clone()));
            assert!(!used_for_others(&db, &first).await.unwrap(), "what comes later does not count");
            assert!(!used_for_others(&db, &again).await.unwrap(), "the same sent again");
            assert!(used_for_others(&db, &other).await.unwrap());
            let failures = BTreeMap::from([(0, 0x0112)]);
            set_failures(&db, "1", &failures).await.unwrap();
            release(&db, "1").await.unwrap();
            set_reported(&db, "1", Timestamp::from_micros(9)).await.unwrap();
            let now = load(&db, "1").await.unwrap().unwrap();
            assert_eq!((now.failures, now.held_until.as_micros(), now.reported), (Some(failures), 0, true));
            let mut tx = db.begin().await.unwrap();
            forget_before(&mut tx, Timestamp::from_micros(10)).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(load(&db, "1").await.unwrap(), None);
            assert!(load(&db, "2").await.unwrap().is_some(), "what is not reported is not forgotten");
        }
    }
}
