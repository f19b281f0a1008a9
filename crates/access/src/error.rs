use mingying_db::DbError;
use mingying_kernel::{Coded, Denied, ErrorKind};

#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// Wrong name, password or code, or an inactive account: never told apart.
    #[error("sign-in failed")]
    LoginFailed,
    /// The password is right; the account's second factor is asked for.
    #[error("a second-factor code is required")]
    CodeRequired,
    #[error("too many failed sign-ins")]
    Throttled { retry_seconds: u64 },
    #[error("nobody is signed in")]
    NotSignedIn,
    #[error("the password breaks a rule")]
    WeakPassword { rule: &'static str },
    #[error("the old password is wrong")]
    OldPassword,
    #[error("the code is wrong or was used already")]
    WrongCode,
    #[error("no second factor is being enrolled")]
    NotEnrolling,
    #[error("the account must keep its second factor")]
    FactorRequired,
    #[error("not a valid {field}")]
    Invalid { field: &'static str },
    #[error("the user name is taken")]
    NameTaken,
    #[error("user not found")]
    UserNotFound,
    #[error("token not found")]
    TokenNotFound,
    #[error("department not found")]
    DepartmentNotFound,
    #[error("the last active administrator must stay")]
    LastAdmin,
    #[error("not allowed")]
    Denied(#[from] Denied),
    #[error("cryptography failed")]
    Crypto,
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Coded for AccessError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::LoginFailed | Self::CodeRequired | Self::NotSignedIn => ErrorKind::Unauthenticated,
            Self::Throttled { .. } => ErrorKind::TooMany,
            Self::WeakPassword { .. } | Self::OldPassword | Self::WrongCode | Self::Invalid { .. } => {
                ErrorKind::Invalid
            }
            Self::NotEnrolling | Self::FactorRequired | Self::NameTaken | Self::LastAdmin => ErrorKind::Conflict,
            Self::UserNotFound | Self::TokenNotFound | Self::DepartmentNotFound => ErrorKind::NotFound,
            Self::Denied(_) => ErrorKind::Forbidden,
            Self::Crypto => ErrorKind::Internal,
            Self::Db(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::LoginFailed => "login.failed",
            Self::CodeRequired => "login.code_required",
            Self::Throttled { .. } => "login.throttled",
            Self::NotSignedIn => "login.required",
            Self::WeakPassword { .. } => "user.password_weak",
            Self::OldPassword => "user.password_wrong",
            Self::WrongCode => "second_factor.code_wrong",
            Self::NotEnrolling => "second_factor.not_enrolling",
            Self::FactorRequired => "second_factor.required",
            Self::Invalid { .. } => "invalid",
            Self::NameTaken => "user.name_taken",
            Self::UserNotFound => "user.not_found",
            Self::TokenNotFound => "token.not_found",
            Self::DepartmentNotFound => "department.not_found",
            Self::LastAdmin => "user.last_admin",
            Self::Denied(denied) => denied.code(),
            Self::Crypto => "internal",
            Self::Db(error) => error.code(),
        }
    }

    fn params(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Throttled { retry_seconds } => vec![("retry_seconds", retry_seconds.to_string())],
            Self::WeakPassword { rule } => vec![("field", "password".to_owned()), ("rule", (*rule).to_owned())],
            Self::OldPassword => vec![("field", "old".to_owned())],
            Self::WrongCode => vec![("field", "code".to_owned())],
            Self::Invalid { field } => vec![("field", (*field).to_owned())],
            Self::Denied(denied) => denied.params(),
            _ => Vec::new(),
        }
    }
}
