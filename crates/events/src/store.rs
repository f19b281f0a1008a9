use crate::{About, Payload};
use mingying_db::{Db, DbError, Row, Tx, params};
use mingying_kernel::{Ctx, EventId, OrderId, OrgId, PatientId, Timestamp};

/// An event as it was recorded.
#[derive(Debug, Clone)]
pub struct Recorded {
    pub id: EventId,
    pub topic: String,
    pub version: u16,
    pub subject_kind: String,
    pub subject_id: String,
    pub case: Option<OrderId>,
    pub patient: Option<PatientId>,
    pub org: OrgId,
    pub actor_kind: String,
    pub actor_id: String,
    pub actor_name: String,
    pub source: String,
    pub request_id: String,
    pub occurred_at: Timestamp,
    pub recorded_at: Timestamp,
    /// JSON of the payload in the version it was written with.
    pub payload: String,
}

impl Recorded {
    /// The payload as `P`, when the topic is `P`'s and the text still reads.
    pub fn payload<P: Payload>(&self) -> Option<P> {
        if self.topic == P::TOPIC { serde_json::from_str(&self.payload).ok() } else { None }
    }
}

const COLUMNS: &str = "id, topic, version, subject_kind, subject_id, case_id, patient_id, org_id, actor_kind, \
     actor_id, actor_name, source, request_id, occurred_at, recorded_at, payload";

fn recorded(row: &Row) -> Result<Recorded, DbError> {
    Ok(Recorded {
        id: row.get("id")?,
        topic: row.get("topic")?,
        version: row.get("version")?,
        subject_kind: row.get("subject_kind")?,
        subject_id: row.get("subject_id")?,
        case: row.get("case_id")?,
        patient: row.get("patient_id")?,
        org: row.get("org_id")?,
        actor_kind: row.get("actor_kind")?,
        actor_id: row.get("actor_id")?,
        actor_name: row.get("actor_name")?,
        source: row.get("source")?,
        request_id: row.get("request_id")?,
        occurred_at: row.get("occurred_at")?,
        recorded_at: row.get("recorded_at")?,
        payload: row.get("payload")?,
    })
}

/// Appends the event and one delivery per subscriber, in the caller's transaction.
pub async fn emit<P: Payload>(tx: &mut Tx, ctx: &Ctx, about: &About, payload: &P) -> Result<EventId, DbError> {
    let id = EventId::new();
    let now = ctx.now();
    let actor = ctx.actor();
    let text = serde_json::to_string(payload).map_err(|e| DbError::Column(e.to_string()))?;
    tx.execute(
        "INSERT INTO events (id, topic, version, subject_kind, subject_id, case_id, patient_id, org_id, actor_kind, \
         actor_id, actor_name, source, request_id, occurred_at, recorded_at, payload) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
        params![
            id,
            P::TOPIC,
            P::VERSION,
            about.kind,
            &about.id,
            about.case,
            about.patient,
            about.org,
            actor.kind.as_str(),
            &actor.id,
            &actor.name,
            ctx.source(),
            ctx.request().to_string(),
            about.occurred_at.unwrap_or(now),
            now,
            text
        ],
    )
    .await?;
    // The delivery's id is the event's id and the subscriber's name: delivering is idempotent by key.
    tx.execute(
        "INSERT INTO deliveries (id, subscriber, event_id, state, attempts, due_at, lease_until, lease_owner, \
         created_at) SELECT $1 || ':' || subscriber, subscriber, $1, 'pending', 0, $2, 0, '', $2 \
         FROM subscriptions WHERE topic = $3",
        params![id, now, P::TOPIC],
    )
    .await?;
    Ok(id)
}

/// Makes `subscriber` receive exactly these topics from now on.
pub async fn subscribe(tx: &mut Tx, subscriber: &str, topics: &[&str]) -> Result<(), DbError> {
    tx.execute("DELETE FROM subscriptions WHERE subscriber = $1", params![subscriber]).await?;
    for topic in topics {
        tx.execute("INSERT INTO subscriptions (subscriber, topic) VALUES ($1, $2)", params![subscriber, *topic])
            .await?;
    }
    Ok(())
}

/// All events of one case, oldest first.
pub async fn read_case(db: &Db, case: OrderId) -> Result<Vec<Recorded>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM events WHERE case_id = $1 ORDER BY id");
    db.query(mingying_db::AssertSqlSafe(sql), params![case]).await?.iter().map(recorded).collect()
}

/// All events of one subject, oldest first.
pub async fn read_subject(db: &Db, kind: &str, id: &str) -> Result<Vec<Recorded>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM events WHERE subject_kind = $1 AND subject_id = $2 ORDER BY id");
    db.query(mingying_db::AssertSqlSafe(sql), params![kind, id]).await?.iter().map(recorded).collect()
}

/// One event.
pub async fn read(db: &Db, id: EventId) -> Result<Recorded, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM events WHERE id = $1");
    recorded(&db.query_one(mingying_db::AssertSqlSafe(sql), params![id]).await?)
}

/// Events recorded at or after `since`, oldest first, at most `limit`. For live screens, which ask with an overlap
/// and skip what they know: ids of concurrent transactions do not appear in order.
pub async fn read_after(db: &Db, since: Timestamp, limit: u32) -> Result<Vec<Recorded>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM events WHERE recorded_at >= $1 ORDER BY recorded_at, id LIMIT $2");
    db.query(mingying_db::AssertSqlSafe(sql), params![since, limit]).await?.iter().map(recorded).collect()
}
