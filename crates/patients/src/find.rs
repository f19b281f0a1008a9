//! Finding people: by id, by what one types, by what looks alike.

use crate::{Identifier, Patient, PatientError, PatientSummary, ReadPatients, Sex};
use jiff::civil::Date;
use mingying_db::{Db, Tx};
use mingying_kernel::{PatientId, Permit, Scope};

/// One page of people and where the next one starts.
#[derive(Debug, Clone)]
pub struct Found {
    pub items: Vec<PatientSummary>,
    pub next: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub struct SimilarQuery {
    pub name: String,
    pub birth_date: Option<Date>,
    pub sex: Option<Sex>,
    pub identifiers: Vec<Identifier>,
    pub phone: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SimilarityReason { Identifier, NameBirth, Phone }

#[derive(Debug, Clone)]
pub struct Similarity { pub patient: PatientSummary, pub reason: SimilarityReason, pub blocking: bool }

pub async fn load(db: &Db, permit: &Permit<ReadPatients>, id: PatientId) -> Result<Patient, PatientError> { todo!() }
/// Within a transaction, by whoever holds a scope.
pub async fn load_in(tx: &mut Tx, scope: Scope, id: PatientId) -> Result<Patient, PatientError> { todo!() }
pub async fn load_many(db: &Db, scope: Scope, ids: &[PatientId]) -> Result<Vec<PatientSummary>, PatientError> { todo!() }
pub async fn search(db: &Db, permit: &Permit<ReadPatients>, text: &str, limit: u32, cursor: Option<&str>) -> Result<Found, PatientError> { todo!() }
pub async fn similar(db: &Db, permit: &Permit<ReadPatients>, query: &SimilarQuery) -> Result<Vec<Similarity>, PatientError> { todo!() }
