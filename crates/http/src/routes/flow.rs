//! Arrival, queues, calls, waiting-room displays.

use super::views::PatientSummary;
use crate::{Allowed, ApiError, ApiJson, ApiPath, ApiQuery, ApiResult, App, Page};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt};
use mingying_flow::{
    Arrival, CallPatients, CheckIn, ManageDisplays, Mode, QueueQuery, QueueRow, QueueState, ReadDisplays, ReadQueues,
};
use mingying_kernel::{DeviceId, OrderId, Permit, QueueEntryId, RoomId};
use mingying_patients::masked_name;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(arrive))
        .routes(routes!(list_queue))
        .routes(routes!(call_next))
        .routes(routes!(call_entry))
        .routes(routes!(skip_entry))
        .routes(routes!(return_entry))
        .routes(routes!(enter_entry))
        .routes(routes!(hold_entry))
        .routes(routes!(leave_entry))
        .routes(routes!(transfer_entry))
        .routes(routes!(list_displays, create_display))
        .routes(routes!(view_display))
        .routes(routes!(watch_display))
}

/// Somebody who waits, is called or is in a room.
#[derive(Serialize, ToSchema)]
pub struct QueueEntry {
    id: String,
    ticket: String,
    order_id: String,
    accession: String,
    patient: PatientSummary,
    masked_name: String,
    item_name: String,
    item_name_en: String,
    priority: &'static str,
    /// `emergency`, `appointment`, `walk_in`
    class: &'static str,
    /// `waiting`, `called`, `in_room`, `done`, `passed`, `on_hold`, `left`
    state: &'static str,
    calls: u32,
    room_id: String,
    room_name: String,
    device_id: String,
    device_name: String,
    arrived_at: String,
    called_at: Option<String>,
    special: Vec<&'static str>,
    exam_state: &'static str,
    /// From 1 among those who wait for the room; 0 otherwise.
    position: u32,
}

