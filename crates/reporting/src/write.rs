//! Writing: open, save, hand in, sign, send back. Each is one transaction: row, version, event, audit, exam state.

use crate::{
    AnyReport, AuditReport, Author, Core, DraftReport, IssueInitial, ReportError, Signing, Stage, Text, View, check,
    read, store,
};
use mingying_access::{Outcome, audit as audit_row, record};
use mingying_db::{Db, Tx};
use mingying_events::About;
use mingying_events::payload::reporting::{ReportDraft, ReportFinal, ReportInitial, ReportOpened, ReportRejected};
use mingying_kernel::{Action, Ctx, OrderId, Permit, ReportId};
use mingying_orders::{ExamState, Order, Side, Step};
use mingying_reading::{ReadCases, lock, release_in, renew_in};

/// Rules of the site.
#[derive(Debug, Clone, Copy, Default)]
pub struct Settings {
    /// One physician alone on duty may sign the own initial report; each such signature is recorded as a waiver.
    pub single_handed: bool,
}

fn me(ctx: &Ctx) -> Author {
    Author { id: ctx.actor().id.clone(), name: ctx.actor().name.clone() }
}

/// Images are there, and nobody has called the exam off.
const fn can_be_reported(state: ExamState) -> bool {
    matches!(
        state,
        ExamState::InProgress
            | ExamState::Imaged
            | ExamState::Completed
            | ExamState::Reported
            | ExamState::Audited
            | ExamState::Delivered
    )
}

