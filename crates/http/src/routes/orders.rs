//! Orders: entered, found, accepted, returned, cancelled.

use super::views::{self, Order};
use crate::{Allowed, ApiError, ApiJson, ApiPath, ApiQuery, ApiResult, App, Page};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use mingying_kernel::{OrderId, PatientId, Timestamp};
use mingying_orders::{
    AcceptOrder, CancelOrder, CreateOrder, ExamState, NewItem, OrderQuery, Priority, ReadOrders, Side, Special,
    VisitClass,
};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_orders, create_order))
        .routes(routes!(get_order))
        .routes(routes!(accept_order))
        .routes(routes!(return_order))
        .routes(routes!(cancel_order))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOrderItem {
    catalogue_id: String,
    /// `L`, `R`, `B`; required for paired body parts.
    #[serde(default)]
    side: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOrder {
    #[schema(value_type = String)]
    patient_id: PatientId,
    items: Vec<NewOrderItem>,
    /// `routine`, `urgent`, `emergency`
    priority: String,
    /// `outpatient`, `inpatient`, `emergency`, `checkup`
    visit_class: String,
    #[serde(default)]
    department: String,
    #[serde(default)]
    physician: String,
    #[serde(default)]
    diagnosis: String,
    #[serde(default)]
    history: String,
    #[serde(default)]
    purpose: String,
    #[serde(default)]
    special: Vec<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct OrderParams {
    /// Name, pinyin, accession number, placer number or patient identifier.
    q: Option<String>,
    /// Comma-separated states.
    state: Option<String>,
    modality: Option<String>,
    /// Created at or after: an instant, or a day of the facility.
    from: Option<String>,
    /// Created before the instant, or on or before the day.
    to: Option<String>,
    #[param(value_type = Option<String>)]
    patient_id: Option<PatientId>,
    limit: Option<u32>,
    cursor: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderReason {
    reason: String,
}

/// An instant, or the beginning (`end`: the end) of a day of the facility.
fn instant(text: &str, zone: &jiff::tz::TimeZone, end: bool, field: &'static str) -> ApiResult<Timestamp> {
    if let Some(at) = Timestamp::parse_rfc3339(text) {
        return Ok(at);
    }
    let invalid = || ApiError::invalid(field);
    let mut day: jiff::civil::Date = text.parse().map_err(|_| invalid())?;
    if end {
        day = day.tomorrow().map_err(|_| invalid())?;
    }
    let at = day.to_zoned(zone.clone()).map_err(|_| invalid())?.timestamp();
    Ok(Timestamp::from_micros(at.as_microsecond()))
}

/// Orders, newest first.
#[utoipa::path(get, path = "/orders", tag = "orders", params(OrderParams), responses((status = 200, body = Page<Order>)))]
async fn list_orders(
    Allowed(permit): Allowed<ReadOrders>,
    State(app): State<App>,
    ApiQuery(params): ApiQuery<OrderParams>,
) -> ApiResult<Json<Page<Order>>> {
    let states = params
        .state
        .as_deref()
        .unwrap_or_default()
        .split(',')
        .filter(|t| !t.is_empty())
        .map(|t| ExamState::parse(t).ok_or_else(|| ApiError::invalid("state")))
        .collect::<ApiResult<Vec<_>>>()?;
    let org = mingying_patients::home_org(&app.db, permit.scope()).await?;
    let zone = mingying_scheduling::facility_zone(&app.db, org).await?;
    let query = OrderQuery {
        text: params.q.filter(|t| !t.trim().is_empty()),
        states,
        modality: params.modality.filter(|t| !t.is_empty()),
        from: params.from.map(|t| instant(&t, &zone, false, "from")).transpose()?,
        to: params.to.map(|t| instant(&t, &zone, true, "to")).transpose()?,
        patient: params.patient_id,
        limit: params.limit,
        cursor: params.cursor,
    };
    let page = mingying_orders::list(&app.db, &permit, &query).await?;
    Ok(Json(Page { items: views::orders(&app, permit.scope(), page.items).await?, next: page.next }))
}

/// Makes an order; it is accepted at once when nothing is missing.
#[utoipa::path(post, path = "/orders", tag = "orders", request_body = NewOrder, responses((status = 201, body = Order),
    (status = 404, description = "No such patient"), (status = 422, description = "A field breaks its rule")))]
