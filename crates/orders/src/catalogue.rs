//! What the centre offers.

use crate::{CatalogueItem, EditCatalogue, OrderError, store};
use mingying_db::{Db, Tx};
use mingying_events::About;
use mingying_events::payload::orders::CatalogueChanged;
use mingying_kernel::{OrgId, Permit, Scope};

/// The whole catalogue, by modality and code.
pub async fn catalogue(db: &Db, scope: Scope) -> Result<Vec<CatalogueItem>, OrderError> {
    Ok(store::catalogue(db, scope).await?)
}

/// By its id.
pub async fn catalogue_item(tx: &mut Tx, org: OrgId, id: &str) -> Result<CatalogueItem, OrderError> {
    store::catalogue_by(tx, org, "id", id).await?.ok_or(OrderError::UnknownItem)
}

/// By the code of OBR-4 or a worklist.
pub async fn catalogue_by_code(tx: &mut Tx, org: OrgId, code: &str) -> Result<CatalogueItem, OrderError> {
    store::catalogue_by(tx, org, "code", code.trim()).await?.ok_or(OrderError::UnknownItem)
}

/// Makes or replaces items by their code; an item's `id` is kept once made. Orders keep what they were made with.
pub async fn upsert_catalogue(
    db: &Db,
    permit: &Permit<EditCatalogue>,
    org: OrgId,
    items: &[CatalogueItem],
) -> Result<(), OrderError> {
    if !permit.scope().sees(org) {
        return Err(OrderError::NotFound);
    }
    let mut tx = db.begin().await?;
    for item in items {
        check(item)?;
        store::put_catalogue_item(&mut tx, org, item).await?;
    }
    let codes = items.iter().map(|i| i.code.clone()).collect();
    mingying_access::record(&mut tx, permit, &About::new("catalogue", org, org), &CatalogueChanged { codes }).await?;
    tx.commit().await?;
    Ok(())
}

fn check(item: &CatalogueItem) -> Result<(), OrderError> {
    let invalid = |field| Err(OrderError::Invalid { field });
    // Code Value is SH, Code Meaning LO (PS3.3 8.8); a modality is CS.
    if item.code.is_empty() || item.code.chars().count() > 16 || item.code.chars().any(|c| c == '\\' || c.is_control())
    {
        return invalid("code");
    }
    if item.name.is_empty() || item.name.chars().count() > 64 || item.name.chars().any(|c| c == '\\' || c.is_control())
    {
        return invalid("name");
    }
    let modality = item.modality.as_bytes();
    if modality.is_empty()
        || modality.len() > 16
        || !modality.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    {
        return invalid("modality");
    }
    if !(1..=480).contains(&item.duration_min) {
        return invalid("duration_min");
    }
    if item.price_cents < 0 {
        return invalid("price_cents");
    }
    if item.id.is_empty() || item.id.len() > 64 {
        return invalid("id");
    }
    Ok(())
}
