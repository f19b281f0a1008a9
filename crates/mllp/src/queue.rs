//! The message log and its error queue, as people see them.

use crate::store::{self, Receiver};
use crate::{MllpError, ReadMessages, RepairMessages, process};
use mingying_access::{Outcome, audit};
use mingying_db::Db;
use mingying_kernel::{MessageId, OrderId, Permit, Timestamp};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    In,
    Out,
}

impl Direction {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::In, Self::Out].into_iter().find(|d| d.as_str() == text)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageState {
    /// Stored; not acted on, or still to be sent.
    Received,
    Done,
    /// Refused; waits for a person.
    Error,
}

impl MessageState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Done => "done",
            Self::Error => "error",
        }
    }

    pub(crate) fn parse(text: &str) -> Self {
        Self::from_text(text).unwrap_or(Self::Received)
    }

    pub fn from_text(text: &str) -> Option<Self> {
        [Self::Received, Self::Done, Self::Error].into_iter().find(|s| s.as_str() == text)
    }
}

/// One row of the log, without the message's text.
#[derive(Debug, Clone, PartialEq)]
pub struct MessageRow {
    pub id: MessageId,
    pub direction: Direction,
    /// Sending application and facility, or the receiver's name.
    pub peer: String,
    /// `ADT^A04`
    pub kind: String,
    pub control_id: String,
    pub state: MessageState,
    pub error_code: Option<String>,
    /// Segment and field.
    pub error_at: Option<String>,
    pub order: Option<OrderId>,
    pub attempts: u32,
    pub received_at: Timestamp,
}

/// Newest first, at most 200; `before` is the last id of the page before.
pub async fn list(
    db: &Db,
    _permit: &Permit<ReadMessages>,
    state: Option<MessageState>,
    direction: Option<Direction>,
    before: Option<MessageId>,
    limit: u32,
) -> Result<Vec<MessageRow>, MllpError> {
    Ok(store::list(db, state, direction, before, limit.clamp(1, 200)).await?)
}

/// One message and its text, with line feeds instead of carriage returns. It holds patient data: reading it is audited.
pub async fn message_text(
    db: &Db,
    permit: &Permit<RepairMessages>,
    id: MessageId,
) -> Result<(MessageRow, String), MllpError> {
    let (row, body) = match store::load(db, id).await {
        Ok(found) => found,
        Err(mingying_db::DbError::NotFound) => return Err(MllpError::NotFound),
        Err(error) => return Err(error.into()),
    };
    let mut tx = db.begin().await?;
    audit(&mut tx, permit.ctx(), permit.action(), "message", &id.to_string(), Outcome::Done, "read").await?;
    tx.commit().await?;
    Ok((row, mingying_hl7::decode(&body).0.replace('\r', "\n")))
}

/// Acts on a refused message again, after a person corrected it where `text` is given. The original stays stored.
pub async fn replay(
    db: &Db,
    permit: &Permit<RepairMessages>,
    id: MessageId,
    text: Option<&str>,
) -> Result<MessageRow, MllpError> {
    let (row, mut body) = match store::load(db, id).await {
        Ok(found) => found,
        Err(mingying_db::DbError::NotFound) => return Err(MllpError::NotFound),
        Err(error) => return Err(error.into()),
    };
    if row.state != MessageState::Error || row.direction != Direction::In {
        return Err(MllpError::NotInQueue);
    }
    if let Some(text) = text {
        if text.len() > mingying_hl7::MAX_MESSAGE {
            return Err(MllpError::Invalid { field: "text" });
        }
        let text = text.replace("\r\n", "\r").replace('\n', "\r");
        // What people type is UTF-8, whatever MSH-18 still says; decoding prefers valid UTF-8 only when it is not
        // declared otherwise, hence the declared set is honoured here by encoding into it.
        let charset = mingying_hl7::decode(&body).1;
        body = mingying_hl7::encode(&text, charset);
        let mut tx = db.begin().await?;
        store::correct(&mut tx, id, &body).await?;
        audit(&mut tx, permit.ctx(), permit.action(), "message", &id.to_string(), Outcome::Done, "corrected").await?;
        tx.commit().await?;
    }
    match process::act(db, permit, id, &body).await? {
        Ok(()) => Ok(store::load(db, id).await?.0),
        Err(refusal) => Err(MllpError::Refused(refusal)),
    }
}

/// The register of result receivers.
pub async fn receivers(db: &Db) -> Result<Vec<Receiver>, MllpError> {
    Ok(store::receivers(db).await?)
}

/// Adds or changes a receiver.
pub async fn put_receiver(db: &Db, permit: &Permit<RepairMessages>, receiver: &Receiver) -> Result<(), MllpError> {
    if receiver.name.is_empty() || receiver.host.is_empty() || receiver.port == 0 {
        return Err(MllpError::Invalid { field: "receiver" });
    }
    let mut tx = db.begin().await?;
    store::put_receiver(&mut tx, receiver).await?;
    audit(&mut tx, permit.ctx(), permit.action(), "receiver", &receiver.name, Outcome::Done, "put").await?;
    tx.commit().await?;
    Ok(())
}
