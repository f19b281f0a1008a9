//! What runs beside the requests: subscribers of events, the audit sealer, live changes; and the other listeners.

use crate::{Config, ServerError, tls};
use async_trait::async_trait;
use axum::http::StatusCode;
use axum::http::request::Parts;
use mingying_access::Sealer;
use mingying_archive::{ReadStudies, SiblingStep};
use mingying_dicomweb::{Authenticate, Refused, Web};
use mingying_exam::PerformExam;
use mingying_http::App;
use mingying_jobs::Runner;
use mingying_kernel::{Ctx, OrgId};
use mingying_scheduling::BookAppointment;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// What reacts to events, recorded in the database so that no event from now on is missed, but not yet running.
pub(crate) async fn subscribe(app: &App, config: &Config) -> Result<Runner, ServerError> {
    let (db, access) = (app.db.clone(), &app.access);
    let render = Arc::new(mingying_http::paper::PrintReports { db: db.clone(), printer: app.printer.clone() });
    let results = mingying_mllp::ResultSender::new(
        db.clone(),
        access.system("hl7-results"),
        &config.organization.name_en,
        config.zone()?,
        tls::client_config()?,
    );
    let runner = Runner::new(db.clone(), app.clock.clone(), mingying_jobs::Settings::default())
        .with(Arc::new(mingying_reading::MatchStudies::new(db.clone(), app.archive.clone(), access.system("reading"))))
        .with(Arc::new(mingying_flow::FollowExams::new(db.clone(), access.system("flow"))))
        .with(Arc::new(mingying_reporting::StoreReports::new(
            db.clone(),
            app.archive.clone(),
            render,
            access.system("reports"),
        )))
        .with(Arc::new(results))
        .with(Arc::new(dimse_services(app, config)?.report_commitments()));
    runner.register().await?;
    Ok(runner)
}

/// Starts all workers.
pub(crate) fn start(
    app: &App,
    config: &Config,
    org: OrgId,
    runner: Runner,
    cancel: &CancellationToken,
    tasks: &mut JoinSet<()>,
) {
    tasks.spawn(runner.run(cancel.clone()));
    tasks.spawn(Sealer::new(&app.access).run(cancel.clone()));
    tasks.spawn(app.live.clone().run(app.db.clone(), app.clock.clone()));
    tasks.spawn(app.chain.clone().run(app.db.clone(), app.clock.clone(), cancel.clone()));
    tasks.spawn(tick(app.clone(), cancel.clone()));
    tasks.spawn(prepare(app.clone(), cancel.clone()));
    tasks.spawn(make_siblings(app.clone(), cancel.clone()));
    tasks.spawn(spare_siblings(app.clone(), cancel.clone()));
    let backups = crate::backups::Backups { app: app.clone(), org, data_dir: config.data_dir.clone() };
    tasks.spawn(backups.keep(config.backup.clone(), cancel.clone()));
    tasks.spawn(forget_deleted(app.clone(), cancel.clone()));
    let (archive, ended) = (app.archive.clone(), cancel.clone());
    tasks.spawn(async move {
        tokio::select! {
            () = ended.cancelled() => {}
            () = archive.keep_house() => {}
        }
    });
}

/// How often what ends by time is looked for.
const TICK: Duration = Duration::from_secs(15);
/// Devices that report neither MPPS nor completion: so long without a new image means that the exam is imaged.
const QUIET: Duration = Duration::from_mins(2);

/// Ends holds on slots and exams that have gone quiet, and looks at the room on the disk. Every process may do so: each change is one guarded transaction.
async fn tick(app: App, cancel: CancellationToken) {
    let (ctx, storage) = (app.access.system("clockwork"), app.access.system("storage"));
    while !cancel.is_cancelled() {
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(TICK) => {}
        }
        if let Ok(permit) = ctx.permit::<BookAppointment>()
            && let Err(error) = mingying_scheduling::expire_holds(&app.db, &permit).await
        {
            tracing::warn!(%error, "holds not ended");
        }
        if let Err(error) = app.archive.watch_room(&storage).await {
            tracing::warn!(%error, "free space not known");
        }
        if let Ok(permit) = ctx.permit::<PerformExam>()
            && let Err(error) = mingying_exam::close_quiet(&app.db, &permit, QUIET).await
        {
            tracing::warn!(%error, "quiet exams not closed");
        }
    }
}

/// Forgets what this node keeps of studies whose images were deleted, by whichever node.
async fn forget_deleted(app: App, cancel: CancellationToken) {
    let mut changes = app.live.listen();
    loop {
        let change = tokio::select! {
            () = cancel.cancelled() => return,
            change = changes.recv() => change,
        };
        match change {
            Ok(change) if change.topic == "instances.deleted" => app.archive.forget_study(&change.subject_id).await,
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => {
                if let Err(error) = app.archive.forget_deleted().await {
                    tracing::warn!(%error, "what was made from deleted images may still be kept");
                }
            }
            Err(RecvError::Closed) => return,
        }
    }
}

