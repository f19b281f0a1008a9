//! What is asked for: the request, its items, its clinical data, and the automatic check of completeness.

use crate::{ExamState, OrderError};
use jiff::civil::Date;
use mingying_kernel::{AccessionNumber, DicomUid, OrderId, OrgId, PatientId, Timestamp, words};
use mingying_patients::PatientSummary;
use serde::{Deserialize, Serialize};

words! {
    Priority { Routine = "routine", Urgent = "urgent", Emergency = "emergency" }

    VisitClass { Outpatient = "outpatient", Inpatient = "inpatient", Emergency = "emergency", Checkup = "checkup" }

    /// Laterality; `B` is both.
    Side { Left = "L", Right = "R", Both = "B" }

    /// Special conditions, coded (R-5.1.1-c).
    Special {
        Pregnant = "pregnant",
        Mdro = "mdro",
        Infectious = "infectious",
        Implant = "implant",
        Fasting = "fasting",
        Isolation = "isolation",
        Critical = "critical",
    }

    /// Where the request came from.
    Source { Desk = "desk", Hl7 = "hl7" }

    /// What the automatic check found missing.
    Finding {
        NoDepartment = "no_department",
        NoPhysician = "no_physician",
        NoDiagnosis = "no_diagnosis",
        /// A paired body part without its side.
        NoSide = "no_side",
        /// Neither birth date nor a temporary identity.
        NoBirthDate = "no_birth_date",
    }
}

/// One thing the centre offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogueItem {
    pub id: String,
    pub code: String,
    pub name: String,
    pub name_en: String,
    /// DICOM modality (0008,0060).
    pub modality: String,
    pub body_part: String,
    /// A side must be given.
    pub sided: bool,
    pub contrast: bool,
    pub duration_min: u32,
    pub preparation: String,
    pub preparation_en: String,
    pub price_cents: i64,
}

/// One item of an order, as it was in the catalogue when ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderItem {
    pub id: String,
    pub catalogue_id: String,
    pub code: String,
    pub name: String,
    pub name_en: String,
    pub modality: String,
    pub body_part: String,
    pub side: Option<Side>,
    pub contrast: bool,
    pub duration_min: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub id: OrderId,
    pub org: OrgId,
    pub accession: AccessionNumber,
    pub placer: Option<Placer>,
    pub patient: PatientSummary,
    pub state: ExamState,
    pub priority: Priority,
    pub visit_class: VisitClass,
    pub department: String,
    pub physician: String,
    pub diagnosis: String,
    pub history: String,
    pub purpose: String,
    pub special: Vec<Special>,
    pub modality: String,
    pub items: Vec<OrderItem>,
    pub study_uid: DicomUid,
    pub source: Source,
    pub findings: Vec<Finding>,
    /// Why it was returned, cancelled, discontinued or is to be redone.
    pub reason: String,
    pub created_at: Timestamp,
    /// When the present state began.
    pub state_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub imaged_at: Option<Timestamp>,
    pub completed_at: Option<Timestamp>,
    pub version: i64,
}

impl Order {
    /// Minutes of device time that all items together need.
    pub fn duration_min(&self) -> u32 {
        duration_min(&self.items)
    }

    /// The first item stands for the order in lists: `Chest CT +1`.
    pub fn title(&self) -> (String, String) {
        let more = self.items.len().saturating_sub(1);
        let with = |name: &str| if more == 0 { name.to_owned() } else { format!("{name} +{more}") };
        self.items.first().map_or_else(Default::default, |i| (with(&i.name), with(&i.name_en)))
    }
}

pub(crate) fn duration_min(items: &[OrderItem]) -> u32 {
    items.iter().map(|i| i.duration_min).sum::<u32>().clamp(5, 8 * 60)
}

/// The number under which the placer knows its order; unique together with who issued it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placer {
    pub issuer: String,
    pub number: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewItem {
    pub catalogue_id: String,
    pub side: Option<Side>,
}

/// A request as entered or received.
#[derive(Debug, Clone)]
pub struct NewOrder {
    pub patient: PatientId,
    pub items: Vec<NewItem>,
    pub priority: Priority,
    pub visit_class: VisitClass,
    pub department: String,
    pub physician: String,
    pub diagnosis: String,
    pub history: String,
    pub purpose: String,
    pub special: Vec<Special>,
    pub source: Source,
    /// The same placer number again changes the order it made, and never makes a second one.
    pub placer: Option<Placer>,
    /// Only where another system is the order filler (OMI^O23 IPC-1); else it is generated.
    pub accession: Option<AccessionNumber>,
    /// Likewise (OMI^O23 IPC-3).
    pub study_uid: Option<DicomUid>,
}

