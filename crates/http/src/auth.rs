//! Who asks, and whether they may. Two gates, so that neither can be forgotten:
//!
//! 1. [`authenticate`] runs before every route under `/api/v1` and `/dicom-web`: without a valid session or token the
//!    answer is 401, except for the few routes in [`is_public`].
//! 2. A handler under these paths that answers without having asked for a permission ([`Allowed`]) is a fault of ours:
//!    the answer is withheld and becomes 500.

use crate::{ApiError, App};
use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use mingying_access::{Access, SignedIn};
use mingying_kernel::{Action, Ctx, ErrorKind, Permit};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) const COOKIE: &str = "mingying_session";
const CSRF_HEADER: &str = "x-csrf-token";

/// Who sends this request; set by [`authenticate`].
#[derive(Clone)]
struct Identity {
    ctx: Ctx,
    signed_in: Option<Arc<SignedIn>>,
    /// Whether the handler asked for a permission.
    checked: Arc<AtomicBool>,
}

/// The permission to do `A`. Put it first among a handler's arguments: it refuses before the body is read.
/// 401 without a sign-in, 403 when the role does not allow the action.
pub struct Allowed<A: Action>(pub Permit<A>);

impl<A: Action> FromRequestParts<App> for Allowed<A> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let identity = parts.extensions.get::<Identity>().ok_or_else(not_signed_in)?;
        identity.checked.store(true, Ordering::Relaxed);
        match identity.ctx.permit::<A>() {
            Ok(permit) => Ok(Self(permit)),
            Err(denied) => {
                mingying_access::audit_denied(&app.db, &identity.ctx, A::NAME, "http").await?;
                Err(denied.into())
            }
        }
    }
}

/// Who sent this request, for transports mounted beside these routes that ask for permissions themselves. `None` when
/// nobody was recognised.
pub fn caller(parts: &Parts) -> Option<Ctx> {
    let identity = parts.extensions.get::<Identity>()?;
    identity.checked.store(true, Ordering::Relaxed);
    Some(identity.ctx.clone())
}

/// The session behind the cookie, for routes about the session itself; 401 for bearer tokens.
pub struct CurrentSession(pub Arc<SignedIn>);

impl FromRequestParts<App> for CurrentSession {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        parts
            .extensions
            .get::<Identity>()
            .and_then(|identity| identity.signed_in.clone())
            .map(Self)
            .ok_or_else(not_signed_in)
    }
}

/// The address of the network peer, or of the client named by a proxy on this machine.
#[derive(Debug, Clone, Copy)]
pub struct PeerAddr(pub IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for PeerAddr {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(peer_of(parts.extensions.get::<ConnectInfo<SocketAddr>>(), &parts.headers)))
    }
}

fn peer_of(info: Option<&ConnectInfo<SocketAddr>>, headers: &HeaderMap) -> IpAddr {
    let direct = info.map_or(IpAddr::from([0, 0, 0, 0]), |ConnectInfo(addr)| addr.ip());
    // Only a proxy on this machine is believed; anybody else could write the header.
    if direct.is_loopback()
        && let Some(named) = headers.get("x-forwarded-for").and_then(|value| value.to_str().ok())
        && let Some(address) = named.rsplit(',').next().and_then(|text| text.trim().parse().ok())
    {
        return address;
    }
    direct
}

fn not_signed_in() -> ApiError {
    ApiError::new(ErrorKind::Unauthenticated, "login.required")
}

/// The routes that answer without a sign-in: signing in, and what a patient's link opens (its token is the proof).
fn is_public(method: &Method, path: &str) -> bool {
    (path == "/api/v1/session" && method == Method::POST) || path.starts_with("/api/v1/p/")
}

