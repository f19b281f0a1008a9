//! The HTTP face: REST under `/api/v1`, the web client, health, metrics, live events.
//!
//! A route states what it needs by its first argument, [`Allowed<A>`]: who asks is known from the session cookie or the
//! bearer token before any handler runs, and nothing under `/api/v1` or `/dicom-web` answers anybody else
//! (the gate in `auth`). Rules live in the domains; a handler translates JSON to a use case and an error to problem+json
//! ([`ApiError`]).

mod app;
mod auth;
mod error;
mod extract;
mod health;
mod live;
mod metrics;
mod openapi;
pub mod paper;
mod router;
pub mod routes;
mod web;

pub use app::{App, Settings};
pub use auth::{Allowed, CurrentSession, PeerAddr, caller};
pub use error::{ApiError, ApiResult, Problem};
pub use extract::{ApiJson, ApiPath, ApiQuery};
pub use live::{Change, Live};
pub use metrics::Metrics;
pub use openapi::document;
pub use router::router;

use serde::Serialize;
use utoipa::ToSchema;

/// A page of a list: `next` is the cursor of the following page.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// A list that has no further page.
    pub fn whole(items: Vec<T>) -> Self {
        Self { items, next: None }
    }
}

/// `image/svg+xml` of a QR code for `text`.
pub fn qr_svg(text: &str) -> ApiResult<String> {
    let code = qrcode::QrCode::new(text.as_bytes()).map_err(|_| ApiError::internal())?;
    Ok(code.render::<qrcode::render::svg::Color>().min_dimensions(200, 200).quiet_zone(true).build())
}
