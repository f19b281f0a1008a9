//! This process as one of several nodes: who it is, how others read its packs, and how it reads theirs.
//!
//! Nodes share `secret.key`; what is derived from it lets one node read the packs of another, and nobody else. Where the
//! connection leaves this machine it is encrypted, and the other end is known by the certificate that it noted in the
//! database.

use crate::setup::KEY_FILE;
use crate::{Config, ServerError, Tls, tls};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path as UrlPath, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use mingying_archive::{Archive, Holder, Lease, Myself, Nodes};
use mingying_blob::{BlobError, Neighbours, store_of};
use mingying_db::Engine;
use mingying_kernel::{Coded as _, ErrorKind};
use ring::hmac;
use serde::Deserialize;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// `[node]`: this process among others on the same database.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Node {
    /// What people call it; the name of the machine when absent.
    pub name: Option<String>,
    /// Where the other nodes reach its web side: `https://HOST:PORT`. When absent the address it listens on, if that
    /// names one.
    pub address: Option<String>,
    /// Data folders of other nodes as they are reached here, on shared or re-attached disks: what a dead node leaves
    /// there is taken over. Where nodes see each other's folders under the same path, nothing needs to be named.
    pub adopt_from: Vec<PathBuf>,
}

impl Node {
    pub(crate) fn check(&self) -> Result<(), ServerError> {
        let wrong = |name, reason: &str| Err(ServerError::Config { name, reason: reason.to_owned() });
        if let Some(address) = &self.address
            && !address.starts_with("https://")
            && !is_loopback(address)
        {
            return wrong("node.address", "expected https://HOST:PORT; http is for 127.0.0.1 alone");
        }
        if self.adopt_from.iter().any(|folder| !folder.is_absolute()) {
            return wrong("node.adopt_from", "must be absolute paths");
        }
        Ok(())
    }
}

fn is_loopback(address: &str) -> bool {
    let host = address.strip_prefix("http://").and_then(|rest| rest.trim_end_matches('/').rsplit_once(':'));
    let ip = host.map_or("", |(host, _)| host).trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    ip.is_ok_and(|ip| ip.is_loopback())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(byte).collect()).flatten()
}

/// What nodes have in common. Its `Debug` shows nothing.
#[derive(Clone)]
pub(crate) struct Shared(Arc<hmac::Key>);

const LETS_IN: &[u8] = b"mingying: one node reads the packs of another";

impl Shared {
    pub fn of(data_dir: &Path) -> Result<Self, ServerError> {
        let path = data_dir.join(KEY_FILE);
        let bytes = std::fs::read(&path).map_err(ServerError::file(&path))?;
        Ok(Self(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &bytes))))
    }

    fn token(&self) -> String {
        format!("Node {}", hex(hmac::sign(&self.0, LETS_IN).as_ref()))
    }

    /// In constant time.
    fn lets_in(&self, headers: &HeaderMap) -> bool {
        let said = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let presented = said.and_then(|said| said.strip_prefix("Node ")).and_then(unhex).unwrap_or_default();
        hmac::verify(&self.0, LETS_IN, &presented).is_ok()
    }

    /// Tells two keys apart and says nothing else of them.
    fn check(&self) -> String {
        let mark = hmac::sign(&self.0, b"mingying: the same key");
        hex(mark.as_ref().get(..8).unwrap_or_default())
    }
}

/// Which node this data folder is; made at the first start.
fn id_of(data_dir: &Path) -> Result<String, ServerError> {
    let path = data_dir.join("node-id");
    if !path.exists() {
        tls::write_private(&path, uuid::Uuid::now_v7().to_string().as_bytes())?;
    }
    let text = std::fs::read_to_string(&path).map_err(ServerError::file(&path))?;
    let id: uuid::Uuid = text.trim().parse().map_err(|_| ServerError::Config {
        name: "node-id",
        reason: format!("{} must hold the id that was written there", path.display()),
    })?;
    Ok(id.to_string())
}

