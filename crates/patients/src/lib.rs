//! Who is examined: registration, identifiers by issuer, search, alerts.
//!
//! A patient belongs to one organization. Within it an identifier (issuer, value) names exactly one patient
//! (R-5.1.2-b); between organizations links are the business of a master index, never of this table. Versions make
//! concurrent edits visible; nothing is ever deleted.

mod error;
mod find;
mod model;
mod register;
mod romanise;
mod store;

pub use error::PatientError;
pub use find::{
    Found, SimilarQuery, Similarity, SimilarityReason, load, load_full, load_in, load_many, search, similar,
};
pub use model::{
    Alert, AlertKind, ID_CARD_ISSUER, IdCard, Identifier, IdentifierKind, NewPatient, Patient, PatientSummary, Sex,
    UNIDENTIFIED_NAME, masked_name,
};
pub use register::{Issuers, Upserted, home_org, home_org_in, issuers_of, register, set_issuers, update, upsert};
pub use romanise::{folded, initials, latin, sound};

pub use mingying_access::ReadCatalogue;

mingying_kernel::action! {
    /// Registers somebody new.
    RegisterPatient = "patient.register",
    /// Sees patients.
    ReadPatients = "patient.read",
    /// Changes a patient's data.
    EditPatient = "patient.edit",
    /// Changes the catalogue, rooms, devices and issuers.
    EditCatalogue = "catalogue.edit",
}
