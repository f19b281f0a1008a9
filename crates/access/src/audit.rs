//! The audit log: append-only rows written in the change's transaction, unsealed; the sealer chains them later.

use mingying_db::{DbError, Tx, params};
use mingying_events::{About, Payload};
use mingying_kernel::{Action, Ctx, EventId, Permit};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Denied,
    Failed,
}

impl Outcome {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Denied => "denied",
            Self::Failed => "failed",
        }
    }
}

/// Writes the event and its audit row: what every use case calls once per change.
pub async fn record<A: Action, P: Payload>(
    tx: &mut Tx,
    permit: &Permit<A>,
    about: &About,
    payload: &P,
) -> Result<EventId, DbError> {
    let event = mingying_events::emit(tx, permit.ctx(), about, payload).await?;
    audit(tx, permit.ctx(), permit.action(), about.kind, &about.id, Outcome::Done, P::TOPIC).await?;
    Ok(event)
}

/// Writes an audit row alone: reads of patient data, refusals, sign-ins. `detail` holds codes, never patient data.
pub async fn audit(
    tx: &mut Tx,
    ctx: &Ctx,
    action: &str,
    object_kind: &str,
    object_id: &str,
    outcome: Outcome,
    detail: &str,
) -> Result<(), DbError> {
    let actor = ctx.actor();
    tx.execute(
        "INSERT INTO audit (id, at, actor_kind, actor_id, source, request_id, action, object_kind, object_id, outcome, \
         detail) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        params![
            EventId::new(),
            ctx.now(),
            actor.kind.as_str(),
            &actor.id,
            ctx.source(),
            ctx.request().to_string(),
            action,
            object_kind,
            object_id,
            outcome.as_str(),
            detail
        ],
    )
    .await?;
    Ok(())
}