/// What this node tells of itself. `listens`: where its web side does; `None` for a subcommand.
pub(crate) fn myself(config: &Config, listens: Option<SocketAddr>) -> Result<Myself, ServerError> {
    let machine = || {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        if name.trim().is_empty() { "mingying".to_owned() } else { name.trim().to_owned() }
    };
    let scheme = if config.tls == Tls::Off { "http" } else { "https" };
    let own = listens.filter(|at| !at.ip().is_unspecified()).map(|at| format!("{scheme}://{at}"));
    let address = config.node.address.clone().filter(|_| listens.is_some()).or(own).unwrap_or_default();
    Ok(Myself {
        id: id_of(&config.data_dir)?,
        name: config.node.name.clone().unwrap_or_else(machine),
        address: address.trim_end_matches('/').to_owned(),
        certificate: tls::fingerprint(&config.tls, &config.data_dir)?.map(|mark| hex(&mark)).unwrap_or_default(),
        key_check: Shared::of(&config.data_dir)?.check(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        adopt_from: config.node.adopt_from.clone(),
        lease: Lease::default(),
    })
}

/// An answer that takes longer is given up, and what is asked of a node that does not even take the connection.
const PATIENCE: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(2);

/// The packs of other nodes.
pub(crate) struct Peers {
    nodes: Arc<Nodes>,
    token: String,
    /// By the certificate that the other end must show; empty: plain, on this machine.
    clients: Mutex<HashMap<String, reqwest::Client>>,
}

impl Peers {
    pub fn neighbours(nodes: Arc<Nodes>, data_dir: &Path) -> Result<Arc<dyn Neighbours>, ServerError> {
        let peers = Self { nodes, token: Shared::of(data_dir)?.token(), clients: Mutex::default() };
        Ok(Arc::new(Calls(Arc::new(peers))))
    }

    fn client(&self, certificate: &str) -> Option<reqwest::Client> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(certificate) {
            return Some(client.clone());
        }
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::client_config_pinned(unhex(certificate)?).ok()?)
            .connect_timeout(CONNECT)
            .timeout(PATIENCE)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .ok()?;
        clients.insert(certificate.to_owned(), client.clone());
        Some(client)
    }

    async fn ask(&self, pack: u64, range: Range<u64>) -> Result<Bytes, BlobError> {
        let store = store_of(pack);
        if !self.nodes.knows(store) && self.nodes.look().await.is_err() {
            return Err(BlobError::Unavailable);
        }
        let Some(Holder { address, certificate }) = self.nodes.holder(store) else {
            return Err(BlobError::Unavailable);
        };
        // Only what is on this machine goes unencrypted.
        if certificate.is_empty() && !is_loopback(&address) {
            return Err(BlobError::Unavailable);
        }
        let client = self.client(&certificate).ok_or(BlobError::Unavailable)?;
        let wanted = range.end.saturating_sub(range.start);
        let request = client
            .get(format!("{address}/internal/packs/{pack:016x}"))
            .header(header::AUTHORIZATION, &self.token)
            .header(header::RANGE, format!("bytes={}-{}", range.start, range.end.saturating_sub(1)));
        let failed = |error: reqwest::Error| {
            tracing::warn!(%error, pack, "a node does not answer");
            BlobError::Unavailable
        };
        let response = request.send().await.map_err(failed)?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT if response.content_length().is_some_and(|len| len <= wanted) => {
                response.bytes().await.map_err(failed)
            }
            StatusCode::GONE => Err(BlobError::NotFound),
            status => {
                tracing::debug!(%status, pack, "a node does not give a pack");
                Err(BlobError::Unavailable)
            }
        }
    }
}

struct Calls(Arc<Peers>);

impl Neighbours for Calls {
    fn read(&self, pack: u64, range: Range<u64>) -> BoxFuture<'static, Result<Bytes, BlobError>> {
        let peers = self.0.clone();
        async move { peers.ask(pack, range).await }.boxed()
    }

    fn knows(&self, store: u32) -> bool {
        self.0.nodes.knows(store)
    }
}

/// Pieces that are read for other nodes at the same time.
const TOGETHER: usize = 16;

#[derive(Clone)]
struct Door {
    archive: Archive,
    shared: Shared,
    turns: Arc<Semaphore>,
}

/// Gives bytes of packs to other nodes, and to nobody else.
pub(crate) fn router(archive: &Archive, data_dir: &Path) -> Result<Router, ServerError> {
    let door =
        Door { archive: archive.clone(), shared: Shared::of(data_dir)?, turns: Arc::new(Semaphore::new(TOGETHER)) };
    Ok(Router::new().route("/internal/packs/{pack}", get(give)).with_state(door))
}

