//! The audit chain: each row is hashed together with the hash of the row before, so that changing, removing or
//! inserting one shows. Rows are sealed within a second by one leased task; sealing inside each transaction would
//! serialise every writer.

use crate::audit::AuditRow;
use crate::model::hex;
use crate::{Access, audit};
use mingying_db::{Db, DbError, Tx, params};
use mingying_kernel::{SessionId, SharedClock, Timestamp};
use sha2::{Digest, Sha256};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";
const LEASE: &str = "audit-sealer";
const LEASE_TIME: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(400);
const BATCH: u32 = 500;

/// The hash of one row: the previous hash and every column, each with its length in front, so that no two different
/// rows give the same text.
fn hash_row(previous: &str, row: &AuditRow) -> String {
    let mut hash = Sha256::new();
    let at = row.at.as_micros().to_string();
    let fields = [
        previous,
        &row.id,
        &at,
        &row.actor_kind,
        &row.actor_id,
        &row.source,
        &row.request_id,
        &row.action,
        &row.object_kind,
        &row.object_id,
        &row.outcome,
        &row.detail,
    ];
    for field in fields {
        hash.update((field.len() as u64).to_be_bytes());
        hash.update(field.as_bytes());
    }
    hex(&hash.finalize())
}

/// Seals rows until cancelled. Any number of processes may run one; a lease lets one of them work.
pub struct Sealer {
    db: Db,
    clock: SharedClock,
    owner: String,
}

impl Sealer {
    pub fn new(access: &Access) -> Self {
        Self { db: access.db.clone(), clock: access.clock.clone(), owner: SessionId::new().to_string() }
    }

