use crate::{EditCatalogue, EditPatient, NewPatient, Patient, PatientError, RegisterPatient};
use mingying_db::{Db, Tx};
use mingying_kernel::{Action, OrgId, PatientId, Permit, Scope};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuers { pub mrn: String, pub mrn_prefix: String, pub temporary: String }

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upserted { pub id: PatientId, pub created: bool }

pub async fn register(db: &Db, permit: &Permit<RegisterPatient>, new: NewPatient) -> Result<Patient, PatientError> { todo!() }
pub async fn update(db: &Db, permit: &Permit<EditPatient>, id: PatientId, version: i64, new: NewPatient) -> Result<Patient, PatientError> { todo!() }
/// From an interface: the person who carries one of the identifiers is updated, else registered. Idempotent.
pub async fn upsert<A: Action>(tx: &mut Tx, permit: &Permit<A>, new: NewPatient) -> Result<Upserted, PatientError> { todo!() }
pub async fn home_org(db: &Db, scope: Scope) -> Result<OrgId, PatientError> { todo!() }
pub async fn home_org_in(tx: &mut Tx, scope: Scope) -> Result<OrgId, PatientError> { todo!() }
pub async fn issuers_of(tx: &mut Tx, org: OrgId) -> Result<Issuers, PatientError> { todo!() }
pub async fn set_issuers(db: &Db, permit: &Permit<EditCatalogue>, org: OrgId, issuers: &Issuers) -> Result<(), PatientError> { todo!() }
