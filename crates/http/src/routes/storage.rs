//! The image store for whoever runs it: room, growth, damage, checks.

use crate::{Allowed, ApiResult, App};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use mingying_archive::{Damaged, ManageStorage, ReadStorage, Storage};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(read_storage)).routes(routes!(start_check)).routes(routes!(start_compaction))
}

#[derive(Serialize, ToSchema)]
#[schema(as = Storage)]
struct StorageView {
    packs: u64,
    pack_bytes: u64,
    free_bytes: u64,
    /// Images are refused when they would leave less free.
    reserve_bytes: u64,
    /// Below this the store warns.
    warning_bytes: u64,
    /// `enough`, `low`, `full`
    room: &'static str,
    /// Mean of the last seven days.
    bytes_per_day: u64,
    /// Until images are refused, at that rate; null when nothing arrives.
    days_left: Option<u64>,
    /// Damaged places that wait for a sound copy.
    damaged: u64,
    /// The newest of them, at most 200.
    damages: Vec<DamageView>,
    check: CheckView,
    /// Deletions that can still be taken back.
    deletions: u64,
    deleted_bytes: u64,
    quarantined: u64,
    compaction: CompactionView,
    derived: DerivedView,
    /// Organizations with a bound of their own.
    organizations: Vec<OrgUseView>,
}

/// A place in a pack whose bytes are not what was written there.
#[derive(Serialize, ToSchema)]
#[schema(as = Damage)]
struct DamageView {
    /// Name of the pack's file without its ending.
    pack: String,
    from: u64,
    to: u64,
    /// The whole pack is not there.
    missing: bool,
    /// SOP Instance UID of the object there, when the index knows.
    sop_uid: Option<String>,
    found_at: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = StorageCheck)]
struct CheckView {
    running: bool,
    /// Bytes read of the round, and of all.
    done: u64,
    total: u64,
    /// End of the last round; null before the first one and while one is under way.
    ended_at: Option<String>,
    /// The last step.
    at: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Compaction)]
struct CompactionView {
    /// Asked for or under way on this node.
    running: bool,
    ended_at: Option<String>,
    /// Packs that the last one rewrote, and the bytes it gave back.
    packs: u64,
    freed: u64,
}

/// What is made from images and kept for the next who asks.
#[derive(Serialize, ToSchema)]
#[schema(as = DerivedCache)]
struct DerivedView {
    bytes: u64,
    /// 0: nothing is kept.
    max_bytes: u64,
    /// Answered from what was kept, and made anew, since the start of this node.
    hits: u64,
    misses: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = OrganizationUse)]
struct OrgUseView {
    id: String,
    name: String,
    name_en: String,
    bytes: u64,
    bound: u64,
}

fn damage(damaged: Damaged) -> DamageView {
    DamageView {
        pack: format!("{:016x}", damaged.pack),
        from: damaged.from,
        to: damaged.to,
        missing: damaged.missing,
        sop_uid: (!damaged.name.is_empty()).then_some(damaged.name),
        found_at: damaged.found_at.to_rfc3339(),
    }
}

/// The state of the image store.
#[utoipa::path(get, path = "/storage", responses((status = 200, body = StorageView)))]
async fn read_storage(Allowed(permit): Allowed<ReadStorage>, State(app): State<App>) -> ApiResult<Json<StorageView>> {
    let storage = app.archive.storage(&permit).await?;
    let names = mingying_access::organizations(&app.db, permit.scope()).await?;
    let days_left = storage.days_left();
    let Storage { check, compaction, derived, .. } = storage;
    let organizations = storage
        .organizations
        .iter()
        .filter(|used| permit.scope().sees(used.org))
        .map(|used| {
            let org = names.iter().find(|org| org.id == used.org);
            OrgUseView {
                id: used.org.to_string(),
                name: org.map_or_else(String::new, |org| org.name.clone()),
                name_en: org.map_or_else(String::new, |org| org.name_en.clone()),
                bytes: used.bytes,
                bound: used.bound,
            }
        })
        .collect();
    Ok(Json(StorageView {
        packs: storage.packs,
        pack_bytes: storage.pack_bytes,
        free_bytes: storage.free_bytes,
        reserve_bytes: storage.reserve_bytes,
        warning_bytes: storage.warning_bytes,
        room: storage.room.as_str(),
        bytes_per_day: storage.bytes_per_day,
        days_left,
        damaged: storage.damaged,
        damages: storage.damages.into_iter().map(damage).collect(),
        check: CheckView {
            running: check.ended.is_none(),
            done: check.done,
            total: check.total,
            ended_at: check.ended.map(|at| at.to_rfc3339()),
            at: check.at.map(|at| at.to_rfc3339()),
        },
        deletions: storage.deletions,
        deleted_bytes: storage.deleted_bytes,
        quarantined: storage.quarantined,
        compaction: CompactionView {
            running: compaction.running,
            ended_at: compaction.ended.map(|at| at.to_rfc3339()),
            packs: compaction.done.packs,
            freed: compaction.done.freed,
        },
        derived: DerivedView {
            bytes: derived.bytes,
            max_bytes: derived.max_bytes,
            hits: derived.hits,
            misses: derived.misses,
        },
        organizations,
    }))
}

/// Begins the next round of the background check now; one that is under way goes on.
#[utoipa::path(post, path = "/storage/check", responses((status = 202)))]
async fn start_check(Allowed(permit): Allowed<ManageStorage>, State(app): State<App>) -> ApiResult<StatusCode> {
    app.archive.check_now(&permit).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Looks now for packs in which little is alive, and rewrites them.
#[utoipa::path(post, path = "/storage/compact", responses((status = 202)))]
async fn start_compaction(Allowed(permit): Allowed<ManageStorage>, State(app): State<App>) -> ApiResult<StatusCode> {
    app.archive.compact_now(&permit).await?;
    Ok(StatusCode::ACCEPTED)
}
