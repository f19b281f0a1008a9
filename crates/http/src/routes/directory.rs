//! Names of places and things, in one answer that clients keep.

use crate::{Allowed, ApiResult, App};
use axum::Json;
use axum::extract::State;
use mingying_orders::ReadCatalogue;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_directory))
}

#[derive(Serialize, ToSchema)]
pub struct Organization {
    id: String,
    name: String,
    name_en: String,
}

#[derive(Serialize, ToSchema)]
pub struct Campus {
    id: String,
    code: String,
    name: String,
    name_en: String,
}

#[derive(Serialize, ToSchema)]
pub struct Department {
    id: String,
    code: String,
    name: String,
    name_en: String,
    /// `imaging` or `clinical`
    kind: &'static str,
    campus_id: String,
}

#[derive(Serialize, ToSchema)]
pub struct Room {
    id: String,
    code: String,
    name: String,
    name_en: String,
    department_id: String,
    campus_id: String,
}

#[derive(Serialize, ToSchema)]
pub struct Device {
    id: String,
    ae_title: String,
    name: String,
    modality: String,
    room_id: String,
    active: bool,
    /// Wheeled to the bedside.
    mobile: bool,
}

/// One thing the centre offers.
#[derive(Serialize, ToSchema)]
pub struct CatalogueItem {
    id: String,
    code: String,
    name: String,
    name_en: String,
    modality: String,
    body_part: String,
    sided: bool,
    contrast: bool,
    duration_min: u32,
    preparation: String,
    preparation_en: String,
    price_cents: i64,
}

#[derive(Serialize, ToSchema)]
pub struct Directory {
    org: Organization,
    campuses: Vec<Campus>,
    departments: Vec<Department>,
    rooms: Vec<Room>,
    devices: Vec<Device>,
    catalogue: Vec<CatalogueItem>,
    /// IANA name of the facility's zone.
    zone: String,
}

/// Organization, campuses, departments, rooms, devices and catalogue.
#[utoipa::path(get, path = "/directory", tag = "directory", responses((status = 200, body = Directory)))]
async fn get_directory(Allowed(permit): Allowed<ReadCatalogue>, State(app): State<App>) -> ApiResult<Json<Directory>> {
    let found = mingying_scheduling::directory(&app.db, &permit).await?;
    let zone = mingying_scheduling::facility_zone(&app.db, found.org.id).await?;
    Ok(Json(Directory {
        org: Organization { id: found.org.id.to_string(), name: found.org.name, name_en: found.org.name_en },
        campuses: found
            .campuses
            .into_iter()
            .map(|c| Campus { id: c.id.to_string(), code: c.code, name: c.name, name_en: c.name_en })
            .collect(),
        departments: found
            .departments
            .into_iter()
            .map(|d| Department {
                id: d.id.to_string(),
                code: d.code,
                name: d.name,
                name_en: d.name_en,
                kind: d.kind.as_str(),
                campus_id: d.campus.to_string(),
            })
            .collect(),
        rooms: found
            .rooms
            .into_iter()
            .map(|r| Room {
                id: r.id.to_string(),
                code: r.code,
                name: r.name,
                name_en: r.name_en,
                department_id: r.department.to_string(),
                campus_id: r.campus.to_string(),
            })
            .collect(),
        devices: found
            .devices
            .into_iter()
            .map(|d| Device {
                id: d.id.to_string(),
                ae_title: d.ae_title.to_string(),
                name: d.name,
                modality: d.modality,
                room_id: d.room.to_string(),
                active: d.active,
                mobile: d.mobile,
            })
            .collect(),
        catalogue: found
            .catalogue
            .into_iter()
            .map(|i| CatalogueItem {
                id: i.id,
                code: i.code,
                name: i.name,
                name_en: i.name_en,
                modality: i.modality,
                body_part: i.body_part,
                sided: i.sided,
                contrast: i.contrast,
                duration_min: i.duration_min,
                preparation: i.preparation,
                preparation_en: i.preparation_en,
                price_cents: i.price_cents,
            })
            .collect(),
        zone: zone.iana_name().unwrap_or(mingying_scheduling::DEFAULT_ZONE).to_owned(),
    }))
}