/// So long without a new image, and a study is complete enough to make ready what its readers ask for first.
const SETTLED: Duration = Duration::from_secs(30);
/// Studies made ready between two looks at the clock.
const PREPARED: u32 = 200;

/// Makes metadata and manifests of the studies that have come in. What was not made when this process ended is made
/// when somebody asks for it.
async fn prepare(app: App, cancel: CancellationToken) {
    let web = web(&app);
    let Ok(permit) = app.access.system("archive").permit::<ReadStudies>() else { return };
    let mut after = app.clock.now().minus(SETTLED);
    while !cancel.is_cancelled() {
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(TICK) => {}
        }
        let until = app.clock.now().minus(SETTLED);
        let settled = match app.archive.received_between(&permit, after, until, PREPARED).await {
            Ok(settled) => settled,
            Err(error) => {
                tracing::warn!(%error, "studies to make ready not found");
                continue;
            }
        };
        for (study_uid, received_at) in settled {
            after = received_at;
            let made = async {
                mingying_dicomweb::prepare(&web, &permit, &study_uid).await?;
                mingying_http::routes::prepare_manifests(&app.archive, &permit, &study_uid).await
            };
            tokio::select! {
                () = cancel.cancelled() => return,
                made = made => if let Err(error) = made {
                    tracing::warn!(%error, "a study was not made ready");
                }
            }
        }
    }
}

/// After trouble of the disk or the database.
const AFTER_TROUBLE: Duration = Duration::from_mins(1);

/// Makes HTJ2K siblings; then the manifests of what has come in lately, because they tell in which form frames come.
async fn make_siblings(app: App, cancel: CancellationToken) {
    let Ok(permit) = app.access.system("archive").permit::<ReadStudies>() else { return };
    let work = async {
        loop {
            let wait = match app.archive.next_siblings().await {
                Ok(SiblingStep::Settled(study_uid)) => {
                    let made = mingying_http::routes::prepare_manifests(&app.archive, &permit, &study_uid).await;
                    if let Err(error) = made {
                        tracing::warn!(%error, "a study was not made ready");
                    }
                    continue;
                }
                Ok(SiblingStep::Older(_)) => continue,
                Ok(SiblingStep::Idle) => TICK,
                Err(error) => {
                    tracing::warn!(%error, "siblings of images wait");
                    AFTER_TROUBLE
                }
            };
            tokio::time::sleep(wait).await;
        }
    };
    tokio::select! {
        () = cancel.cancelled() => {}
        () = work => {}
    }
}

/// Gives their room back when the disk runs low.
async fn spare_siblings(app: App, cancel: CancellationToken) {
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(TICK) => {}
        }
        if let Err(error) = app.archive.spare_siblings().await {
            tracing::warn!(%error, "no room given back");
        }
    }
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

fn web(app: &App) -> Web {
    let renderers = mingying_dicomweb::Renderers::default();
    let gate = Arc::new(SameGate { db: app.db.clone() });
    Web::new(app.archive.clone(), gate, renderers).at(&app.settings.public_url)
}

pub(crate) fn dicomweb(app: &App) -> axum::Router {
    mingying_dicomweb::router(web(app))
}

/// What calls and answers over DICOM.
fn dimse_services(app: &App, config: &Config) -> Result<mingying_dimse::Dimse, ServerError> {
    let mut settings = mingying_dimse::Settings::new(config.title()?);
    settings.accept_any_from_loopback = config.demo;
    settings.private_storage_classes.clone_from(&config.images.private_storage_classes);
    settings.max_associations = config.images.max_associations;
    settings.zone = config.zone()?;
    let (db, archive, policy) = (app.db.clone(), app.archive.clone(), app.access.policy());
    Ok(mingying_dimse::Dimse::new(settings, db, archive, policy, app.clock.clone()))
}

pub(crate) fn dimse(
    app: &App,
    config: &Config,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    cancel: &CancellationToken,
    tasks: &mut JoinSet<()>,
) -> Result<(), ServerError> {
    let dimse = dimse_services(app, config)?;
    let dimse = match tls {
        Some(tls) => dimse.with_tls(tls),
        None => dimse,
    };
    tasks.spawn(dimse.serve(listener, cancel.clone()));
    Ok(())
}

pub(crate) fn hl7(
    app: &App,
    config: &Config,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    cancel: &CancellationToken,
    tasks: &mut JoinSet<()>,
) -> Result<(), ServerError> {
    let settings = mingying_mllp::Settings {
        senders: config.hl7_listener.senders.clone(),
        accept_any_from_loopback: config.demo,
        zone: config.zone()?,
        tls,
        ..mingying_mllp::Settings::default()
    };
    let hl7 = mingying_mllp::Listener::new(app.db.clone(), app.access.policy(), app.clock.clone(), settings);
    tasks.spawn(hl7.serve(listener, cancel.clone()));
    Ok(())
}