impl From<QueueRow> for QueueEntry {
    fn from(row: QueueRow) -> Self {
        let (item_name, item_name_en) = row.order.title();
        let entry = row.entry;
        Self {
            id: entry.id.to_string(),
            ticket: entry.ticket,
            order_id: entry.order.to_string(),
            accession: row.order.accession.to_string(),
            patient: PatientSummary::from(&row.order.patient),
            masked_name: masked_name(&row.order.patient.name),
            item_name,
            item_name_en,
            priority: row.order.priority.as_str(),
            class: entry.class.as_str(),
            state: entry.state.as_str(),
            calls: entry.calls,
            room_id: entry.room.to_string(),
            room_name: row.room_name,
            device_id: entry.device.to_string(),
            device_name: row.device_name,
            arrived_at: entry.arrived_at.to_rfc3339(),
            called_at: entry.called_at.map(|at| at.to_rfc3339()),
            special: row.order.special.iter().map(|s| s.as_str()).collect(),
            exam_state: row.order.state.as_str(),
            position: row.position,
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Arrive {
    /// `appointment`, `walk_in`, `emergency`, `bedside`
    mode: String,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    device_id: Option<DeviceId>,
    /// Required without an appointment.
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct QueueParams {
    #[param(value_type = Option<String>)]
    room_id: Option<RoomId>,
    #[param(value_type = Option<String>)]
    device_id: Option<DeviceId>,
    /// Comma-separated states; everybody who is still here when absent.
    state: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CallNext {
    #[schema(value_type = String)]
    room_id: RoomId,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QueueReason {
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TransferEntry {
    #[schema(value_type = String)]
    room_id: RoomId,
    #[schema(value_type = String)]
    device_id: DeviceId,
    reason: String,
}

#[derive(Serialize, ToSchema)]
pub struct Display {
    id: String,
    name: String,
    room_ids: Vec<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDisplayRequest {
    name: String,
    #[schema(value_type = Vec<String>)]
    room_ids: Vec<RoomId>,
}

/// A display just made; the key is shown this once.
#[derive(Serialize, ToSchema)]
pub struct NewDisplay {
    id: String,
    key: String,
}

#[derive(Serialize, ToSchema)]
pub struct DisplayCall {
    ticket: String,
    masked_name: String,
    called_at: String,
}

#[derive(Serialize, ToSchema)]
pub struct DisplayWaiting {
    ticket: String,
    masked_name: String,
}

#[derive(Serialize, ToSchema)]
pub struct DisplayRoom {
    room_id: String,
    room_name: String,
    room_name_en: String,
    calling: Option<DisplayCall>,
    waiting: Vec<DisplayWaiting>,
    waiting_count: u32,
}

#[derive(Serialize, ToSchema)]
pub struct DisplayView {
    id: String,
    name: String,
    now: String,
    rooms: Vec<DisplayRoom>,
}

async fn shown<A: mingying_kernel::Action>(
    app: &App,
    permit: &Permit<A>,
    id: QueueEntryId,
) -> ApiResult<Json<QueueEntry>> {
    Ok(Json(mingying_flow::entry_in(&app.db, permit.scope(), id).await?.into()))
}

/// The patient is here: the exam is arrived and its ticket drawn.
#[utoipa::path(post, path = "/orders/{id}/arrive", tag = "flow", params(("id" = String, Path)), request_body = Arrive,
    responses((status = 201, body = QueueEntry), (status = 409, description = "No appointment, or here already"),
    (status = 422, description = "Reason or device missing")))]
async fn arrive(
    Allowed(permit): Allowed<CheckIn>,
    State(app): State<App>,
    ApiPath(id): ApiPath<OrderId>,
    ApiJson(body): ApiJson<Arrive>,
) -> ApiResult<(StatusCode, Json<QueueEntry>)> {
    let mode = Mode::parse(&body.mode).ok_or_else(|| ApiError::invalid("mode"))?;
    let arrival = Arrival { order: id, mode, device: body.device_id, reason: body.reason };
    let entry = mingying_flow::arrive(&app.db, &permit, arrival).await?;
    Ok((StatusCode::CREATED, shown(&app, &permit, entry.id).await?))
}

/// Queues in calling order.
#[utoipa::path(get, path = "/queue", tag = "flow", params(QueueParams), responses((status = 200, body = Page<QueueEntry>)))]
async fn list_queue(
    Allowed(permit): Allowed<ReadQueues>,
    State(app): State<App>,
    ApiQuery(params): ApiQuery<QueueParams>,
) -> ApiResult<Json<Page<QueueEntry>>> {
    let states = params
        .state
        .as_deref()
        .unwrap_or_default()
        .split(',')
        .filter(|text| !text.is_empty())
        .map(|text| QueueState::parse(text).ok_or_else(|| ApiError::invalid("state")))
        .collect::<ApiResult<Vec<_>>>()?;
    let query = QueueQuery { room: params.room_id, device: params.device_id, states };
    let rows = mingying_flow::queue(&app.db, &permit, &query).await?;
    Ok(Json(Page::whole(rows.into_iter().map(QueueEntry::from).collect())))
}

/// Calls the next one for a room; 204 when nobody waits.
#[utoipa::path(post, path = "/queue/next", tag = "flow", request_body = CallNext,
    responses((status = 200, body = QueueEntry), (status = 204, description = "Nobody waits")))]
async fn call_next(
    Allowed(permit): Allowed<CallPatients>,
    State(app): State<App>,
    ApiJson(body): ApiJson<CallNext>,
) -> ApiResult<Response> {
    match mingying_flow::call_next(&app.db, &permit, body.room_id).await? {
        Some(entry) => Ok(shown(&app, &permit, entry.id).await?.into_response()),
        None => Ok(StatusCode::NO_CONTENT.into_response()),
    }
}

/// Calls one in particular, or again.
#[utoipa::path(post, path = "/queue/{id}/call", tag = "flow", params(("id" = String, Path)),
    responses((status = 200, body = QueueEntry), (status = 409, description = "Not possible in this state")))]
async fn call_entry(
    Allowed(permit): Allowed<CallPatients>,
    State(app): State<App>,
    ApiPath(id): ApiPath<QueueEntryId>,
) -> ApiResult<Json<QueueEntry>> {
    mingying_flow::call(&app.db, &permit, id).await?;
    shown(&app, &permit, id).await
}

/// No answer, or another one first.
#[utoipa::path(post, path = "/queue/{id}/skip", tag = "flow", params(("id" = String, Path)), request_body = QueueReason,
    responses((status = 200, body = QueueEntry), (status = 409, description = "Not possible in this state")))]