async fn give(State(door): State<Door>, UrlPath(pack): UrlPath<String>, headers: HeaderMap) -> Response {
    if !door.shared.lets_in(&headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let asked = headers.get(header::RANGE).and_then(|value| value.to_str().ok()).and_then(range);
    let (Ok(pack), Some(range)) = (u64::from_str_radix(&pack, 16), asked) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let Ok(_turn) = door.turns.acquire().await else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    match door.archive.raw(pack, range).await {
        Ok(bytes) => (
            StatusCode::PARTIAL_CONTENT,
            [(header::CONTENT_TYPE, "application/octet-stream"), (header::CACHE_CONTROL, "no-store")],
            Body::from(bytes),
        )
            .into_response(),
        Err(error) if error.kind() == ErrorKind::NotFound => StatusCode::GONE.into_response(),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// `bytes=FROM-LAST`.
fn range(text: &str) -> Option<Range<u64>> {
    let (from, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let (from, last): (u64, u64) = (from.parse().ok()?, last.parse().ok()?);
    (from <= last).then_some(from..last.checked_add(1)?)
}

/// How often packs to share are looked for, and after trouble.
const LOOK: Duration = Duration::from_secs(2);
const AFTER_TROUBLE: Duration = Duration::from_secs(20);

/// Shows that this node lives, takes over from those that do not, and shares packs. `lost` is set when this process has
/// lost its store to another; then it ends.
pub(crate) fn start(
    archive: &Archive,
    nodes: &Arc<Nodes>,
    engine: Engine,
    lost: &Arc<AtomicBool>,
    cancel: &CancellationToken,
    tasks: &mut JoinSet<()>,
) {
    let until = |cancel: CancellationToken, work: BoxFuture<'static, ()>| async move {
        tokio::select! {
            () = cancel.cancelled() => {}
            () = work => {}
        }
    };
    let share = {
        let archive = archive.clone();
        async move {
            loop {
                let wait = match archive.share_packs().await {
                    Ok(Some(_)) => continue,
                    Ok(None) => LOOK,
                    Err(error) => {
                        tracing::warn!(%error, "packs are not shared for now");
                        AFTER_TROUBLE
                    }
                };
                tokio::time::sleep(wait).await;
            }
        }
    };
    tasks.spawn(until(cancel.clone(), share.boxed()));
    if engine == Engine::Sqlite {
        return;
    }
    let (lives, lost, ends) = (nodes.clone(), lost.clone(), cancel.clone());
    let beat = async move {
        loop {
            tokio::time::sleep(lives.lease().beat).await;
            match lives.beat().await {
                Ok(true) => {}
                Ok(false) => {
                    tracing::error!(
                        "another node has taken this one's store over: ending; a new start begins a new one"
                    );
                    lost.store(true, Ordering::Release);
                    ends.cancel();
                }
                Err(error) => tracing::warn!(%error, "no sign of life given"),
            }
        }
    };
    tasks.spawn(until(cancel.clone(), beat.boxed()));
    let (archive, nodes) = (archive.clone(), nodes.clone());
    let adopt = async move {
        loop {
            tokio::time::sleep(nodes.lease().beat).await;
            if let Err(error) = archive.take_over().await {
                tracing::warn!(%error, "taking over waits");
            }
        }
    };
    tasks.spawn(until(cancel.clone(), adopt.boxed()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packs_cross_a_network_encrypted_only() {
        assert!(is_loopback("http://127.0.0.1:8080") && is_loopback("http://[::1]:8080/"));
        assert!(!is_loopback("http://10.0.0.5:8080") && !is_loopback("http://localhost.example.org:1"));
        let node = |address: &str| Node { address: Some(address.to_owned()), ..Node::default() };
        assert!(node("https://pacs-1.example.org:8443").check().is_ok());
        assert!(node("http://10.0.0.5:8080").check().is_err());
    }

    #[test]
    fn only_who_has_the_key_is_let_in() {
        let key = |byte| Shared(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &[byte; 32])));
        let with = |token: &str| HeaderMap::from_iter([(header::AUTHORIZATION, token.parse().unwrap())]);
        assert!(key(1).lets_in(&with(&key(1).token())));
        assert!(!key(1).lets_in(&with(&key(2).token())));
        for nothing in ["", "Node", "Node ", "Node zz", "Bearer abc"] {
            assert!(!key(1).lets_in(&with(nothing)), "{nothing}");
        }
        assert!(!key(1).lets_in(&HeaderMap::new()));
        assert_ne!(key(1).check(), key(2).check());
    }

    #[test]
    fn ranges_are_read_or_refused() {
        assert_eq!(range("bytes=0-9"), Some(0..10));
        for wrong in ["bytes=5-4", "bytes=-5", "bytes=5-", "0-9", "bytes=0-18446744073709551615"] {
            assert_eq!(range(wrong), None, "{wrong}");
        }
    }
}
