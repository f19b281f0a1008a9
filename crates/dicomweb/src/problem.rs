//! Errors as problem+json (RFC 9457), the same shape as the REST interface.

use crate::Refused;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use mingying_archive::ArchiveError;
use mingying_dicom::render::RenderError;
use mingying_kernel::{Coded, ErrorKind};

/// A refusal or failure: status, stable code, parameters without patient data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub status: StatusCode,
    pub code: &'static str,
    pub params: Vec<(&'static str, String)>,
}

impl Problem {
    pub fn new(status: StatusCode, code: &'static str) -> Self {
        Self { status, code, params: Vec::new() }
    }

    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.params.push((name, value.into()));
        self
    }

    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found")
    }

    pub(crate) fn not_acceptable() -> Self {
        Self::new(StatusCode::NOT_ACCEPTABLE, "dicomweb.not_acceptable")
    }

    pub(crate) fn invalid(field: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "dicomweb.invalid").with("field", field)
    }
}

fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Invalid => StatusCode::BAD_REQUEST,
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::Gone => StatusCode::GONE,
        ErrorKind::TooMany => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::Unsupported => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ErrorKind::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        Self::new(refused.status, refused.code)
    }
}

impl From<ArchiveError> for Problem {
    fn from(error: ArchiveError) -> Self {
        if error.kind() == ErrorKind::Internal {
            tracing::error!(code = error.code(), %error, "dicomweb request failed");
        }
        Self { status: status(error.kind()), code: error.code(), params: error.params() }
    }
}

impl From<RenderError> for Problem {
    fn from(error: RenderError) -> Self {
        let status = match error {
            // The object cannot be shown in the form asked for (PS3.18 8.7.3).
            RenderError::UnsupportedSyntax(_) | RenderError::Unsupported(_) => StatusCode::NOT_ACCEPTABLE,
            RenderError::NoPixels => StatusCode::NOT_FOUND,
            RenderError::Busy => StatusCode::SERVICE_UNAVAILABLE,
            RenderError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            RenderError::Damaged(_) => StatusCode::UNPROCESSABLE_ENTITY,
            RenderError::Encode => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self { status, code: error.code(), params: error.params() }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let params: serde_json::Map<String, serde_json::Value> =
            self.params.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        let body = serde_json::json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or_default(),
            "status": self.status.as_u16(),
            "code": self.code,
            "params": params,
        });
        let mut response = (self.status, body.to_string()).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}

pub(crate) async fn unknown_path() -> Problem {
    Problem::not_found()
}
