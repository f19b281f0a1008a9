//! The exam itself: what stands in a modality's worklist, what the modality says it performed, and the technologist's
//! start, confirmation, discontinuation and repetition.
//!
//! Three witnesses tell that an exam began and that its images are complete: the modality by MPPS, the technologist,
//! and the images themselves; the first one moves the state, the others find it moved.

mod error;
mod images;
mod model;
mod mpps;
mod perform;
mod store;
mod worklist;

pub use error::ExamError;
pub use images::{close_quiet, images_arrived, progress_of};
pub use model::{
    ImagedBy, Mpps, MppsCreate, MppsSeries, MppsSet, MppsState, Progress, StartedBy, WorklistCode, WorklistItem,
    WorklistQuery,
};
pub use mpps::{mpps_create, mpps_of, mpps_set, unlinked_mpps};
pub use perform::{complete, complete_in, discontinue, discontinue_in, prepare, redo, redo_in, start, start_in};
pub use worklist::query_worklist;

mingying_kernel::action! {
    /// Sees how exams proceed.
    ReadExams = "exam.read",
    /// Starts, confirms, discontinues, repeats.
    PerformExam = "exam.perform",
    /// A modality reads its worklist.
    QueryWorklist = "mwl.query",
    /// A modality reports what it performs.
    WriteMpps = "mpps.write",
}
