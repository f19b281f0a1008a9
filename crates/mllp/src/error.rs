use mingying_db::DbError;
use mingying_kernel::{Coded, ErrorKind};

#[derive(Debug, thiserror::Error)]
pub enum MllpError {
    #[error("message not found")]
    NotFound,
    /// Only refused messages can be replayed.
    #[error("message is not in the error queue")]
    NotInQueue,
    /// The message is still refused, for this reason.
    #[error("refused: {0}")]
    Refused(mingying_hl7::Refusal),
    #[error("{field} is not valid")]
    Invalid { field: &'static str },
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Coded for MllpError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound => ErrorKind::NotFound,
            Self::NotInQueue => ErrorKind::Conflict,
            Self::Refused(_) | Self::Invalid { .. } => ErrorKind::Invalid,
            Self::Db(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "message.not_found",
            Self::NotInQueue => "message.not_in_queue",
            Self::Refused(refusal) => refusal.code,
            Self::Invalid { .. } => "message.invalid",
            Self::Db(error) => error.code(),
        }
    }

    fn params(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Refused(refusal) => vec![("location", refusal.location.clone())],
            Self::Invalid { field } => vec![("field", (*field).to_owned())],
            _ => Vec::new(),
        }
    }
}
