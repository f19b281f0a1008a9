//! The audit log, for the security officer.

use crate::{Allowed, ApiQuery, ApiResult, App, Page};
use axum::Json;
use axum::extract::State;
use mingying_access::{AuditFilter, ReadAudit};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_audit))
}

#[derive(Serialize, ToSchema)]
struct AuditRow {
    id: String,
    /// RFC 3339.
    at: String,
    actor_kind: String,
    actor_id: String,
    source: String,
    action: String,
    object_kind: String,
    object_id: String,
    /// `done`, `denied`, `failed`
    outcome: String,
    detail: String,
    /// Whether the row is part of the hash chain yet.
    sealed: bool,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct AuditQuery {
    object_kind: Option<String>,
    object_id: Option<String>,
    actor_id: Option<String>,
    cursor: Option<String>,
    /// At most 500; 100 when absent.
    limit: Option<u32>,
}

/// Audit rows, newest first.
#[utoipa::path(get, path = "/audit", params(AuditQuery), responses((status = 200, body = Page<AuditRow>)))]
async fn list_audit(
    Allowed(permit): Allowed<ReadAudit>,
    State(app): State<App>,
    ApiQuery(query): ApiQuery<AuditQuery>,
) -> ApiResult<Json<Page<AuditRow>>> {
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let filter = AuditFilter {
        object_kind: given(query.object_kind),
        object_id: given(query.object_id),
        actor_id: given(query.actor_id),
        cursor: given(query.cursor),
        limit: query.limit.unwrap_or(100),
    };
    let page = mingying_access::list_audit(&app.db, &permit, &filter).await?;
    let items = page
        .rows
        .into_iter()
        .map(|row| AuditRow {
            id: row.id,
            at: row.at.to_rfc3339(),
            actor_kind: row.actor_kind,
            actor_id: row.actor_id,
            source: row.source,
            action: row.action,
            object_kind: row.object_kind,
            object_id: row.object_id,
            outcome: row.outcome,
            detail: row.detail,
            sealed: row.sealed,
        })
        .collect();
    Ok(Json(Page { items, next: page.next }))
}
