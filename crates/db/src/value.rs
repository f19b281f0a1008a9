//! Values in and out of statements, the same for both engines.

use crate::DbError;
use mingying_kernel::{
    AccessionNumber, AeTitle, AppointmentId, CampusId, DepartmentId, DeviceId, DicomUid, EventId, JobId, MessageId,
    OrderId, OrgId, PatientId, PhraseId, QueueEntryId, ReportId, RoomId, SessionId, ShareId, SpsId, Timestamp, UserId,
};
use std::sync::Arc;

/// A bound parameter. Nulls know their type, since PostgreSQL checks it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Int(Option<i64>),
    Double(Option<f64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
}

/// A value of a result row.
#[derive(Debug, Clone, PartialEq)]
pub enum Column {
    Null,
    Int(i64),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
}

macro_rules! bind {
    ($variant:ident: $($from:ty => |$v:ident| $to:expr),+ $(,)?) => {$(
        impl From<$from> for Value {
            fn from($v: $from) -> Self { Value::$variant(Some($to)) }
        }
        impl From<Option<$from>> for Value {
            fn from(value: Option<$from>) -> Self { Value::$variant(value.map(|$v| $to)) }
        }
    )+};
}

bind! { Int:
    i64 => |v| v, i32 => |v| i64::from(v), u32 => |v| i64::from(v), u16 => |v| i64::from(v), u8 => |v| i64::from(v),
    u64 => |v| v as i64, usize => |v| v as i64,
    bool => |v| i64::from(v), Timestamp => |v| v.as_micros(),
}
bind! { Double: f64 => |v| v }
bind! { Text: String => |v| v, &str => |v| v.to_owned(), &String => |v| v.clone() }
bind! { Bytes: Vec<u8> => |v| v, &[u8] => |v| v.to_vec() }

/// What a column can be read as.
pub trait FromColumn: Sized {
    fn from_column(column: &Column) -> Option<Self>;
}

impl FromColumn for i64 {
    fn from_column(column: &Column) -> Option<Self> {
        match column {
            Column::Int(v) => Some(*v),
            _ => None,
        }
    }
}

macro_rules! from_int {
    ($($t:ty),+) => {$(
        impl FromColumn for $t {
            fn from_column(column: &Column) -> Option<Self> {
                <$t>::try_from(i64::from_column(column)?).ok()
            }
        }
    )+};
}
from_int!(i32, u64, u32, u16, u8, usize);

impl FromColumn for bool {
    fn from_column(column: &Column) -> Option<Self> {
        i64::from_column(column).map(|v| v != 0)
    }
}

impl FromColumn for Timestamp {
    fn from_column(column: &Column) -> Option<Self> {
        i64::from_column(column).map(Timestamp::from_micros)
    }
}

impl FromColumn for f64 {
    fn from_column(column: &Column) -> Option<Self> {
        match column {
            Column::Double(v) => Some(*v),
            Column::Int(v) => Some(*v as f64),
            _ => None,
        }
    }
}

impl FromColumn for String {
    fn from_column(column: &Column) -> Option<Self> {
        match column {
            Column::Text(v) => Some(v.clone()),
            _ => None,
        }
    }
}

impl FromColumn for Vec<u8> {
    fn from_column(column: &Column) -> Option<Self> {
        match column {
            Column::Bytes(v) => Some(v.clone()),
            _ => None,
        }
    }
}

impl<T: FromColumn> FromColumn for Option<T> {
    fn from_column(column: &Column) -> Option<Self> {
        match column {
            Column::Null => Some(None),
            other => T::from_column(other).map(Some),
        }
    }
}

macro_rules! text_ids {
    ($($id:ty),+ $(,)?) => {$(
        impl From<$id> for Value {
            fn from(id: $id) -> Self { Value::Text(Some(id.to_string())) }
        }
        impl From<&$id> for Value {
            fn from(id: &$id) -> Self { Value::Text(Some(id.to_string())) }
        }
        impl From<Option<$id>> for Value {
            fn from(id: Option<$id>) -> Self { Value::Text(id.map(|id| id.to_string())) }
        }
        impl From<&Option<$id>> for Value {
            fn from(id: &Option<$id>) -> Self { Value::Text(id.as_ref().map(|id| id.to_string())) }
        }
        impl FromColumn for $id {
            fn from_column(column: &Column) -> Option<Self> {
                String::from_column(column)?.parse::<TextId<$id>>().ok().map(|id| id.0)
            }
        }
    )+};
}

/// Bridges ids with `FromStr` and validated strings with `TryFrom<String>`.
struct TextId<T>(T);

macro_rules! by_from_str {
    ($($id:ty),+ $(,)?) => {$(
        impl std::str::FromStr for TextId<$id> {
            type Err = ();
            fn from_str(s: &str) -> Result<Self, ()> { s.parse::<$id>().map(TextId).map_err(|_| ()) }
        }
    )+};
}
macro_rules! by_try_from {
    ($($id:ty),+ $(,)?) => {$(
        impl std::str::FromStr for TextId<$id> {
            type Err = ();
            fn from_str(s: &str) -> Result<Self, ()> { <$id>::try_from(s.to_owned()).map(TextId).map_err(|_| ()) }
        }
    )+};
}

by_from_str!(
    UserId,
    SessionId,
    OrgId,
    CampusId,
    DepartmentId,
    RoomId,
    DeviceId,
    PatientId,
    OrderId,
    AppointmentId,
    SpsId,
    QueueEntryId,
    PhraseId,
    ReportId,
    ShareId,
    EventId,
    JobId,
    MessageId
);
by_try_from!(DicomUid, AccessionNumber, AeTitle);
text_ids!(
    UserId,
    SessionId,
    OrgId,
    CampusId,
    DepartmentId,
    RoomId,
    DeviceId,
    PatientId,
    OrderId,
    AppointmentId,
    SpsId,
    QueueEntryId,
    PhraseId,
    ReportId,
    ShareId,
    EventId,
    JobId,
    MessageId,
    DicomUid,
    AccessionNumber,
    AeTitle
);

/// One result row. Columns are read by name: `row.get::<String>("name")?`.
#[derive(Debug, Clone)]
pub struct Row {
    pub(crate) names: Arc<[String]>,
    pub(crate) columns: Vec<Column>,
}

impl Row {
    /// Reads a column by name, or says which one is missing or of another type.
    pub fn get<T: FromColumn>(&self, name: &str) -> Result<T, DbError> {
        self.names
            .iter()
            .position(|n| n == name)
            .and_then(|i| self.columns.get(i))
            .and_then(T::from_column)
            .ok_or_else(|| DbError::Column(name.to_owned()))
    }

    /// Reads a column by position, for single-column results.
    pub fn at<T: FromColumn>(&self, index: usize) -> Result<T, DbError> {
        self.columns.get(index).and_then(T::from_column).ok_or_else(|| DbError::Column(index.to_string()))
    }

    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    pub fn names(&self) -> &[String] {
        &self.names
    }
}
