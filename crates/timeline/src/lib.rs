//! The case as its events tell it: who did what, when, from which system, from the request to the patient's phone.

mod error;
mod replay;

pub use error::TimelineError;
pub use replay::{Entry, replay};

mingying_kernel::action! {
    /// Sees the timeline of a case.
    ReadTimeline = "timeline.read",
}
