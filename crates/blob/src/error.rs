use crate::crypt::KeyId;
use crate::objects::Unreachable;
use mingying_kernel::{Coded, ErrorKind};
use std::io;
use std::sync::Arc;

/// What the store of blobs can fail with.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BlobError {
    /// No room, or less than the configured reserve. What was sent is not kept; it works again when there is room.
    #[error("blob storage is full")]
    StorageFull,
    /// A pack, record or spool file that is not what its header says.
    #[error("corrupt: {0}")]
    Corrupt(&'static str),
    #[error("no such blob")]
    NotFound,
    /// It lies on a tier that cannot be reached for the moment. The same read may succeed later.
    #[error("the tier that holds it is out of reach")]
    Unavailable,
    /// Packs and configuration do not fit each other.
    #[error("tiers: {0}")]
    Misplaced(&'static str),
    /// It may be sound: it is encrypted with a key that is not here.
    #[error("packs are encrypted with the key {0}, which is not among the configured ones")]
    Locked(KeyId),
    #[error("blob store is closed")]
    Closed,
    #[error("blob storage: {0}")]
    Io(#[source] Arc<io::Error>),
}

impl From<Unreachable> for BlobError {
    fn from(_: Unreachable) -> Self {
        Self::Unavailable
    }
}

impl From<io::Error> for BlobError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::StorageFull,
            io::ErrorKind::NotFound => Self::NotFound,
            _ if error.get_ref().is_some_and(|inner| inner.is::<Unreachable>()) => Self::Unavailable,
            _ => Self::Io(Arc::new(error)),
        }
    }
}

impl Coded for BlobError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::StorageFull => ErrorKind::StorageFull,
            Self::NotFound => ErrorKind::NotFound,
            Self::Closed | Self::Unavailable | Self::Locked(_) => ErrorKind::Unavailable,
            Self::Misplaced(_) | Self::Corrupt(_) | Self::Io(_) => ErrorKind::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::StorageFull => "blob.full",
            Self::Corrupt(_) => "blob.corrupt",
            Self::NotFound => "not_found",
            Self::Unavailable => "blob.unavailable",
            Self::Misplaced(_) => "blob.tiers",
            Self::Locked(_) => "blob.locked",
            Self::Closed => "blob.closed",
            Self::Io(_) => "blob.io",
        }
    }
}