/// Opens the report of an order, making it when there is none, and takes the case if nobody else holds it. With
/// `take_over` it is taken from whoever holds it; otherwise the report opens for reading.
pub async fn open(
    db: &Db,
    permit: &Permit<DraftReport>,
    settings: &Settings,
    order: OrderId,
    take_over: bool,
) -> Result<View, ReportError> {
    let mut tx = db.begin().await?;
    let order = mingying_orders::load_in(&mut tx, permit.scope(), order).await?;
    let known = store::of_order(&mut tx, permit.scope(), order.id).await?;
    let id = match known {
        Some(report) => report.core().id,
        None => make(&mut tx, permit, &order).await?,
    };
    tx.commit().await?;
    match lock(
        db,
        &permit.ctx().permit::<ReadCases>().map_err(mingying_reading::ReadingError::from)?,
        order.id,
        take_over,
    )
    .await
    {
        Ok(_) | Err(mingying_reading::ReadingError::Locked { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    read::view(db, permit.ctx(), permit.scope(), settings, id).await
}

async fn make(tx: &mut Tx, permit: &Permit<DraftReport>, order: &Order) -> Result<ReportId, ReportError> {
    if !can_be_reported(order.state) {
        return Err(ReportError::NotReady);
    }
    // Two readers who open at the same moment get the same report.
    tx.lock(store::order_key(order.id)).await?;
    if let Some(report) = store::of_order(tx, permit.scope(), order.id).await? {
        return Ok(report.core().id);
    }
    let id = ReportId::new();
    let core = Core {
        id,
        order: order.id,
        org: order.org,
        patient: order.patient.id,
        rev: 1,
        text: Text::default(),
        template: String::new(),
        opinion: None,
        updated_at: permit.now(),
        updated_by: me(permit.ctx()),
        last: None,
        initial_by: None,
    };
    store::insert(tx, &core).await?;
    record(tx, permit, &about(&core), &ReportOpened { report_id: id.to_string() }).await?;
    Ok(id)
}

fn about(core: &Core) -> About {
    About::new("report", core.id, core.org).case(core.order).patient(core.patient)
}

/// Loads for change: holds the row, compares the revision, prolongs the hold on the case.
async fn take<A: Action>(
    tx: &mut Tx,
    permit: &Permit<A>,
    id: ReportId,
    rev: Option<i64>,
) -> Result<AnyReport, ReportError> {
    let report = store::load_for_change(tx, permit.scope(), id).await?.ok_or(ReportError::NotFound)?;
    let core = report.core();
    if let Some(rev) = rev
        && rev != core.rev
    {
        return Err(ReportError::Stale { rev: core.rev });
    }
    renew_in(tx, permit, core.order).await?;
    Ok(report)
}

/// Saves the working text. `rev` is the revision that the writer saw; `template` names the template that the text began
/// with, as in `CT-CHEST-N@2`, and `None` leaves what is noted.
pub async fn save_draft(
    db: &Db,
    permit: &Permit<DraftReport>,
    settings: &Settings,
    id: ReportId,
    rev: i64,
    text: Text,
    template: Option<&str>,
) -> Result<View, ReportError> {
    let text = text.checked()?;
    let mut tx = db.begin().await?;
    let report = take(&mut tx, permit, id, Some(rev)).await?;
    if !may_edit(permit.ctx(), &report) {
        return Err(ReportError::NotAllowed);
    }
    let template = match template {
        None => report.core().template.clone(),
        Some("") => String::new(),
        Some(name) => crate::template::known(&mut tx, report.core().org, name).await?,
    };
    let unchanged = report.core().text == text && report.core().template == template;
    let (first, stage) = (report.core().updated_by.id != permit.actor().id || rev == 1, report.stage());
    if !unchanged {
        let report = report.edit(text, template, me(permit.ctx()), permit.now())?;
        store::update(&mut tx, stage, report.core(), rev).await?;
        // Autosave comes every few seconds: one audit row for each turn of a person at the text is enough to say who
        // wrote; what was written stands in the versions.
        if first {
            audit_row(&mut tx, permit.ctx(), permit.action(), "report", &id.to_string(), Outcome::Done, "edit").await?;
        }
    }
    tx.commit().await?;
    read::view(db, permit.ctx(), permit.scope(), settings, id).await
}

/// Hands in: a trainee's report, or a physician's initial report, by the role of who does it.
pub async fn submit(
    db: &Db,
    permit: &Permit<DraftReport>,
    settings: &Settings,
    id: ReportId,
    rev: i64,
) -> Result<View, ReportError> {
    let initial = permit.ctx().permit::<IssueInitial>().ok();
    let mut tx = db.begin().await?;
    let report = take(&mut tx, permit, id, Some(rev)).await?;
    let order = mingying_orders::load_in(&mut tx, permit.scope(), report.core().order).await?;
    let order_id = order.id;
    let blocking: Vec<_> =
        check(&report.core().text, &sides(&order)).into_iter().filter(crate::Check::is_blocking).collect();
    let (by, at) = (me(permit.ctx()), permit.now());
    match initial {
        Some(initial) => {
            if !blocking.is_empty() {
                return Err(ReportError::Checks(blocking));
            }
            let (report, version) = report.submit_initial(by, at)?;
            let core = report.core();
            store::insert_version(&mut tx, &version).await?;
            store::update(&mut tx, Stage::Initial, core, rev).await?;
            let advanced = mingying_orders::advance(&mut tx, &initial, core.order, Step::Report).await?;
            let payload = ReportInitial { report_id: id.to_string(), version: version.n };
            advanced.record(&mut tx, &initial, &about(core), &payload).await?;
        }
        None => {
            let (report, version) = report.submit_trainee(by, at)?;
            let core = report.core();
            store::insert_version(&mut tx, &version).await?;
            store::update(&mut tx, Stage::Trainee, core, rev).await?;
            let payload = ReportDraft { report_id: id.to_string(), version: version.n };
            record(&mut tx, permit, &about(core), &payload).await?;
        }
    }
    release_in(&mut tx, order_id, &permit.actor().id).await?;
    tx.commit().await?;
    read::view(db, permit.ctx(), permit.scope(), settings, id).await
}

/// Audits and signs the working text as it stands in revision `rev`. Warnings need `override_reason`.
pub async fn audit(
    db: &Db,
    permit: &Permit<AuditReport>,
    settings: &Settings,
    id: ReportId,
    rev: i64,
    override_reason: Option<String>,
) -> Result<View, ReportError> {
    if override_reason.as_ref().is_some_and(|reason| reason.chars().count() > 500) {
        return Err(ReportError::Invalid { field: "override_reason" });
    }
    let mut tx = db.begin().await?;
    let report = take(&mut tx, permit, id, Some(rev)).await?.into_initial("audit")?;
    let order = mingying_orders::load_in(&mut tx, permit.scope(), report.core().order).await?;
    let order_id = order.id;
    let signing = Signing {
        checks: check(&report.core().text, &sides(&order)),
        override_reason,
        single_handed: settings.single_handed,
    };
    let (report, version) = report.audit(me(permit.ctx()), permit.now(), signing)?;
    let core = report.core();
    store::insert_version(&mut tx, &version).await?;
    store::update(&mut tx, Stage::Final, core, rev).await?;
    let advanced = mingying_orders::advance(&mut tx, permit, core.order, Step::Audit).await?;
    let payload = ReportFinal {
        report_id: id.to_string(),
        version: version.n,
        hash: version.hash.clone(),
        overridden: version.overridden.clone(),
        waiver: version.waiver,
    };
    advanced.record(&mut tx, permit, &about(core), &payload).await?;
    release_in(&mut tx, order_id, &permit.actor().id).await?;
    tx.commit().await?;
    read::view(db, permit.ctx(), permit.scope(), settings, id).await
}

/// Sends the initial report back with an opinion.
pub async fn reject(
    db: &Db,
    permit: &Permit<AuditReport>,
    settings: &Settings,
    id: ReportId,
    opinion: &str,
) -> Result<View, ReportError> {
    let mut tx = db.begin().await?;
    let report = take(&mut tx, permit, id, None).await?.into_initial("reject")?;
    let (rev, order_id) = (report.core().rev, report.core().order);
    let (report, version) = report.reject(me(permit.ctx()), permit.now(), opinion)?;
    let core = report.core();
    store::insert_version(&mut tx, &version).await?;
    store::update(&mut tx, Stage::Rejected, core, rev).await?;
    let to = core.initial_by.as_ref().map(|author| author.id.clone()).unwrap_or_default();
    let payload = ReportRejected { report_id: id.to_string(), version: version.n, to };
    record(&mut tx, permit, &about(core), &payload).await?;
    release_in(&mut tx, order_id, &permit.actor().id).await?;
    tx.commit().await?;
    read::view(db, permit.ctx(), permit.scope(), settings, id).await
}

pub(crate) fn sides(order: &Order) -> Vec<Side> {
    order.items.iter().filter_map(|item| item.side).collect()
}

/// A trainee writes until a physician has issued; a physician until it is signed.
pub(crate) fn may_edit(ctx: &Ctx, report: &AnyReport) -> bool {
    match report.stage() {
        Stage::New | Stage::Trainee => ctx.permit::<DraftReport>().is_ok(),
        Stage::Initial | Stage::Rejected => ctx.permit::<IssueInitial>().is_ok(),
        Stage::Final => false,
    }
}
