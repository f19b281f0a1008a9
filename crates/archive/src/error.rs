use mingying_blob::BlobError;
use mingying_db::DbError;
use mingying_kernel::{Coded, ErrorKind};

/// Why the archive refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The object is kept in quarantine under `id`; it is not indexed and must not be reported as stored.
    #[error("object quarantined: {reason}")]
    Quarantined { id: i64, reason: &'static str },
    /// More bytes than the configured bound; nothing is kept.
    #[error("object is too large")]
    TooLarge,
    /// A query key whose value is not of its VR, or a cursor that is not ours.
    #[error("invalid query key {key}")]
    InvalidQuery { key: String },
    #[error("not found")]
    NotFound,
    /// The object has no such frame, or no pixels.
    #[error("no such frame")]
    NoSuchFrame,
    /// A stored object whose header cannot be read as a data set.
    #[error("object is not readable: {0}")]
    Unreadable(&'static str),
    /// The archive is shutting down.
    #[error("archive is closed")]
    Closed,
    #[error(transparent)]
    Blob(#[from] BlobError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Coded for ArchiveError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Quarantined { .. } | Self::InvalidQuery { .. } => ErrorKind::Invalid,
            Self::TooLarge => ErrorKind::TooLarge,
            Self::NotFound | Self::NoSuchFrame => ErrorKind::NotFound,
            Self::Unreadable(_) => ErrorKind::Internal,
            Self::Closed => ErrorKind::Unavailable,
            Self::Blob(e) => e.kind(),
            Self::Db(e) => e.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Quarantined { .. } => "archive.quarantined",
            Self::TooLarge => "archive.too_large",
            Self::InvalidQuery { .. } => "archive.query",
            Self::NotFound => "not_found",
            Self::NoSuchFrame => "archive.no_frame",
            Self::Unreadable(_) => "archive.unreadable",
            Self::Closed => "archive.closed",
            Self::Blob(e) => e.code(),
            Self::Db(e) => e.code(),
        }
    }

    fn params(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Quarantined { id, reason } => vec![("id", id.to_string()), ("reason", (*reason).to_owned())],
            Self::InvalidQuery { key } => vec![("key", key.clone())],
            _ => Vec::new(),
        }
    }
}
