//! Signing in and out, the own password, the own second factor.

use crate::auth::COOKIE;
use crate::{Allowed, ApiError, ApiJson, ApiResult, App, CurrentSession, PeerAddr, qr_svg};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use mingying_access::{SignIn, SignedIn, UseOwnSession, actions_of};
use mingying_kernel::Role;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(sign_in, read_session, sign_out))
        .routes(routes!(change_own_password))
        .routes(routes!(enrol_second_factor, remove_second_factor))
        .routes(routes!(confirm_second_factor))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Credentials {
    username: String,
    password: String,
    /// The second factor's six digits; asked for with `login.code_required`.
    code: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct SessionUser {
    id: String,
    username: String,
    name: String,
    roles: Vec<&'static str>,
    org_id: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct Session {
    user: SessionUser,
    /// To be sent back in `x-csrf-token` with everything but reads.
    csrf: String,
    /// RFC 3339.
    expires_at: String,
    /// What the roles allow. Only `session.self` while a required second factor is missing.
    actions: Vec<&'static str>,
    /// The installation holds demonstration data.
    demo: bool,
    /// The account has a second factor.
    second_factor: bool,
    /// The account must enrol a second factor before it may do anything else.
    must_enrol: bool,
}

fn session_of(app: &App, signed_in: &SignedIn) -> Session {
    let user = &signed_in.user;
    let actions = if signed_in.must_enrol { vec!["session.self"] } else { actions_of(&user.roles) };
    Session {
        user: SessionUser {
            id: user.id.to_string(),
            username: user.username.clone(),
            name: user.name.clone(),
            roles: user.roles.iter().copied().map(Role::as_str).collect(),
            org_id: user.org.map(|org| org.to_string()),
        },
        csrf: signed_in.csrf.clone(),
        expires_at: signed_in.expires_at.to_rfc3339(),
        actions,
        demo: app.settings.demo,
        second_factor: user.second_factor,
        must_enrol: signed_in.must_enrol,
    }
}

fn cookie(app: &App, token: &str, seconds: u64) -> ApiResult<HeaderValue> {
    let secure = if app.settings.tls { "; Secure" } else { "" };
    HeaderValue::from_str(&format!("{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}"))
        .map_err(|_| ApiError::internal())
}

/// Signs in: 401 `login.failed` or `login.code_required`, 429 `login.throttled`.
#[utoipa::path(post, path = "/session", request_body = Credentials, responses((status = 200, body = Session)))]
async fn sign_in(
    State(app): State<App>,
    PeerAddr(address): PeerAddr,
    ApiJson(body): ApiJson<Credentials>,
) -> ApiResult<Response> {
    let address = address.to_string();
    let request =
        SignIn { username: &body.username, password: &body.password, code: body.code.as_deref(), address: &address };
    let new = app.access.sign_in(request).await?;
    let age = app.access.settings().session_absolute.as_secs();
    let set = cookie(&app, &new.token, age)?;
    Ok(([(header::SET_COOKIE, set)], Json(session_of(&app, &new.signed_in))).into_response())
}

/// The session of this cookie.
#[utoipa::path(get, path = "/session", responses((status = 200, body = Session)))]
async fn read_session(
    _: Allowed<UseOwnSession>,
    CurrentSession(signed_in): CurrentSession,
    State(app): State<App>,
) -> ApiResult<Json<Session>> {
    Ok(Json(session_of(&app, &signed_in)))
}

/// Ends the session.
#[utoipa::path(delete, path = "/session", responses((status = 204)))]
async fn sign_out(
    Allowed(permit): Allowed<UseOwnSession>,
    CurrentSession(signed_in): CurrentSession,
    State(app): State<App>,
) -> ApiResult<Response> {
    app.access.sign_out(permit.ctx(), signed_in.session).await?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie(&app, "", 0)?)]).into_response())
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangePassword {
    old: String,
    new: String,
}

/// Changes the own password; other sessions of the account end.
#[utoipa::path(put, path = "/session/password", request_body = ChangePassword, responses((status = 204)))]
async fn change_own_password(
    Allowed(permit): Allowed<UseOwnSession>,
    CurrentSession(signed_in): CurrentSession,
    State(app): State<App>,
    ApiJson(body): ApiJson<ChangePassword>,
) -> ApiResult<StatusCode> {
    app.access.change_own_password(&permit, &signed_in, &body.old, &body.new).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Serialize, ToSchema)]
struct SecondFactor {
    /// Base32, for typing; shown only now.
    secret: String,
    /// `otpauth://…`
    uri: String,
    /// The URI as a QR code, SVG.
    qr_svg: String,
}

/// Begins enrolling a second factor; it counts after its first code is confirmed.
#[utoipa::path(post, path = "/session/second-factor", responses((status = 200, body = SecondFactor)))]
async fn enrol_second_factor(
    Allowed(permit): Allowed<UseOwnSession>,
    CurrentSession(signed_in): CurrentSession,
    State(app): State<App>,
) -> ApiResult<Json<SecondFactor>> {
    let enrolment = app.access.enrol_factor(&permit, &signed_in).await?;
    let qr_svg = qr_svg(&enrolment.uri)?;
    Ok(Json(SecondFactor { secret: enrolment.secret, uri: enrolment.uri, qr_svg }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FactorCode {
    code: String,
}

/// Confirms the new second factor by its current code.
#[utoipa::path(post, path = "/session/second-factor/confirm", request_body = FactorCode,
    responses((status = 204)))]
async fn confirm_second_factor(
    Allowed(permit): Allowed<UseOwnSession>,
    CurrentSession(signed_in): CurrentSession,
    State(app): State<App>,
    ApiJson(body): ApiJson<FactorCode>,
) -> ApiResult<StatusCode> {
    app.access.confirm_factor(&permit, &signed_in, &body.code).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes the own second factor, where it is not required.
#[utoipa::path(delete, path = "/session/second-factor", responses((status = 204)))]
async fn remove_second_factor(
    Allowed(permit): Allowed<UseOwnSession>,
    CurrentSession(signed_in): CurrentSession,
    State(app): State<App>,
) -> ApiResult<StatusCode> {
    app.access.remove_factor(&permit, &signed_in).await?;
    Ok(StatusCode::NO_CONTENT)
}
