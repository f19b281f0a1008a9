//! Extractors that fail as problem+json and never repeat what was sent: it may be patient data.

use crate::{ApiError, App};
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Json, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use mingying_kernel::ErrorKind;
use serde::de::DeserializeOwned;

/// A JSON body; 422 `request.json` with `params.field` when a field is missing or unknown.
pub struct ApiJson<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for ApiJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        match Json::<T>::from_request(request, app).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(JsonRejection::MissingJsonContentType(_)) => {
                Err(ApiError::new(ErrorKind::Invalid, "request.content_type"))
            }
            Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                Err(ApiError::new(ErrorKind::TooLarge, "request.too_large"))
            }
            Err(rejection) => Err(invalid("request.json", &rejection.body_text())),
        }
    }
}

/// Query parameters; 422 `request.query`.
pub struct ApiQuery<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for ApiQuery<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(invalid("request.query", &rejection.body_text())),
        }
    }
}

/// Path parameters. A path that does not parse names nothing: 404.
pub struct ApiPath<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for ApiPath<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(_) => Err(ApiError::not_found()),
        }
    }
}

/// Keeps the field's name out of serde's message, which names fields of our own types in back-quotes.
fn invalid(code: &'static str, message: &str) -> ApiError {
    let error = ApiError::new(ErrorKind::Invalid, code);
    for marker in ["missing field `", "unknown field `"] {
        if let Some((_, rest)) = message.split_once(marker)
            && let Some((field, _)) = rest.split_once('`')
            && field.len() <= 64
        {
            return error.with("field", field);
        }
    }
    error
}
