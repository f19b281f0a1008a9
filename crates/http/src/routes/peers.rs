//! The register of DICOM application entities.

use crate::{Allowed, ApiError, ApiJson, ApiPath, ApiResult, App};
use axum::extract::{Json, State};
use axum::http::StatusCode;
use mingying_dimse::{ManagePeers, NewPeer, PeerKind, ReadPeers};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// A person waits for it.
const ECHO_LIMIT: Duration = Duration::from_secs(5);

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_peers, add_peer)).routes(routes!(remove_peer)).routes(routes!(echo_peer))
}

/// An application entity that may call and be called.
#[derive(Debug, Serialize, ToSchema)]
pub struct Peer {
    pub aet: String,
    pub host: String,
    pub port: u16,
    /// `modality`, `archive`, `workstation` or `other`.
    pub kind: String,
    /// Specific Character Set of what is sent to it; empty for ISO_IR 192.
    pub charset: String,
    pub last_echo: Option<Echo>,
    /// Objects it has stored.
    pub received: u64,
    pub last_seen: Option<String>,
    pub created_at: String,
}

/// The outcome of a C-ECHO.
#[derive(Debug, Serialize, ToSchema)]
pub struct Echo {
    pub at: String,
    pub ok: bool,
    pub ms: u64,
    /// `unreachable`, `timeout`, `rejected`, `refused`, `aborted` or `status`.
    pub error: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Peers {
    pub items: Vec<Peer>,
    pub next: Option<String>,
}

/// An application entity to add to the register.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub struct NewPeerRequest {
    pub aet: String,
    pub host: String,
    pub port: u16,
    /// `modality`, `archive`, `workstation` or `other` (default).
    #[serde(default)]
    pub kind: Option<String>,
    /// A value of Specific Character Set; ISO_IR 192 when absent.
    #[serde(default)]
    pub charset: Option<String>,
}

impl From<mingying_dimse::Echo> for Echo {
    fn from(echo: mingying_dimse::Echo) -> Self {
        Self { at: echo.at.to_rfc3339(), ok: echo.ok, ms: echo.ms, error: echo.error }
    }
}

impl From<mingying_dimse::Peer> for Peer {
    fn from(peer: mingying_dimse::Peer) -> Self {
        Self {
            aet: peer.aet.into(),
            host: peer.host,
            port: peer.port,
            kind: peer.kind.as_str().to_owned(),
            charset: peer.charset,
            last_echo: peer.last_echo.map(Echo::from),
            received: peer.received,
            last_seen: peer.last_seen.map(|at| at.to_rfc3339()),
            created_at: peer.created_at.to_rfc3339(),
        }
    }
}

#[utoipa::path(get, path = "/peers", tag = "peers", responses((status = 200, body = Peers)))]
async fn list_peers(Allowed(permit): Allowed<ReadPeers>, State(app): State<App>) -> ApiResult<Json<Peers>> {
    let peers = mingying_dimse::list_peers(&app.db, &permit).await?;
    Ok(Json(Peers { items: peers.into_iter().map(Peer::from).collect(), next: None }))
}

#[utoipa::path(post, path = "/peers", tag = "peers", request_body = NewPeerRequest, responses(
    (status = 201, body = Peer),
    (status = 409, description = "The AE title is taken"),
    (status = 422, description = "A field breaks its rule"),
))]
async fn add_peer(
    Allowed(permit): Allowed<ManagePeers>,
    State(app): State<App>,
    ApiJson(new): ApiJson<NewPeerRequest>,
) -> ApiResult<(StatusCode, Json<Peer>)> {
    let kind = match new.kind.as_deref() {
        None => PeerKind::Other,
        Some(text) if PeerKind::parse(text).as_str() == text => PeerKind::parse(text),
        Some(_) => return Err(ApiError::invalid("kind")),
    };
    let charset = new.charset.as_deref().unwrap_or_default();
    let new = NewPeer::parse(&new.aet, &new.host, new.port, kind, charset)?;
    let peer = mingying_dimse::add_peer(&app.db, &permit, new).await?;
    Ok((StatusCode::CREATED, Json(peer.into())))
}

#[utoipa::path(delete, path = "/peers/{aet}", tag = "peers", params(("aet" = String, Path)), responses(
    (status = 204), (status = 404),
))]
async fn remove_peer(
    Allowed(permit): Allowed<ManagePeers>,
    State(app): State<App>,
    ApiPath(aet): ApiPath<String>,
) -> ApiResult<StatusCode> {
    mingying_dimse::remove_peer(&app.db, &permit, &aet).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[utoipa::path(post, path = "/peers/{aet}/echo", tag = "peers", params(("aet" = String, Path)), responses(
    (status = 200, body = Echo), (status = 404),
))]
async fn echo_peer(
    Allowed(permit): Allowed<ManagePeers>,
    State(app): State<App>,
    ApiPath(aet): ApiPath<String>,
) -> ApiResult<Json<Echo>> {
    let title = app.settings.ae_title.clone();
    let echo = mingying_dimse::echo_peer(&app.db, &permit, &title, &aet, ECHO_LIMIT).await?;
    Ok(Json(echo.into()))
}