impl NewOrder {
    /// An empty request for `patient` from the desk.
    pub fn for_patient(patient: PatientId) -> Self {
        Self {
            patient,
            items: Vec::new(),
            priority: Priority::Routine,
            visit_class: VisitClass::Outpatient,
            department: String::new(),
            physician: String::new(),
            diagnosis: String::new(),
            history: String::new(),
            purpose: String::new(),
            special: Vec::new(),
            source: Source::Desk,
            placer: None,
            accession: None,
            study_uid: None,
        }
    }

    /// Trims and bounds the texts.
    pub(crate) fn checked(mut self) -> Result<Self, OrderError> {
        let tidy = |text: &mut String, max: usize, field: &'static str| {
            *text = text.trim().to_owned();
            let bad = |c: char| c.is_control() && c != '\n' && c != '\t' && c != '\r';
            if text.chars().count() > max || text.chars().any(bad) {
                return Err(OrderError::Invalid { field });
            }
            Ok(())
        };
        tidy(&mut self.department, 128, "department")?;
        tidy(&mut self.physician, 64, "physician")?;
        tidy(&mut self.diagnosis, 2000, "diagnosis")?;
        tidy(&mut self.history, 8000, "history")?;
        tidy(&mut self.purpose, 2000, "purpose")?;
        if self.items.len() > 16 {
            return Err(OrderError::Invalid { field: "items" });
        }
        if let Some(placer) = &mut self.placer {
            tidy(&mut placer.issuer, 64, "placer")?;
            tidy(&mut placer.number, 64, "placer")?;
            if placer.number.is_empty() {
                return Err(OrderError::Invalid { field: "placer" });
            }
        }
        self.special.sort_unstable();
        self.special.dedup();
        Ok(self)
    }
}

/// The automatic check: what a clerk would have to ask for. Emergencies and bedside exams are accepted with what is
/// known, because asking costs the time that the patient does not have.
pub(crate) fn missing(new: &NewOrder, items: &[(CatalogueItem, Option<Side>)], birth_known: bool) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut check = |ok: bool, finding| {
        if !ok {
            found.push(finding);
        }
    };
    check(items.iter().all(|(item, side)| !item.sided || side.is_some()), Finding::NoSide);
    if new.priority != Priority::Emergency {
        // A check-up has no referring department and no diagnosis.
        let referred = new.visit_class != VisitClass::Checkup;
        check(!referred || !new.department.is_empty(), Finding::NoDepartment);
        check(!referred || !new.physician.is_empty(), Finding::NoPhysician);
        check(!referred || !new.diagnosis.is_empty(), Finding::NoDiagnosis);
        check(birth_known, Finding::NoBirthDate);
    }
    found
}

/// What a list of orders is narrowed to.
#[derive(Debug, Clone, Default)]
pub struct OrderQuery {
    /// Name prefix, pinyin, accession number, placer number or patient identifier.
    pub text: Option<String>,
    /// Empty: every state.
    pub states: Vec<ExamState>,
    pub modality: Option<String>,
    /// Created at or after.
    pub from: Option<Timestamp>,
    /// Created before.
    pub to: Option<Timestamp>,
    pub patient: Option<PatientId>,
    /// At most 200; default 50.
    pub limit: Option<u32>,
    /// The `next` of the page before.
    pub cursor: Option<String>,
}

/// One page and where the next one starts.
#[derive(Debug, Clone)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
}

/// `A` + two-digit year, month, day + a serial of at least five digits: 12 characters in SH's 16, readable and
/// sortable. The counter runs per organization and day, and the organization's prefix keeps two apart.
pub(crate) fn accession(prefix: &str, day: Date, serial: i64) -> Result<AccessionNumber, OrderError> {
    let text = format!("{prefix}{:02}{:02}{:02}{serial:06}", day.year().rem_euclid(100), day.month(), day.day());
    AccessionNumber::parse(&text).map_err(|_| OrderError::Invalid { field: "accession" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn accession_numbers_are_readable_and_fit() {
        assert_eq!(accession("A", date(2026, 3, 2), 7).unwrap().as_str(), "A260302000007");
        assert!(accession("ABCD", date(2026, 3, 2), 999_999).is_ok());
        assert!(accession("ABCDE", date(2026, 3, 2), 1).is_err());
    }
}
