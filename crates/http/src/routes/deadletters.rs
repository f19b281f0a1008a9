//! Deliveries that no retry helped, for the administrator and the engineer. They show topics and codes, no payload.

use crate::{Allowed, ApiError, ApiPath, ApiResult, App, Page};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use mingying_access::Outcome;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

mingying_kernel::action! {
    ReadDeadLetters = "deadletter.read",
    RetryDeadLetters = "deadletter.retry",
}

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_dead_letters)).routes(routes!(retry_dead_letter))
}

#[derive(Serialize, ToSchema)]
struct DeadLetter {
    id: String,
    subscriber: String,
    event_id: String,
    topic: String,
    attempts: u32,
    last_error: String,
    /// RFC 3339.
    created_at: String,
}

/// Dead letters, newest first, at most 500.
#[utoipa::path(get, path = "/dead-letters", responses((status = 200, body = Page<DeadLetter>)))]
async fn list_dead_letters(_: Allowed<ReadDeadLetters>, State(app): State<App>) -> ApiResult<Json<Page<DeadLetter>>> {
    let items = mingying_jobs::list_dead(&app.db, 500)
        .await?
        .into_iter()
        .map(|letter| DeadLetter {
            id: letter.id,
            subscriber: letter.subscriber,
            event_id: letter.event.to_string(),
            topic: letter.topic,
            attempts: letter.attempts,
            last_error: letter.last_error,
            created_at: letter.created_at.to_rfc3339(),
        })
        .collect();
    Ok(Json(Page::whole(items)))
}

/// Puts a dead letter back into the queue.
#[utoipa::path(post, path = "/dead-letters/{id}/retry", params(("id" = String, Path)), responses((status = 204)))]
async fn retry_dead_letter(
    Allowed(permit): Allowed<RetryDeadLetters>,
    State(app): State<App>,
    ApiPath(id): ApiPath<String>,
) -> ApiResult<StatusCode> {
    if !mingying_jobs::retry_dead(&app.db, &id, permit.now()).await? {
        return Err(ApiError::not_found());
    }
    let mut tx = app.db.begin().await?;
    mingying_access::audit(&mut tx, permit.ctx(), permit.action(), "delivery", &id, Outcome::Done, "").await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
