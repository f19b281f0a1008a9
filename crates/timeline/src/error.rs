use mingying_db::DbError;
use mingying_kernel::{Coded, ErrorKind};
use mingying_orders::OrderError;
use mingying_reading::ReadingError;

#[derive(Debug, thiserror::Error)]
pub enum TimelineError {
    #[error("case not found")]
    NotFound,
    #[error(transparent)]
    Order(#[from] OrderError),
    #[error(transparent)]
    Reading(#[from] ReadingError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Coded for TimelineError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound => ErrorKind::NotFound,
            Self::Order(error) => error.kind(),
            Self::Reading(error) => error.kind(),
            Self::Db(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "order.not_found",
            Self::Order(error) => error.code(),
            Self::Reading(error) => error.code(),
            Self::Db(error) => error.code(),
        }
    }

    fn params(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::NotFound => Vec::new(),
            Self::Order(error) => error.params(),
            Self::Reading(error) => error.params(),
            Self::Db(error) => error.params(),
        }
    }
}
