//! The queue follows the exam: whoever is being examined is in the room, whoever is done has left it.

use crate::call::{about, act, enter_in, finish_in};
use crate::model::{Act, QueueEntry, QueueState};
use crate::{FlowError, store};
use async_trait::async_trait;
use mingying_access::record;
use mingying_db::{Db, Tx};
use mingying_events::Recorded;
use mingying_events::payload::flow::QueueLeft;
use mingying_jobs::{Failure, Subscriber};
use mingying_kernel::{Action, Ctx, OrderId, Permit};

/// Cancels an exam before it begins, wherever it stands: the calendar and the queue let it go in the same transaction.
pub async fn withdraw<A: Action>(
    tx: &mut Tx,
    permit: &Permit<A>,
    order: OrderId,
    reason: &str,
) -> Result<(), FlowError> {
    let _cancelled = mingying_orders::cancel(tx, permit, order, reason).await?;
    mingying_scheduling::free_order(tx, permit, order, reason).await?;
    if let Some(mut entry) = store::hold_open(tx, order).await? {
        act(tx, &mut entry, Act::Leave, permit.now()).await?;
        let event = QueueLeft { ticket: entry.ticket.clone(), reason: reason.to_owned() };
        record(tx, permit, &about(&entry), &event).await?;
    }
    Ok(())
}

/// Moves queue entries when an exam starts or ends, whoever started or ended it.
pub struct FollowExams {
    db: Db,
    ctx: Ctx,
}

impl FollowExams {
    pub fn new(db: Db, ctx: Ctx) -> Self {
        Self { db, ctx }
    }

    async fn follow(&self, order: OrderId, topic: &str) -> Result<(), FlowError> {
        let permit = self.ctx.permit::<crate::CallPatients>().map_err(|_| FlowError::Invalid { field: "permit" })?;
        let mut tx = self.db.begin().await?;
        let Some(mut entry) = store::hold_open(&mut tx, order).await? else { return Ok(()) };
        match topic {
            "exam.started" => {
                if entry.state != QueueState::InRoom {
                    enter_in(&mut tx, &permit, &mut entry).await?;
                }
            }
            _ => self.finish(&mut tx, &permit, &mut entry).await?,
        }
        tx.commit().await?;
        Ok(())
    }

    async fn finish<A: Action>(
        &self,
        tx: &mut Tx,
        permit: &Permit<A>,
        entry: &mut QueueEntry,
    ) -> Result<(), FlowError> {
        // An exam that ended without anybody having seen it start, as devices without MPPS do.
        if entry.state != QueueState::InRoom {
            enter_in(tx, permit, entry).await?;
        }
        finish_in(tx, permit, entry).await
    }
}

#[async_trait]
impl Subscriber for FollowExams {
    fn name(&self) -> &'static str {
        "queue-follows-exam"
    }

    fn topics(&self) -> &'static [&'static str] {
        &["exam.started", "exam.completed", "exam.discontinued"]
    }

    async fn handle(&self, event: &Recorded) -> Result<(), Failure> {
        match event.case {
            Some(order) => Ok(self.follow(order, &event.topic).await?),
            None => Ok(()),
        }
    }
}
