//! Report templates: what is offered to writers, and their versions for those who keep them.

use crate::{Allowed, ApiJson, ApiPath, ApiQuery, ApiResult, App};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use mingying_reporting::{ApproveTemplate, DraftReport, EditTemplate, NewTemplate, Text};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_templates))
        .routes(routes!(list_template_versions))
        .routes(routes!(draft_template, discard_template))
        .routes(routes!(approve_template))
        .routes(routes!(retire_template))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct TemplateQuery {
    modality: Option<String>,
    body_part: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct ReportTemplate {
    id: String,
    code: String,
    /// Number of the approved version.
    version: u32,
    name: String,
    name_en: String,
    modality: String,
    /// Empty fits every body part.
    body_part: String,
    findings: String,
    impression: String,
    advice: String,
    shared: bool,
    /// The guideline it follows.
    source: String,
}

/// Report templates, the fitting ones first.
#[utoipa::path(get, path = "/templates", params(TemplateQuery),
    responses((status = 200, body = Vec<ReportTemplate>)))]
async fn list_templates(
    Allowed(permit): Allowed<DraftReport>,
    State(app): State<App>,
    ApiQuery(query): ApiQuery<TemplateQuery>,
) -> ApiResult<Json<Vec<ReportTemplate>>> {
    let some = |text: Option<String>| text.filter(|t| !t.is_empty());
    let (modality, body_part) = (some(query.modality), some(query.body_part));
    let found = mingying_reporting::templates(&app.db, &permit, modality.as_deref(), body_part.as_deref()).await?;
    Ok(Json(
        found
            .into_iter()
            .map(|template| ReportTemplate {
                id: template.id,
                code: template.code,
                version: template.n,
                name: template.name,
                name_en: template.name_en,
                modality: template.modality,
                body_part: template.body_part,
                findings: template.text.findings,
                impression: template.text.impression,
                advice: template.text.advice,
                shared: template.shared,
                source: template.source,
            })
            .collect(),
    ))
}

/// One version of a template and what became of it.
#[derive(Serialize, ToSchema)]
struct TemplateVersion {
    code: String,
    /// From 1.
    version: u32,
    /// `draft`, `approved`, `retired`
    state: &'static str,
    name: String,
    name_en: String,
    modality: String,
    /// Empty fits every body part.
    body_part: String,
    findings: String,
    impression: String,
    advice: String,
    /// The guideline it follows.
    source: String,
    /// Name it with the next write of a draft, and when approving.
    rev: i64,
    author: String,
    /// Written by the caller, who therefore cannot approve it.
    own: bool,
    updated_at: String,
    approved_by: Option<String>,
    approved_at: Option<String>,
    retired_at: Option<String>,
}

fn shown(version: mingying_reporting::TemplateVersion, me: &str) -> TemplateVersion {
    let content = version.content;
    TemplateVersion {
        code: content.code,
        version: version.n,
        state: version.state.as_str(),
        name: content.name,
        name_en: content.name_en,
        modality: content.modality,
        body_part: content.body_part,
        findings: content.text.findings,
        impression: content.text.impression,
        advice: content.text.advice,
        source: content.source,
        rev: version.rev,
        own: version.author.id == me,
        author: version.author.name,
        updated_at: version.updated_at.to_rfc3339(),
        approved_at: version.approved.as_ref().map(|(_, at)| at.to_rfc3339()),
        approved_by: version.approved.map(|(by, _)| by.name),
        retired_at: version.retired_at.map(|at| at.to_rfc3339()),
    }
}

/// Every version of every template, by code, the newest first.
#[utoipa::path(get, path = "/templates/versions", responses((status = 200, body = Vec<TemplateVersion>)))]
async fn list_template_versions(
    Allowed(permit): Allowed<EditTemplate>,
    State(app): State<App>,
) -> ApiResult<Json<Vec<TemplateVersion>>> {
    let found = mingying_reporting::template_versions(&app.db, &permit).await?;
    Ok(Json(found.into_iter().map(|version| shown(version, &permit.actor().id)).collect()))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DraftTemplate {
    /// Of the draft that the writer saw; absent where there was none.
    #[serde(default)]
    rev: Option<i64>,
    name: String,
    name_en: String,
    modality: String,
    #[serde(default)]
    body_part: String,
    findings: String,
    impression: String,
    #[serde(default)]
    advice: String,
    /// The guideline it follows.
    #[serde(default)]
    source: String,
}

/// Writes the draft of a template: a new one, or the next version of a known one. 409 `template.stale`.
#[utoipa::path(put, path = "/templates/{code}/draft", params(("code" = String, Path)), request_body = DraftTemplate,
    responses((status = 200, body = TemplateVersion)))]
async fn draft_template(
    Allowed(permit): Allowed<EditTemplate>,
    State(app): State<App>,
    ApiPath(code): ApiPath<String>,
    ApiJson(body): ApiJson<DraftTemplate>,
) -> ApiResult<Json<TemplateVersion>> {
    let new = NewTemplate {
        code,
        name: body.name,
        name_en: body.name_en,
        modality: body.modality,
        body_part: body.body_part,
        text: Text { findings: body.findings, impression: body.impression, advice: body.advice },
        source: body.source,
    };
    let draft = mingying_reporting::draft_template(&app.db, &permit, body.rev, new).await?;
    Ok(Json(shown(draft, &permit.actor().id)))
}

/// Throws the draft of a template away.
#[utoipa::path(delete, path = "/templates/{code}/draft", params(("code" = String, Path)), responses((status = 204)))]
async fn discard_template(
    Allowed(permit): Allowed<EditTemplate>,
    State(app): State<App>,
    ApiPath(code): ApiPath<String>,
) -> ApiResult<StatusCode> {
    mingying_reporting::discard_template(&app.db, &permit, &code).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ApproveDraft {
    /// Of the draft that was read.
    rev: i64,
}

/// Approves the draft: it is what is offered from now on. 409 `template.stale`; 409 `template.own` to its author.
#[utoipa::path(post, path = "/templates/{code}/approve", params(("code" = String, Path)), request_body = ApproveDraft,
    responses((status = 200, body = TemplateVersion)))]
async fn approve_template(
    Allowed(permit): Allowed<ApproveTemplate>,
    State(app): State<App>,
    ApiPath(code): ApiPath<String>,
    ApiJson(body): ApiJson<ApproveDraft>,
) -> ApiResult<Json<TemplateVersion>> {
    let approved = mingying_reporting::approve_template(&app.db, &permit, &code, body.rev).await?;
    Ok(Json(shown(approved, &permit.actor().id)))
}

/// Offers a template no longer.
#[utoipa::path(post, path = "/templates/{code}/retire", params(("code" = String, Path)), responses((status = 204)))]
async fn retire_template(
    Allowed(permit): Allowed<ApproveTemplate>,
    State(app): State<App>,
    ApiPath(code): ApiPath<String>,
) -> ApiResult<StatusCode> {
    mingying_reporting::retire_template(&app.db, &permit, &code).await?;
    Ok(StatusCode::NO_CONTENT)
}
