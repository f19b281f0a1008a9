//! The state machine of one exam (`domain.md` section 2), from the request to the delivered report.
//!
//! Pure: which step leads from which state to which, and the topic of the event that the step is recorded with.
//! `advance` is the one place that applies it.

use mingying_kernel::words;

words! {
    ExamState {
        /// Entered, not submitted yet.
        Draft = "draft",
        /// Submitted; something is missing or must be looked at by a clerk.
        Ordered = "ordered",
        /// Sent back to the clinician with a reason.
        Returned = "returned",
        Accepted = "accepted",
        /// Has a time on a device and stands in its worklist.
        Scheduled = "scheduled",
        /// The patient is here (抵达).
        Arrived = "arrived",
        /// The nurse has finished the preparation.
        Prepared = "prepared",
        InProgress = "in_progress",
        /// Its images are complete and stored.
        Imaged = "imaged",
        /// The technologist has confirmed the images (检查完成).
        Completed = "completed",
        /// To be taken again: image grade 丁.
        Redo = "redo",
        /// A physician has issued the initial report.
        Reported = "reported",
        /// A senior has audited and signed.
        Audited = "audited",
        Delivered = "delivered",
        Cancelled = "cancelled",
        Discontinued = "discontinued",
    }

    /// What somebody or something does to an exam.
    Step {
        /// Clinician or interface submits.
        Submit = "submit",
        /// Automatic check or clerk accepts.
        Accept = "accept",
        /// Clerk sends back.
        Return = "return",
        /// Booker gives it a time and a device, or another one.
        Schedule = "schedule",
        /// Its appointment was cancelled; it waits for another.
        Unschedule = "unschedule",
        /// Desk or kiosk: the patient is here.
        Arrive = "arrive",
        /// The patient left before the exam began; the desk owns the exam again.
        Leave = "leave",
        /// Nurse: preparation done.
        Prepare = "prepare",
        /// MPPS, technologist, or images that came without either.
        Start = "start",
        /// MPPS completed, storage committed, or quiet time after the last image.
        Image = "image",
        /// Technologist confirms the images.
        Complete = "complete",
        /// To be taken again.
        Redo = "redo",
        /// Physician issues the initial report, again after a rejection.
        Report = "report",
        /// Senior signs; again for an amended version.
        Audit = "audit",
        /// A channel has handed the result over.
        Deliver = "deliver",
        Cancel = "cancel",
        Discontinue = "discontinue",
    }
}

impl ExamState {
    /// Where `step` leads from here; `None` when it is not allowed.
    pub const fn after(self, step: Step) -> Option<Self> {
        match self {
            Self::Draft => match step {
                Step::Submit => Some(Self::Ordered),
                Step::Cancel => Some(Self::Cancelled),
                _ => None,
            },
            Self::Ordered => match step {
                Step::Accept => Some(Self::Accepted),
                Step::Return => Some(Self::Returned),
                Step::Cancel => Some(Self::Cancelled),
                _ => None,
            },
            Self::Returned => match step {
                Step::Submit => Some(Self::Ordered),
                Step::Cancel => Some(Self::Cancelled),
                _ => None,
            },
            Self::Accepted => match step {
                Step::Schedule => Some(Self::Scheduled),
                Step::Return => Some(Self::Returned),
                // Walk-in, emergency, bedside: no appointment, the reason is recorded.
                Step::Arrive => Some(Self::Arrived),
                // A device began without the desk: the exam is a fact, the reason is recorded.
                Step::Start => Some(Self::InProgress),
                Step::Cancel => Some(Self::Cancelled),
                _ => None,
            },
            Self::Scheduled => match step {
                Step::Schedule => Some(Self::Scheduled),
                Step::Unschedule => Some(Self::Accepted),
                Step::Arrive => Some(Self::Arrived),
                Step::Start => Some(Self::InProgress),
                Step::Cancel => Some(Self::Cancelled),
                _ => None,
            },
            Self::Arrived => match step {
                Step::Prepare => Some(Self::Prepared),
                Step::Start => Some(Self::InProgress),
                Step::Leave => Some(Self::Accepted),
                Step::Cancel => Some(Self::Cancelled),
                _ => None,
            },
            Self::Prepared => match step {
                Step::Start => Some(Self::InProgress),
                Step::Leave => Some(Self::Accepted),
                Step::Cancel => Some(Self::Cancelled),
                _ => None,
            },
            Self::InProgress => match step {
                Step::Image => Some(Self::Imaged),
                Step::Discontinue => Some(Self::Discontinued),
                _ => None,
            },
            Self::Imaged => match step {
                Step::Complete => Some(Self::Completed),
                Step::Redo => Some(Self::Redo),
                // An emergency is read before the technologist comes to confirm.
                Step::Report => Some(Self::Reported),
                _ => None,
            },
            Self::Completed => match step {
                Step::Redo => Some(Self::Redo),
                Step::Report => Some(Self::Reported),
                _ => None,
            },
            Self::Redo => match step {
                Step::Schedule => Some(Self::Scheduled),
                Step::Arrive => Some(Self::Arrived),
                Step::Start => Some(Self::InProgress),
                Step::Discontinue => Some(Self::Discontinued),
                _ => None,
            },
            Self::Reported => match step {
                Step::Report => Some(Self::Reported),
                Step::Audit => Some(Self::Audited),
                _ => None,
            },
            Self::Audited => match step {
                Step::Audit => Some(Self::Audited),
                Step::Deliver => Some(Self::Delivered),
                _ => None,
            },
            Self::Delivered => match step {
                // A corrected version is delivered again.
                Step::Audit => Some(Self::Audited),
                Step::Deliver => Some(Self::Delivered),
                _ => None,
            },
            Self::Discontinued => match step {
                // The device was restarted and goes on.
                Step::Start => Some(Self::InProgress),
                _ => None,
            },
            Self::Cancelled => None,
        }
    }

