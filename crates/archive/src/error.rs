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
    /// The organization that would own the object has used up what it may store; nothing is kept.
    #[error("the organization's bound is reached")]
    Quota,
    /// A query key whose value is not of its VR, or a cursor that is not ours.
    #[error("invalid query key {key}")]
    InvalidQuery { key: String },
    #[error("not found")]
    NotFound,
    /// A signed report rests on these images; they are kept as long as it is.
    #[error("a signed report rests on this study")]
    Reported,
    /// Whether they must be kept cannot be told now; nothing was deleted.
    #[error("it cannot be told whether a report rests on this study")]
    EvidenceUnknown,
    /// The time for which the law wants the study kept is not over; it ends on this day.
    #[error("to be kept until {until}")]
    Retained { until: jiff::civil::Date },
    /// The object has no such frame, or no pixels.
    #[error("no such frame")]
    NoSuchFrame,
    /// A stored object whose header cannot be read as a data set.
    #[error("object is not readable: {0}")]
    Unreadable(&'static str),
    /// Another node of the installation has another `secret.key`.
    #[error("node {node} has another secret.key: copy that file from its data folder into this one")]
    OtherKey { node: String },
    /// The index holds what lies in other nodes' packs, too: it cannot be made again from those of one.
    #[error("the index also holds what lies in {folder}: it cannot be made again from one node's packs")]
    OtherStores { folder: String },
    /// Another process works on this folder of packs.
    #[error("another process holds this store of packs")]
    Held,
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
            Self::Quota => ErrorKind::StorageFull,
            Self::NotFound | Self::NoSuchFrame => ErrorKind::NotFound,
            Self::Reported | Self::Retained { .. } | Self::OtherKey { .. } | Self::OtherStores { .. } | Self::Held => {
                ErrorKind::Conflict
            }
            Self::Unreadable(_) => ErrorKind::Internal,
            Self::Closed | Self::EvidenceUnknown => ErrorKind::Unavailable,
            Self::Blob(e) => e.kind(),
            Self::Db(e) => e.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Quarantined { .. } => "archive.quarantined",
            Self::TooLarge => "archive.too_large",
            Self::Quota => "archive.quota",
            Self::InvalidQuery { .. } => "archive.query",
            Self::NotFound => "not_found",
            Self::Reported => "archive.reported",
            Self::EvidenceUnknown => "archive.evidence",
            Self::Retained { .. } => "archive.retained",
            Self::NoSuchFrame => "archive.no_frame",
            Self::Unreadable(_) => "archive.unreadable",
            Self::OtherKey { .. } => "archive.other_key",
            Self::OtherStores { .. } => "archive.other_stores",
            Self::Held => "archive.held",
            Self::Closed => "archive.closed",
            Self::Blob(e) => e.code(),
            Self::Db(e) => e.code(),
        }
    }

    fn params(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Quarantined { id, reason } => vec![("id", id.to_string()), ("reason", (*reason).to_owned())],
            Self::InvalidQuery { key } => vec![("key", key.clone())],
            Self::Retained { until } => vec![("until", until.to_string())],
            _ => Vec::new(),
        }
    }
}
