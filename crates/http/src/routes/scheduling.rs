//! Slots and appointments.

use crate::{Allowed, ApiError, ApiJson, ApiPath, ApiQuery, ApiResult, App};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::civil::Date;
use mingying_kernel::{AppointmentId, DeviceId, OrderId, Scope, Timestamp};
use mingying_scheduling::{AppointmentRow, BookAppointment, ReadSlots, SlotQuery};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_slots))
        .routes(routes!(list_appointments, book_appointment))
        .routes(routes!(move_appointment))
        .routes(routes!(cancel_appointment))
}

/// A time on a device's calendar.
#[derive(Serialize, ToSchema)]
pub struct Slot {
    device_id: String,
    device_name: String,
    room_name: String,
    start: String,
    end: String,
    free: bool,
    /// `taken`, `past`, `closed`, `inactive`, `wrong_modality`
    reason: Option<&'static str>,
}

#[derive(Serialize, ToSchema)]
pub struct Appointment {
    id: String,
    order_id: String,
    accession: String,
    patient_name: String,
    item_name: String,
    item_name_en: String,
    device_id: String,
    device_name: String,
    room_name: String,
    start: String,
    end: String,
    /// `held`, `booked`, `checked_in`, `fulfilled`, `cancelled`, `no_show`, `moved`
    state: &'static str,
    /// Set by another system over an occupied time.
    overlaps: bool,
}

impl From<AppointmentRow> for Appointment {
    fn from(row: AppointmentRow) -> Self {
        let a = row.appointment;
        Self {
            id: a.id.to_string(),
            order_id: a.order.to_string(),
            accession: row.accession.to_string(),
            patient_name: row.patient_name,
            item_name: row.item_name,
            item_name_en: row.item_name_en,
            device_id: a.device.to_string(),
            device_name: row.device_name,
            room_name: row.room_name,
            start: a.start.to_rfc3339(),
            end: a.end.to_rfc3339(),
            state: a.state.as_str(),
            overlaps: a.overlaps,
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct SlotParams {
    #[param(value_type = String)]
    order_id: OrderId,
    /// `YYYY-MM-DD`; today when absent.
    from: Option<String>,
    /// 1 to 14; 1 when absent.
    days: Option<u32>,
    #[param(value_type = Option<String>)]
    device_id: Option<DeviceId>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct CalendarParams {
    #[param(value_type = Option<String>)]
    device_id: Option<DeviceId>,
    /// `YYYY-MM-DD`; today when absent.
    date: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BookRequest {
    #[schema(value_type = String)]
    order_id: OrderId,
    #[schema(value_type = String)]
    device_id: DeviceId,
    start: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveRequest {
    #[schema(value_type = String)]
    device_id: DeviceId,
    start: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AppointmentReason {
    reason: String,
}

async fn day(app: &App, scope: Scope, text: Option<&str>, field: &'static str) -> ApiResult<Date> {
    if let Some(text) = text {
        return text.parse().map_err(|_| ApiError::invalid(field));
    }
    let org = mingying_patients::home_org(&app.db, scope).await?;
    let zone = mingying_scheduling::facility_zone(&app.db, org).await?;
    Ok(app.clock.now().to_jiff().to_zoned(zone).date())
}

fn start(text: &str) -> ApiResult<Timestamp> {
    Timestamp::parse_rfc3339(text).ok_or_else(|| ApiError::invalid("start"))
}

async fn shown(app: &App, scope: Scope, id: AppointmentId) -> ApiResult<Json<Appointment>> {
    Ok(Json(mingying_scheduling::appointment(&app.db, scope, id).await?.into()))
}

/// Times for an order, free and not, with the reason.
#[utoipa::path(get, path = "/slots", tag = "scheduling", params(SlotParams), responses((status = 200, body = Vec<Slot>),
    (status = 404, description = "No such order")))]
async fn list_slots(
    Allowed(permit): Allowed<ReadSlots>,
    State(app): State<App>,
    ApiQuery(params): ApiQuery<SlotParams>,
) -> ApiResult<Json<Vec<Slot>>> {
    let days = params.days.unwrap_or(1);
    if !(1..=14).contains(&days) {
        return Err(ApiError::invalid("days"));
    }
    let from = day(&app, permit.scope(), params.from.as_deref(), "from").await?;
    let query = SlotQuery { order: params.order_id, from, days, device: params.device_id };
    let slots = mingying_scheduling::slots(&app.db, &permit, &query).await?;
    Ok(Json(
        slots
            .into_iter()
            .map(|s| Slot {
                device_id: s.device.to_string(),
                device_name: s.device_name,
                room_name: s.room_name,
                start: s.start.to_rfc3339(),
                end: s.end.to_rfc3339(),
                free: s.refusal.is_none(),
                reason: s.refusal.map(|r| r.as_str()),
            })
            .collect(),
    ))
}

/// The calendar of a day, of one device or all.
#[utoipa::path(get, path = "/appointments", tag = "scheduling", params(CalendarParams),
    responses((status = 200, body = Vec<Appointment>)))]
async fn list_appointments(
    Allowed(permit): Allowed<ReadSlots>,
    State(app): State<App>,
    ApiQuery(params): ApiQuery<CalendarParams>,
) -> ApiResult<Json<Vec<Appointment>>> {
    let date = day(&app, permit.scope(), params.date.as_deref(), "date").await?;
    let rows = mingying_scheduling::calendar(&app.db, &permit, params.device_id, date).await?;
    Ok(Json(rows.into_iter().map(Appointment::from).collect()))
}

/// Books a time; one of two who want the same gets 409 `slot.taken`.
#[utoipa::path(post, path = "/appointments", tag = "scheduling", request_body = BookRequest, responses(
    (status = 201, body = Appointment), (status = 409, description = "Taken"),
    (status = 422, description = "Closed, past, or the wrong device")))]