    pub async fn run(self, cancel: CancellationToken) {
        loop {
            let sealed = match self.seal_once().await {
                Ok(count) => count,
                Err(error) => {
                    tracing::warn!(%error, "audit rows not sealed");
                    0
                }
            };
            if sealed >= u64::from(BATCH) && !cancel.is_cancelled() {
                continue;
            }
            tokio::select! {
                () = cancel.cancelled() => break,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
        // What the last requests wrote is sealed before the process ends.
        while matches!(self.seal_once().await, Ok(count) if count >= u64::from(BATCH)) {}
    }

    /// Seals what is there, at most one batch; the number of rows sealed, 0 also while another process holds the lease.
    pub async fn seal_once(&self) -> Result<u64, DbError> {
        // An idle system writes nothing.
        if !has_unsealed(&self.db).await? {
            return Ok(0);
        }
        let now = self.clock.now();
        // Seals can be made again from the rows: their commit need not wait for the disk.
        let mut tx = self.db.begin_replayable().await?;
        if !take_lease(&mut tx, &self.owner, now).await? {
            tx.rollback().await?;
            return Ok(0);
        }
        let (mut seq, mut previous) = last_seal(&mut tx).await?;
        let rows = audit::unsealed(&mut tx, BATCH).await?;
        for row in &rows {
            seq += 1;
            let hash = hash_row(&previous, row);
            tx.execute(
                "INSERT INTO audit_seals (seq, audit_id, prev_hash, hash, sealed_at) VALUES ($1, $2, $3, $4, $5)",
                params![seq, &row.id, &previous, &hash, now],
            )
            .await?;
            tx.execute("DELETE FROM audit_unsealed WHERE audit_id = $1", params![&row.id]).await?;
            previous = hash;
        }
        tx.commit().await?;
        Ok(rows.len() as u64)
    }
}

async fn has_unsealed(db: &Db) -> Result<bool, DbError> {
    Ok(db.query_opt("SELECT audit_id FROM audit_unsealed LIMIT 1", params![]).await?.is_some())
}

async fn take_lease(tx: &mut Tx, owner: &str, now: Timestamp) -> Result<bool, DbError> {
    let changed = tx
        .execute(
            "INSERT INTO access_leases (name, owner, until_at) VALUES ($1, $2, $3) \
             ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until_at = excluded.until_at \
             WHERE access_leases.owner = $2 OR access_leases.until_at < $4",
            params![LEASE, owner, now.plus(LEASE_TIME), now],
        )
        .await?;
    Ok(changed == 1)
}

async fn last_seal(tx: &mut Tx) -> Result<(i64, String), DbError> {
    match tx.query_opt("SELECT seq, hash FROM audit_seals ORDER BY seq DESC LIMIT 1", params![]).await? {
        Some(row) => Ok((row.get("seq")?, row.get("hash")?)),
        None => Ok((0, GENESIS.to_owned())),
    }
}

/// Where the chain does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChainBreak {
    /// The row's content is not what was sealed, or a seal was altered.
    Changed { seq: i64 },
    /// A seal has no row any more.
    RowMissing { seq: i64 },
    /// A seal is missing, or was inserted.
    SealMissing { seq: i64 },
    /// So many rows have neither a seal nor a place in the sealer's queue: they were slipped in, or a seal was cut off.
    Unsealed { rows: u64 },
}

#[derive(Debug, Clone, Default)]
pub struct ChainReport {
    pub sealed: u64,
    /// The hash of the newest seal: write it down elsewhere, and truncation shows too.
    pub head: String,
    pub first_break: Option<ChainBreak>,
}

/// Walks the whole chain and stops at the first break.
pub async fn verify_chain(db: &Db) -> Result<ChainReport, DbError> {
    let mut report = verify_from(db, 0, GENESIS.to_owned()).await?;
    if report.first_break.is_none() {
        let rows: u64 = db
            .query_one(
                "SELECT COUNT(*) AS n FROM audit a WHERE NOT EXISTS \
                 (SELECT 1 FROM audit_seals s WHERE s.audit_id = a.id) AND NOT EXISTS \
                 (SELECT 1 FROM audit_unsealed w WHERE w.audit_id = a.id)",
                params![],
            )
            .await?
            .get("n")?;
        if rows > 0 {
            report.first_break = Some(ChainBreak::Unsealed { rows });
        }
    }
    Ok(report)
}

/// Walks the chain after seal `seq`, whose hash the caller trusts.
pub async fn verify_from(db: &Db, seq: i64, head: String) -> Result<ChainReport, DbError> {
    let (mut seq, mut previous) = (seq, head);
    loop {
        let page = audit::sealed_after(db, seq, BATCH).await?;
        let count = page.len();
        for (seal, row) in page {
            let broken = if seal.seq != seq + 1 {
                Some(ChainBreak::SealMissing { seq: seq + 1 })
            } else {
                match &row {
                    None => Some(ChainBreak::RowMissing { seq: seal.seq }),
                    Some(row) if seal.prev_hash != previous || hash_row(&previous, row) != seal.hash => {
                        Some(ChainBreak::Changed { seq: seal.seq })
                    }
                    Some(_) => None,
                }
            };
            if broken.is_some() {
                return Ok(ChainReport { sealed: seq as u64, head: previous, first_break: broken });
            }
            seq = seal.seq;
            previous = seal.hash;
        }
        if count < BATCH as usize {
            return Ok(ChainReport { sealed: seq as u64, head: previous, first_break: None });
        }
    }
}

/// How far the sealer is behind.
#[derive(Debug, Clone, Copy, Default)]
pub struct AuditLag {
    pub rows: u64,
    pub sealed: u64,
    /// Age of the oldest row that is not sealed; 0 when all are.
    pub lag: Duration,
}

pub async fn audit_lag(db: &Db, now: Timestamp) -> Result<AuditLag, DbError> {
    let sealed: u64 = db.query_one("SELECT COALESCE(MAX(seq), 0) AS n FROM audit_seals", params![]).await?.get("n")?;
    let waiting = db
        .query_one(
            "SELECT COUNT(*) AS n, MIN(a.at) AS oldest FROM audit_unsealed w JOIN audit a ON a.id = w.audit_id",
            params![],
        )
        .await?;
    let oldest: Option<Timestamp> = waiting.get("oldest")?;
    let rows = sealed + waiting.get::<u64>("n")?;
    Ok(AuditLag { rows, sealed, lag: oldest.map_or(Duration::ZERO, |at| now.since(at)) })
}
