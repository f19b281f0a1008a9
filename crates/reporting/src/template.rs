//! Report templates: written, approved by somebody else, retired; only the approved version is offered (R-4.2.6-d,
//! R-7.1.2-a).
//!
//! A template is named by its code and lives in numbered versions. At most one version is a draft, at most one is
//! approved; what was approved once is never changed, so that a report's note of its template stays true.

use crate::{ApproveTemplate, Author, EditTemplate, ReportError, Text, store_templates as store};
use mingying_access::{Outcome, audit};
use mingying_db::{Db, Tx};
use mingying_kernel::{Action, OrgId, Permit, Timestamp, words};

words! {
    TemplateState {
        /// Being written; offered to nobody.
        Draft = "draft",
        /// Offered to writers.
        Approved = "approved",
        /// Taken back, or replaced by a later version.
        Retired = "retired",
    }
}

/// A template as it is offered: its approved version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pub id: String,
    pub code: String,
    /// Number of the version.
    pub n: u32,
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

/// One version of a template and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateVersion {
    pub content: NewTemplate,
    pub n: u32,
    pub state: TemplateState,
    /// Counts changes of a draft.
    pub rev: i64,
    pub author: Author,
    pub updated_at: Timestamp,
    pub approved: Option<(Author, Timestamp)>,
    pub retired_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewTemplate {
    /// Unique in the organization: capital letters, digits, hyphens.
    pub code: String,
    pub name: String,
    pub name_en: String,
    pub modality: String,
    pub body_part: String,
    pub text: Text,
    pub source: String,
}

impl NewTemplate {
    fn checked(self) -> Result<Self, ReportError> {
        for (field, value, max, needed) in [
            ("code", &self.code, 64, true),
            ("name", &self.name, 128, true),
            ("name_en", &self.name_en, 128, true),
            ("modality", &self.modality, 16, true),
            ("body_part", &self.body_part, 16, false),
            ("source", &self.source, 256, false),
        ] {
            let missing = needed && value.trim().is_empty();
            if missing || value.chars().count() > max || value.chars().any(char::is_control) {
                return Err(ReportError::Invalid { field });
            }
        }
        // The code stands in paths and in notes such as `CT-CHEST-N@2`.
        if !self.code.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
            return Err(ReportError::Invalid { field: "code" });
        }
        let text = self.text.clone().checked()?;
        Ok(Self { text, ..self })
    }
}

/// Templates for a modality and a body part: the fitting ones first, then those for any part.
pub async fn templates(
    db: &Db,
    permit: &Permit<crate::DraftReport>,
    modality: Option<&str>,
    body_part: Option<&str>,
) -> Result<Vec<Template>, ReportError> {
    Ok(store::offered(db, permit.scope(), modality, body_part, &permit.actor().id).await?)
}

/// Every version of every template, by code, the newest first.
pub async fn template_versions(db: &Db, permit: &Permit<EditTemplate>) -> Result<Vec<TemplateVersion>, ReportError> {
    Ok(store::versions(db, permit.scope()).await?)
}

/// Makes or replaces a shared template and approves it at once, in the caller's transaction: for setting up.
pub async fn upsert_template(
    tx: &mut Tx,
    permit: &Permit<EditTemplate>,
    org: OrgId,
    new: NewTemplate,
) -> Result<(), ReportError> {
    if !permit.scope().sees(org) {
        return Err(ReportError::NotFound);
    }
    let content = new.checked()?;
    let known = take(tx, org, &content.code).await?;
    let n = known.first().map_or(1, |newest| newest.n + 1);
    let version = TemplateVersion { approved: Some((me(permit), permit.now())), ..fresh(permit, content, n, 1) };
    store::insert(tx, org, &version).await?;
    let version = offer(tx, org, &known, version, permit.now()).await?;
    note(tx, permit, &version.content.code, "upsert").await
}

/// Writes a draft: a new template, or the next version of a known one. `rev` is the draft's that the writer saw, `None`
/// where there was none.
pub async fn draft_template(
    db: &Db,
    permit: &Permit<EditTemplate>,
    rev: Option<i64>,
    new: NewTemplate,
) -> Result<TemplateVersion, ReportError> {
    let content = new.checked()?;
    let mut tx = db.begin().await?;
    let org = mingying_patients::home_org_in(&mut tx, permit.scope()).await?;
    let known = take(&mut tx, org, &content.code).await?;
    let draft = known.first().filter(|newest| newest.state == TemplateState::Draft);
    if draft.map(|draft| draft.rev) != rev {
        return Err(ReportError::TemplateStale { rev: draft.map_or(0, |draft| draft.rev) });
    }
    let version = match draft {
        Some(draft) => {
            let version = fresh(permit, content, draft.n, draft.rev + 1);
            store::rewrite(&mut tx, org, &version).await?;
            version
        }
        None => {
            let version = fresh(permit, content, known.first().map_or(1, |newest| newest.n + 1), 1);
            store::insert(&mut tx, org, &version).await?;
            version
        }
    };
    note(&mut tx, permit, &version.content.code, "draft").await?;
    tx.commit().await?;
    Ok(version)
}

