//! The reading room: studies find their orders, physicians find their cases, one of them holds a case at a time.
//!
//! `archive` takes images without knowing any order; here a study is linked to its order by accession number, then by
//! the Study Instance UID that the worklist gave out, and only where the patient agrees. Everything else waits in the
//! unmatched list for a person.

mod error;
mod link;
mod locks;
mod match_study;
mod model;
mod plausible;
mod recount;
mod room;
mod store;
mod subscriber;
mod worklist;

pub use error::ReadingError;
pub use link::{link, unlink, unmatched};
pub use locks::{Lock, holder, holders, lock, release_in, renew_in, unlock};
pub use match_study::{Matched, match_study};
pub use model::{
    CaseCount, How, Page, Prior, ReadingQuery, ReadingRow, Reason, Room, Sort, StudyLink, StudyView, Unmatched, age,
};
pub use plausible::{Identity, Verdict, compare};
pub use recount::recount;
pub use room::{links_of, order_of, orders_of, room, studies_of, study_uids};
pub use subscriber::MatchStudies;
pub use worklist::{count_cases, worklist};

mingying_kernel::action! {
    /// Sees the reading worklist and the reading room.
    ReadCases = "reading.read",
    /// Links a study to an order, or takes it off.
    LinkStudy = "study.link",
}
