//! The HL7 message log with its error queue, and the register of result receivers.

use crate::{Allowed, ApiError, ApiJson, ApiPath, ApiQuery, ApiResult, App};
use axum::Json;
use axum::extract::State;
use mingying_hl7::Charset;
use mingying_kernel::MessageId;
use mingying_mllp::{Direction, MessageRow, MessageState, ReadMessages, Receiver, RepairMessages};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_messages))
        .routes(routes!(get_message))
        .routes(routes!(replay_message))
        .routes(routes!(list_receivers))
        .routes(routes!(put_receiver))
}

/// One message of the log, without its text.
#[derive(Debug, Serialize, ToSchema)]
pub struct Message {
    pub id: String,
    /// `in` or `out`.
    pub direction: &'static str,
    /// Sending application and facility, or the receiver's name.
    pub peer: String,
    /// `ADT^A04`
    #[serde(rename = "type")]
    pub kind: String,
    pub control_id: String,
    /// `received`, `done` or `error`.
    pub state: &'static str,
    pub error_code: Option<String>,
    /// Segment and field of the fault, never a value.
    pub error_text: Option<String>,
    pub received_at: String,
    pub attempts: u32,
    pub order_id: Option<String>,
}

/// A page of the log, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Messages {
    pub items: Vec<Message>,
    pub next: Option<String>,
}

/// One message with its text, line feeds between segments.
#[derive(Debug, Serialize, ToSchema)]
pub struct MessageDetail {
    #[serde(flatten)]
    pub message: Message,
    pub text: String,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct MessageQuery {
    /// `received`, `done` or `error`.
    pub state: Option<String>,
    /// `in` or `out`.
    pub direction: Option<String>,
    pub limit: Option<u32>,
    pub cursor: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// The corrected message; the stored one is acted on again when absent.
    #[serde(default)]
    pub text: Option<String>,
}

/// A system that gets results as ORU^R01.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResultReceiver {
    pub name: String,
    pub host: String,
    pub port: u16,
    /// MSH-5
    pub application: String,
    /// MSH-6
    pub facility: String,
    /// `UNICODE UTF-8` or `GB 18030-2000`.
    pub charset: String,
    pub tls: bool,
    pub active: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ResultReceivers {
    pub items: Vec<ResultReceiver>,
    pub next: Option<String>,
}

impl From<MessageRow> for Message {
    fn from(row: MessageRow) -> Self {
        Self {
            id: row.id.to_string(),
            direction: row.direction.as_str(),
            peer: row.peer,
            kind: row.kind,
            control_id: row.control_id,
            state: row.state.as_str(),
            error_code: row.error_code,
            error_text: row.error_at,
            received_at: row.received_at.to_rfc3339(),
            attempts: row.attempts,
            order_id: row.order.map(|id| id.to_string()),
        }
    }
}

/// The message log, newest first.
#[utoipa::path(get, path = "/messages", tag = "messages", params(MessageQuery), responses((status = 200, body = Messages)))]
async fn list_messages(
    Allowed(permit): Allowed<ReadMessages>,
    State(app): State<App>,
    ApiQuery(query): ApiQuery<MessageQuery>,
) -> ApiResult<Json<Messages>> {
    let state =
        query.state.map(|text| MessageState::from_text(&text).ok_or_else(|| ApiError::invalid("state"))).transpose()?;
    let direction = query
        .direction
        .map(|text| Direction::parse(&text).ok_or_else(|| ApiError::invalid("direction")))
        .transpose()?;
    let before =
        query.cursor.map(|text| text.parse::<MessageId>().map_err(|_| ApiError::invalid("cursor"))).transpose()?;
    let limit = query.limit.unwrap_or(50).clamp(1, 200);
    let rows = mingying_mllp::list(&app.db, &permit, state, direction, before, limit).await?;
    let next = if rows.len() == limit as usize { rows.last().map(|row| row.id.to_string()) } else { None };
    Ok(Json(Messages { items: rows.into_iter().map(Message::from).collect(), next }))
}

/// One message with its text. Reading it is audited.
#[utoipa::path(get, path = "/messages/{id}", tag = "messages", params(("id" = String, Path)), responses(
    (status = 200, body = MessageDetail),
    (status = 404, description = "No such message"),
))]
async fn get_message(
    Allowed(permit): Allowed<RepairMessages>,
    State(app): State<App>,
    ApiPath(id): ApiPath<MessageId>,
) -> ApiResult<Json<MessageDetail>> {
    let (row, text) = mingying_mllp::message_text(&app.db, &permit, id).await?;
    Ok(Json(MessageDetail { message: row.into(), text }))
}

/// Acts on a refused message again, corrected or as it is.
#[utoipa::path(post, path = "/messages/{id}/replay", tag = "messages", params(("id" = String, Path)),
    request_body = Replay, responses(
    (status = 200, body = Message),
    (status = 409, description = "Not in the error queue"),
    (status = 422, description = "Still refused; `code` and `params.location` say why"),
))]
async fn replay_message(
    Allowed(permit): Allowed<RepairMessages>,
    State(app): State<App>,
    ApiPath(id): ApiPath<MessageId>,
    ApiJson(replay): ApiJson<Replay>,
) -> ApiResult<Json<Message>> {
    Ok(Json(mingying_mllp::replay(&app.db, &permit, id, replay.text.as_deref()).await?.into()))
}

/// Who gets results.
#[utoipa::path(get, path = "/receivers", tag = "messages", responses((status = 200, body = ResultReceivers)))]
async fn list_receivers(_: Allowed<ReadMessages>, State(app): State<App>) -> ApiResult<Json<ResultReceivers>> {
    let items = mingying_mllp::receivers(&app.db)
        .await?
        .into_iter()
        .map(|r| ResultReceiver {
            name: r.name,
            host: r.host,
            port: r.port,
            application: r.application,
            facility: r.facility,
            charset: r.charset.msh18().to_owned(),
            tls: r.tls,
            active: r.active,
        })
        .collect();
    Ok(Json(ResultReceivers { items, next: None }))
}

/// Adds or changes a receiver.
#[utoipa::path(put, path = "/receivers/{name}", tag = "messages", params(("name" = String, Path)),
    request_body = ResultReceiver, responses((status = 200, body = ResultReceiver),
    (status = 422, description = "A field breaks its rule")))]
async fn put_receiver(
    Allowed(permit): Allowed<RepairMessages>,
    State(app): State<App>,
    ApiPath(name): ApiPath<String>,
    ApiJson(given): ApiJson<ResultReceiver>,
) -> ApiResult<Json<ResultReceiver>> {
    if given.name != name {
        return Err(ApiError::invalid("name"));
    }
    let charset = Charset::parse(&given.charset).ok_or_else(|| ApiError::invalid("charset"))?;
    let receiver = Receiver {
        name: given.name.clone(),
        host: given.host.clone(),
        port: given.port,
        application: given.application.clone(),
        facility: given.facility.clone(),
        charset,
        tls: given.tls,
        active: given.active,
    };
    mingying_mllp::put_receiver(&app.db, &permit, &receiver).await?;
    Ok(Json(given))
}
