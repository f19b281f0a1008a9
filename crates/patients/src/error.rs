use mingying_db::DbError;
use mingying_kernel::{Coded, ErrorKind};

#[derive(Debug, thiserror::Error)]
pub enum PatientError {
    #[error("patient not found")]
    NotFound,
    /// Another patient of this organization carries the identifier (R-5.1.2-b).
    #[error("identifier belongs to another patient")]
    IdentifierTaken,
    /// Somebody changed the patient since it was read.
    #[error("patient changed meanwhile")]
    Stale,
    #[error("{field} is not valid")]
    Invalid { field: &'static str },
    /// The actor sees every organization, and none exists yet.
    #[error("no organization exists")]
    NoOrganization,
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Coded for PatientError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound => ErrorKind::NotFound,
            Self::IdentifierTaken | Self::Stale | Self::NoOrganization => ErrorKind::Conflict,
            Self::Invalid { .. } => ErrorKind::Invalid,
            Self::Db(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "patient.not_found",
            Self::IdentifierTaken => "patient.identifier_taken",
            Self::Stale => "patient.stale",
            Self::Invalid { .. } => "patient.invalid",
            Self::NoOrganization => "org.missing",
            Self::Db(error) => error.code(),
        }
    }

    fn params(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Invalid { field } => vec![("field", (*field).to_owned())],
            Self::Db(error) => error.params(),
            _ => Vec::new(),
        }
    }
}
