//! DICOMweb (PS3.18): QIDO-RS finds, WADO-RS retrieves, STOW-RS stores.
//!
//! `router` is mounted under `/dicom-web` by whoever composes the server; it brings its own `Web` state. Every handler
//! begins with `Allowed<A>`: who asks is known and may do it before anything else of the request is looked at.

mod accept;
mod auth;
mod conditional;
mod frames;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod json;
mod media;
mod metadata;
mod multipart;
mod path;
mod problem;
mod qido;
mod rendered;
mod renderers;
mod stow;
mod transcode;
mod wado;

pub use auth::{Authenticate, Refused};
pub use metadata::prepare;
pub use problem::Problem;
pub use renderers::Renderers;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::get;
use mingying_archive::Archive;
use std::sync::Arc;

/// Inserted into a request's extensions by a listener that speaks TLS, so that the URLs in answers say `https`.
#[derive(Debug, Clone, Copy)]
pub struct Secure(pub bool);

/// What the handlers need.
#[derive(Clone)]
pub struct Web {
    pub archive: Archive,
    pub authenticate: Arc<dyn Authenticate>,
    pub renderers: Renderers,
    /// Where the router is mounted: `/dicom-web`.
    pub prefix: Arc<str>,
    /// Where clients reach this server, without a slash at the end: `https://pacs.example.org:8443`.
    pub public_url: Option<Arc<str>>,
}

impl Web {
    pub fn new(archive: Archive, authenticate: Arc<dyn Authenticate>, renderers: Renderers) -> Self {
        Self { archive, authenticate, renderers, prefix: Arc::from("/dicom-web"), public_url: None }
    }

    /// Names the address that URLs in answers fall back on.
    #[must_use]
    pub fn at(mut self, public_url: &str) -> Self {
        self.public_url = Some(Arc::from(public_url));
        self
    }
}

/// The three services. Errors are problem+json; nothing is reachable without `Authenticate` agreeing. Compression is
/// the server's: it packs JSON and leaves pixels alone.
pub fn router<S: Clone + Send + Sync + 'static>(web: Web) -> Router<S> {
    const STUDY: &str = "/studies/{study}";
    const SERIES: &str = "/studies/{study}/series/{series}";
    const INSTANCE: &str = "/studies/{study}/series/{series}/instances/{sop}";
    let mut router = Router::new()
        .route("/studies", get(qido::search_studies).post(stow::store))
        .route("/series", get(qido::search_series))
        .route("/instances", get(qido::search_instances))
        .route(STUDY, get(wado::retrieve).post(stow::store_in_study))
        .route(&format!("{STUDY}/series"), get(qido::search_series_of_study))
        .route(&format!("{STUDY}/instances"), get(qido::search_instances_within))
        .route(SERIES, get(wado::retrieve))
        .route(&format!("{SERIES}/instances"), get(qido::search_instances_within))
        .route(INSTANCE, get(wado::retrieve))
        .route(&format!("{INSTANCE}/frames/{{frames}}"), get(frames::retrieve_frames))
        .route(&format!("{INSTANCE}/bulkdata/{{*path}}"), get(frames::retrieve_bulkdata));
    for level in [STUDY, SERIES, INSTANCE] {
        router = router
            .route(&format!("{level}/metadata"), get(metadata::metadata))
            .route(&format!("{level}/rendered"), get(rendered::render))
            .route(&format!("{level}/thumbnail"), get(rendered::thumbnail));
    }
    router
        .route(&format!("{INSTANCE}/frames/{{frames}}/rendered"), get(rendered::render))
        .route(&format!("{INSTANCE}/frames/{{frames}}/thumbnail"), get(rendered::thumbnail))
        // A STOW-RS request is read part by part and never held whole; the archive bounds each object.
        .layer(DefaultBodyLimit::disable())
        .fallback(problem::unknown_path)
        .with_state(web)
}