    /// Whether the request itself may still be changed (items, clinical data).
    pub const fn is_open_request(self) -> bool {
        matches!(self, Self::Draft | Self::Ordered | Self::Returned | Self::Accepted | Self::Scheduled)
    }

    /// Nothing has been done to the patient yet.
    pub const fn is_before_exam(self) -> bool {
        self.is_open_request() || matches!(self, Self::Arrived | Self::Prepared)
    }
}

impl Step {
    /// The topic of the event that this step is recorded with.
    pub const fn topic(self) -> &'static str {
        match self {
            Self::Submit => "order.created",
            Self::Accept => "order.accepted",
            Self::Return => "order.returned",
            Self::Schedule => "sps.created",
            Self::Unschedule => "slot.freed",
            Self::Arrive => "patient.arrived",
            Self::Leave => "queue.left",
            Self::Prepare => "prep.done",
            Self::Start => "exam.started",
            Self::Image => "study.stored",
            Self::Complete => "exam.completed",
            Self::Redo => "exam.redo",
            Self::Report => "report.initial",
            Self::Audit => "report.final",
            Self::Deliver => "result.delivered",
            Self::Cancel => "order.cancelled",
            Self::Discontinue => "exam.discontinued",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The main road of `domain.md` section 2, written out a second time.
    #[test]
    fn the_main_road_leads_to_delivery() {
        use ExamState as S;
        let road = [
            (S::Draft, Step::Submit, S::Ordered),
            (S::Ordered, Step::Accept, S::Accepted),
            (S::Accepted, Step::Schedule, S::Scheduled),
            (S::Scheduled, Step::Arrive, S::Arrived),
            (S::Arrived, Step::Prepare, S::Prepared),
            (S::Prepared, Step::Start, S::InProgress),
            (S::InProgress, Step::Image, S::Imaged),
            (S::Imaged, Step::Complete, S::Completed),
            (S::Completed, Step::Report, S::Reported),
            (S::Reported, Step::Audit, S::Audited),
            (S::Audited, Step::Deliver, S::Delivered),
        ];
        for (from, step, to) in road {
            assert_eq!(from.after(step), Some(to), "{from} {step}");
        }
        assert_eq!(S::Accepted.after(Step::Arrive), Some(S::Arrived));
        assert_eq!(S::Imaged.after(Step::Redo), Some(S::Redo));
        assert_eq!(S::Ordered.after(Step::Return), Some(S::Returned));
    }

    #[test]
    fn cancellation_ends_where_the_exam_begins() {
        for state in ExamState::ALL {
            assert_eq!(state.after(Step::Cancel).is_some(), state.is_before_exam(), "{state}");
        }
    }

    #[test]
    fn every_state_is_reached() {
        let mut seen = vec![ExamState::Draft];
        let mut next = 0;
        while let Some(state) = seen.get(next).copied() {
            next += 1;
            for to in Step::ALL.iter().filter_map(|s| state.after(*s)) {
                if !seen.contains(&to) {
                    seen.push(to);
                }
            }
        }
        assert_eq!(seen.len(), ExamState::ALL.len());
    }

    proptest! {
        /// Over any sequence of attempts: a report needs an exam that began, a signature needs a report, and
        /// a cancelled exam stays so.
        #[test]
        fn no_sequence_skips_what_matters(steps in proptest::collection::vec(0..Step::ALL.len(), 1..80)) {
            let mut state = ExamState::Draft;
            let (mut began, mut imaged, mut reported, mut audited, mut accepted, mut redone) =
                (false, false, false, false, false, false);
            for step in steps.into_iter().map(|i| Step::ALL[i]) {
                let Some(to) = state.after(step) else { continue };
                match step {
                    Step::Accept => accepted = true,
                    Step::Start => { prop_assert!(accepted); began = true; }
                    Step::Image => { prop_assert!(began); imaged = true; }
                    Step::Report => { prop_assert!(imaged); reported = true; }
                    Step::Audit => { prop_assert!(reported); audited = true; }
                    Step::Deliver => prop_assert!(audited),
                    // Only somebody who was to come again can still call it off.
                    Step::Cancel => prop_assert!(!imaged || redone),
                    Step::Redo => redone = true,
                    _ => {}
                }
                prop_assert_ne!(state, ExamState::Cancelled);
                state = to;
            }
        }
    }
}
