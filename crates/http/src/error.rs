//! Errors as problem+json (RFC 9457). The client translates `code`; no sentence of ours reaches a person.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use mingying_kernel::{Coded, ErrorKind};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

pub type ApiResult<T> = Result<T, ApiError>;

/// An error on its way out.
#[derive(Debug)]
pub struct ApiError {
    pub kind: ErrorKind,
    pub code: &'static str,
    pub params: Vec<(&'static str, String)>,
}

/// The body of every error answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The status in words.
    pub title: &'static str,
    pub status: u16,
    /// Stable; what clients translate and decide by.
    pub code: &'static str,
    /// Values for the translated sentence. Never patient data.
    pub params: BTreeMap<&'static str, String>,
}

impl ApiError {
    pub fn new(kind: ErrorKind, code: &'static str) -> Self {
        Self { kind, code, params: Vec::new() }
    }

    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.params.push((name, value.to_string()));
        self
    }

    /// 422 for one field of the request.
    pub fn invalid(field: &'static str) -> Self {
        Self::new(ErrorKind::Invalid, "invalid").with("field", field)
    }

    pub fn not_found() -> Self {
        Self::new(ErrorKind::NotFound, "not_found")
    }

    pub fn internal() -> Self {
        Self::new(ErrorKind::Internal, "internal")
    }

    pub fn status(&self) -> StatusCode {
        status_of(self.kind)
    }
}

/// The one place where kinds become HTTP statuses.
pub(crate) fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::Gone => StatusCode::GONE,
        ErrorKind::TooMany => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::Unsupported => StatusCode::NOT_IMPLEMENTED,
        ErrorKind::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl<E: Coded> From<E> for ApiError {
    fn from(error: E) -> Self {
        if matches!(error.kind(), ErrorKind::Internal | ErrorKind::Unavailable | ErrorKind::StorageFull) {
            tracing::error!(code = error.code(), error = %error, "request failed");
        }
        Self { kind: error.kind(), code: error.code(), params: error.params() }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        let retry = self.params.iter().find(|(name, _)| *name == "retry_seconds").map(|(_, value)| value.clone());
        let problem = Problem {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            code: self.code,
            params: self.params.into_iter().collect(),
        };
        let mut response = (status, axum::Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(value) = retry.and_then(|text| HeaderValue::from_str(&text).ok()) {
            headers.insert(header::RETRY_AFTER, value);
        } else if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
