//! For load balancers and monitoring: no sign-in, no data.

use crate::App;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use mingying_archive::{NodeState, ReadStorage, Storage};

/// The process runs.
pub(crate) async fn live() -> &'static str {
    "ok"
}

/// The database answers, hence requests can be served.
pub(crate) async fn ready(State(app): State<App>) -> Response {
    match app.db.ping().await {
        Ok(()) => "ok".into_response(),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "database").into_response()
        }
    }
}

pub(crate) async fn metrics(State(app): State<App>) -> Response {
    if let Ok(lag) = mingying_access::audit_lag(&app.db, app.clock.now()).await {
        app.metrics.set("mingying_audit_rows", "Audit rows.", lag.rows as f64);
        app.metrics.set("mingying_audit_lag_seconds", "Age of the oldest unsealed audit row.", lag.lag.as_secs_f64());
    }
    let read = app.archive.read_stats();
    let [fast, large, objects] = app.archive.tier_stats();
    let recall = app.archive.blobs().recall_stats();
    for (name, help, value) in [
        ("mingying_image_rows_found", "Look-ups of an image answered from memory.", read.row_hits),
        ("mingying_image_rows_missed", "Look-ups of an image answered by the database.", read.row_misses),
        ("mingying_derived_found", "Texts and pictures made from images that had been made before.", read.derived.hits),
        ("mingying_derived_made", "Texts and pictures made from images that had to be made.", read.derived.misses),
        ("mingying_derived_bytes", "Size of the texts and pictures that are kept.", read.derived.bytes),
        ("mingying_packs_fast_bytes", "Packs on the fast disk.", fast.bytes),
        ("mingying_packs_large_bytes", "Packs on the large disk.", large.bytes),
        ("mingying_packs_bucket_bytes", "Packs in the object store.", objects.bytes),
        (
            "mingying_packs_unshared",
            "Packs with images that no other node finds while this one is dead.",
            app.archive.unshared_packs(),
        ),
        (
            "mingying_recall_found",
            "Reads of packs in the object store answered from what is kept near by.",
            recall.hits,
        ),
        ("mingying_recall_brought", "Pieces of packs brought from the object store.", recall.fetched),
        ("mingying_recall_bytes", "Size of the pieces that are kept near by.", recall.bytes),
    ] {
        app.metrics.set(name, help, value as f64);
    }
    let siblings = app.archive.sibling_stats();
    for (name, help, value) in [
        ("mingying_siblings", "Images that have an HTJ2K sibling.", siblings.made),
        ("mingying_siblings_bytes", "Size of the HTJ2K siblings.", siblings.bytes),
        ("mingying_siblings_waiting", "Images whose HTJ2K sibling is still to be made.", siblings.waiting),
    ] {
        app.metrics.set(name, help, value as f64);
    }
    for (reason, count) in siblings.unfit {
        app.metrics.set_by(
            "mingying_siblings_unfit",
            "Images that get no HTJ2K sibling.",
            ("reason", reason),
            count as f64,
        );
    }
    match app.access.system("metrics").permit::<ReadStorage>() {
        Ok(permit) => {
            match app.archive.storage(&permit).await {
                Ok(storage) => storage_gauges(&app, &storage),
                Err(error) => tracing::warn!(%error, "the state of the store is not readable"),
            }
            let nodes = app.archive.node_list(&permit);
            for state in NodeState::ALL {
                let count = nodes.iter().filter(|node| node.state == state).count();
                let help = "Nodes on this database, as this one sees them.";
                app.metrics.set_by("mingying_nodes", help, ("state", state.as_str().to_owned()), count as f64);
            }
        }
        Err(error) => tracing::error!(%error, "the state of the store is not readable"),
    }
    let uptime = app.clock.now().since(app.settings.started_at).as_secs_f64();
    app.metrics.set("mingying_uptime_seconds", "Time since start.", uptime);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.metrics.render()).into_response()
}

fn storage_gauges(app: &App, storage: &Storage) {
    let share = if storage.check.total == 0 { 1.0 } else { storage.check.done as f64 / storage.check.total as f64 };
    let ended = storage.check.ended.map_or(0.0, |at| at.as_micros() as f64 / 1e6);
    for (name, help, value) in [
        ("mingying_storage_packs", "Pack files.", storage.packs as f64),
        ("mingying_storage_pack_bytes", "Size of all pack files.", storage.pack_bytes as f64),
        ("mingying_storage_free_bytes", "Free on the disk of the packs.", storage.free_bytes as f64),
        (
            "mingying_storage_reserve_bytes",
            "Images are refused when less would stay free.",
            storage.reserve_bytes as f64,
        ),
        ("mingying_storage_warning_bytes", "The store warns when less is free.", storage.warning_bytes as f64),
        ("mingying_storage_received_bytes_per_day", "Mean of the last seven days.", storage.bytes_per_day as f64),
        ("mingying_storage_damaged_places", "Damaged places that wait for a sound copy.", storage.damaged as f64),
        ("mingying_storage_quarantined_objects", "Objects that wait in quarantine.", storage.quarantined as f64),
        ("mingying_storage_deletions", "Deletions that can still be taken back.", storage.deletions as f64),
        ("mingying_storage_deleted_bytes", "Bytes of what can still be brought back.", storage.deleted_bytes as f64),
        ("mingying_storage_check_ratio", "How much of the packs the background check has read in its round.", share),
        ("mingying_storage_check_ended_seconds", "When its last round ended, Unix time; 0 while one runs.", ended),
    ] {
        app.metrics.set(name, help, value);
    }
}
