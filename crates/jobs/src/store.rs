use mingying_db::{Db, DbError, Engine, Tx, params};
use mingying_kernel::{EventId, Timestamp};

pub(crate) struct Delivery {
    pub id: String,
    pub event: EventId,
    pub attempts: u32,
}

/// Takes due deliveries under a lease; two workers never hold the same one.
pub(crate) async fn claim(
    db: &Db,
    subscriber: &str,
    owner: &str,
    now: Timestamp,
    until: Timestamp,
    limit: u32,
) -> Result<Vec<Delivery>, DbError> {
    // A look without a write transaction first: an idle system writes nothing.
    let due = db
        .query(
            "SELECT id FROM deliveries WHERE state = 'pending' AND subscriber = $1 AND due_at <= $2 \
             AND lease_until <= $2 LIMIT 1",
            params![subscriber, now],
        )
        .await?;
    if due.is_empty() {
        return Ok(Vec::new());
    }
    let sql = match db.engine() {
        Engine::Sqlite => {
            "UPDATE deliveries SET lease_until = $1, lease_owner = $2 WHERE id IN (SELECT id FROM deliveries \
             WHERE state = 'pending' AND subscriber = $3 AND due_at <= $4 AND lease_until <= $4 \
             ORDER BY due_at, id LIMIT $5) RETURNING id, event_id, attempts"
        }
        Engine::Postgres => {
            "UPDATE deliveries SET lease_until = $1, lease_owner = $2 WHERE id IN (SELECT id FROM deliveries \
             WHERE state = 'pending' AND subscriber = $3 AND due_at <= $4 AND lease_until <= $4 \
             ORDER BY due_at, id LIMIT $5 FOR UPDATE SKIP LOCKED) RETURNING id, event_id, attempts"
        }
    };
    let mut tx = db.begin().await?;
    let rows = tx.query(sql, params![until, owner, subscriber, now, limit]).await?;
    tx.commit().await?;
    let mut claimed = rows
        .iter()
        .map(|row| Ok(Delivery { id: row.get("id")?, event: row.get("event_id")?, attempts: row.get("attempts")? }))
        .collect::<Result<Vec<_>, DbError>>()?;
    claimed.sort_by_key(|delivery| delivery.event);
    Ok(claimed)
}

pub(crate) async fn finish(db: &Db, id: &str, owner: &str, now: Timestamp) -> Result<(), DbError> {
    db.execute(
        "UPDATE deliveries SET state = 'done', finished_at = $1, last_error = NULL WHERE id = $2 AND lease_owner = $3",
        params![now, id, owner],
    )
    .await?;
    Ok(())
}

/// `false` when the lease has gone to somebody else meanwhile.
pub(crate) async fn fail(
    tx: &mut Tx,
    id: &str,
    owner: &str,
    attempts: u32,
    due: Timestamp,
    dead: bool,
    error: &str,
) -> Result<bool, DbError> {
    let state = if dead { "dead" } else { "pending" };
    let changed = tx
        .execute(
            "UPDATE deliveries SET state = $1, attempts = $2, due_at = $3, lease_until = 0, last_error = $4 \
             WHERE id = $5 AND lease_owner = $6",
            params![state, attempts, due, error, id, owner],
        )
        .await?;
    Ok(changed == 1)
}

/// A delivery that no retry helped.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    pub id: String,
    pub subscriber: String,
    pub event: EventId,
    pub topic: String,
    pub attempts: u32,
    pub last_error: String,
    pub created_at: Timestamp,
}

/// Dead letters, newest first.
pub async fn list_dead(db: &Db, limit: u32) -> Result<Vec<DeadLetter>, DbError> {
    db.query(
        "SELECT d.id, d.subscriber, d.event_id, e.topic, d.attempts, COALESCE(d.last_error, '') AS last_error, \
         d.created_at FROM deliveries d JOIN events e ON e.id = d.event_id WHERE d.state = 'dead' \
         ORDER BY d.created_at DESC, d.id DESC LIMIT $1",
        params![limit],
    )
    .await?
    .iter()
    .map(|row| {
        Ok(DeadLetter {
            id: row.get("id")?,
            subscriber: row.get("subscriber")?,
            event: row.get("event_id")?,
            topic: row.get("topic")?,
            attempts: row.get("attempts")?,
            last_error: row.get("last_error")?,
            created_at: row.get("created_at")?,
        })
    })
    .collect()
}

/// Puts a dead letter back into the queue, due at once. `false` when it is not dead (any more).
pub async fn retry_dead(db: &Db, id: &str, now: Timestamp) -> Result<bool, DbError> {
    let changed = db
        .execute(
            "UPDATE deliveries SET state = 'pending', attempts = 0, due_at = $1, lease_until = 0 \
             WHERE id = $2 AND state = 'dead'",
            params![now, id],
        )
        .await?;
    Ok(changed == 1)
}

/// Deliveries that wait, and that wait for a person.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    pub pending: u64,
    pub dead: u64,
}

/// Counts by state; finished deliveries are not walked.
pub async fn counts(db: &Db) -> Result<Counts, DbError> {
    let mut counts = Counts::default();
    let rows = db
        .query(
            "SELECT state, COUNT(*) AS n FROM deliveries WHERE state IN ('pending', 'dead') GROUP BY state",
            params![],
        )
        .await?;
    for row in rows {
        match row.get::<String>("state")?.as_str() {
            "dead" => counts.dead = row.get("n")?,
            _ => counts.pending = row.get("n")?,
        }
    }
    Ok(counts)
}
