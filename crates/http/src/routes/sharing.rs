//! Patient links: made and ended by staff; opened by the patient under `/p/{token}` without an account.

use super::reporting::pdf;
use crate::auth::cookie;
use crate::paper::report_document;
use crate::{Allowed, ApiError, ApiJson, ApiPath, ApiQuery, ApiResult, App, PeerAddr};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::civil::Date;
use mingying_dicom::render::{Format, View, Window, WindowFunction, render};
use mingying_kernel::{OrderId, ShareId};
use mingying_sharing::{CreateShare, ReadShares, RevokeShare, SESSION, ShareError};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create_share, list_shares))
        .routes(routes!(revoke_share))
        .routes(routes!(unlock_share))
        .routes(routes!(view_share))
        .routes(routes!(share_pdf))
        .routes(routes!(share_image))
}

const COOKIE: &str = "mingying_share";

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateShareRequest {
    /// 1 to 365.
    valid_days: u32,
    /// The link shows the images too.
    images: bool,
}

#[derive(Serialize, ToSchema)]
struct NewShare {
    id: String,
    /// Shown once: only a hash of its token is kept.
    url: String,
    /// QR code of the address.
    qr_svg: String,
    expires_at: String,
}

/// Makes a link. 409 `share.no_identity` when nothing is known that could unlock it.
#[utoipa::path(post, path = "/orders/{id}/shares", params(("id" = String, Path)), request_body = CreateShareRequest,
    responses((status = 201, body = NewShare)))]
async fn create_share(
    Allowed(permit): Allowed<CreateShare>,
    State(app): State<App>,
    ApiPath(id): ApiPath<OrderId>,
    ApiJson(body): ApiJson<CreateShareRequest>,
) -> ApiResult<(StatusCode, Json<NewShare>)> {
    let new = mingying_sharing::NewShare { valid_days: body.valid_days, images: body.images };
    let made = mingying_sharing::create(&app.db, &permit, id, new).await?;
    let url = url_of(&app, &made.token);
    let answer = NewShare {
        id: made.share.id.to_string(),
        qr_svg: mingying_print::qr_svg(&url)?,
        url,
        expires_at: made.share.expires_at.to_rfc3339(),
    };
    Ok((StatusCode::CREATED, Json(answer)))
}

fn url_of(app: &App, token: &str) -> String {
    format!("{}/p/{token}", app.settings.public_url)
}

#[derive(Serialize, ToSchema)]
struct Share {
    id: String,
    created_at: String,
    created_by: String,
    expires_at: String,
    /// `active`, `expired`, `revoked`
    state: &'static str,
    opens: u32,
    last_opened_at: Option<String>,
    images: bool,
}

/// The links of an order, newest first.
#[utoipa::path(get, path = "/orders/{id}/shares", params(("id" = String, Path)),
    responses((status = 200, body = Vec<Share>)))]
async fn list_shares(
    Allowed(permit): Allowed<ReadShares>,
    State(app): State<App>,
    ApiPath(id): ApiPath<OrderId>,
) -> ApiResult<Json<Vec<Share>>> {
    let now = permit.now();
    let shares = mingying_sharing::shares_of(&app.db, &permit, id).await?;
    Ok(Json(
        shares
            .into_iter()
            .map(|share| Share {
                id: share.id.to_string(),
                state: share.state(now).as_str(),
                created_at: share.created_at.to_rfc3339(),
                created_by: share.created_by,
                expires_at: share.expires_at.to_rfc3339(),
                opens: share.opens,
                last_opened_at: share.last_opened_at.map(mingying_kernel::Timestamp::to_rfc3339),
                images: share.images,
            })
            .collect(),
    ))
}

/// Ends a link; a page that is open through it ends at its next request.
#[utoipa::path(delete, path = "/shares/{id}", params(("id" = String, Path)), responses((status = 204)))]
async fn revoke_share(
    Allowed(permit): Allowed<RevokeShare>,
    State(app): State<App>,
    ApiPath(id): ApiPath<ShareId>,
) -> ApiResult<StatusCode> {
    mingying_sharing::revoke(&app.db, &permit, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UnlockShare {
    /// `YYYY-MM-DD`
    birth_date: String,
    /// Last four of the phone number or of a document.
    last4: String,
}

/// Unlocks a link: 403 `share.mismatch`, 404, 410 `share.expired` or `share.revoked`, 429 `share.throttled`.
#[utoipa::path(post, path = "/p/{token}/unlock", params(("token" = String, Path)), request_body = UnlockShare,
    responses((status = 204)), security(()))]
async fn unlock_share(
    PeerAddr(address): PeerAddr,
    State(app): State<App>,
    ApiPath(token): ApiPath<String>,
    ApiJson(body): ApiJson<UnlockShare>,
) -> ApiResult<Response> {
    let birth: Date = body.birth_date.trim().parse().map_err(|_| ApiError::invalid("birth_date"))?;
    let address = address.to_string();
    let opened = mingying_sharing::open(&app.db, &app.access, &token, birth, &body.last4, &address).await?;
    // Only this link's own addresses get the cookie back.
    let secure = if app.settings.tls { "; Secure" } else { "" };
    let text = format!(
        "{COOKIE}={}; Path=/api/v1/p/{token}; Max-Age={}; HttpOnly; SameSite=Strict{secure}",
        opened.cookie,
        SESSION.as_secs()
    );
    let value = HeaderValue::from_str(&text).map_err(|_| ApiError::internal())?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, value)]).into_response())
}

