use mingying_archive::ArchiveError;
use mingying_db::DbError;
use mingying_kernel::{Coded, Denied, ErrorKind};
use mingying_orders::OrderError;
use mingying_reading::ReadingError;
use mingying_reporting::ReportError;

#[derive(Debug, thiserror::Error)]
pub enum ShareError {
    #[error("not found")]
    NotFound,
    #[error("link has expired")]
    Expired,
    #[error("link was revoked")]
    Revoked,
    /// Birth date or last four characters are wrong; which one is not said.
    #[error("answers do not match")]
    Mismatch,
    #[error("too many tries")]
    Throttled { retry_seconds: u64 },
    /// The page was not unlocked, or too long ago.
    #[error("not unlocked")]
    Locked,
    /// The link was made without images.
    #[error("images are not part of this link")]
    NoImages,
    /// Nobody could unlock it: no birth date, or neither phone nor any number is known.
    #[error("patient data are missing that would unlock the link")]
    NoIdentity,
    /// The exam was called off.
    #[error("nothing to share")]
    NothingToShare,
    #[error("{field} is not valid")]
    Invalid { field: &'static str },
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    Reading(#[from] ReadingError),
    #[error(transparent)]
    Report(#[from] ReportError),
    #[error(transparent)]
    Order(#[from] OrderError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<mingying_patients::PatientError> for ShareError {
    fn from(error: mingying_patients::PatientError) -> Self {
        Self::Order(error.into())
    }
}

impl Coded for ShareError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound => ErrorKind::NotFound,
            Self::Expired | Self::Revoked => ErrorKind::Gone,
            Self::Mismatch | Self::NoImages => ErrorKind::Forbidden,
            Self::Locked => ErrorKind::Unauthenticated,
            Self::Throttled { .. } => ErrorKind::TooMany,
            Self::NoIdentity | Self::NothingToShare => ErrorKind::Conflict,
            Self::Invalid { .. } => ErrorKind::Invalid,
            Self::Denied(error) => error.kind(),
            Self::Archive(error) => error.kind(),
            Self::Reading(error) => error.kind(),
            Self::Report(error) => error.kind(),
            Self::Order(error) => error.kind(),
            Self::Db(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "share.not_found",
            Self::Expired => "share.expired",
            Self::Revoked => "share.revoked",
            Self::Mismatch => "share.mismatch",
            Self::Throttled { .. } => "share.throttled",
            Self::Locked => "share.locked",
            Self::NoImages => "share.no_images",
            Self::NoIdentity => "share.no_identity",
            Self::NothingToShare => "share.nothing",
            Self::Invalid { .. } => "share.invalid",
            Self::Denied(error) => error.code(),
            Self::Archive(error) => error.code(),
            Self::Reading(error) => error.code(),
            Self::Report(error) => error.code(),
            Self::Order(error) => error.code(),
            Self::Db(error) => error.code(),
        }
    }

    fn params(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Throttled { retry_seconds } => vec![("retry_seconds", retry_seconds.to_string())],
            Self::Invalid { field } => vec![("field", (*field).to_owned())],
            Self::Denied(error) => error.params(),
            Self::Archive(error) => error.params(),
            Self::Reading(error) => error.params(),
            Self::Report(error) => error.params(),
            Self::Order(error) => error.params(),
            _ => Vec::new(),
        }
    }
}
