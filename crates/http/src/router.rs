//! Puts routes, gates and layers together.

use crate::{App, auth, health, openapi, web};
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tower_http::timeout::TimeoutLayer;

/// Scripts and workers come from here only. Image codecs are WebAssembly and may be compiled, but nothing else is
/// evaluated; workers and images may also be made by the page itself.
const CSP: &str = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; \
     style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' blob:; \
     media-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-src 'self' blob:; \
     frame-ancestors 'self'";

/// The whole HTTP side. `dicomweb` is mounted at `/dicom-web`, behind the same gate.
pub fn router(app: App, dicomweb: axum::Router) -> axum::Router {
    let (api, _) = openapi::split();
    let api = api
        .layer(DefaultBodyLimit::max(app.settings.body_limit))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, app.settings.request_timeout));
    axum::Router::new()
        .merge(api)
        .nest_service("/dicom-web", dicomweb)
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/api/openapi.json", get(openapi::json))
        .route("/api/docs", get(openapi::docs))
        .route("/api/docs.js", get(openapi::docs_script))
        .fallback(web::serve)
        .layer(middleware::from_fn_with_state(app.clone(), auth::authenticate))
        .layer(CompressionLayer::new().gzip(true).compress_when(compressible()))
        .layer(middleware::from_fn_with_state(app.clone(), secure))
        .layer(middleware::from_fn_with_state(app.clone(), observe))
        .layer(CatchPanicLayer::new())
        .with_state(app)
}

/// Pixels are compressed already, and events must leave at once.
fn compressible() -> impl Predicate {
    SizeAbove::new(860)
        .and(NotForContentType::IMAGES)
        .and(NotForContentType::SSE)
        .and(NotForContentType::const_new("application/octet-stream"))
        // Not DICOM JSON, which shares the beginning of the name.
        .and(NotForContentType::const_new("application/dicom;"))
        .and(NotForContentType::const_new("multipart/related"))
        .and(NotForContentType::const_new("application/pdf"))
}

/// Security headers on every answer; nothing of the API is kept by caches unless the route says so.
async fn secure(State(app): State<App>, request: Request, next: Next) -> Response {
    let api = request.uri().path().starts_with("/api/v1") || request.uri().path().starts_with("/dicom-web");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CSP));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"));
    headers.insert(
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(self), microphone=(self), geolocation=(), payment=()"),
    );
    headers.insert(HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));
    if app.settings.tls {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    if api && !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// Counts and logs by route template: a path or query may hold an identifier, a template cannot.
async fn observe(State(app): State<App>, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned();
    let started = app.clock.now();
    let response = next.run(request).await;
    let took = app.clock.now().since(started);
    let status = response.status().as_u16();
    app.metrics.request(method.as_str(), &route, status, took);
    tracing::debug!(%method, route, status, micros = took.as_micros() as u64, "request");
    response
}