async fn skip_entry(
    Allowed(permit): Allowed<CallPatients>,
    State(app): State<App>,
    ApiPath(id): ApiPath<QueueEntryId>,
    ApiJson(body): ApiJson<QueueReason>,
) -> ApiResult<Json<QueueEntry>> {
    mingying_flow::skip(&app.db, &permit, id, body.reason.as_deref()).await?;
    shown(&app, &permit, id).await
}

/// Back among the waiting.
#[utoipa::path(post, path = "/queue/{id}/return", tag = "flow", params(("id" = String, Path)),
    request_body = QueueReason, responses((status = 200, body = QueueEntry),
    (status = 409, description = "Not possible in this state")))]
async fn return_entry(
    Allowed(permit): Allowed<CallPatients>,
    State(app): State<App>,
    ApiPath(id): ApiPath<QueueEntryId>,
    ApiJson(body): ApiJson<QueueReason>,
) -> ApiResult<Json<QueueEntry>> {
    mingying_flow::put_back(&app.db, &permit, id, body.reason.as_deref()).await?;
    shown(&app, &permit, id).await
}

/// Identity confirmed, in the room.
#[utoipa::path(post, path = "/queue/{id}/enter", tag = "flow", params(("id" = String, Path)),
    responses((status = 200, body = QueueEntry), (status = 409, description = "Not possible in this state")))]
async fn enter_entry(
    Allowed(permit): Allowed<CallPatients>,
    State(app): State<App>,
    ApiPath(id): ApiPath<QueueEntryId>,
) -> ApiResult<Json<QueueEntry>> {
    mingying_flow::enter(&app.db, &permit, id).await?;
    shown(&app, &permit, id).await
}

/// Off the queue for a while.
#[utoipa::path(post, path = "/queue/{id}/hold", tag = "flow", params(("id" = String, Path)), request_body = QueueReason,
    responses((status = 200, body = QueueEntry), (status = 409, description = "Not possible in this state")))]
async fn hold_entry(
    Allowed(permit): Allowed<CallPatients>,
    State(app): State<App>,
    ApiPath(id): ApiPath<QueueEntryId>,
    ApiJson(body): ApiJson<QueueReason>,
) -> ApiResult<Json<QueueEntry>> {
    mingying_flow::hold(&app.db, &permit, id, body.reason.as_deref()).await?;
    shown(&app, &permit, id).await
}

/// Went away without the exam; the desk owns it again.
#[utoipa::path(post, path = "/queue/{id}/leave", tag = "flow", params(("id" = String, Path)), request_body = QueueReason,
    responses((status = 200, body = QueueEntry), (status = 409, description = "Not possible in this state"),
    (status = 422, description = "Reason missing")))]
async fn leave_entry(
    Allowed(permit): Allowed<CallPatients>,
    State(app): State<App>,
    ApiPath(id): ApiPath<QueueEntryId>,
    ApiJson(body): ApiJson<QueueReason>,
) -> ApiResult<Json<QueueEntry>> {
    mingying_flow::leave(&app.db, &permit, id, body.reason.as_deref().unwrap_or_default()).await?;
    shown(&app, &permit, id).await
}

/// To another room; the worklist item moves to its device.
#[utoipa::path(post, path = "/queue/{id}/transfer", tag = "flow", params(("id" = String, Path)),
    request_body = TransferEntry, responses((status = 200, body = QueueEntry),
    (status = 409, description = "Not possible in this state"), (status = 422, description = "Reason or device")))]
