use mingying_db::DbError;
use mingying_kernel::{Coded, ErrorKind};
use mingying_orders::OrderError;

#[derive(Debug, thiserror::Error)]
pub enum SchedulingError {
    #[error("appointment not found")]
    NotFound,
    #[error("device not found")]
    DeviceNotFound,
    #[error("room not found")]
    RoomNotFound,
    /// Somebody else has that time.
    #[error("slot is taken")]
    SlotTaken,
    #[error("outside the device's opening hours")]
    SlotClosed,
    #[error("slot is in the past")]
    SlotPast,
    #[error("the device cannot do this exam")]
    WrongDevice,
    /// The appointment's state does not allow it.
    #[error("appointment state")]
    State,
    #[error("{field} is not valid")]
    Invalid { field: &'static str },
    #[error(transparent)]
    Order(#[from] OrderError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<mingying_patients::PatientError> for SchedulingError {
    fn from(error: mingying_patients::PatientError) -> Self {
        Self::Order(error.into())
    }
}

impl Coded for SchedulingError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound | Self::DeviceNotFound | Self::RoomNotFound => ErrorKind::NotFound,
            Self::SlotTaken | Self::State => ErrorKind::Conflict,
            Self::SlotClosed | Self::SlotPast | Self::WrongDevice | Self::Invalid { .. } => ErrorKind::Invalid,
            Self::Order(error) => error.kind(),
            Self::Db(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "appointment.not_found",
            Self::DeviceNotFound => "device.not_found",
            Self::RoomNotFound => "room.not_found",
            Self::SlotTaken => "slot.taken",
            Self::SlotClosed => "slot.closed",
            Self::SlotPast => "slot.past",
            Self::WrongDevice => "slot.wrong_device",
            Self::State => "appointment.state",
            Self::Invalid { .. } => "scheduling.invalid",
            Self::Order(error) => error.code(),
            Self::Db(error) => error.code(),
        }
    }

    fn params(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Invalid { field } => vec![("field", (*field).to_owned())],
            Self::SlotClosed | Self::SlotPast => vec![("field", "start".to_owned())],
            Self::WrongDevice => vec![("field", "device_id".to_owned())],
            Self::Order(error) => error.params(),
            _ => Vec::new(),
        }
    }
}
