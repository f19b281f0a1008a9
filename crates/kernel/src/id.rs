//! One newtype per entity, and the identifiers that come from outside, validated at the edge.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// A value from outside that breaks its standard's rule. The value itself is not repeated: it may be patient data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidValue {
    /// What was expected, for example `DICOM UID`.
    pub expected: &'static str,
}

impl fmt::Display for InvalidValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a valid {}", self.expected)
    }
}

impl std::error::Error for InvalidValue {}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new, time-ordered id (UUIDv7), never reused (R-5.1.2-a).
            #[allow(clippy::new_without_default)]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidValue;
            fn from_str(text: &str) -> Result<Self, InvalidValue> {
                Uuid::parse_str(text).map(Self).map_err(|_| InvalidValue { expected: stringify!($name) })
            }
        }
    )*};
}

ids! {
    UserId, SessionId, OrgId, CampusId, DepartmentId, RoomId, DeviceId,
    PatientId, OrderId, AppointmentId,
    /// A scheduled procedure step: what the modality sees as one worklist item.
    SpsId,
    QueueEntryId, ReportId, PhraseId, ShareId, EventId, JobId, MessageId,
}

/// A DICOM UID (PS3.5 section 9): digits and dots, at most 64 characters, no component with a leading zero.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DicomUid(String);

impl DicomUid {
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        let text = text.trim_end_matches(['\0', ' ']);
        let valid = !text.is_empty()
            && text.len() <= 64
            && text.split('.').all(|part| {
                !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()) && (part == "0" || !part.starts_with('0'))
            });
        if valid { Ok(Self(text.to_owned())) } else { Err(InvalidValue { expected: "DICOM UID" }) }
    }

    /// As `parse`, but keeps what devices really send: components with leading zeros are tolerated.
    pub fn parse_lenient(text: &str) -> Result<Self, InvalidValue> {
        let text = text.trim_matches(['\0', ' ']);
        let valid = !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        if valid { Ok(Self(text.to_owned())) } else { Err(InvalidValue { expected: "DICOM UID" }) }
    }

    /// A new UID under 2.25, made from a random UUID (PS3.5 B.2).
    pub fn generate() -> Self {
        Self(format!("2.25.{}", Uuid::new_v4().as_u128()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for DicomUid {
    type Error = InvalidValue;
    fn try_from(text: String) -> Result<Self, InvalidValue> {
        Self::parse_lenient(&text)
    }
}

impl From<DicomUid> for String {
    fn from(uid: DicomUid) -> Self {
        uid.0
    }
}

impl fmt::Display for DicomUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Accession Number (0008,0050), VR SH: 1 to 16 characters without backslash or control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccessionNumber(String);

impl AccessionNumber {
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        let text = text.trim();
        let valid =
            !text.is_empty() && text.chars().count() <= 16 && !text.chars().any(|c| c == '\\' || c.is_control());
        if valid { Ok(Self(text.to_owned())) } else { Err(InvalidValue { expected: "accession number" }) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for AccessionNumber {
    type Error = InvalidValue;
    fn try_from(text: String) -> Result<Self, InvalidValue> {
        Self::parse(&text)
    }
}

impl From<AccessionNumber> for String {
    fn from(number: AccessionNumber) -> Self {
        number.0
    }
}

impl fmt::Display for AccessionNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Application entity title, VR AE: 1 to 16 ASCII characters, no backslash, no control characters, trimmed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AeTitle(String);

impl AeTitle {
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        let text = text.trim();
        let valid =
            !text.is_empty() && text.len() <= 16 && text.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b'\\');
        if valid { Ok(Self(text.to_owned())) } else { Err(InvalidValue { expected: "AE title" }) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for AeTitle {
    type Error = InvalidValue;
    fn try_from(text: String) -> Result<Self, InvalidValue> {
        Self::parse(&text)
    }
}

impl From<AeTitle> for String {
    fn from(title: AeTitle) -> Self {
        title.0
    }
}

impl fmt::Display for AeTitle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A patient identifier together with who issued it. The value alone never identifies anybody (R-4.3.1-e, f).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PatientIdentifier {
    /// Assigning authority: an OID such as `2.16.156.10011.1.3`, or a configured namespace.
    pub issuer: String,
    pub value: String,
}

impl PatientIdentifier {
    pub fn parse(issuer: &str, value: &str) -> Result<Self, InvalidValue> {
        let (issuer, value) = (issuer.trim(), value.trim());
        let clean = |s: &str, max: usize| {
            !s.is_empty() && s.chars().count() <= max && !s.chars().any(|c| c == '\\' || c.is_control())
        };
        if clean(issuer, 64) && clean(value, 64) {
            Ok(Self { issuer: issuer.to_owned(), value: value.to_owned() })
        } else {
            Err(InvalidValue { expected: "patient identifier" })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dicom_uid_follows_ps3_5() {
        assert!(DicomUid::parse("1.2.840.10008.1.1").is_ok());
        assert_eq!(DicomUid::parse("1.2.3\0").map(String::from), Ok("1.2.3".to_owned()));
        for bad in ["", ".", "1..2", "1.02", "1.2a", "../../etc", &"1".repeat(65)] {
            assert!(DicomUid::parse(bad).is_err(), "{bad}");
        }
        assert!(DicomUid::parse_lenient("1.02").is_ok());
        assert!(DicomUid::parse(DicomUid::generate().as_str()).is_ok());
    }

    #[test]
    fn accession_number_fits_sh() {
        assert!(AccessionNumber::parse("A20260101000001").is_ok());
        for bad in ["", "12345678901234567", "A\\B", "A\nB"] {
            assert!(AccessionNumber::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn ae_title_fits_ae() {
        assert_eq!(AeTitle::parse(" CT01 ").map(String::from), Ok("CT01".to_owned()));
        for bad in ["", "   ", "SEVENTEENLETTERS!", "CT\\1", "影像"] {
            assert!(AeTitle::parse(bad).is_err(), "{bad:?}");
        }
    }
}
