//! A place in a queue: its states, and who comes before whom. Pure.

use mingying_kernel::{DeviceId, OrderId, OrgId, PatientId, QueueEntryId, RoomId, Timestamp, words};
use std::time::Duration;

words! {
    QueueState {
        Waiting = "waiting",
        Called = "called",
        InRoom = "in_room",
        Done = "done",
        /// No answer (过号).
        Passed = "passed",
        /// Preparing, or sent away for a while.
        OnHold = "on_hold",
        /// Gone without the exam.
        Left = "left",
    }

    /// What somebody does to an entry.
    Act {
        /// Calls (顺呼, 选呼), or calls again (重呼).
        Call = "call",
        /// No answer, or another one first (跳呼).
        Skip = "skip",
        /// Back among the waiting.
        PutBack = "return",
        /// Identity confirmed, in the room.
        Enter = "enter",
        Hold = "hold",
        Finish = "done",
        Leave = "leave",
        Transfer = "transfer",
    }

    /// How the patient comes to the exam (`domain.md` section 2).
    Mode { Appointment = "appointment", WalkIn = "walk_in", Emergency = "emergency", Bedside = "bedside" }

    QueueClass { Emergency = "emergency", Appointment = "appointment", WalkIn = "walk_in" }
}

impl QueueState {
    /// Where `act` leads from here; `None` when it is not possible.
    pub const fn after(self, act: Act) -> Option<Self> {
        match (self, act) {
            (Self::Waiting | Self::Called | Self::Passed, Act::Call) => Some(Self::Called),
            (Self::Waiting | Self::Called, Act::Skip) => Some(Self::Passed),
            (Self::Called | Self::Passed | Self::OnHold, Act::PutBack) => Some(Self::Waiting),
            (Self::Waiting | Self::Called | Self::Passed | Self::OnHold, Act::Enter) => Some(Self::InRoom),
            (Self::Waiting | Self::Called, Act::Hold) => Some(Self::OnHold),
            (Self::InRoom, Act::Finish) => Some(Self::Done),
            (Self::Waiting | Self::Called | Self::Passed | Self::OnHold, Act::Leave) => Some(Self::Left),
            // Whoever is sent elsewhere waits there, called or not.
            (Self::Waiting | Self::Called | Self::Passed | Self::OnHold, Act::Transfer) => Some(Self::Waiting),
            _ => None,
        }
    }

    /// The patient is still here for this exam.
    pub const fn is_open(self) -> bool {
        !matches!(self, Self::Done | Self::Left)
    }
}

/// How many of the waiting go before somebody who comes back after being passed.
pub(crate) const BEFORE_RETURNED: u32 = 3;

/// Who is later than this has lost the place that the appointment gave.
pub(crate) const LATE: Duration = Duration::from_mins(15);

/// The place in the queue: emergencies first, everyone else by one clock. A punctual appointment counts from its
/// scheduled start, whoever comes late or without an appointment from the moment of arrival. So a walk-in goes first
/// while the next appointment's time has not come, and nobody waits behind people who came later by more than the
/// lead of their appointments.
pub(crate) fn place(class: QueueClass, start: Option<Timestamp>, arrived: Timestamp) -> (i64, Timestamp) {
    match (class, start) {
        (QueueClass::Emergency, _) => (0, arrived),
        (QueueClass::Appointment, Some(start)) if arrived <= start.plus(LATE) => (1, start),
        _ => (1, arrived),
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueEntry {
    pub id: QueueEntryId,
    pub org: OrgId,
    pub order: OrderId,
    pub patient: PatientId,
    pub room: RoomId,
    pub device: DeviceId,
    pub ticket: String,
    pub mode: Mode,
    pub class: QueueClass,
    pub state: QueueState,
    pub calls: u32,
    pub arrived_at: Timestamp,
    pub called_at: Option<Timestamp>,
    pub version: i64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_usual_way() {
        use QueueState as S;
        assert_eq!(S::Waiting.after(Act::Call), Some(S::Called));
        assert_eq!(S::Called.after(Act::Call), Some(S::Called));
        assert_eq!(S::Called.after(Act::Skip), Some(S::Passed));
        assert_eq!(S::Passed.after(Act::PutBack), Some(S::Waiting));
        assert_eq!(S::Called.after(Act::Enter), Some(S::InRoom));
        assert_eq!(S::InRoom.after(Act::Finish), Some(S::Done));
        assert_eq!(S::InRoom.after(Act::Leave), None, "discontinue the exam instead");
    }

    proptest! {
        #[test]
        fn nothing_follows_the_end_and_the_room_is_entered_before_it_is_left(
            acts in prop::collection::vec(0..Act::ALL.len(), 1..60),
        ) {
            let mut state = QueueState::Waiting;
            let mut entered = false;
            for act in acts.into_iter().map(|i| Act::ALL[i]) {
                let Some(next) = state.after(act) else { continue };
                prop_assert!(state.is_open());
                entered |= next == QueueState::InRoom;
                if next == QueueState::Done {
                    prop_assert!(entered);
                }
                state = next;
            }
        }

        /// Who came earlier is overtaken only by emergencies and by appointments whose time had come.
        #[test]
        fn overtaking_has_a_bound(a in 0i64..600, b in 0i64..600, start in 0i64..600) {
            let minute = |m: i64| Timestamp::from_micros(m * 60_000_000);
            let walk_in = place(QueueClass::WalkIn, None, minute(a));
            let booked = place(QueueClass::Appointment, Some(minute(start)), minute(b));
            if b > a && booked < walk_in {
                prop_assert!(start < a && b - start <= 15);
            }
            prop_assert!(place(QueueClass::Emergency, None, minute(600)) < walk_in);
        }
    }
}
