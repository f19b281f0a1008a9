//! What happens to an exam at the device.

use crate::Payload;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreparationDone {}
impl Payload for PreparationDone {
    const TOPIC: &'static str = "prep.done";
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExamStarted {
    /// `technologist`, `mpps`, `images`
    #[serde(default)]
    pub by: String,
    /// AE title of the device, where it is known.
    #[serde(default)]
    pub device: String,
    /// The state in which it was found; anything before `arrived` skipped the desk.
    #[serde(default)]
    pub from: String,
}
impl Payload for ExamStarted {
    const TOPIC: &'static str = "exam.started";
}

/// The images are complete and stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExamImaged {
    /// `mpps`, `quiet_time`, `technologist`
    #[serde(default)]
    pub by: String,
    #[serde(default)]
    pub images: u32,
}
impl Payload for ExamImaged {
    const TOPIC: &'static str = "study.stored";
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExamCompleted {
    #[serde(default)]
    pub images: u32,
    /// Why it was confirmed without images.
    #[serde(default)]
    pub reason: Option<String>,
}
impl Payload for ExamCompleted {
    const TOPIC: &'static str = "exam.completed";
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExamRedo {
    #[serde(default)]
    pub reason: String,
}
impl Payload for ExamRedo {
    const TOPIC: &'static str = "exam.redo";
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExamDiscontinued {
    #[serde(default)]
    pub reason: String,
    /// `technologist`, `mpps`
    #[serde(default)]
    pub by: String,
}
impl Payload for ExamDiscontinued {
    const TOPIC: &'static str = "exam.discontinued";
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MppsCreated {
    #[serde(default)]
    pub station_aet: String,
    /// An order was found for it.
    #[serde(default)]
    pub linked: bool,
}
impl Payload for MppsCreated {
    const TOPIC: &'static str = "mpps.created";
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MppsUpdated {
    /// `in_progress`, `completed`, `discontinued`
    #[serde(default)]
    pub state: String,
    #[serde(default)]
    pub images: u32,
    #[serde(default)]
    pub series: u32,
}
impl Payload for MppsUpdated {
    const TOPIC: &'static str = "mpps.updated";
}
