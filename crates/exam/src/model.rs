//! Worklist items, performed procedure steps, and how far an exam's images are.

use jiff::civil::Date;
use mingying_kernel::{AccessionNumber, AeTitle, DeviceId, DicomUid, OrderId, OrgId, PatientId, Timestamp, words};
use mingying_patients::Sex;

words! {
    /// Performed Procedure Step Status (0040,0252).
    MppsState { InProgress = "in_progress", Completed = "completed", Discontinued = "discontinued" }

    /// What made the exam start.
    StartedBy { Technologist = "technologist", Mpps = "mpps", Images = "images" }

    /// Why the images are believed to be complete.
    ImagedBy { Mpps = "mpps", QuietTime = "quiet_time", Technologist = "technologist" }
}

/// Matching keys of a worklist query, already read from the data set. Dates are the facility's; `None` matches all.
/// `*` and `?` are wildcards in `patient_name` and `patient_id` (PS3.4 C.2.2.2.4).
#[derive(Debug, Clone, Default)]
pub struct WorklistQuery {
    pub station_aet: Option<String>,
    pub modality: Option<String>,
    /// Scheduled start at or after, in wall time of the facility.
    pub from: Option<jiff::civil::DateTime>,
    /// Scheduled start at or before.
    pub to: Option<jiff::civil::DateTime>,
    pub patient_name: Option<String>,
    pub patient_id: Option<String>,
    pub accession: Option<String>,
    pub study_uid: Option<String>,
    pub sps_id: Option<String>,
    pub procedure_id: Option<String>,
    /// At most 5,000; default 500.
    pub limit: Option<u32>,
}

/// One scheduled step with everything a modality copies into its images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorklistItem {
    pub order: OrderId,
    pub org: OrgId,
    pub patient: PatientId,
    /// As registered, `张三`.
    pub patient_name: String,
    /// `Zhang San`.
    pub patient_name_latin: String,
    pub patient_id: String,
    pub patient_id_issuer: String,
    pub sex: Sex,
    pub birth_date: Option<Date>,
    /// Allergy alerts, joined by `; `, at most 64 characters each: Allergies (0010,2110).
    pub allergies: Vec<String>,
    pub pregnant: bool,
    pub alerts: Vec<String>,
    pub special: Vec<String>,
    pub accession: AccessionNumber,
    pub study_uid: DicomUid,
    pub procedure_id: String,
    pub procedure_description: String,
    pub procedure_code: String,
    pub priority: mingying_orders::Priority,
    pub referring_physician: String,
    pub requesting_department: String,
    pub reason: String,
    pub sps_id: String,
    pub station_aet: AeTitle,
    pub station_name: String,
    pub modality: String,
    /// Scheduled start as an instant and as wall time of the facility.
    pub start: Timestamp,
    pub start_local: jiff::civil::DateTime,
    pub description: String,
    pub location: String,
    /// (code, name, body part, side) of each item.
    pub items: Vec<WorklistCode>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorklistCode {
    pub code: String,
    pub meaning: String,
    pub body_part: String,
    pub side: Option<mingying_orders::Side>,
}

/// N-CREATE of a performed procedure step (PS3.4 F.7.2.1).
#[derive(Debug, Clone)]
pub struct MppsCreate {
    pub uid: DicomUid,
    pub station_aet: String,
    pub study_uid: Option<DicomUid>,
    pub accession: Option<String>,
    pub sps_id: Option<String>,
    pub patient_id: Option<String>,
    pub started_at: Option<Timestamp>,
    /// The whole data set as DICOM JSON, kept as evidence.
    pub dataset_json: String,
}

/// N-SET of a performed procedure step (PS3.4 F.7.2.2).
#[derive(Debug, Clone)]
pub struct MppsSet {
    pub uid: DicomUid,
    pub status: MppsState,
    pub ended_at: Option<Timestamp>,
    pub series: Vec<MppsSeries>,
    /// Discontinuation reason as text.
    pub reason: Option<String>,
    /// The data set of this N-SET as DICOM JSON.
    pub dataset_json: String,
}

#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct MppsSeries {
    pub series_uid: String,
    pub description: String,
    pub images: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mpps {
    pub uid: DicomUid,
    pub org: OrgId,
    /// `None`: no order was found for it; kept for a person to see.
    pub order: Option<OrderId>,
    pub station_aet: String,
    pub study_uid: Option<DicomUid>,
    pub accession: Option<String>,
    pub state: MppsState,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub images: u32,
    pub reason: String,
}

/// What has been seen of an exam's images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    pub order: OrderId,
    pub device: Option<DeviceId>,
    pub images: u32,
    pub last_image_at: Option<Timestamp>,
}
