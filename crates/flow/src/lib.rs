//! Arrival, queues and the screens that show them.
//!
//! Arriving moves the exam to ARRIVED and joins the queue of the device's room in one transaction. From then on the
//! entry follows the technologist's calls, and the exam itself: an exam that starts takes its patient into the room,
//! one that ends lets them go (`FollowExams`).

mod arrive;
mod call;
mod display;
mod error;
mod follow;
mod list;
mod model;
mod store;

pub use arrive::{Arrival, arrive};
pub use call::{call, call_next, enter, hold, leave, put_back, skip, transfer};
pub use display::{Display, DisplayRoom, DisplayView, create_display, display_view, displays};
pub use error::FlowError;
pub use follow::{FollowExams, withdraw};
pub use list::{QueueQuery, QueueRow, entry, entry_in, queue, tickets_of};
pub use model::{Act, Mode, QueueClass, QueueEntry, QueueState};

mingying_kernel::action! {
    /// Sees queues.
    ReadQueues = "queue.read",
    /// Receives patients.
    CheckIn = "queue.checkin",
    /// Calls, skips, holds, transfers.
    CallPatients = "queue.call",
    /// Reads a waiting-room display.
    ReadDisplays = "display.read",
    /// Makes displays.
    ManageDisplays = "display.manage",
}
