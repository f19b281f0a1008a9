//! Reports: open, write, hand in, audit, send back; versions, differences, PDF; the booking slip.

use crate::paper::{report_document, slip_document};
use crate::{Allowed, ApiError, ApiJson, ApiPath, ApiQuery, ApiResult, App};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use mingying_kernel::{OrderId, ReportId};
use mingying_orders::ReadOrders;
use mingying_reporting::{AuditReport, DraftReport, ReadReports, Text, View};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(open_report))
        .routes(routes!(read_report))
        .routes(routes!(save_draft))
        .routes(routes!(submit_report))
        .routes(routes!(audit_report))
        .routes(routes!(reject_report))
        .routes(routes!(diff_report))
        .routes(routes!(report_pdf))
        .routes(routes!(verify_report))
        .routes(routes!(order_slip))
}

/// A report with its versions and what the reader may do with it.
#[derive(Serialize, ToSchema)]
pub(super) struct Report {
    id: String,
    order_id: String,
    /// `new`, `trainee`, `initial`, `rejected`, `final`
    stage: &'static str,
    /// Name it with the next write; 409 `report.stale` when somebody was faster.
    rev: i64,
    findings: String,
    impression: String,
    advice: String,
    /// The template the text began with and its version, `CT-CHEST-N@2`.
    template: Option<String>,
    updated_at: String,
    updated_by: String,
    /// Another reader who holds the case.
    locked_by: Option<String>,
    opinion: Option<String>,
    /// Oldest first.
    versions: Vec<ReportVersion>,
    /// `edit`, `submit`, `audit`, `reject`
    can: Vec<&'static str>,
}

#[derive(Serialize, ToSchema)]
struct ReportVersion {
    n: u32,
    stage: &'static str,
    author: String,
    at: String,
    findings: String,
    impression: String,
    advice: String,
    /// The template the text began with and its version.
    template: Option<String>,
    opinion: Option<String>,
    signed: bool,
    /// SHA-256, hex.
    hash: String,
    /// Why it was signed in spite of warnings.
    override_reason: Option<String>,
    /// Codes of these warnings.
    overridden: Vec<String>,
    /// Signed by the author of the initial report, alone on duty.
    waiver: bool,
}

impl From<View> for Report {
    fn from(view: View) -> Self {
        let some = |text: String| Some(text).filter(|t| !t.is_empty());
        Self {
            id: view.id.to_string(),
            order_id: view.order.to_string(),
            stage: view.stage.as_str(),
            rev: view.rev,
            findings: view.text.findings,
            impression: view.text.impression,
            advice: view.text.advice,
            template: some(view.template),
            updated_at: view.updated_at.to_rfc3339(),
            updated_by: view.updated_by.name,
            locked_by: view.locked_by,
            opinion: view.opinion,
            versions: view
                .versions
                .into_iter()
                .map(|version| ReportVersion {
                    n: version.n,
                    stage: version.stage.as_str(),
                    author: version.author.name,
                    at: version.at.to_rfc3339(),
                    findings: version.text.findings,
                    impression: version.text.impression,
                    advice: version.text.advice,
                    template: some(version.template),
                    opinion: some(version.opinion),
                    signed: version.signed,
                    hash: version.hash,
                    override_reason: some(version.override_reason),
                    overridden: version.overridden,
                    waiver: version.waiver,
                })
                .collect(),
            can: view.can,
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct OpenReport {
    /// Takes the case from the reader who holds it; recorded.
    #[serde(default)]
    take_over: bool,
}

/// Opens the report of an order, making it when there is none. The case is held for the caller if nobody else has it.
/// 409 `report.not_ready` before the exam has begun.
#[utoipa::path(post, path = "/orders/{id}/report", params(("id" = String, Path), OpenReport),
    responses((status = 200, body = Report)))]
async fn open_report(
    Allowed(permit): Allowed<DraftReport>,
    State(app): State<App>,
    ApiPath(id): ApiPath<OrderId>,
    ApiQuery(query): ApiQuery<OpenReport>,
) -> ApiResult<Json<Report>> {
    let view = mingying_reporting::open(&app.db, &permit, &app.settings.reporting, id, query.take_over).await?;
    Ok(Json(view.into()))
}

#[utoipa::path(get, path = "/reports/{id}", params(("id" = String, Path)), responses((status = 200, body = Report)))]
async fn read_report(
    Allowed(permit): Allowed<ReadReports>,
    State(app): State<App>,
    ApiPath(id): ApiPath<ReportId>,
) -> ApiResult<Json<Report>> {
    Ok(Json(mingying_reporting::load(&app.db, &permit, &app.settings.reporting, id).await?.into()))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SaveDraft {
    findings: String,
    impression: String,
    advice: String,
    rev: i64,
    /// The template that the text began with, `CT-CHEST-N@2`; what is noted stays when it is absent.
    #[serde(default)]
    template: Option<String>,
}

/// Saves the working text. 409 `report.stale`, `case.locked`.
#[utoipa::path(put, path = "/reports/{id}/draft", params(("id" = String, Path)), request_body = SaveDraft,
    responses((status = 200, body = Report)))]
