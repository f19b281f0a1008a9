use std::path::PathBuf;

/// Why the program does not start or a subcommand does not finish. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error("{path}: {reason}", path = path.display())]
    ConfigFile { path: PathBuf, reason: String },
    #[error("{name}: {reason}")]
    Config { name: &'static str, reason: String },
    #[error("{path}: {source}", path = path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{what} cannot listen on {address}: {source}")]
    Bind { what: &'static str, address: String, source: std::io::Error },
    #[error("database: {0}")]
    Db(#[from] mingying_db::DbError),
    #[error("access: {0}")]
    Access(#[from] mingying_access::AccessError),
    #[error("images: {0}")]
    Archive(#[from] mingying_archive::ArchiveError),
    #[error("image store: {0}")]
    Blob(#[from] mingying_blob::BlobError),
    #[error("TLS: {0}")]
    Tls(String),
    #[error("demonstration data: {0}")]
    Demo(String),
    #[error("{0}")]
    Said(String),
}

impl ServerError {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}

impl From<mingying_kernel::Denied> for ServerError {
    fn from(denied: mingying_kernel::Denied) -> Self {
        Self::Said(denied.to_string())
    }
}
