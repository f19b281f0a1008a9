use crate::{Act, QueueState};
use mingying_access::AccessError;
use mingying_db::DbError;
use mingying_exam::ExamError;
use mingying_kernel::{Coded, ErrorKind};
use mingying_orders::OrderError;
use mingying_scheduling::SchedulingError;

#[derive(Debug, thiserror::Error)]
pub enum FlowError {
    #[error("queue entry not found")]
    NotFound,
    #[error("display not found")]
    DisplayNotFound,
    /// The entry's state does not allow it, or somebody called meanwhile.
    #[error("{act} is not possible in state {state}")]
    State { state: QueueState, act: Act },
    /// Arrival by appointment needs one.
    #[error("no appointment")]
    NoAppointment,
    /// The patient already waits for this exam.
    #[error("already arrived")]
    AlreadyHere,
    #[error("{field} is not valid")]
    Invalid { field: &'static str },
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error(transparent)]
    Exam(#[from] ExamError),
    #[error(transparent)]
    Scheduling(#[from] SchedulingError),
    #[error(transparent)]
    Order(#[from] OrderError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Coded for FlowError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound | Self::DisplayNotFound => ErrorKind::NotFound,
            Self::State { .. } | Self::NoAppointment | Self::AlreadyHere => ErrorKind::Conflict,
            Self::Invalid { .. } => ErrorKind::Invalid,
            Self::Access(error) => error.kind(),
            Self::Exam(error) => error.kind(),
            Self::Scheduling(error) => error.kind(),
            Self::Order(error) => error.kind(),
            Self::Db(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "queue.not_found",
            Self::DisplayNotFound => "display.not_found",
            Self::State { .. } => "queue.state",
            Self::NoAppointment => "arrival.no_appointment",
            Self::AlreadyHere => "arrival.already",
            Self::Invalid { .. } => "flow.invalid",
            Self::Access(error) => error.code(),
            Self::Exam(error) => error.code(),
            Self::Scheduling(error) => error.code(),
            Self::Order(error) => error.code(),
            Self::Db(error) => error.code(),
        }
    }

    fn params(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::State { state, act } => vec![("state", state.to_string()), ("act", act.to_string())],
            Self::Invalid { field } => vec![("field", (*field).to_owned())],
            Self::Access(error) => error.params(),
            Self::Exam(error) => error.params(),
            Self::Scheduling(error) => error.params(),
            Self::Order(error) => error.params(),
            _ => Vec::new(),
        }
    }
}