fn is_protected(path: &str) -> bool {
    ["/api/v1", "/dicom-web", "/fhir"]
        .iter()
        .any(|prefix| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Bearer token first, then cookie; a cookie needs the CSRF header with everything but reads.
async fn identify(app: &App, method: &Method, headers: &HeaderMap) -> Result<Identity, ApiError> {
    let checked = Arc::new(AtomicBool::new(false));
    if let Some(token) = bearer(headers) {
        let actor = app.access.bearer(token).await?;
        let source = format!("API {}", actor.name);
        return Ok(Identity { ctx: app.access.ctx(actor, &source), signed_in: None, checked });
    }
    let token = cookie(headers, COOKIE).ok_or_else(not_signed_in)?;
    let signed_in = app.access.session(token).await?;
    if !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        let presented = headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !Access::csrf_fits(&signed_in, presented) {
            return Err(ApiError::new(ErrorKind::Forbidden, "auth.csrf"));
        }
    }
    let ctx = app.access.ctx_of(&signed_in, "web");
    Ok(Identity { ctx, signed_in: Some(signed_in), checked })
}

/// The gate in front of all routes.
pub(crate) async fn authenticate(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if !is_protected(path) || is_public(request.method(), path) {
        return next.run(request).await;
    }
    let identity = match identify(&app, request.method(), request.headers()).await {
        Ok(identity) => identity,
        Err(error) => return error.into_response(),
    };
    let checked = identity.checked.clone();
    request.extensions_mut().insert(identity);
    let method = request.method().clone();
    let response = next.run(request).await;
    if response.status().as_u16() < 400 && !checked.load(Ordering::Relaxed) {
        tracing::error!(%method, "a route answered without asking for a permission");
        return ApiError::new(ErrorKind::Internal, "internal.unchecked_route").into_response();
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn paths_are_closed_by_default() {
        for path in ["/api/v1", "/api/v1/orders", "/api/v1/anything/new", "/dicom-web/studies", "/fhir/R4/Patient"] {
            assert!(is_protected(path), "{path}");
        }
        for path in ["/", "/health/live", "/api/openapi.json", "/api/v1x", "/p/abc", "/assets/x.js"] {
            assert!(!is_protected(path), "{path}");
        }
        assert!(is_public(&Method::POST, "/api/v1/session"));
        assert!(!is_public(&Method::GET, "/api/v1/session"));
        assert!(!is_public(&Method::POST, "/api/v1/session/second-factor"));
        assert!(is_public(&Method::GET, "/api/v1/p/abc") && !is_public(&Method::GET, "/api/v1/patients"));
    }

    #[test]
    fn cookies_and_tokens_are_found() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=1; mingying_session=abc"));
        headers.append(header::AUTHORIZATION, HeaderValue::from_static("bearer  xyz"));
        assert_eq!(cookie(&headers, COOKIE), Some("abc"));
        assert_eq!(cookie(&headers, "session"), None);
        assert_eq!(bearer(&headers), Some("xyz"));
    }

    #[test]
    fn only_a_local_proxy_names_clients() {
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", HeaderValue::from_static("6.6.6.6, 192.0.2.7"));
        let far = ConnectInfo(SocketAddr::from(([203, 0, 113, 5], 1)));
        let near = ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 1)));
        assert_eq!(peer_of(Some(&far), &headers), IpAddr::from([203, 0, 113, 5]));
        assert_eq!(peer_of(Some(&near), &headers), IpAddr::from([192, 0, 2, 7]));
    }

    async fn app(dir: &std::path::Path, db: mingying_db::Db) -> App {
        use mingying_kernel::{AeTitle, OrgId, SharedClock};
        let clock: SharedClock = mingying_testkit::clock();
        let blobs = mingying_blob::Blobs::open(&dir.join("blobs"), mingying_blob::Settings::default()).unwrap();
        let settings = mingying_archive::Settings::new(OrgId::new());
        let archive = mingying_archive::Archive::open(db.clone(), blobs, clock.clone(), settings).await.unwrap();
        let key = mingying_access::SecretKey::from_bytes(&[1; 32]).unwrap();
        let access = Access::new(db.clone(), clock.clone(), key, mingying_access::Settings::default());
        let title = AeTitle::parse("MINGYING").unwrap();
        let settings = crate::Settings::new("http://localhost", title, jiff::tz::TimeZone::UTC, clock.now());
        App {
            db,
            clock,
            access,
            archive,
            printer: mingying_print::Printer::new([]),
            settings: Arc::new(settings),
            live: crate::Live::new(tokio_util::sync::CancellationToken::new()),
            chain: mingying_access::ChainWatch::default(),
            metrics: crate::Metrics::default(),
        }
    }

    /// Somebody writes a route and forgets to ask for a permission.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_route_that_asks_for_nothing_answers_nobody() {
        use axum::body::Body;
        use axum::routing::get;
        use mingying_access::{ManageUsers, NewToken, ReadStatus};
        use mingying_kernel::Role;
        use tower::ServiceExt as _;

        let test = mingying_testkit::sqlite().await;
        let app = app(test.dir.path(), test.db.clone()).await;
        let manage = app.access.system("test").permit::<ManageUsers>().unwrap();
        let mut tokens = Vec::new();
        for role in [Role::Machine, Role::Display] {
            let new = NewToken { name: "t".into(), subject: "t".into(), role, org: None, expires_at: None };
            tokens.push(app.access.create_token(&manage, new).await.unwrap().token);
        }
        let router = axum::Router::new()
            .route("/api/v1/forgotten", get(|| async { "patient data" }))
            .route("/api/v1/asked", get(|_: Allowed<ReadStatus>| async { "status" }))
            .layer(axum::middleware::from_fn_with_state(app.clone(), authenticate))
            .with_state(app);
        let call = async |path: &str, token: Option<&str>| {
            let mut request = Request::builder().uri(path);
            if let Some(token) = token {
                request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
            }
            router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status().as_u16()
        };
        let (machine, display) = (Some(tokens[0].as_str()), Some(tokens[1].as_str()));
        assert_eq!(call("/api/v1/asked", machine).await, 200);
        assert_eq!(call("/api/v1/asked", display).await, 403);
        assert_eq!(call("/api/v1/asked", None).await, 401);
        assert_eq!(call("/api/v1/asked", Some("my_wrong")).await, 401);
        assert_eq!(call("/api/v1/forgotten", machine).await, 500);
        assert_eq!(call("/api/v1/forgotten", None).await, 401);
    }
}
