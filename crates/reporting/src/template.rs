//! Phrase and report templates, shared and personal (R-4.2.6-d).

use crate::{EditTemplate, ReportError, Text, store};
use mingying_access::{Outcome, audit};
use mingying_db::{Db, Tx};
use mingying_kernel::{OrgId, Permit};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pub id: String,
    pub code: String,
    pub name: String,
    pub name_en: String,
    pub modality: String,
    /// Empty fits every body part.
    pub body_part: String,
    /// Places to fill in are written `{大小}`; a report that still has one is not signed without a reason.
    pub text: Text,
    pub shared: bool,
    /// The guideline or consensus it follows, with its version (R-7.1.2-a).
    pub source: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewTemplate {
    /// Unique in the organization; the same code again replaces the template.
    pub code: String,
    pub name: String,
    pub name_en: String,
    pub modality: String,
    pub body_part: String,
    pub text: Text,
    pub source: String,
}

/// Templates for a modality and a body part: the fitting ones first, then those for any part.
pub async fn templates(
    db: &Db,
    permit: &Permit<crate::DraftReport>,
    modality: Option<&str>,
    body_part: Option<&str>,
) -> Result<Vec<Template>, ReportError> {
    Ok(store::templates(db, permit.scope(), modality, body_part, &permit.actor().id).await?)
}

/// Makes or replaces a shared template, in the caller's transaction.
pub async fn upsert_template(
    tx: &mut Tx,
    permit: &Permit<EditTemplate>,
    org: OrgId,
    new: NewTemplate,
) -> Result<(), ReportError> {
    if !permit.scope().sees(org) {
        return Err(ReportError::NotFound);
    }
    for (field, value, max) in [
        ("code", &new.code, 64),
        ("name", &new.name, 128),
        ("name_en", &new.name_en, 128),
        ("modality", &new.modality, 16),
    ] {
        if value.trim().is_empty() || value.chars().count() > max || value.chars().any(char::is_control) {
            return Err(ReportError::Invalid { field });
        }
    }
    let new = NewTemplate { text: new.text.clone().checked()?, ..new };
    let id = format!("{org}:{}", new.code);
    store::upsert_template(tx, &id, org, "", &new, permit.now()).await?;
    audit(tx, permit.ctx(), permit.action(), "template", &new.code, Outcome::Done, "upsert").await?;
    Ok(())
}