async fn transfer_entry(
    Allowed(permit): Allowed<CallPatients>,
    State(app): State<App>,
    ApiPath(id): ApiPath<QueueEntryId>,
    ApiJson(body): ApiJson<TransferEntry>,
) -> ApiResult<Json<QueueEntry>> {
    let device = mingying_scheduling::device(&app.db, permit.scope(), body.device_id).await?;
    if device.room != body.room_id {
        return Err(ApiError::invalid("device_id"));
    }
    mingying_flow::transfer(&app.db, &permit, id, body.device_id, &body.reason).await?;
    shown(&app, &permit, id).await
}

/// All waiting-room displays.
#[utoipa::path(get, path = "/displays", tag = "flow", responses((status = 200, body = Page<Display>)))]
async fn list_displays(
    Allowed(permit): Allowed<ReadDisplays>,
    State(app): State<App>,
) -> ApiResult<Json<Page<Display>>> {
    let items = mingying_flow::displays(&app.db, &permit)
        .await?
        .into_iter()
        .map(|d| Display { id: d.id, name: d.name, room_ids: d.rooms.iter().map(ToString::to_string).collect() })
        .collect();
    Ok(Json(Page::whole(items)))
}

/// Makes a display and its key.
#[utoipa::path(post, path = "/displays", tag = "flow", request_body = NewDisplayRequest,
    responses((status = 201, body = NewDisplay), (status = 422, description = "Name or rooms")))]
async fn create_display(
    Allowed(permit): Allowed<ManageDisplays>,
    State(app): State<App>,
    ApiJson(body): ApiJson<NewDisplayRequest>,
) -> ApiResult<(StatusCode, Json<NewDisplay>)> {
    let (display, key) = mingying_flow::create_display(&app.db, &permit, &body.name, &body.room_ids).await?;
    Ok((StatusCode::CREATED, Json(NewDisplay { id: display.id, key })))
}

/// What a display shows: tickets and masked names.
#[utoipa::path(get, path = "/displays/{id}", tag = "flow", params(("id" = String, Path)),
    responses((status = 200, body = DisplayView), (status = 404, description = "No such display")))]
async fn view_display(
    Allowed(permit): Allowed<ReadDisplays>,
    State(app): State<App>,
    ApiPath(id): ApiPath<String>,
) -> ApiResult<Json<DisplayView>> {
    let view = mingying_flow::display_view(&app.db, &permit, &id).await?;
    let rooms = view
        .rooms
        .into_iter()
        .map(|room| DisplayRoom {
            room_id: room.room.to_string(),
            room_name: room.name,
            room_name_en: room.name_en,
            calling: room.calling.map(|(ticket, masked_name, at)| DisplayCall {
                ticket,
                masked_name,
                called_at: at.to_rfc3339(),
            }),
            waiting: room
                .waiting
                .into_iter()
                .map(|(ticket, masked_name)| DisplayWaiting { ticket, masked_name })
                .collect(),
            waiting_count: room.waiting_count,
        })
        .collect();
    Ok(Json(DisplayView { id: view.id, name: view.name, now: view.now.to_rfc3339(), rooms }))
}

/// Says `changed` whenever any queue of the organization moved; the display then asks again.
#[utoipa::path(get, path = "/displays/{id}/live", tag = "flow", params(("id" = String, Path)),
    responses((status = 200, description = "text/event-stream"), (status = 404, description = "No such display")))]
async fn watch_display(
    Allowed(permit): Allowed<ReadDisplays>,
    State(app): State<App>,
    ApiPath(id): ApiPath<String>,
) -> ApiResult<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    mingying_flow::display_view(&app.db, &permit, &id).await?;
    let scope = permit.scope();
    let changes = tokio_stream::wrappers::BroadcastStream::new(app.live.listen())
        .filter(move |change| {
            // A lagging listener has missed something: that is a change, too.
            let moved = match change {
                Ok(change) => change.subject_kind == "queue_entry" && change.org.is_none_or(|org| scope.sees(org)),
                Err(_) => true,
            };
            std::future::ready(moved)
        })
        .map(|_| Ok(Event::default().event("changed").data("queue")));
    let stopped = app.live.stopped();
    Ok(Sse::new(changes.take_until(stopped)).keep_alive(KeepAlive::new().interval(Duration::from_secs(5))))
}
