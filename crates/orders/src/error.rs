use crate::{ExamState, Step};
use mingying_db::DbError;
use mingying_kernel::{Coded, ErrorKind};
use mingying_patients::PatientError;

#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    #[error("order not found")]
    NotFound,
    /// The exam's state does not allow the step.
    #[error("{step} is not possible in state {state}")]
    State { state: ExamState, step: Step },
    #[error("order changed meanwhile")]
    Stale,
    #[error("{field} is not valid")]
    Invalid { field: &'static str },
    #[error("not in the catalogue")]
    UnknownItem,
    /// Items of several modalities need several orders: one order is one study.
    #[error("items of more than one modality")]
    MixedModality,
    #[error("accession number or study UID is in use")]
    Duplicate,
    /// A step was to be recorded with another step's event: a fault of ours.
    #[error("step {step} recorded as {topic}")]
    WrongTopic { step: Step, topic: &'static str },
    #[error(transparent)]
    Patient(#[from] PatientError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Coded for OrderError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound => ErrorKind::NotFound,
            Self::State { .. } | Self::Stale | Self::Duplicate => ErrorKind::Conflict,
            Self::Invalid { .. } | Self::UnknownItem | Self::MixedModality => ErrorKind::Invalid,
            Self::WrongTopic { .. } => ErrorKind::Internal,
            Self::Patient(error) => error.kind(),
            Self::Db(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "order.not_found",
            Self::State { .. } => "order.state",
            Self::Stale => "order.stale",
            Self::Invalid { .. } => "order.invalid",
            Self::UnknownItem => "catalogue.unknown",
            Self::MixedModality => "order.mixed_modality",
            Self::Duplicate => "order.duplicate",
            Self::WrongTopic { .. } => "internal",
            Self::Patient(error) => error.code(),
            Self::Db(error) => error.code(),
        }
    }

    fn params(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::State { state, step } => vec![("state", state.to_string()), ("step", step.to_string())],
            Self::Invalid { field } => vec![("field", (*field).to_owned())],
            Self::UnknownItem | Self::MixedModality => vec![("field", "items".to_owned())],
            Self::Patient(error) => error.params(),
            _ => Vec::new(),
        }
    }
}
