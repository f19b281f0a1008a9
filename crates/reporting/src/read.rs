//! Reading reports: the view with its versions and what the reader may do, headings for lists, differences, the chain.

use crate::version::verify;
use crate::write::{Settings, may_edit};
use crate::{
    AuditReport, Author, Diff, DraftReport, IssueInitial, ReadReports, ReportError, Stage, Text, Version, diff, store,
};
use mingying_db::Db;
use mingying_kernel::{Ctx, OrderId, OrgId, PatientId, Permit, ReportId, Scope, Timestamp};

/// A report as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    pub id: ReportId,
    pub order: OrderId,
    pub org: OrgId,
    pub patient: PatientId,
    pub stage: Stage,
    pub rev: i64,
    pub text: Text,
    /// The template the text began with, `CT-CHEST-N@2`; empty when none.
    pub template: String,
    pub opinion: Option<String>,
    pub updated_at: Timestamp,
    pub updated_by: Author,
    /// Another reader who holds the case.
    pub locked_by: Option<String>,
    /// Oldest first.
    pub versions: Vec<Version>,
    /// `edit`, `submit`, `audit`, `reject`: what the reader may do now.
    pub can: Vec<&'static str>,
}

/// What lists show of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heading {
    pub id: ReportId,
    pub order: OrderId,
    pub stage: Stage,
    /// Impression of the signed version, else of the working text.
    pub impression: String,
    pub signed: bool,
}

/// One report; reading it is audited.
pub async fn load(
    db: &Db,
    permit: &Permit<ReadReports>,
    settings: &Settings,
    id: ReportId,
) -> Result<View, ReportError> {
    let view = view(db, permit.ctx(), permit.scope(), settings, id).await?;
    mingying_access::audit_read(db, permit, "report", &id.to_string()).await?;
    Ok(view)
}

/// The report of an order, if somebody has opened one.
pub async fn of_order(
    db: &Db,
    permit: &Permit<ReadReports>,
    settings: &Settings,
    order: OrderId,
) -> Result<Option<View>, ReportError> {
    match headings(db, permit.scope(), &[order]).await?.first() {
        Some(heading) => load(db, permit, settings, heading.id).await.map(Some),
        None => Ok(None),
    }
}

/// Headings of the reports of these orders.
pub async fn headings(db: &Db, scope: Scope, orders: &[OrderId]) -> Result<Vec<Heading>, ReportError> {
    store::headings(db, scope, orders).await
}

/// What changed from version `from` to version `to`; 0 as `to` means the working text.
pub async fn difference(
    db: &Db,
    permit: &Permit<ReadReports>,
    id: ReportId,
    from: u32,
    to: u32,
) -> Result<Diff, ReportError> {
    let report = store::load(db, permit.scope(), id).await?.ok_or(ReportError::NotFound)?;
    let versions = store::versions(db, id).await?;
    let text = |n: u32| versions.iter().find(|v| v.n == n).map(|v| &v.text).ok_or(ReportError::NotFound);
    let new = if to == 0 { &report.core().text } else { text(to)? };
    Ok(diff(text(from)?, new))
}

/// Checks every version of the report against its hash and the one before, and the report's row against the newest.
pub async fn verify_chain(db: &Db, permit: &Permit<ReadReports>, id: ReportId) -> Result<u32, ReportError> {
    let report = store::load(db, permit.scope(), id).await?.ok_or(ReportError::NotFound)?;
    let versions = store::versions(db, id).await?;
    verify(&versions)?;
    let last = versions.last().map(|v| (v.n, v.hash.as_str()));
    if report.core().last.as_ref().map(|link| (link.n, link.hash.as_str())) != last {
        return Err(ReportError::ChainBroken { n: last.map_or(0, |(n, _)| n) });
    }
    Ok(last.map_or(0, |(n, _)| n))
}

pub(crate) async fn view(
    db: &Db,
    ctx: &Ctx,
    scope: Scope,
    settings: &Settings,
    id: ReportId,
) -> Result<View, ReportError> {
    let report = store::load(db, scope, id).await?.ok_or(ReportError::NotFound)?;
    let versions = store::versions(db, id).await?;
    let core = report.core().clone();
    let me = &ctx.actor().id;
    let locked_by = mingying_reading::holder(db, core.order, ctx.now())
        .await?
        .filter(|lock| lock.user_id != *me)
        .map(|lock| lock.user_name);
    let mut can = Vec::new();
    if locked_by.is_none() {
        let stage = report.stage();
        if may_edit(ctx, &report) {
            can.push("edit");
        }
        let auditor = ctx.permit::<AuditReport>().is_ok();
        let own = core.initial_by.as_ref().is_some_and(|author| author.id == *me);
        let hands_in = match stage {
            Stage::New | Stage::Trainee => ctx.permit::<DraftReport>().is_ok(),
            Stage::Rejected => ctx.permit::<IssueInitial>().is_ok(),
            // Who can audit it is not asked to take it over as author; its author may issue it again.
            Stage::Initial => ctx.permit::<IssueInitial>().is_ok() && (own || !auditor),
            Stage::Final => false,
        };
        if hands_in {
            can.push("submit");
        }
        if stage == Stage::Initial && auditor {
            if !own || settings.single_handed {
                can.push("audit");
            }
            can.push("reject");
        }
    }
    Ok(View {
        id,
        order: core.order,
        org: core.org,
        patient: core.patient,
        stage: report.stage(),
        rev: core.rev,
        text: core.text,
        template: core.template,
        opinion: core.opinion,
        updated_at: core.updated_at,
        updated_by: core.updated_by,
        locked_by,
        versions,
        can,
    })
}
