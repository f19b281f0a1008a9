//! Registration and changes of people. Payloads name fields, never their values.

use crate::Payload;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatientRegistered {
    /// Nobody knows who this is.
    #[serde(default)]
    pub temporary: bool,
}
impl Payload for PatientRegistered {
    const TOPIC: &'static str = "patient.registered";
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatientUpdated {
    #[serde(default)]
    pub version: i64,
    /// Names of the changed fields.
    #[serde(default)]
    pub fields: Vec<String>,
}
impl Payload for PatientUpdated {
    const TOPIC: &'static str = "patient.updated";
}

/// Numbering of an organization was set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuersSet {
    #[serde(default)]
    pub mrn: String,
    #[serde(default)]
    pub temporary: String,
}
impl Payload for IssuersSet {
    const TOPIC: &'static str = "patient.issuers_set";
}
