//! Arrival, queues, displays.

use crate::Payload;
use serde::{Deserialize, Serialize};

macro_rules! payload {
    ($($(#[$doc:meta])* $name:ident = $topic:literal { $($(#[$fdoc:meta])* $field:ident: $type:ty),* $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name { $($(#[$fdoc])* #[serde(default)] pub $field: $type),* }
        impl Payload for $name {
            const TOPIC: &'static str = $topic;
        }
    )+};
}

payload! {
    PatientArrived = "patient.arrived" {
        /// `appointment`, `walk_in`, `emergency`, `bedside`
        mode: String,
        /// Why there was no appointment.
        reason: String,
    }
    QueueJoined = "queue.joined" {
        ticket: String,
        room: String,
        class: String,
    }
    QueueCalled = "queue.called" {
        ticket: String,
        room: String,
        /// 1 for the first call.
        calls: u32,
    }
    QueueEntered = "queue.entered" { ticket: String, room: String }
    QueueDone = "queue.done" { ticket: String }
    /// No answer (过号).
    QueuePassed = "queue.passed" { ticket: String, calls: u32, reason: String }
    /// Waits again: came back after being passed, or the hold ended.
    QueueReturned = "queue.returned" { ticket: String, from: String, reason: String }
    QueueHeld = "queue.held" { ticket: String, reason: String }
    QueueLeft = "queue.left" { ticket: String, reason: String }
    /// To another room.
    QueueMoved = "queue.moved" { ticket: String, from_room: String, room: String, reason: String }
    DisplayCreated = "display.created" { name: String, rooms: u32 }
}
