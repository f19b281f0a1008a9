//! Patient links.

use crate::Payload;
use mingying_kernel::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareCreated {
    pub expires_at: Timestamp,
    pub images: bool,
}
impl Payload for ShareCreated {
    const TOPIC: &'static str = "share.created";
}

/// Somebody with the birth date and the last four digits opened the link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareOpened {
    /// How often it has been opened, this time included.
    pub opens: u32,
}
impl Payload for ShareOpened {
    const TOPIC: &'static str = "share.opened";
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareRevoked {}
impl Payload for ShareRevoked {
    const TOPIC: &'static str = "share.revoked";
}

/// The result was handed over: the patient has seen the signed report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultDelivered {
    /// `patient_link`, `print`, …
    pub channel: String,
}
impl Payload for ResultDelivered {
    const TOPIC: &'static str = "result.delivered";
}
