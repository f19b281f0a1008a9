//! What runs beside the requests: subscribers of events, the audit sealer, live changes; and the other listeners.

use crate::{Config, ServerError};
use async_trait::async_trait;
use axum::http::StatusCode;
use axum::http::request::Parts;
use mingying_access::Sealer;
use mingying_dicomweb::{Authenticate, Refused, Web};
use mingying_http::App;
use mingying_jobs::Runner;
use mingying_kernel::Ctx;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Starts all workers. Subscriptions are recorded before this returns, so that no event of a later request is missed.
pub(crate) async fn start(
    app: &App,
    _config: &Config,
    cancel: &CancellationToken,
    tasks: &mut JoinSet<()>,
) -> Result<(), ServerError> {
    let runner = Runner::new(app.db.clone(), app.clock.clone(), mingying_jobs::Settings::default())
        .with(Arc::new(mingying_reading::MatchStudies::new(
            app.db.clone(),
            app.archive.clone(),
            app.access.system("reading"),
        )));
    runner.register().await?;
    tasks.spawn(runner.run(cancel.clone()));
    tasks.spawn(Sealer::new(&app.access).run(cancel.clone()));
    tasks.spawn(app.live.clone().run(app.db.clone(), app.clock.clone()));
    tasks.spawn(app.chain.clone().run(app.db.clone(), app.clock.clone(), cancel.clone()));
    Ok(())
}

/// The gate of `http` has recognised the caller already.
struct SameGate {
    db: mingying_db::Db,
}

#[async_trait]
impl Authenticate for SameGate {
    async fn authenticate(&self, parts: &Parts) -> Result<Ctx, Refused> {
        mingying_http::caller(parts).ok_or(Refused { status: StatusCode::UNAUTHORIZED, code: "login.required" })
    }

    async fn denied(&self, ctx: &Ctx, action: &'static str) {
        if let Err(error) = mingying_access::audit_denied(&self.db, ctx, action, "dicomweb").await {
            tracing::error!(%error, "a refusal could not be written to the audit log");
        }
    }
}

pub(crate) fn dicomweb(app: &App) -> axum::Router {
    let renderers = mingying_dicomweb::Renderers::default();
    mingying_dicomweb::router(Web::new(app.archive.clone(), Arc::new(SameGate { db: app.db.clone() }), renderers))
}

pub(crate) fn dimse(
    app: &App,
    config: &Config,
    listener: TcpListener,
    cancel: &CancellationToken,
    tasks: &mut JoinSet<()>,
) -> Result<(), ServerError> {
    let mut settings = mingying_dimse::Settings::new(config.title()?);
    settings.accept_any_from_loopback = config.demo;
    settings.private_storage_classes.clone_from(&config.images.private_storage_classes);
    settings.max_associations = config.images.max_associations;
    settings.zone = config.zone()?;
    let dimse = mingying_dimse::Dimse::new(
        settings,
        app.db.clone(),
        app.archive.clone(),
        app.access.policy(),
        app.clock.clone(),
    );
    tasks.spawn(dimse.serve(listener, cancel.clone()));
    Ok(())
}

pub(crate) fn hl7(
    app: &App,
    config: &Config,
    listener: TcpListener,
    cancel: &CancellationToken,
    tasks: &mut JoinSet<()>,
) -> Result<(), ServerError> {
    let settings = mingying_mllp::Settings {
        senders: config.hl7_listener.senders.clone(),
        accept_any_from_loopback: config.demo,
        zone: config.zone()?,
        ..mingying_mllp::Settings::default()
    };
    let hl7 = mingying_mllp::Listener::new(app.db.clone(), app.access.policy(), app.clock.clone(), settings);
    tasks.spawn(hl7.serve(listener, cancel.clone()));
    Ok(())
}
