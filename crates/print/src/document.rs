//! What goes on paper. All values are shown as they are: the caller formats dates in the facility's zone and picks
//! the words (`男`, `门诊`, `CT 平扫`).

use serde::Serialize;

/// How far the report is. Only a final one is printed without a mark across the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Trainee and initial reports: watermark 草稿.
    Draft,
    /// Issued by the on-duty physician before the audit: watermark 临时报告.
    Preliminary,
    /// Audited and signed.
    Final,
}

/// One line of the signature block.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Signature {
    pub name: String,
    /// Server time in the facility's zone: `2026-03-02 10:31`. Empty leaves it out.
    pub at: String,
}

/// A QR code at the head of the report.
#[derive(Debug, Clone, Serialize)]
pub struct PatientLink {
    pub url: String,
    /// Below the code: `扫码查看报告与影像`.
    pub caption: String,
}

/// A diagnostic report (R-7.1.2-b: patient data, exam item, findings, impression).
#[derive(Debug, Clone, Serialize)]
pub struct ReportDocument {
    pub hospital: String,
    pub hospital_en: String,
    /// `CT 检查报告单`.
    pub title: String,
    pub stage: Stage,
    pub version: u32,
    /// The version that took this one's place (R-7.1.4-e): a red banner says so.
    pub replaced_by: Option<u32>,

    pub patient_name: String,
    pub sex: String,
    pub age: String,
    pub mrn: String,
    pub visit_class: String,
    pub department: String,
    pub physician: String,
    pub accession: String,
    pub modality: String,
    pub items: String,
    pub device: String,
    pub exam_date: String,
    pub report_date: String,
    /// Clinical diagnosis as requested.
    pub diagnosis: String,

    pub findings: String,
    pub impression: String,
    pub advice: String,

    pub author: Option<Signature>,
    pub auditor: Option<Signature>,
    /// Short form of the version's hash, to compare paper and record.
    pub hash: String,
    pub link: Option<PatientLink>,
    /// When the version was made: the PDF's own date.
    #[serde(skip)]
    pub created_at: mingying_kernel::Timestamp,
}

/// What the patient takes home from the booking desk: when, where, what to bring, how to prepare.
#[derive(Debug, Clone, Serialize)]
pub struct SlipDocument {
    pub hospital: String,
    pub hospital_en: String,
    pub patient_name: String,
    pub sex: String,
    pub age: String,
    pub mrn: String,
    pub accession: String,
    pub items: String,
    pub modality: String,
    /// `2026-03-02（周一）`, empty for a patient without an appointment.
    pub date: String,
    /// `10:30`.
    pub time: String,
    /// `10:15`: when to be at the desk.
    pub arrive_by: String,
    /// Queue ticket, when there is one already: `CT-012`.
    pub ticket: String,
    /// `门诊楼二层 CT 2 室`.
    pub place: String,
    pub device: String,
    /// How to prepare, from the catalogue.
    pub preparation: String,
    /// `身份证`, `医保卡`, …
    pub bring: Vec<String>,
    /// Allergies and special conditions the patient should mention.
    pub remarks: Vec<String>,
    pub phone: String,
    /// Content of the QR code; the kiosk reads it. Empty leaves it out.
    pub code: String,
    pub printed_at: String,
    /// The same instant, for the PDF's own date.
    #[serde(skip)]
    pub created_at: mingying_kernel::Timestamp,
}
