use crate::{CatalogueItem, EditCatalogue, OrderError};
use mingying_db::{Db, Tx};
use mingying_kernel::{OrgId, Permit, Scope};

pub async fn catalogue(db: &Db, scope: Scope) -> Result<Vec<CatalogueItem>, OrderError> { todo!() }
pub async fn catalogue_item(tx: &mut Tx, org: OrgId, id: &str) -> Result<CatalogueItem, OrderError> { todo!() }
/// By the code of OBR-4 or a worklist.
pub async fn catalogue_by_code(tx: &mut Tx, org: OrgId, code: &str) -> Result<CatalogueItem, OrderError> { todo!() }
/// Makes or replaces items by their code; an item's `id` is kept once made.
pub async fn upsert_catalogue(db: &Db, permit: &Permit<EditCatalogue>, org: OrgId, items: &[CatalogueItem]) -> Result<(), OrderError> { todo!() }
