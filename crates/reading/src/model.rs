//! Rows and bundles of the reading room.

use crate::ReadingError;
use jiff::civil::Date;
use mingying_archive::{SeriesRow, StudyRow};
use mingying_kernel::{AccessionNumber, DicomUid, OrderId, OrgId, Timestamp, words};
use mingying_orders::{ExamState, Order, Priority};
use mingying_patients::{Patient, PatientSummary};

words! {
    /// How a study was linked to its order.
    How { Accession = "accession", WorklistUid = "worklist_uid", Person = "person" }

    /// Why a study is not linked.
    Reason {
        /// Neither accession number nor Study Instance UID belong to an order.
        NoOrder = "no_order",
        /// An order was found, but its patient is clearly somebody else.
        PatientDiffers = "patient_differs",
        /// The order found is cancelled or not accepted.
        OrderState = "order_state",
        /// A person took it off its order.
        Unlinked = "unlinked",
    }

    Sort {
        /// Longest waiting first.
        Waiting = "waiting",
        /// Emergencies first, then longest waiting.
        Priority = "priority",
        /// Newest images first.
        ImagedAt = "imaged_at",
    }
}

/// One case of the reading worklist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadingRow {
    pub order: OrderId,
    pub org: OrgId,
    pub accession: AccessionNumber,
    pub patient: PatientSummary,
    pub item_name: String,
    pub item_name_en: String,
    pub modality: String,
    pub priority: Priority,
    pub state: ExamState,
    /// The study that the worklist gave out; the linked one where a device made its own.
    pub study_uid: DicomUid,
    pub images: i64,
    pub imaged_at: Option<Timestamp>,
    /// Since when it has been waiting.
    pub waiting_since: Timestamp,
    /// Name of the reader who holds it.
    pub locked_by: Option<String>,
}

/// How many cases of a kind there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseCount {
    pub state: ExamState,
    pub modality: String,
    pub priority: Priority,
    pub cases: i64,
}

#[derive(Debug, Clone)]
pub struct ReadingQuery {
    /// Empty: what waits for a report or an audit.
    pub states: Vec<ExamState>,
    pub modality: Option<String>,
    pub priority: Option<Priority>,
    /// Name, pinyin, initials, accession number or medical record number; prefixes match.
    pub text: Option<String>,
    pub sort: Sort,
    /// At most 200; default 50.
    pub limit: Option<u32>,
    pub cursor: Option<String>,
}

impl Default for ReadingQuery {
    fn default() -> Self {
        Self {
            states: Vec::new(),
            modality: None,
            priority: None,
            text: None,
            sort: Sort::Priority,
            limit: None,
            cursor: None,
        }
    }
}

#[derive(Debug, Clone)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
}

/// Where a page of the worklist ends: rank, instant, order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub rank: i64,
    pub at: i64,
    pub order: String,
}

impl Cursor {
    pub(crate) fn parse(text: &str) -> Result<Self, ReadingError> {
        let invalid = || ReadingError::Invalid { field: "cursor" };
        let mut parts = text.splitn(3, '_');
        let mut next = || parts.next().ok_or_else(invalid);
        let (rank, at, order) = (next()?, next()?, next()?);
        let number = |text: &str| text.parse::<i64>().map_err(|_| invalid());
        Ok(Self { rank: number(rank)?, at: number(at)?, order: order.to_owned() })
    }

    pub(crate) fn text(&self) -> String {
        format!("{}_{}_{}", self.rank, self.at, self.order)
    }
}

/// A study that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmatched {
    pub study_uid: String,
    pub org: OrgId,
    pub patient_name: String,
    pub patient_id: String,
    pub modality: String,
    pub accession: String,
    /// `YYYYMMDD` or empty.
    pub study_date: String,
    pub description: String,
    pub images: i64,
    pub source: String,
    pub received_at: Timestamp,
    pub reason: Reason,
}

/// A study and the order it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StudyLink {
    pub study_uid: String,
    pub order: OrderId,
    pub how: How,
    pub linked_at: Timestamp,
    pub images: i64,
}

/// A study with its series, as the reading room shows it.
#[derive(Debug, Clone)]
pub struct StudyView {
    pub study: StudyRow,
    pub series: Vec<SeriesRow>,
}

/// An earlier exam of the same patient.
#[derive(Debug, Clone)]
pub struct Prior {
    pub order: Order,
    pub study_uid: String,
    /// When its images were made, else when it was ordered.
    pub at: Timestamp,
}

/// Everything one needs to read a case.
#[derive(Debug, Clone)]
pub struct Room {
    pub order: Order,
    pub patient: Patient,
    pub studies: Vec<StudyView>,
    /// Newest first.
    pub priors: Vec<Prior>,
}

/// The age on `on` in the form of DICOM's Age String (PS3.5 6.2), without its leading zeros: `57Y`, `8M`, `12D`.
/// Years from two years on, months from two months on, days before. Empty when `on` lies before the birth.
pub fn age(birth: Date, on: Date) -> String {
    if on < birth {
        return String::new();
    }
    let mut months =
        (i32::from(on.year()) - i32::from(birth.year())) * 12 + i32::from(on.month()) - i32::from(birth.month());
    if on.day() < birth.day() {
        months -= 1;
    }
    if months >= 24 {
        format!("{}Y", months / 12)
    } else if months >= 2 {
        format!("{months}M")
    } else {
        let days = birth.until(on).map_or(0, |span| span.get_days());
        format!("{days}D")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn ages_change_on_birthdays() {
        let birth = date(1968, 3, 2);
        assert_eq!(age(birth, date(2026, 3, 1)), "57Y");
        assert_eq!(age(birth, date(2026, 3, 2)), "58Y");
        assert_eq!(age(date(2024, 3, 2), date(2026, 3, 1)), "23M");
        assert_eq!(age(date(2026, 1, 31), date(2026, 3, 30)), "58D");
        assert_eq!(age(date(2026, 3, 2), date(2026, 3, 2)), "0D");
        assert_eq!(age(date(2026, 3, 2), date(2026, 3, 1)), "");
    }

    #[test]
    fn cursors_survive_the_round_trip_and_refuse_the_rest() {
        let cursor = Cursor { rank: 1, at: -5, order: "a_b".into() };
        assert_eq!(Cursor::parse(&cursor.text()).unwrap(), cursor);
        for bad in ["", "1", "1_2", "x_1_y"] {
            assert!(Cursor::parse(bad).is_err(), "{bad}");
        }
    }
}
