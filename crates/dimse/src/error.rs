use mingying_db::DbError;
use mingying_kernel::{Coded, ErrorKind};

/// What the peers register refuses or fails with.
#[derive(Debug, thiserror::Error)]
pub enum DimseError {
    /// A field of a new peer breaks its rule; the field's name.
    #[error("invalid {0}")]
    Invalid(&'static str),
    #[error("the AE title is taken")]
    AeTitleTaken,
    #[error("no such peer")]
    PeerNotFound,
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Coded for DimseError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid(_) => ErrorKind::Invalid,
            Self::AeTitleTaken => ErrorKind::Conflict,
            Self::PeerNotFound => ErrorKind::NotFound,
            Self::Db(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "peer.invalid",
            Self::AeTitleTaken => "peer.aet_taken",
            Self::PeerNotFound => "peer.not_found",
            Self::Db(error) => error.code(),
        }
    }

    fn params(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Invalid(field) => vec![("field", (*field).to_owned())],
            _ => Vec::new(),
        }
    }
}
