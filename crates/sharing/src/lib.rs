//! The patient's side: a link that opens the signed report, and the images if it was made so, on a phone without an
//! account.
//!
//! The link carries 256 random bits, of which only a hash is kept. Whoever has it must also know the birth date and
//! the last four characters of the phone number or of a document. A link ends by time or by revocation, at the next
//! request in either case; what it shows is always the version in force.

mod create;
mod error;
mod model;
mod open;
mod store;
mod view;

pub use create::{NewShare, create, revoke, shares_of};
pub use error::ShareError;
pub use model::{Made, Share, ShareState};
pub use open::{Opened, SESSION, open, session};
pub use view::{FramePlace, Series, SharedReport, frame, report_content, report_view};

mingying_kernel::action! {
    /// Makes a link for the patient.
    CreateShare = "share.create",
    /// Ends a link.
    RevokeShare = "share.revoke",
    /// Sees which links there are.
    ReadShares = "share.read",
}
