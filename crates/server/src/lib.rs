//! The composition: configuration, listeners, workers, and their common end. Tests start the same server in-process.
//!
//! `start` opens the database, migrates, replays the image packs, starts workers and listeners, and returns when every
//! listener accepts. One cancellation token ends everything; `stop` drains and waits.

mod backups;
pub mod cli;
pub mod config;
mod control;
mod demo;
mod encryption;
mod error;
mod images;
mod keep;
mod listen;
mod nodes;
mod setup;
mod tiers;
mod tls;
mod workers;

pub use config::{Config, Overrides, Tls};
pub use demo::PASSWORD as DEMO_PASSWORD;
pub use error::ServerError;
pub use setup::Place;

use mingying_archive::Nodes;
use mingying_http::{App, Live, Metrics};
use mingying_kernel::Timestamp;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A server that accepts connections. Dropping it stops the tasks without draining; `stop` drains.
pub struct Running {
    pub http_addr: SocketAddr,
    pub dimse_addr: Option<SocketAddr>,
    pub hl7_addr: Option<SocketAddr>,
    /// `https://…` or `http://…`, as people should type it.
    pub url: String,
    /// A bearer token for machines, with demonstration data only.
    pub demo_token: Option<String>,
    /// What the routes see; for tests and for the command line.
    pub app: App,
    cancel: CancellationToken,
    tasks: JoinSet<()>,
    nodes: Arc<Nodes>,
    lost: Arc<AtomicBool>,
    inside: axum::Router,
    _lock: control::Lock,
}

impl Running {
    /// Ends listeners and workers, waits for what they have in hand, closes the archive and the database.
    pub async fn stop(mut self) {
        self.cancel.cancel();
        while self.tasks.join_next().await.is_some() {}
        self.app.archive.close().await;
        if let Err(error) = self.nodes.leave().await {
            tracing::warn!(%error, "the other nodes are not told that this one ends");
        }
        if let Err(error) = self.app.db.checkpoint().await {
            tracing::warn!(%error, "database not folded");
        }
        self.app.db.close().await;
    }

    /// The HTTP side without its sockets, for tests.
    pub fn router(&self) -> axum::Router {
        mingying_http::router(self.app.clone(), workers::dicomweb(&self.app)).merge(self.inside.clone())
    }

    /// Whether it ends because another node has taken its store over.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// Resolves when the server was told to stop from inside.
    pub fn cancelled(&self) -> impl Future<Output = ()> + use<> {
        self.cancel.clone().cancelled_owned()
    }
}

async fn bind(what: &'static str, address: SocketAddr) -> Result<TcpListener, ServerError> {
    TcpListener::bind(address).await.map_err(|source| ServerError::Bind { what, address: address.to_string(), source })
}

/// Starts everything that `config` asks for.
pub async fn start(config: Config) -> Result<Running, ServerError> {
    let cancel = CancellationToken::new();
    // Ports first: a second server on the same data must fail before it touches them.
    let http = bind("HTTP", config.http).await?;
    let dimse = match config.dimse {
        Some(address) => Some(bind("DIMSE", address).await?),
        None => None,
    };
    let hl7 = match config.hl7 {
        Some(address) => Some(bind("HL7", address).await?),
        None => None,
    };
    let address_of = |listener: &TcpListener| {
        listener.local_addr().map_err(|source| ServerError::Bind { what: "socket", address: String::new(), source })
    };
    let http_addr = address_of(&http)?;
    let dimse_addr = dimse.as_ref().map(address_of).transpose()?;
    let hl7_addr = hl7.as_ref().map(address_of).transpose()?;

    let names = ["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned(), http_addr.ip().to_string()];
    let tls = tls::server_config(&config.tls, &config.data_dir, &names)?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let url = config.public_url.clone().unwrap_or_else(|| format!("{scheme}://{http_addr}"));

    std::fs::create_dir_all(&config.data_dir).map_err(ServerError::file(&config.data_dir))?;
    let lock = control::lock(&config.data_dir)?
        .ok_or_else(|| ServerError::Said(format!("another server runs on {}", config.data_dir.display())))?;
    let place = Place::open(&config).await?;
    let fresh = place.prepare(&config).await?;
    let (archive, nodes) = place.archive(&config, Some(http_addr)).await?;
    let printer = mingying_print::Printer::new(config.font_dirs.iter().cloned());
    if let Err(error) = printer.check().await {
        tracing::warn!(%error, "reports cannot be printed; install a Chinese font or set font_dirs");
    }
    let started_at: Timestamp = place.clock.now();
    let mut settings = mingying_http::Settings::new(&url, config.title()?, config.zone()?, started_at);
    settings.tls = tls.is_some();
    settings.demo = config.demo || place.is_demo().await?;
    let app = App {
        db: place.db.clone(),
        clock: place.clock.clone(),
        access: place.access.clone(),
        archive: archive.clone(),
        printer,
        settings: Arc::new(settings),
        live: Live::new(cancel.clone()),
        chain: mingying_access::ChainWatch::default(),
        metrics: Metrics::default(),
    };

    let runner = workers::subscribe(&app, &config).await?;
    let demo_token = if config.demo { Some(demo::prepare(&app, &config, fresh).await?) } else { None };
    let mut tasks = JoinSet::new();
    let org = place.organization(&config).await?;
    workers::start(&app, &config, org, runner, &cancel, &mut tasks);
    let lost = Arc::new(AtomicBool::new(false));
    nodes::start(&app.archive, &nodes, app.db.engine(), &lost, &cancel, &mut tasks);

    let secure = tls.is_some();
    let doors = listen::Doors::open(http, tls, cancel.clone()).map_err(|source| ServerError::Bind {
        what: "HTTP",
        address: http_addr.to_string(),
        source,
    })?;
    let inside = nodes::router(&app.archive, &config.data_dir)?;
    let router = mingying_http::router(app.clone(), workers::dicomweb(&app)).merge(inside.clone());
    tasks.spawn(listen::serve(doors, router, secure, cancel.clone()));
    if let Some(listener) = dimse {
        let tls = tls::acceptor(&config, &names, config.images.tls, dimse_addr)?;
        workers::dimse(&app, &config, listener, tls, &cancel, &mut tasks)?;
    }
    if let Some(listener) = hl7 {
        let tls = tls::acceptor(&config, &names, config.hl7_listener.tls, hl7_addr)?;
        workers::hl7(&app, &config, listener, tls, &cancel, &mut tasks)?;
    }
    let store = images::Store {
        db: app.db.clone(),
        access: app.access.clone(),
        archive: app.archive.clone(),
        data_dir: config.data_dir.clone(),
    };
    tasks.spawn(control::listen(&store, cancel.clone())?);
    tracing::info!(http = %http_addr, dimse = ?dimse_addr, hl7 = ?hl7_addr, "started");
    Ok(Running {
        http_addr,
        dimse_addr,
        hl7_addr,
        url,
        demo_token,
        app,
        cancel,
        tasks,
        nodes,
        lost,
        inside,
        _lock: lock,
    })
}
