//! SOP classes and transfer syntaxes of the services here (PS3.4, PS3.6 annex A).

pub(crate) const VERIFICATION: &str = "1.2.840.10008.1.1";
pub(crate) const STUDY_ROOT_FIND: &str = "1.2.840.10008.5.1.4.1.2.2.1";
pub(crate) const STUDY_ROOT_MOVE: &str = "1.2.840.10008.5.1.4.1.2.2.2";
pub(crate) const STUDY_ROOT_GET: &str = "1.2.840.10008.5.1.4.1.2.2.3";
pub(crate) const PATIENT_ROOT_FIND: &str = "1.2.840.10008.5.1.4.1.2.1.1";
pub(crate) const PATIENT_ROOT_MOVE: &str = "1.2.840.10008.5.1.4.1.2.1.2";
pub(crate) const PATIENT_ROOT_GET: &str = "1.2.840.10008.5.1.4.1.2.1.3";
pub(crate) const WORKLIST_FIND: &str = "1.2.840.10008.5.1.4.31";
pub(crate) const PERFORMED_STEP: &str = "1.2.840.10008.3.1.2.3.3";
/// Storage Commitment Push Model, and its only instance.
pub(crate) const COMMITMENT: &str = "1.2.840.10008.1.20.1";
pub(crate) const COMMITMENT_INSTANCE: &str = "1.2.840.10008.1.20.1.1";
/// All composite storage classes of the standard stand under it.
pub(crate) const STORAGE_PREFIX: &str = "1.2.840.10008.5.1.4.1.1.";

pub(crate) const IMPLICIT_LITTLE: &str = "1.2.840.10008.1.2";
pub(crate) const EXPLICIT_LITTLE: &str = "1.2.840.10008.1.2.1";

/// Private storage classes that modalities in the field send beside their images.
pub(crate) const PRIVATE_STORAGE: [&str; 9] = [
    // Siemens CSA Non-Image.
    "1.3.12.2.1107.5.9.1",
    // Philips private MR, CT and ultrasound.
    "1.3.46.670589.11.0.0.12.1",
    "1.3.46.670589.11.0.0.12.2",
    "1.3.46.670589.11.0.0.12.4",
    "1.3.46.670589.5.0.",
    // GE 3D model, PET raw data, advance.
    "1.2.840.113619.4.",
    // Fuji CR private.
    "1.2.392.200036.9125.1.1.",
    // Toshiba private.
    "1.2.392.200036.9116.7.8.1.1.1",
    // Agfa and Kodak presentation of basic attributes.
    "1.2.840.113543.6.6.1.3.10002",
];
