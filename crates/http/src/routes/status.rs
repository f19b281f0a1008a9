//! How the installation is, for whoever runs it.

use crate::{Allowed, ApiResult, App};
use axum::Json;
use axum::extract::State;
use mingying_access::ReadStatus;
use mingying_db::Engine;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(read_status))
}

#[derive(Serialize, ToSchema)]
struct Status {
    version: &'static str,
    /// `sqlite` or `postgres`
    database: &'static str,
    audit: AuditStatus,
    blob: BlobStatus,
    deliveries: DeliveryStatus,
    uptime_seconds: u64,
    demo: bool,
}

#[derive(Serialize, ToSchema)]
struct AuditStatus {
    rows: u64,
    sealed: u64,
    lag_seconds: f64,
    /// The chain as far as it was checked last holds.
    intact: bool,
    /// RFC 3339; null until the first check has finished.
    checked_at: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct BlobStatus {
    packs: u64,
    bytes: u64,
    free_bytes: u64,
    /// `enough`, `low`: somebody has to make room, `full`: images are refused.
    room: &'static str,
}

#[derive(Serialize, ToSchema)]
struct DeliveryStatus {
    pending: u64,
    dead: u64,
}

/// State of the database, audit chain, image store and deliveries.
#[utoipa::path(get, path = "/status", responses((status = 200, body = Status)))]
async fn read_status(_: Allowed<ReadStatus>, State(app): State<App>) -> ApiResult<Json<Status>> {
    let now = app.clock.now();
    let lag = mingying_access::audit_lag(&app.db, now).await?;
    let deliveries = mingying_jobs::counts(&app.db).await?;
    let blob = app.archive.stats().await?;
    let check = app.chain.last();
    Ok(Json(Status {
        version: env!("CARGO_PKG_VERSION"),
        database: match app.db.engine() {
            Engine::Sqlite => "sqlite",
            Engine::Postgres => "postgres",
        },
        audit: AuditStatus {
            rows: lag.rows,
            sealed: lag.sealed,
            lag_seconds: lag.lag.as_secs_f64(),
            intact: check.as_ref().is_none_or(mingying_access::ChainCheck::intact),
            checked_at: check.map(|check| check.at.to_rfc3339()),
        },
        blob: BlobStatus {
            packs: blob.packs,
            bytes: blob.pack_bytes,
            free_bytes: blob.free_bytes,
            room: blob.room.as_str(),
        },
        deliveries: DeliveryStatus { pending: deliveries.pending, dead: deliveries.dead },
        uptime_seconds: now.since(app.settings.started_at).as_secs(),
        demo: app.settings.demo,
    }))
}