#[derive(Serialize, ToSchema)]
struct PatientView {
    hospital: String,
    hospital_en: String,
    masked_name: String,
    item_name: String,
    item_name_en: String,
    exam_date: String,
    /// State of the exam.
    state: &'static str,
    /// Empty until the report is signed.
    findings: String,
    impression: String,
    advice: String,
    signed_by: Option<String>,
    signed_at: Option<String>,
    expires_at: String,
    images: bool,
    series: Vec<PatientSeries>,
}

#[derive(Serialize, ToSchema)]
struct PatientSeries {
    series_uid: String,
    description: String,
    modality: String,
    images: i64,
}

async fn unlocked(app: &App, token: &str, headers: &HeaderMap) -> ApiResult<mingying_sharing::Share> {
    Ok(mingying_sharing::session(&app.db, &app.access, token, cookie(headers, COOKIE)).await?)
}

/// The patient's page: 401 `share.locked` until it is unlocked.
#[utoipa::path(get, path = "/p/{token}", params(("token" = String, Path)), responses((status = 200, body = PatientView)),
    security(()))]
async fn view_share(
    State(app): State<App>,
    ApiPath(token): ApiPath<String>,
    headers: HeaderMap,
) -> ApiResult<Json<PatientView>> {
    let share = unlocked(&app, &token, &headers).await?;
    let view = mingying_sharing::report_view(&app.db, &app.archive, &app.access, &share).await?;
    let (item_name, item_name_en) = view.order.title();
    let signed = view.content.as_ref().and_then(|content| content.auditor.clone());
    let text = view.content.map(|content| content.text).unwrap_or_default();
    let examined = view.order.imaged_at.or(view.order.started_at).unwrap_or(view.order.created_at);
    Ok(Json(PatientView {
        hospital: view.hospital,
        hospital_en: view.hospital_en,
        masked_name: view.masked_name,
        item_name,
        item_name_en,
        exam_date: examined.to_rfc3339(),
        state: view.order.state.as_str(),
        findings: text.findings,
        impression: text.impression,
        advice: text.advice,
        signed_by: signed.as_ref().map(|(author, _)| author.name.clone()),
        signed_at: signed.map(|(_, at)| at.to_rfc3339()),
        expires_at: share.expires_at.to_rfc3339(),
        images: view.images,
        series: view
            .series
            .into_iter()
            .map(|series| PatientSeries {
                series_uid: series.series_uid,
                description: series.description,
                modality: series.modality,
                images: series.images,
            })
            .collect(),
    }))
}

/// The signed report as PDF, with the link's own code on it. 404 until it is signed.
#[utoipa::path(get, path = "/p/{token}/report.pdf", params(("token" = String, Path)),
    responses((status = 200, content_type = "application/pdf", body = Vec<u8>)), security(()))]
async fn share_pdf(State(app): State<App>, ApiPath(token): ApiPath<String>, headers: HeaderMap) -> ApiResult<Response> {
    let share = unlocked(&app, &token, &headers).await?;
    let content = mingying_sharing::report_content(&app.db, &app.access, &share).await?;
    let content = content.ok_or(ShareError::NotFound)?;
    let document = report_document(&app.db, &content, Some(url_of(&app, &token))).await?;
    pdf(app.printer.report_pdf(&document).await?, &document.accession)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ImageQuery {
    /// Window centre and width in output units; the image's own when absent.
    wc: Option<f64>,
    ww: Option<f64>,
}

/// Longest side of a picture for a phone, pixels.
const PHONE_SIZE: u32 = 1024;
const QUALITY: u8 = 85;

/// One image of a series as JPEG; `index` counts from 0 and ends in `.jpg`.
#[utoipa::path(get, path = "/p/{token}/series/{series_uid}/{index}",
    params(("token" = String, Path), ("series_uid" = String, Path), ("index" = String, Path), ImageQuery),
    responses((status = 200, content_type = "image/jpeg", body = Vec<u8>)), security(()))]
async fn share_image(
    State(app): State<App>,
    ApiPath((token, series_uid, index)): ApiPath<(String, String, String)>,
    ApiQuery(query): ApiQuery<ImageQuery>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let share = unlocked(&app, &token, &headers).await?;
    let index: u32 = index.strip_suffix(".jpg").and_then(|n| n.parse().ok()).ok_or_else(ApiError::not_found)?;
    let place = mingying_sharing::frame(&app.db, &app.archive, &app.access, &share, &series_uid, index).await?;
    let header_of = app.archive.header(&place.instance).await?;
    let frame = app.archive.frame_bytes(&place.instance, place.frame).await?;
    let window = match (query.wc, query.ww) {
        (Some(center), Some(width)) if center.is_finite() && width.is_finite() => {
            Some(Window { center, width, function: WindowFunction::Linear })
        }
        _ => None,
    };
    let view = View { window, size: Some((PHONE_SIZE, PHONE_SIZE)), ..View::default() };
    let syntax = place.instance.transfer_syntax.clone();
    let jpeg = tokio::task::spawn_blocking(move || {
        render(&header_of, &syntax, &frame, place.frame, &view, Format::Jpeg(QUALITY))
    })
    .await
    .map_err(|_| ApiError::internal())??;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("image/jpeg")),
        // The phone may keep it while the page is open; nobody between may.
        (header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=600")),
    ];
    Ok((headers, jpeg).into_response())
}
