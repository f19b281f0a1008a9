//! What a printed or sent report is made of: one version with its order, patient and signatures.

use crate::{Author, ReadReports, ReportError, Stage, Text, Version, in_force, store};
use mingying_db::Db;
use mingying_kernel::{Permit, ReportId, Timestamp};
use mingying_orders::Order;
use mingying_patients::Patient;

#[derive(Debug, Clone)]
pub struct Content {
    pub report: ReportId,
    pub order: Order,
    pub patient: Patient,
    /// Stage of this text: `Final` only for a signed version.
    pub stage: Stage,
    /// Number of the version; for working text the one it will become.
    pub version: u32,
    /// The signed version that took this signed version's place.
    pub replaced_by: Option<u32>,
    pub text: Text,
    /// Who issued the initial report, and when.
    pub author: Option<(Author, Timestamp)>,
    /// Who audited and signed, and when.
    pub auditor: Option<(Author, Timestamp)>,
    /// Full hash of the version; empty for working text.
    pub hash: String,
    /// When this text was written.
    pub at: Timestamp,
}

/// Version `version` of a report; without a number the one in force, else the working text.
pub async fn content(
    db: &Db,
    permit: &Permit<ReadReports>,
    id: ReportId,
    version: Option<u32>,
) -> Result<Content, ReportError> {
    let report = store::load(db, permit.scope(), id).await?.ok_or(ReportError::NotFound)?;
    let versions = store::versions(db, id).await?;
    let current = in_force(&versions).cloned();
    let chosen = match version {
        Some(n) => Some(versions.iter().find(|v| v.n == n).cloned().ok_or(ReportError::NotFound)?),
        None => current.clone(),
    };
    let core = report.core();
    let order = mingying_orders::load_many(db, permit.scope(), &[core.order]).await?;
    let order = order.into_iter().next().ok_or(ReportError::NotFound)?;
    let patient = mingying_patients::load_full(db, permit.scope(), &[core.patient]).await?;
    let patient = patient.into_iter().next().ok_or(ReportError::NotFound)?;
    mingying_access::audit_read(db, permit, "report", &id.to_string()).await?;
    Ok(match chosen {
        Some(version) => {
            let replaced_by = current.map(|v| v.n).filter(|n| version.signed && *n > version.n);
            let auditor = version.signed.then(|| (version.author.clone(), version.at));
            Content {
                report: id,
                order,
                patient,
                stage: version.stage,
                version: version.n,
                replaced_by,
                author: author_of(&versions, &version),
                auditor,
                at: version.at,
                text: version.text,
                hash: version.hash,
            }
        }
        None => Content {
            report: id,
            order,
            patient,
            stage: report.stage(),
            version: core.last.as_ref().map_or(1, |link| link.n + 1),
            replaced_by: None,
            text: core.text.clone(),
            author: Some((core.updated_by.clone(), core.updated_at)),
            auditor: None,
            hash: String::new(),
            at: core.updated_at,
        },
    })
}

/// The report in force of an order, if it is signed.
pub async fn content_in_force(
    db: &Db,
    permit: &Permit<ReadReports>,
    order: mingying_kernel::OrderId,
) -> Result<Option<Content>, ReportError> {
    match store::headings(db, permit.scope(), &[order]).await?.first() {
        Some(heading) if heading.signed => content(db, permit, heading.id, None).await.map(Some),
        _ => Ok(None),
    }
}

/// The newest handing-in at or before `version` by the one who reports: a physician, else a trainee.
fn author_of(versions: &[Version], version: &Version) -> Option<(Author, Timestamp)> {
    let before = |stage: Stage| versions.iter().rev().find(|v| v.n <= version.n && v.stage == stage);
    before(Stage::Initial).or_else(|| before(Stage::Trainee)).map(|v| (v.author.clone(), v.at))
}
