use mingying_kernel::{Coded, ErrorKind};

/// What a store can fail with. Text of the engine is kept for the operator's log, never shown to clients;
/// bound values never enter it.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// A uniqueness rule refused the row; `constraint` names it where the engine does.
    #[error("unique constraint")]
    Unique { constraint: String },
    /// Another transaction got in the way; the whole transaction may be tried again.
    #[error("serialization failure")]
    Serialization,
    #[error("database storage is full")]
    Full,
    #[error("database is not reachable")]
    Unavailable(#[source] sqlx::Error),
    #[error("row not found")]
    NotFound,
    /// The row does not have the column, or not in that type: a fault of ours.
    #[error("column {0}")]
    Column(String),
    #[error("migration {name}: {reason}")]
    Migration { name: String, reason: String },
    #[error("database: {}", safe(.0))]
    Other(#[source] sqlx::Error),
}

/// The engine's primary message without its DETAIL line, which may quote a row.
fn safe(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(inner) => inner.message().to_owned(),
        other => other.to_string(),
    }
}

impl DbError {
    /// Whether the fault lies in the values that were to be written, so that they are refused every time.
    pub fn is_about_values(&self) -> bool {
        match self {
            Self::Unique { .. } | Self::Column(_) | Self::Other(sqlx::Error::Encode(_)) => true,
            Self::Other(sqlx::Error::Database(inner)) => inner.code().is_some_and(|code| match code.len() {
                // PostgreSQL: data exceptions, integrity, limits such as that of a row in an index.
                5 => ["22", "23", "54"].iter().any(|class| code.starts_with(class)),
                // SQLite, the lowest byte of an extended code: TOOBIG, CONSTRAINT, MISMATCH, RANGE.
                _ => code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 18 | 19 | 20 | 25)),
            }),
            _ => false,
        }
    }
}

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::RowNotFound => Self::NotFound,
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed => {
                Self::Unavailable(error)
            }
            sqlx::Error::Database(inner) => {
                if inner.is_unique_violation() {
                    let constraint = inner.constraint().unwrap_or_else(|| inner.message()).to_owned();
                    return Self::Unique { constraint };
                }
                match inner.code().as_deref() {
                    // PostgreSQL: serialization_failure, deadlock_detected. SQLite: BUSY, BUSY_SNAPSHOT, LOCKED.
                    Some("40001" | "40P01" | "5" | "517" | "261" | "6") => Self::Serialization,
                    // PostgreSQL: disk_full. SQLite: FULL, IOERR_WRITE.
                    Some("53100" | "13" | "778") => Self::Full,
                    // PostgreSQL: admin_shutdown, crash_shutdown, cannot_connect_now.
                    Some("57P01" | "57P02" | "57P03") => Self::Unavailable(error),
                    _ => Self::Other(error),
                }
            }
            _ => Self::Other(error),
        }
    }
}

impl Coded for DbError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Unique { .. } => ErrorKind::Conflict,
            Self::Serialization | Self::Unavailable(_) => ErrorKind::Unavailable,
            Self::Full => ErrorKind::StorageFull,
            Self::NotFound => ErrorKind::NotFound,
            Self::Column(_) | Self::Migration { .. } | Self::Other(_) => ErrorKind::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Unique { .. } => "db.unique",
            Self::Serialization => "db.busy",
            Self::Unavailable(_) => "db.unavailable",
            Self::Full => "db.full",
            Self::NotFound => "not_found",
            Self::Column(_) | Self::Migration { .. } | Self::Other(_) => "internal",
        }
    }
}