async fn save_draft(
    Allowed(permit): Allowed<DraftReport>,
    State(app): State<App>,
    ApiPath(id): ApiPath<ReportId>,
    ApiJson(body): ApiJson<SaveDraft>,
) -> ApiResult<Json<Report>> {
    let text = Text { findings: body.findings, impression: body.impression, advice: body.advice };
    let (settings, template) = (&app.settings.reporting, body.template.as_deref());
    let view = mingying_reporting::save_draft(&app.db, &permit, settings, id, body.rev, text, template).await?;
    Ok(Json(view.into()))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SubmitReport {
    rev: i64,
}

/// Hands in: as a trainee report or as the initial report, by the caller's role. 422 `report.checks`.
#[utoipa::path(post, path = "/reports/{id}/submit", params(("id" = String, Path)), request_body = SubmitReport,
    responses((status = 200, body = Report)))]
async fn submit_report(
    Allowed(permit): Allowed<DraftReport>,
    State(app): State<App>,
    ApiPath(id): ApiPath<ReportId>,
    ApiJson(body): ApiJson<SubmitReport>,
) -> ApiResult<Json<Report>> {
    Ok(Json(mingying_reporting::submit(&app.db, &permit, &app.settings.reporting, id, body.rev).await?.into()))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SignReport {
    rev: i64,
    /// Why it is signed in spite of warnings.
    #[serde(default)]
    override_reason: Option<String>,
}

/// Audits and signs. 409 `report.checks` with `params.checks` (`side:impression placeholder:findings`) can be answered
/// with `override_reason`; 422 `report.checks` cannot. 409 `report.own` to the author of the initial report.
#[utoipa::path(post, path = "/reports/{id}/audit", params(("id" = String, Path)), request_body = SignReport,
    responses((status = 200, body = Report)))]
async fn audit_report(
    Allowed(permit): Allowed<AuditReport>,
    State(app): State<App>,
    ApiPath(id): ApiPath<ReportId>,
    ApiJson(body): ApiJson<SignReport>,
) -> ApiResult<Json<Report>> {
    let settings = &app.settings.reporting;
    let view = mingying_reporting::audit(&app.db, &permit, settings, id, body.rev, body.override_reason).await?;
    Ok(Json(view.into()))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RejectReport {
    opinion: String,
}

/// Sends the initial report back.
#[utoipa::path(post, path = "/reports/{id}/reject", params(("id" = String, Path)), request_body = RejectReport,
    responses((status = 200, body = Report)))]
