//! The case as its events tell it.

use crate::{Allowed, ApiPath, ApiResult, App, Page};
use axum::Json;
use axum::extract::State;
use mingying_kernel::OrderId;
use mingying_timeline::ReadTimeline;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(replay_case))
}

#[derive(Serialize, ToSchema)]
struct TimelineEvent {
    id: String,
    /// `report.final`
    topic: String,
    occurred_at: String,
    recorded_at: String,
    /// `user`, `device`, `system`, `patient`
    actor_kind: String,
    actor_name: String,
    /// The system it came from: `web`, `AE CT01`, `HL7 HIS`.
    source: String,
    subject_kind: String,
    subject_id: String,
    /// The event's own fields, in the version it was written with.
    payload: serde_json::Value,
}

/// Every event of the case, oldest first.
#[utoipa::path(get, path = "/orders/{id}/timeline", params(("id" = String, Path)),
    responses((status = 200, body = Page<TimelineEvent>)))]
async fn replay_case(
    Allowed(permit): Allowed<ReadTimeline>,
    State(app): State<App>,
    ApiPath(id): ApiPath<OrderId>,
) -> ApiResult<Json<Page<TimelineEvent>>> {
    let entries = mingying_timeline::replay(&app.db, &permit, id).await?;
    let events = entries
        .into_iter()
        .map(|entry| TimelineEvent {
            id: entry.id.to_string(),
            payload: serde_json::from_str(&entry.payload).unwrap_or_default(),
            topic: entry.topic,
            occurred_at: entry.occurred_at.to_rfc3339(),
            recorded_at: entry.recorded_at.to_rfc3339(),
            actor_kind: entry.actor_kind,
            actor_name: entry.actor_name,
            source: entry.source,
            subject_kind: entry.subject_kind,
            subject_id: entry.subject_id,
        })
        .collect();
    Ok(Json(Page::whole(events)))
}
