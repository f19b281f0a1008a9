//! What did not get through by itself, so that somebody is told before anybody misses it.

use crate::Payload;
use serde::{Deserialize, Serialize};

/// A delivery was given up: no retry helped, a person must look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryDead {
    /// Who did not get it: `results`, `archive-report`.
    pub subscriber: String,
    /// Topic of the event that was to be delivered.
    pub event: String,
    pub attempts: u32,
}

impl Payload for DeliveryDead {
    const TOPIC: &'static str = "delivery.dead";
}

/// A backup that was due was not made; it is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupFailed {
    /// `backup.not_empty`, `storage.full`
    pub code: String,
}

impl Payload for BackupFailed {
    const TOPIC: &'static str = "backup.failed";
}

/// A message of another system was refused and waits in the error queue for correction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageFailed {
    /// Sending application and facility.
    pub peer: String,
    /// `ORM^O01`
    pub kind: String,
    /// `hl7.unknown_key`
    pub code: String,
    /// Segment and field: `OBR-4`.
    #[serde(default)]
    pub location: String,
}

impl Payload for MessageFailed {
    const TOPIC: &'static str = "message.failed";
}