/// Throws the draft of a template away.
pub async fn discard_template(db: &Db, permit: &Permit<EditTemplate>, code: &str) -> Result<(), ReportError> {
    let mut tx = db.begin().await?;
    let org = mingying_patients::home_org_in(&mut tx, permit.scope()).await?;
    let known = take(&mut tx, org, code).await?;
    let draft = draft_of(&known)?;
    store::remove(&mut tx, org, code, draft.n).await?;
    note(&mut tx, permit, code, "discard").await?;
    tx.commit().await?;
    Ok(())
}

/// Approves the draft as it stands in revision `rev`: from now on it is what is offered. Refused to its author.
pub async fn approve_template(
    db: &Db,
    permit: &Permit<ApproveTemplate>,
    code: &str,
    rev: i64,
) -> Result<TemplateVersion, ReportError> {
    let mut tx = db.begin().await?;
    let org = mingying_patients::home_org_in(&mut tx, permit.scope()).await?;
    let known = take(&mut tx, org, code).await?;
    let draft = draft_of(&known)?;
    if draft.rev != rev {
        return Err(ReportError::TemplateStale { rev: draft.rev });
    }
    if draft.author.id == permit.actor().id {
        return Err(ReportError::OwnTemplate);
    }
    let approved = TemplateVersion { approved: Some((me(permit), permit.now())), ..draft.clone() };
    let approved = offer(&mut tx, org, &known, approved, permit.now()).await?;
    note(&mut tx, permit, code, "approve").await?;
    tx.commit().await?;
    Ok(approved)
}

/// Offers a template no longer. Reports that began with it keep their note.
pub async fn retire_template(db: &Db, permit: &Permit<ApproveTemplate>, code: &str) -> Result<(), ReportError> {
    let mut tx = db.begin().await?;
    let org = mingying_patients::home_org_in(&mut tx, permit.scope()).await?;
    let known = take(&mut tx, org, code).await?;
    let approved = known.iter().find(|version| version.state == TemplateState::Approved);
    let approved = approved.ok_or(ReportError::TemplateNotFound)?;
    store::retire(&mut tx, org, code, approved.n, permit.now()).await?;
    store::withdraw(&mut tx, org, code).await?;
    note(&mut tx, permit, code, "retire").await?;
    tx.commit().await?;
    Ok(())
}

/// A report's note of its template, if such a version was ever approved.
pub(crate) async fn known(tx: &mut Tx, org: OrgId, name: &str) -> Result<String, ReportError> {
    let wrong = ReportError::Invalid { field: "template" };
    let Some((code, n)) = name.rsplit_once('@').and_then(|(code, n)| Some((code, n.parse::<u32>().ok()?))) else {
        return Err(wrong);
    };
    let versions = store::of_code(tx, org, code).await?;
    let approved = versions.iter().any(|version| version.n == n && version.state != TemplateState::Draft);
    if approved { Ok(format!("{code}@{n}")) } else { Err(wrong) }
}

/// All versions of a template, the newest first, held for change.
async fn take(tx: &mut Tx, org: OrgId, code: &str) -> Result<Vec<TemplateVersion>, ReportError> {
    tx.lock(store::code_key(org, code)).await?;
    Ok(store::of_code(tx, org, code).await?)
}

fn draft_of(known: &[TemplateVersion]) -> Result<&TemplateVersion, ReportError> {
    known.first().filter(|newest| newest.state == TemplateState::Draft).ok_or(ReportError::TemplateNotFound)
}

/// Makes `version` the approved one in place of the one before.
async fn offer(
    tx: &mut Tx,
    org: OrgId,
    known: &[TemplateVersion],
    version: TemplateVersion,
    at: Timestamp,
) -> Result<TemplateVersion, ReportError> {
    for old in known.iter().filter(|old| old.state == TemplateState::Approved) {
        store::retire(tx, org, &old.content.code, old.n, at).await?;
    }
    let version = TemplateVersion { state: TemplateState::Approved, ..version };
    store::approve(tx, org, &version).await?;
    store::offer(tx, org, &version, at).await?;
    Ok(version)
}

fn me<A: Action>(permit: &Permit<A>) -> Author {
    Author { id: permit.actor().id.clone(), name: permit.actor().name.clone() }
}

fn fresh(permit: &Permit<EditTemplate>, content: NewTemplate, n: u32, rev: i64) -> TemplateVersion {
    TemplateVersion {
        content,
        n,
        state: TemplateState::Draft,
        rev,
        author: me(permit),
        updated_at: permit.now(),
        approved: None,
        retired_at: None,
    }
}

async fn note<A: Action>(tx: &mut Tx, permit: &Permit<A>, code: &str, what: &str) -> Result<(), ReportError> {
    Ok(audit(tx, permit.ctx(), permit.action(), "template", code, Outcome::Done, what).await?)
}