async fn reject_report(
    Allowed(permit): Allowed<AuditReport>,
    State(app): State<App>,
    ApiPath(id): ApiPath<ReportId>,
    ApiJson(body): ApiJson<RejectReport>,
) -> ApiResult<Json<Report>> {
    Ok(Json(mingying_reporting::reject(&app.db, &permit, &app.settings.reporting, id, &body.opinion).await?.into()))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct DiffQuery {
    /// Version number.
    from: u32,
    /// Version number; 0 is the working text.
    to: u32,
}

#[derive(Serialize, ToSchema)]
struct ReportDiff {
    findings: Vec<DiffPart>,
    impression: Vec<DiffPart>,
    advice: Vec<DiffPart>,
}

#[derive(Serialize, ToSchema)]
struct DiffPart {
    /// `equal`, `insert`, `delete`
    op: &'static str,
    text: String,
}

/// What changed between two versions.
#[utoipa::path(get, path = "/reports/{id}/diff", params(("id" = String, Path), DiffQuery),
    responses((status = 200, body = ReportDiff)))]
async fn diff_report(
    Allowed(permit): Allowed<ReadReports>,
    State(app): State<App>,
    ApiPath(id): ApiPath<ReportId>,
    ApiQuery(query): ApiQuery<DiffQuery>,
) -> ApiResult<Json<ReportDiff>> {
    let diff = mingying_reporting::difference(&app.db, &permit, id, query.from, query.to).await?;
    let parts = |changes: Vec<mingying_reporting::Change>| {
        changes.into_iter().map(|change| DiffPart { op: change.op.as_str(), text: change.text }).collect()
    };
    Ok(Json(ReportDiff {
        findings: parts(diff.findings),
        impression: parts(diff.impression),
        advice: parts(diff.advice),
    }))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct PdfQuery {
    /// Version number; the version in force, else the working text, when absent.
    version: Option<u32>,
}

/// The report as PDF. Anything but a signed version carries the mark 草稿.
#[utoipa::path(get, path = "/reports/{id}/pdf", params(("id" = String, Path), PdfQuery),
    responses((status = 200, content_type = "application/pdf", body = Vec<u8>)))]
async fn report_pdf(
    Allowed(permit): Allowed<ReadReports>,
    State(app): State<App>,
    ApiPath(id): ApiPath<ReportId>,
    ApiQuery(query): ApiQuery<PdfQuery>,
) -> ApiResult<Response> {
    let content = mingying_reporting::content(&app.db, &permit, id, query.version).await?;
    let document = report_document(&app.db, &content, None).await?;
    pdf(app.printer.report_pdf(&document).await?, &document.accession)
}

/// A PDF shown in the browser. The file's name is the accession number, never a person's.
pub(super) fn pdf(bytes: Vec<u8>, name: &str) -> ApiResult<Response> {
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let disposition =
        HeaderValue::from_str(&format!("inline; filename=\"{name}.pdf\"")).map_err(|_| ApiError::internal())?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/pdf")),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    Ok((headers, bytes).into_response())
}

#[derive(Serialize, ToSchema)]
struct VerifiedReport {
    versions: u32,
}

/// Checks the chain of versions: 500 `report.chain` when one was changed after it was issued.
#[utoipa::path(get, path = "/reports/{id}/verify", params(("id" = String, Path)),
    responses((status = 200, body = VerifiedReport)))]
async fn verify_report(
    Allowed(permit): Allowed<ReadReports>,
    State(app): State<App>,
    ApiPath(id): ApiPath<ReportId>,
) -> ApiResult<Json<VerifiedReport>> {
    Ok(Json(VerifiedReport { versions: mingying_reporting::verify_chain(&app.db, &permit, id).await? }))
}

/// The slip that a patient takes home: when, where, how to prepare, what to bring.
#[utoipa::path(get, path = "/orders/{id}/slip", params(("id" = String, Path)),
    responses((status = 200, content_type = "application/pdf", body = Vec<u8>)))]
async fn order_slip(
    Allowed(permit): Allowed<ReadOrders>,
    State(app): State<App>,
    ApiPath(id): ApiPath<OrderId>,
) -> ApiResult<Response> {
    let tickets = mingying_flow::tickets_of(&app.db, permit.scope(), &[id]).await?;
    let ticket = tickets.into_iter().next_back().map(|(_, ticket)| ticket);
    let document = slip_document(&app.db, &permit, id, ticket).await?;
    mingying_access::audit_read(&app.db, &permit, "order", &id.to_string()).await?;
    pdf(app.printer.slip_pdf(&document).await?, &document.accession)
}
