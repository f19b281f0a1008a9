//! The words every other crate shares: identifiers, time, who acts, what they may do, and how things fail.
//!
//! Nothing here knows a database, a transport or a clinical rule.

mod auth;
mod clock;
mod error;
mod id;
mod words;

/// For the `words!` macro.
#[doc(hidden)]
pub use serde;

pub use auth::{Action, Actor, ActorKind, Ctx, Denied, Permit, Policy, Role, Scope};
pub use clock::{Clock, ManualClock, SharedClock, SystemClock, Timestamp};
pub use error::{Coded, ErrorKind};
pub use id::{
    AccessionNumber, AeTitle, AppointmentId, CampusId, DepartmentId, DeviceId, DicomUid, EventId, InvalidValue, JobId,
    MessageId, OrderId, OrgId, PatientId, PatientIdentifier, PhraseId, QueueEntryId, ReportId, RoomId, SessionId,
    ShareId, SpsId, UserId,
};
