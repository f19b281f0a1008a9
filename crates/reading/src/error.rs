use mingying_archive::ArchiveError;
use mingying_db::DbError;
use mingying_exam::ExamError;
use mingying_kernel::{Coded, Denied, ErrorKind};
use mingying_orders::OrderError;

#[derive(Debug, thiserror::Error)]
pub enum ReadingError {
    #[error("not found")]
    NotFound,
    /// The study belongs to an order already; take it off first.
    #[error("study is linked to another order")]
    Linked,
    /// The order cannot take images: cancelled, or not accepted yet.
    #[error("order cannot take images")]
    OrderState,
    /// Another reader holds the case.
    #[error("case is held by another reader")]
    Locked { by: String },
    #[error("{field} is not valid")]
    Invalid { field: &'static str },
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    Exam(#[from] ExamError),
    #[error(transparent)]
    Order(#[from] OrderError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<mingying_patients::PatientError> for ReadingError {
    fn from(error: mingying_patients::PatientError) -> Self {
        Self::Order(error.into())
    }
}

impl Coded for ReadingError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound => ErrorKind::NotFound,
            Self::Linked | Self::OrderState | Self::Locked { .. } => ErrorKind::Conflict,
            Self::Invalid { .. } => ErrorKind::Invalid,
            Self::Denied(error) => error.kind(),
            Self::Archive(error) => error.kind(),
            Self::Exam(error) => error.kind(),
            Self::Order(error) => error.kind(),
            Self::Db(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Linked => "study.linked",
            Self::OrderState => "study.order_state",
            Self::Locked { .. } => "case.locked",
            Self::Invalid { .. } => "reading.invalid",
            Self::Denied(error) => error.code(),
            Self::Archive(error) => error.code(),
            Self::Exam(error) => error.code(),
            Self::Order(error) => error.code(),
            Self::Db(error) => error.code(),
        }
    }

    fn params(&self) -> Vec<(&'static str, String)> {
        match self {
            // The name of a colleague, not of a patient.
            Self::Locked { by } => vec![("by", by.clone())],
            Self::Invalid { field } => vec![("field", (*field).to_owned())],
            Self::Denied(error) => error.params(),
            Self::Archive(error) => error.params(),
            Self::Exam(error) => error.params(),
            Self::Order(error) => error.params(),
            _ => Vec::new(),
        }
    }
}
