//! HL7 v2 messages: text in and out of its character set, and the mapping between segments and what the product
//! means by a patient, an order and a result. No network, no database.
//!
//! Inbound: ADT^A01/A04/A08, ORM^O01, OMG^O19, OMI^O23. Outbound: ACK, ORU^R01.

#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod inbound;
mod message;
mod outbound;
mod text;

pub use inbound::{
    Control, Inbound, OrderMessage, PatientData, Priority, RequestedItem, ScheduledStep, VisitClass, VisitData, read,
};
pub use message::{Header, Message};
pub use outbound::{AckCode, Destination, ResultMessage, ack, oru_r01};
pub use text::{Charset, decode, encode};

/// The largest message accepted, in bytes.
pub const MAX_MESSAGE: usize = 1024 * 1024;

/// Why a message is refused. The location is a segment and field (`PID-3`), never a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code} at {location}")]
pub struct Refusal {
    /// Stable, for the error queue: `hl7.field_missing`.
    pub code: &'static str,
    /// HL7 table 0357.
    pub hl7_code: u16,
    pub location: String,
    /// AR (the message cannot be processed by this system at all) instead of AE (its content is at fault).
    pub reject: bool,
}

impl Refusal {
    pub fn missing(location: &str) -> Self {
        Self { code: "hl7.field_missing", hl7_code: 101, location: location.to_owned(), reject: false }
    }

    pub fn data_type(location: &str) -> Self {
        Self { code: "hl7.data_type", hl7_code: 102, location: location.to_owned(), reject: false }
    }

    pub fn unknown_value(location: &str) -> Self {
        Self { code: "hl7.unknown_value", hl7_code: 103, location: location.to_owned(), reject: false }
    }

    pub fn unknown_key(location: &str) -> Self {
        Self { code: "hl7.unknown_key", hl7_code: 204, location: location.to_owned(), reject: false }
    }

    pub fn malformed() -> Self {
        Self { code: "hl7.malformed", hl7_code: 100, location: "MSH".to_owned(), reject: true }
    }

    pub fn unsupported(location: &str) -> Self {
        Self { code: "hl7.unsupported", hl7_code: 200, location: location.to_owned(), reject: true }
    }
}
