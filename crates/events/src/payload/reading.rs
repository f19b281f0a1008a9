//! Studies find their orders; readers hold cases.

use crate::Payload;
use serde::{Deserialize, Serialize};

/// A study was linked to an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StudyMatched {
    pub study_uid: String,
    /// `accession`, `worklist_uid` or `person`.
    pub how: String,
}
impl Payload for StudyMatched {
    const TOPIC: &'static str = "study.matched";
}

/// A person took a study off an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StudyUnlinked {
    pub study_uid: String,
}
impl Payload for StudyUnlinked {
    const TOPIC: &'static str = "study.unlinked";
}

/// Images of a study were deleted or brought back: lists show it with another number, or no longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StudyRecounted {
    pub study_uid: String,
    pub before: i64,
    /// Images of the study now.
    pub images: i64,
}
impl Payload for StudyRecounted {
    const TOPIC: &'static str = "study.recounted";
}

/// A study waits for a person to link it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StudyUnmatched {
    pub study_uid: String,
    /// `no_order`, `patient_differs`, `ambiguous`, `order_state`, `unlinked`.
    pub reason: String,
}
impl Payload for StudyUnmatched {
    const TOPIC: &'static str = "study.unmatched";
}

/// A reader took a case over from another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseTakenOver {
    pub from: String,
}
impl Payload for CaseTakenOver {
    const TOPIC: &'static str = "case.taken_over";
}
