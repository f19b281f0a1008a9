//! One file per domain. Each exposes `routes()`; paths are relative to `/api/v1`.

mod archive;
mod audit;
mod deadletters;
mod deletions;
mod directory;
mod exam;
mod flow;
mod images;
mod live;
mod manifest;
mod messages;
mod orders;
mod patients;
mod peers;
mod phrases;
mod reading;
mod reporting;
mod scheduling;
mod session;
mod sharing;
mod status;
mod storage;
mod templates;
mod timeline;
mod users;
mod views;

pub use manifest::prepare_manifests;

use crate::App;
use utoipa_axum::router::OpenApiRouter;

/// All of `/api/v1`.
pub fn all() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(session::routes())
        .merge(users::routes())
        .merge(audit::routes())
        .merge(status::routes())
        .merge(live::routes())
        .merge(directory::routes())
        .merge(patients::routes())
        .merge(orders::routes())
        .merge(scheduling::routes())
        .merge(flow::routes())
        .merge(exam::routes())
        .merge(reading::routes())
        .merge(reporting::routes())
        .merge(phrases::routes())
        .merge(templates::routes())
        .merge(sharing::routes())
        .merge(timeline::routes())
        .merge(archive::routes())
        .merge(deletions::routes())
        .merge(storage::routes())
        .merge(manifest::routes())
        .merge(images::routes())
        .merge(messages::routes())
        .merge(deadletters::routes())
        .merge(peers::routes())
}
