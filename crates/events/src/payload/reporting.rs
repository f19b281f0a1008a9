//! Reports: written, issued, refused, signed. The text itself stays in the version; the event leads to it.

use crate::Payload;
use serde::{Deserialize, Serialize};

/// The report was opened for the first time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportOpened {
    pub report_id: String,
}
impl Payload for ReportOpened {
    const TOPIC: &'static str = "report.opened";
}

/// A trainee report (实习报告) was handed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportDraft {
    pub report_id: String,
    pub version: u32,
}
impl Payload for ReportDraft {
    const TOPIC: &'static str = "report.draft";
}

/// A physician issued the initial report (初诊报告).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportInitial {
    pub report_id: String,
    pub version: u32,
}
impl Payload for ReportInitial {
    const TOPIC: &'static str = "report.initial";
}

/// The auditor sent the initial report back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportRejected {
    pub report_id: String,
    pub version: u32,
    /// The user whose initial report it was.
    #[serde(default)]
    pub to: String,
}
impl Payload for ReportRejected {
    const TOPIC: &'static str = "report.rejected";
}

/// The report was audited and signed (审核报告).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportFinal {
    pub report_id: String,
    pub version: u32,
    /// Hash of the signed version, lower-case hex.
    pub hash: String,
    /// Codes of the checks that were overridden with a reason.
    #[serde(default)]
    pub overridden: Vec<String>,
    /// Author and auditor were the same person under the single-handed waiver; to be reviewed the next day.
    #[serde(default)]
    pub waiver: bool,
}
impl Payload for ReportFinal {
    const TOPIC: &'static str = "report.final";
}

/// The signed report was stored into the study as an Encapsulated PDF.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportArchived {
    pub report_id: String,
    pub version: u32,
    pub sop_uid: String,
}
impl Payload for ReportArchived {
    const TOPIC: &'static str = "report.archived";
}