async fn book_appointment(
    Allowed(permit): Allowed<BookAppointment>,
    State(app): State<App>,
    ApiJson(body): ApiJson<BookRequest>,
) -> ApiResult<(StatusCode, Json<Appointment>)> {
    let start = start(&body.start)?;
    let made = mingying_scheduling::book(&app.db, &permit, body.order_id, body.device_id, start).await?;
    Ok((StatusCode::CREATED, shown(&app, permit.scope(), made.id).await?))
}

/// To another time or device.
#[utoipa::path(post, path = "/appointments/{id}/move", tag = "scheduling", params(("id" = String, Path)),
    request_body = MoveRequest, responses((status = 200, body = Appointment), (status = 409, description = "Taken"),
    (status = 422, description = "Closed, past, or the wrong device")))]
async fn move_appointment(
    Allowed(permit): Allowed<BookAppointment>,
    State(app): State<App>,
    ApiPath(id): ApiPath<AppointmentId>,
    ApiJson(body): ApiJson<MoveRequest>,
) -> ApiResult<Json<Appointment>> {
    let made = mingying_scheduling::move_to(&app.db, &permit, id, body.device_id, start(&body.start)?).await?;
    shown(&app, permit.scope(), made.id).await
}

/// Frees the time; the order waits for another one.
#[utoipa::path(post, path = "/appointments/{id}/cancel", tag = "scheduling", params(("id" = String, Path)),
    request_body = AppointmentReason, responses((status = 200, body = Appointment),
    (status = 409, description = "Not possible in this state")))]
async fn cancel_appointment(
    Allowed(permit): Allowed<BookAppointment>,
    State(app): State<App>,
    ApiPath(id): ApiPath<AppointmentId>,
    ApiJson(body): ApiJson<AppointmentReason>,
) -> ApiResult<Json<Appointment>> {
    let ended = mingying_scheduling::cancel(&app.db, &permit, id, &body.reason).await?;
    shown(&app, permit.scope(), ended.id).await
}
