use mingying_db::DbError;
use mingying_kernel::{Coded, ErrorKind};
use mingying_orders::OrderError;
use mingying_scheduling::SchedulingError;

#[derive(Debug, thiserror::Error)]
pub enum ExamError {
    /// PS3.7 10.1.5.1.6: Duplicate SOP Instance (0111H).
    #[error("performed procedure step exists")]
    MppsDuplicate,
    /// PS3.7: No Such Object Instance (0112H).
    #[error("performed procedure step unknown")]
    MppsUnknown,
    /// PS3.4 F.7.2.2.3: may no longer be updated (0110H with error id A710H).
    #[error("performed procedure step is final")]
    MppsFinal,
    /// The technologist confirms images that nobody has received.
    #[error("no image has arrived")]
    NoImages,
    #[error("{field} is not valid")]
    Invalid { field: &'static str },
    #[error(transparent)]
    Scheduling(#[from] SchedulingError),
    #[error(transparent)]
    Order(#[from] OrderError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<mingying_patients::PatientError> for ExamError {
    fn from(error: mingying_patients::PatientError) -> Self {
        Self::Order(error.into())
    }
}

impl Coded for ExamError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::MppsDuplicate | Self::MppsFinal | Self::NoImages => ErrorKind::Conflict,
            Self::MppsUnknown => ErrorKind::NotFound,
            Self::Invalid { .. } => ErrorKind::Invalid,
            Self::Scheduling(error) => error.kind(),
            Self::Order(error) => error.kind(),
            Self::Db(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::MppsDuplicate => "mpps.duplicate",
            Self::MppsUnknown => "mpps.unknown",
            Self::MppsFinal => "mpps.final",
            Self::NoImages => "exam.no_images",
            Self::Invalid { .. } => "exam.invalid",
            Self::Scheduling(error) => error.code(),
            Self::Order(error) => error.code(),
            Self::Db(error) => error.code(),
        }
    }

    fn params(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Invalid { field } => vec![("field", (*field).to_owned())],
            Self::Scheduling(error) => error.params(),
            Self::Order(error) => error.params(),
            _ => Vec::new(),
        }
    }
}
