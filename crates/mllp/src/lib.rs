//! HL7 v2 over MLLP: the listener for patients and orders, the sender of results, and the log of every message.
//!
//! A message is stored before it is acted on, acted on in one transaction together with its own state, and only then
//! acknowledged: `AA` means durable. A refused message is answered with AE or AR and waits in the error queue, where a
//! person corrects and replays it (R-4.3.1-c).

mod client;
mod error;
mod frame;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod listener;
mod process;
mod queue;
mod results;
mod store;

pub use client::send;
pub use error::MllpError;
pub use frame::{Frames, wrap};
pub use listener::{Listener, Settings, TlsConnect};
pub use queue::{Direction, MessageRow, MessageState, list, message_text, put_receiver, receivers, replay};
pub use results::ResultSender;
pub use store::Receiver;

mingying_kernel::action! {
    /// Delivers a message, as a machine.
    ReceiveMessages = "message.receive",
    /// Sees the message log.
    ReadMessages = "message.read",
    /// Corrects and replays refused messages, and keeps the register of receivers.
    RepairMessages = "message.repair",
}
