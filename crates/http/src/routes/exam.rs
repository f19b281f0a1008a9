//! The exam at the device: start, confirm, break off, take again.

use super::views::{self, Order};
use crate::{Allowed, ApiJson, ApiPath, ApiResult, App, Page};
use axum::Json;
use axum::extract::State;
use mingying_exam::{PerformExam, ReadExams};
use mingying_kernel::{DeviceId, OrderId, Permit};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(prepare_exam))
        .routes(routes!(start_exam))
        .routes(routes!(complete_exam))
        .routes(routes!(discontinue_exam))
        .routes(routes!(redo_exam))
        .routes(routes!(list_performed_steps))
        .routes(routes!(list_unlinked_steps))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartExam {
    /// Another device than planned.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    device_id: Option<DeviceId>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompleteExam {
    /// Required when no image has arrived.
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExamReason {
    reason: String,
}

/// A performed procedure step as a modality reported it.
#[derive(Serialize, ToSchema)]
pub struct PerformedStep {
    uid: String,
    order_id: Option<String>,
    station_aet: String,
    study_uid: Option<String>,
    accession: Option<String>,
    /// `in_progress`, `completed`, `discontinued`
    state: &'static str,
    started_at: String,
    ended_at: Option<String>,
    images: u32,
    reason: String,
}

impl From<mingying_exam::Mpps> for PerformedStep {
    fn from(m: mingying_exam::Mpps) -> Self {
        Self {
            uid: m.uid.into(),
            order_id: m.order.map(|id| id.to_string()),
            station_aet: m.station_aet,
            study_uid: m.study_uid.map(String::from),
            accession: m.accession,
            state: m.state.as_str(),
            started_at: m.started_at.to_rfc3339(),
            ended_at: m.ended_at.map(|at| at.to_rfc3339()),
            images: m.images,
            reason: m.reason,
        }
    }
}

async fn shown(app: &App, permit: &Permit<PerformExam>, id: OrderId) -> ApiResult<Json<Order>> {
    let found = mingying_orders::load_many(&app.db, permit.scope(), &[id]).await?;
    let order = found.into_iter().next().ok_or_else(crate::ApiError::not_found)?;
    Ok(Json(views::one(app, permit.scope(), order).await?))
}

/// The nurse has finished the preparation.
#[utoipa::path(post, path = "/orders/{id}/prepare", tag = "exam", params(("id" = String, Path)), responses(
    (status = 200, body = Order), (status = 409, description = "Not possible in this state")))]
async fn prepare_exam(
    Allowed(permit): Allowed<PerformExam>,
    State(app): State<App>,
    ApiPath(id): ApiPath<OrderId>,
) -> ApiResult<Json<Order>> {
    mingying_exam::prepare(&app.db, &permit, id).await?;
    shown(&app, &permit, id).await
}

/// The exam begins.
#[utoipa::path(post, path = "/orders/{id}/start", tag = "exam", params(("id" = String, Path)), request_body = StartExam,
    responses((status = 200, body = Order), (status = 409, description = "Not possible in this state")))]
async fn start_exam(
    Allowed(permit): Allowed<PerformExam>,
    State(app): State<App>,
    ApiPath(id): ApiPath<OrderId>,
    ApiJson(body): ApiJson<StartExam>,
) -> ApiResult<Json<Order>> {
    mingying_exam::start(&app.db, &permit, id, body.device_id).await?;
    shown(&app, &permit, id).await
}

/// The technologist confirms the images.
#[utoipa::path(post, path = "/orders/{id}/complete", tag = "exam", params(("id" = String, Path)),
    request_body = CompleteExam, responses((status = 200, body = Order),
    (status = 409, description = "Not possible in this state, or no image and no reason")))]
async fn complete_exam(
    Allowed(permit): Allowed<PerformExam>,
    State(app): State<App>,
    ApiPath(id): ApiPath<OrderId>,
    ApiJson(body): ApiJson<CompleteExam>,
) -> ApiResult<Json<Order>> {
    mingying_exam::complete(&app.db, &permit, id, body.reason.as_deref()).await?;
    shown(&app, &permit, id).await
}

/// The exam is broken off.
#[utoipa::path(post, path = "/orders/{id}/discontinue", tag = "exam", params(("id" = String, Path)),
    request_body = ExamReason, responses((status = 200, body = Order),
    (status = 409, description = "Not possible in this state")))]
async fn discontinue_exam(
    Allowed(permit): Allowed<PerformExam>,
    State(app): State<App>,
    ApiPath(id): ApiPath<OrderId>,
    ApiJson(body): ApiJson<ExamReason>,
) -> ApiResult<Json<Order>> {
    mingying_exam::discontinue(&app.db, &permit, id, &body.reason).await?;
    shown(&app, &permit, id).await
}

/// The images are no good: the exam stands in the worklist again.
#[utoipa::path(post, path = "/orders/{id}/redo", tag = "exam", params(("id" = String, Path)), request_body = ExamReason,
    responses((status = 200, body = Order), (status = 409, description = "Not possible in this state")))]
async fn redo_exam(
    Allowed(permit): Allowed<PerformExam>,
    State(app): State<App>,
    ApiPath(id): ApiPath<OrderId>,
    ApiJson(body): ApiJson<ExamReason>,
) -> ApiResult<Json<Order>> {
    mingying_exam::redo(&app.db, &permit, id, &body.reason).await?;
    shown(&app, &permit, id).await
}

/// What modalities reported about one exam, oldest first.
#[utoipa::path(get, path = "/orders/{id}/performed-steps", tag = "exam", params(("id" = String, Path)),
    responses((status = 200, body = Page<PerformedStep>)))]
async fn list_performed_steps(
    Allowed(permit): Allowed<ReadExams>,
    State(app): State<App>,
    ApiPath(id): ApiPath<OrderId>,
) -> ApiResult<Json<Page<PerformedStep>>> {
    let steps = mingying_exam::mpps_of(&app.db, &permit, id).await?;
    Ok(Json(Page::whole(steps.into_iter().map(PerformedStep::from).collect())))
}

/// Performed steps that fit no order, newest first, at most 200.
#[utoipa::path(get, path = "/performed-steps/unlinked", tag = "exam",
    responses((status = 200, body = Page<PerformedStep>)))]
async fn list_unlinked_steps(
    Allowed(permit): Allowed<ReadExams>,
    State(app): State<App>,
) -> ApiResult<Json<Page<PerformedStep>>> {
    let steps = mingying_exam::unlinked_mpps(&app.db, &permit, 200).await?;
    Ok(Json(Page::whole(steps.into_iter().map(PerformedStep::from).collect())))
}
