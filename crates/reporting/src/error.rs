use crate::{Check, Stage};
use mingying_db::DbError;
use mingying_kernel::{Coded, ErrorKind};
use mingying_orders::OrderError;
use mingying_reading::ReadingError;

#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error("report not found")]
    NotFound,
    /// Somebody changed the report meanwhile; `rev` is what it is now.
    #[error("report changed meanwhile")]
    Stale { rev: i64 },
    #[error("{step} is not possible in stage {stage}")]
    Stage { stage: Stage, step: &'static str },
    /// The exam has no images yet, or is over without any.
    #[error("the exam cannot be reported yet")]
    NotReady,
    /// The auditor wrote the initial report.
    #[error("the author of the initial report cannot audit it")]
    OwnReport,
    /// The role may not do this step with this report.
    #[error("not allowed in this stage")]
    NotAllowed,
    /// Open checks. Warnings can be overridden with a reason.
    #[error("checks before signing")]
    Checks(Vec<Check>),
    #[error("{field} is not valid")]
    Invalid { field: &'static str },
    /// A version does not have the hash that its content must have.
    #[error("version {n} was changed after it was issued")]
    ChainBroken { n: u32 },
    #[error("template not found")]
    TemplateNotFound,
    /// The draft is not the one that the caller saw; `rev` is what it is now, 0 when there is none.
    #[error("template changed meanwhile")]
    TemplateStale { rev: i64 },
    /// Nobody approves the own template.
    #[error("the author of a template cannot approve it")]
    OwnTemplate,
    #[error("phrase not found")]
    PhraseNotFound,
    /// Somebody changed the phrase meanwhile; `version` is what it is now.
    #[error("phrase changed meanwhile")]
    PhraseStale { version: i64 },
    /// Another phrase of the same shelf answers to this code.
    #[error("the code belongs to another phrase")]
    CodeTaken,
    /// The shelf holds as many phrases as it may.
    #[error("no more than {max} phrases")]
    ShelfFull { max: usize },
    #[error(transparent)]
    Denied(#[from] mingying_kernel::Denied),
    #[error("encapsulated PDF: {0}")]
    Encapsulate(&'static str),
    #[error(transparent)]
    Order(#[from] OrderError),
    #[error(transparent)]
    Reading(#[from] ReadingError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<mingying_patients::PatientError> for ReportError {
    fn from(error: mingying_patients::PatientError) -> Self {
        Self::Order(error.into())
    }
}

impl Coded for ReportError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound | Self::PhraseNotFound | Self::TemplateNotFound => ErrorKind::NotFound,
            Self::TemplateStale { .. }
            | Self::OwnTemplate
            | Self::PhraseStale { .. }
            | Self::CodeTaken
            | Self::ShelfFull { .. } => ErrorKind::Conflict,
            Self::Denied(error) => error.kind(),
            Self::Stale { .. } | Self::Stage { .. } | Self::NotReady | Self::OwnReport => ErrorKind::Conflict,
            Self::NotAllowed => ErrorKind::Forbidden,
            Self::Checks(checks) if checks.iter().any(Check::is_blocking) => ErrorKind::Invalid,
            Self::Checks(_) => ErrorKind::Conflict,
            Self::Invalid { .. } => ErrorKind::Invalid,
            Self::ChainBroken { .. } | Self::Encapsulate(_) => ErrorKind::Internal,
            Self::Order(error) => error.kind(),
            Self::Reading(error) => error.kind(),
            Self::Db(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "report.not_found",
            Self::Stale { .. } => "report.stale",
            Self::Stage { .. } => "report.stage",
            Self::NotReady => "report.not_ready",
            Self::OwnReport => "report.own",
            Self::NotAllowed => "report.not_allowed",
            Self::Checks(_) => "report.checks",
            Self::Invalid { .. } => "report.invalid",
            Self::ChainBroken { .. } => "report.chain",
            Self::TemplateNotFound => "template.not_found",
            Self::TemplateStale { .. } => "template.stale",
            Self::OwnTemplate => "template.own",
            Self::PhraseNotFound => "phrase.not_found",
            Self::PhraseStale { .. } => "phrase.stale",
            Self::CodeTaken => "phrase.code_taken",
            Self::ShelfFull { .. } => "phrase.full",
            Self::Denied(error) => error.code(),
            Self::Encapsulate(_) => "report.encapsulate",
            Self::Order(error) => error.code(),
            Self::Reading(error) => error.code(),
            Self::Db(error) => error.code(),
        }
    }

    fn params(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Stale { rev } => vec![("rev", rev.to_string())],
            Self::Stage { stage, step } => vec![("stage", stage.to_string()), ("step", (*step).to_owned())],
            // `side:findings side:impression`; `blocking` says whether a reason can help.
            Self::Checks(checks) => {
                let list: Vec<String> = checks.iter().map(|c| format!("{}:{}", c.code(), c.section())).collect();
                let blocking = checks.iter().any(Check::is_blocking);
                vec![("checks", list.join(" ")), ("blocking", blocking.to_string())]
            }
            Self::Invalid { field } => vec![("field", (*field).to_owned())],
            Self::ChainBroken { n } => vec![("version", n.to_string())],
            Self::TemplateStale { rev } => vec![("rev", rev.to_string())],
            Self::PhraseStale { version } => vec![("version", version.to_string())],
            Self::ShelfFull { max } => vec![("max", max.to_string())],
            Self::Denied(error) => error.params(),
            Self::Order(error) => error.params(),
            Self::Reading(error) => error.params(),
            _ => Vec::new(),
        }
    }
}
