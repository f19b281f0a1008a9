//! The organization: who owns a record, where it was made. Every clinical root carries these ids.

use crate::{AccessError, store};
use mingying_db::{Db, DbError, Tx};
use mingying_kernel::{CampusId, DepartmentId, OrgId, Scope};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Org {
    pub id: OrgId,
    pub name: String,
    pub name_en: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Campus {
    pub id: CampusId,
    pub org: OrgId,
    /// Unique within the organization.
    pub code: String,
    pub name: String,
    pub name_en: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DepartmentKind {
    /// Performs exams.
    Imaging,
    /// Orders them.
    Clinical,
}

impl DepartmentKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Imaging => "imaging",
            Self::Clinical => "clinical",
        }
    }

    pub(crate) fn parse(text: &str) -> Self {
        if text == "imaging" { Self::Imaging } else { Self::Clinical }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Department {
    pub id: DepartmentId,
    pub org: OrgId,
    pub campus: CampusId,
    /// Unique within the organization.
    pub code: String,
    pub name: String,
    pub name_en: String,
    pub kind: DepartmentKind,
}

/// The organization with all of its places, as the directory shows it.
#[derive(Debug, Clone)]
pub struct OrgTree {
    pub org: Org,
    pub campuses: Vec<Campus>,
    pub departments: Vec<Department>,
}

/// All organizations in scope.
pub async fn organizations(db: &Db, scope: Scope) -> Result<Vec<Org>, DbError> {
    store::orgs(db, scope).await
}

/// Inserts or renames; the id decides.
pub async fn put_org(tx: &mut Tx, org: &Org) -> Result<(), DbError> {
    store::put_org(tx, org).await
}

/// Inserts or renames; the id decides.
pub async fn put_campus(tx: &mut Tx, campus: &Campus) -> Result<(), DbError> {
    store::put_campus(tx, campus).await
}

/// Inserts or changes; the id decides.
pub async fn put_department(tx: &mut Tx, department: &Department) -> Result<(), DbError> {
    store::put_department(tx, department).await
}

/// Departments in scope, by code.
pub async fn departments(db: &Db, scope: Scope) -> Result<Vec<Department>, DbError> {
    store::departments(db, scope).await
}

/// One department in scope.
pub async fn department(db: &Db, id: DepartmentId, scope: Scope) -> Result<Department, AccessError> {
    let all = store::departments(db, scope).await?;
    all.into_iter().find(|department| department.id == id).ok_or(AccessError::DepartmentNotFound)
}

/// The first organization in scope (an installation has one, seldom more) with campuses and departments. `None` on an
/// installation that was never set up.
pub async fn org_tree(db: &Db, scope: Scope) -> Result<Option<OrgTree>, DbError> {
    let Some(org) = store::orgs(db, scope).await?.into_iter().next() else { return Ok(None) };
    let scope = Scope::Org(org.id);
    Ok(Some(OrgTree {
        campuses: store::campuses(db, scope).await?,
        departments: store::departments(db, scope).await?,
        org,
    }))
}