async fn create_order(
    Allowed(permit): Allowed<CreateOrder>,
    State(app): State<App>,
    ApiJson(body): ApiJson<NewOrder>,
) -> ApiResult<(StatusCode, Json<Order>)> {
    let new = mingying_orders::NewOrder {
        items: body
            .items
            .into_iter()
            .map(|i| {
                let side = i.side.map(|t| Side::parse(&t).ok_or_else(|| ApiError::invalid("side"))).transpose()?;
                Ok(NewItem { catalogue_id: i.catalogue_id, side })
            })
            .collect::<ApiResult<_>>()?,
        priority: Priority::parse(&body.priority).ok_or_else(|| ApiError::invalid("priority"))?,
        visit_class: VisitClass::parse(&body.visit_class).ok_or_else(|| ApiError::invalid("visit_class"))?,
        department: body.department,
        physician: body.physician,
        diagnosis: body.diagnosis,
        history: body.history,
        purpose: body.purpose,
        special: body
            .special
            .iter()
            .map(|t| Special::parse(t).ok_or_else(|| ApiError::invalid("special")))
            .collect::<ApiResult<_>>()?,
        ..mingying_orders::NewOrder::for_patient(body.patient_id)
    };
    let order = mingying_orders::create(&app.db, &permit, new).await?;
    Ok((StatusCode::CREATED, Json(views::one(&app, permit.scope(), order).await?)))
}

/// One order.
#[utoipa::path(get, path = "/orders/{id}", tag = "orders", params(("id" = String, Path)), responses(
    (status = 200, body = Order), (status = 404, description = "No such order")))]
async fn get_order(
    Allowed(permit): Allowed<ReadOrders>,
    State(app): State<App>,
    ApiPath(id): ApiPath<OrderId>,
) -> ApiResult<Json<Order>> {
    let order = mingying_orders::load(&app.db, &permit, id).await?;
    Ok(Json(views::one(&app, permit.scope(), order).await?))
}

/// A clerk accepts an order in spite of what is missing.
#[utoipa::path(post, path = "/orders/{id}/accept", tag = "orders", params(("id" = String, Path)), responses(
    (status = 200, body = Order), (status = 409, description = "Not possible in this state")))]
async fn accept_order(
    Allowed(permit): Allowed<AcceptOrder>,
    State(app): State<App>,
    ApiPath(id): ApiPath<OrderId>,
) -> ApiResult<Json<Order>> {
    let order = mingying_orders::accept(&app.db, &permit, id).await?;
    Ok(Json(views::one(&app, permit.scope(), order).await?))
}

/// Sends an order back to the clinician.
#[utoipa::path(post, path = "/orders/{id}/return", tag = "orders", params(("id" = String, Path)),
    request_body = OrderReason, responses((status = 200, body = Order),
    (status = 409, description = "Not possible in this state"), (status = 422, description = "Reason missing")))]
async fn return_order(
    Allowed(permit): Allowed<AcceptOrder>,
    State(app): State<App>,
    ApiPath(id): ApiPath<OrderId>,
    ApiJson(body): ApiJson<OrderReason>,
) -> ApiResult<Json<Order>> {
    let order = mingying_orders::return_order(&app.db, &permit, id, &body.reason).await?;
    Ok(Json(views::one(&app, permit.scope(), order).await?))
}

/// Cancels an exam before it begins; calendar and queue let it go.
#[utoipa::path(post, path = "/orders/{id}/cancel", tag = "orders", params(("id" = String, Path)),
    request_body = OrderReason, responses((status = 200, body = Order),
    (status = 409, description = "Not possible in this state"), (status = 422, description = "Reason missing")))]
async fn cancel_order(
    Allowed(permit): Allowed<CancelOrder>,
    State(app): State<App>,
    ApiPath(id): ApiPath<OrderId>,
    ApiJson(body): ApiJson<OrderReason>,
) -> ApiResult<Json<Order>> {
    let mut tx = app.db.begin().await?;
    mingying_flow::withdraw(&mut tx, &permit, id, &body.reason).await?;
    tx.commit().await?;
    let found = mingying_orders::load_many(&app.db, permit.scope(), &[id]).await?;
    let order = found.into_iter().next().ok_or_else(ApiError::not_found)?;
    Ok(Json(views::one(&app, permit.scope(), order).await?))
}
