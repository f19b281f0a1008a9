//! Requests and the catalogue.

use crate::Payload;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCreated {
    #[serde(default)]
    pub accession: String,
    #[serde(default)]
    pub modality: String,
    /// Catalogue codes.
    #[serde(default)]
    pub items: Vec<String>,
    #[serde(default)]
    pub priority: String,
    /// `desk`, `hl7`
    #[serde(default)]
    pub source: String,
    #[serde(default)]
    pub placer_number: Option<String>,
}
impl Payload for OrderCreated {
    const TOPIC: &'static str = "order.created";
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderUpdated {
    /// Names of the changed fields.
    #[serde(default)]
    pub fields: Vec<String>,
    #[serde(default)]
    pub version: i64,
}
impl Payload for OrderUpdated {
    const TOPIC: &'static str = "order.updated";
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderAccepted {
    /// The automatic check found nothing missing.
    #[serde(default)]
    pub automatic: bool,
    /// What was missing when a person accepted it all the same.
    #[serde(default)]
    pub findings: Vec<String>,
}
impl Payload for OrderAccepted {
    const TOPIC: &'static str = "order.accepted";
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderReturned {
    #[serde(default)]
    pub reason: String,
}
impl Payload for OrderReturned {
    const TOPIC: &'static str = "order.returned";
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCancelled {
    #[serde(default)]
    pub reason: String,
    /// The state in which it was cancelled.
    #[serde(default)]
    pub from: String,
}
impl Payload for OrderCancelled {
    const TOPIC: &'static str = "order.cancelled";
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogueChanged {
    /// Codes made or replaced.
    #[serde(default)]
    pub codes: Vec<String>,
}
impl Payload for CatalogueChanged {
    const TOPIC: &'static str = "catalogue.changed";
}
