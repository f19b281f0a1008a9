//! Events: what happened, append-only, written in the transaction of the change itself.
//!
//! A payload is a versioned struct that only grows; `payload/<domain>.rs` holds each domain's. Timelines, audit,
//! interfaces and live screens are fed from here. Subscribers get one row in `deliveries` per event and are driven
//! by `jobs`.

pub mod payload;
mod store;

pub use store::{Recorded, emit, read, read_after, read_case, read_subject, subscribe};

use mingying_kernel::{OrderId, OrgId, PatientId, Timestamp};
use serde::{Serialize, de::DeserializeOwned};

/// A versioned event payload. Fields are only ever added, with `#[serde(default)]`.
pub trait Payload: Serialize + DeserializeOwned + Send + Sync {
    /// Dotted and stable: `order.created`.
    const TOPIC: &'static str;
    const VERSION: u16 = 1;
}

/// What an event is about.
#[derive(Debug, Clone)]
pub struct About {
    /// `order`, `patient`, `study`, `report`, `queue_entry`, `share`, `message` …
    pub kind: &'static str,
    pub id: String,
    /// The case (order) whose timeline shows the event.
    pub case: Option<OrderId>,
    pub patient: Option<PatientId>,
    pub org: OrgId,
    /// When it happened, if that is not when it is recorded (back-filled entries, device times).
    pub occurred_at: Option<Timestamp>,
}

impl About {
    pub fn new(kind: &'static str, id: impl ToString, org: OrgId) -> Self {
        Self { kind, id: id.to_string(), case: None, patient: None, org, occurred_at: None }
    }

    #[must_use]
    pub fn case(mut self, order: OrderId) -> Self {
        self.case = Some(order);
        self
    }

    #[must_use]
    pub fn patient(mut self, patient: PatientId) -> Self {
        self.patient = Some(patient);
        self
    }

    #[must_use]
    pub fn occurred_at(mut self, at: Timestamp) -> Self {
        self.occurred_at = Some(at);
        self
    }
}
