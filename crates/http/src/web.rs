//! The web client, embedded at build time from `web/dist`.

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "../../web/dist"]
struct Dist;

/// Names with a content hash never change meaning; everything else is asked for again.
fn caching(path: &str) -> &'static str {
    if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" }
}

/// A file of the client, or its entry page for the paths that the client itself routes.
pub(crate) async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let path = uri.path().trim_start_matches('/');
    if let Some(response) = file(path, &headers) {
        return response;
    }
    // A missing asset must not be answered with a page; a path with an extension is a file.
    let last = path.rsplit('/').next().unwrap_or_default();
    if path.starts_with("assets/") || path.starts_with("api/") || last.contains('.') {
        return StatusCode::NOT_FOUND.into_response();
    }
    file("index.html", &headers).unwrap_or_else(|| StatusCode::NOT_FOUND.into_response())
}

fn file(path: &str, headers: &HeaderMap) -> Option<Response> {
    let found = Dist::get(path)?;
    let etag = format!("\"{}\"", hex(&found.metadata.sha256_hash()));
    let mut answer = HeaderMap::new();
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching(path)));
    if let Ok(value) = HeaderValue::from_str(&etag) {
        answer.insert(header::ETAG, value);
    }
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if known.is_some_and(|list| list.split(',').any(|tag| tag.trim() == etag)) {
        return Some((StatusCode::NOT_MODIFIED, answer).into_response());
    }
    if let Ok(value) = HeaderValue::from_str(found.metadata.mimetype()) {
        answer.insert(header::CONTENT_TYPE, value);
    }
    Some((answer, found.data.into_owned()).into_response())
}

fn hex(hash: &[u8]) -> String {
    use std::fmt::Write as _;
    hash.iter().take(16).fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
