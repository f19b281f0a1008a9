//! Rooms, devices, opening hours, the facility's clock, and the directory of all of them.

use crate::model::{DEFAULT_ZONE, zone};
use crate::{Device, Directory, EditCatalogue, OpeningHours, ReadCatalogue, Room, SchedulingError, store};
use jiff::tz::TimeZone;
use mingying_db::{Db, DbError, Tx};
use mingying_events::About;
use mingying_events::payload::scheduling::ResourceChanged;
use mingying_kernel::{AeTitle, DeviceId, OrgId, Permit, RoomId, Scope};
use mingying_patients::PatientError;

/// Everything that screens need to name places and things. Of several organizations the first one's.
pub async fn directory(db: &Db, permit: &Permit<ReadCatalogue>) -> Result<Directory, SchedulingError> {
    let Some(tree) = mingying_access::org_tree(db, permit.scope()).await? else {
        return Err(PatientError::NoOrganization.into());
    };
    let scope = Scope::Org(tree.org.id);
    Ok(Directory {
        rooms: store::rooms(db, scope).await?,
        devices: store::devices(db, scope).await?,
        catalogue: mingying_orders::catalogue(db, scope).await?,
        campuses: tree.campuses,
        departments: tree.departments,
        org: tree.org,
    })
}

fn changed(org: OrgId, kind: &str, name: &str) -> (About, ResourceChanged) {
    (About::new("resource", name, org), ResourceChanged { kind: kind.to_owned(), name: name.to_owned() })
}

fn unique(error: DbError, field: &'static str) -> SchedulingError {
    match error {
        DbError::Unique { .. } => SchedulingError::Invalid { field },
        other => other.into(),
    }
}

/// Makes or replaces a room by its id.
pub async fn put_room(db: &Db, permit: &Permit<EditCatalogue>, room: &Room) -> Result<(), SchedulingError> {
    if !permit.scope().sees(room.org) {
        return Err(SchedulingError::RoomNotFound);
    }
    let plain =
        |text: &str, max: usize| !text.is_empty() && text.chars().count() <= max && !text.chars().any(char::is_control);
    if !plain(&room.code, 16) {
        return Err(SchedulingError::Invalid { field: "code" });
    }
    if !plain(&room.name, 64) {
        return Err(SchedulingError::Invalid { field: "name" });
    }
    let prefix = room.ticket_prefix.as_bytes();
    if prefix.is_empty() || prefix.len() > 3 || !prefix.iter().all(u8::is_ascii_uppercase) {
        return Err(SchedulingError::Invalid { field: "ticket_prefix" });
    }
    let mut tx = db.begin().await?;
    if store::room_in(&mut tx, Scope::All, room.id).await?.is_some_and(|known| known.org != room.org) {
        return Err(SchedulingError::RoomNotFound);
    }
    store::put_room(&mut tx, room).await.map_err(|e| unique(e, "code"))?;
    let (about, payload) = changed(room.org, "room", &room.code);
    mingying_access::record(&mut tx, permit, &about, &payload).await?;
    tx.commit().await?;
    Ok(())
}

/// Makes or replaces a device by its id. An AE title names one device of the installation.
pub async fn put_device(db: &Db, permit: &Permit<EditCatalogue>, device: &Device) -> Result<(), SchedulingError> {
    if !permit.scope().sees(device.org) {
        return Err(SchedulingError::DeviceNotFound);
    }
    if device.name.is_empty() || device.name.chars().count() > 64 || device.name.chars().any(char::is_control) {
        return Err(SchedulingError::Invalid { field: "name" });
    }
    if device.modality.is_empty()
        || device.modality.len() > 16
        || !device.modality.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    {
        return Err(SchedulingError::Invalid { field: "modality" });
    }
    if !(1..=100).contains(&device.capacity) {
        return Err(SchedulingError::Invalid { field: "capacity" });
    }
    let mut tx = db.begin().await?;
    if store::device_in(&mut tx, Scope::All, device.id).await?.is_some_and(|known| known.org != device.org) {
        return Err(SchedulingError::DeviceNotFound);
    }
    store::room_in(&mut tx, Scope::Org(device.org), device.room).await?.ok_or(SchedulingError::RoomNotFound)?;
    store::put_device(&mut tx, device).await.map_err(|e| unique(e, "ae_title"))?;
    let (about, payload) = changed(device.org, "device", device.ae_title.as_str());
    mingying_access::record(&mut tx, permit, &about, &payload).await?;
    tx.commit().await?;
    Ok(())
}

/// Replaces a device's weekly hours. Appointments already made stay.
pub async fn set_opening_hours(
    db: &Db,
    permit: &Permit<EditCatalogue>,
    device: DeviceId,
    hours: &[OpeningHours],
) -> Result<(), SchedulingError> {
    let mut sorted = hours.to_vec();
    sorted.sort_unstable_by_key(|h| (h.weekday, h.from));
    let bad = sorted.iter().any(|h| !(1..=7).contains(&h.weekday) || h.from >= h.to);
    let crossing = sorted.windows(2).any(|two| match two {
        [a, b] => a.weekday == b.weekday && b.from < a.to,
        _ => false,
    });
    if bad || crossing || sorted.len() > 70 {
        return Err(SchedulingError::Invalid { field: "hours" });
    }
    let mut tx = db.begin().await?;
    let found = device_in(&mut tx, permit.scope(), device).await?;
    store::put_hours(&mut tx, device, &sorted).await?;
    let (about, payload) = changed(found.org, "hours", found.ae_title.as_str());
    mingying_access::record(&mut tx, permit, &about, &payload).await?;
    tx.commit().await?;
    Ok(())
}

/// Sets the zone of an organization's wall clock by its IANA name.
pub async fn set_facility_zone(
    db: &Db,
    permit: &Permit<EditCatalogue>,
    org: OrgId,
    name: &str,
) -> Result<(), SchedulingError> {
    if zone(name).is_none() {
        return Err(SchedulingError::Invalid { field: "zone" });
    }
    if !permit.scope().sees(org) {
        return Err(SchedulingError::RoomNotFound);
    }
    let mut tx = db.begin().await?;
    store::put_zone(&mut tx, org, name).await?;
    let (about, payload) = changed(org, "zone", name);
    mingying_access::record(&mut tx, permit, &about, &payload).await?;
    tx.commit().await?;
    Ok(())
}

fn known_zone(name: Option<String>) -> TimeZone {
    name.as_deref().and_then(zone).or_else(|| zone(DEFAULT_ZONE)).unwrap_or(TimeZone::UTC)
}

/// The organization's wall clock.
pub async fn facility_zone(db: &Db, org: OrgId) -> Result<TimeZone, SchedulingError> {
    Ok(known_zone(store::zone_name(db, org).await?))
}

/// As `facility_zone`, within a transaction.
pub async fn facility_zone_in(tx: &mut Tx, org: OrgId) -> Result<TimeZone, SchedulingError> {
    Ok(known_zone(store::zone_name_in(tx, org).await?))
}

pub async fn device(db: &Db, scope: Scope, id: DeviceId) -> Result<Device, SchedulingError> {
    store::device(db, scope, id).await?.ok_or(SchedulingError::DeviceNotFound)
}

pub async fn device_in(tx: &mut Tx, scope: Scope, id: DeviceId) -> Result<Device, SchedulingError> {
    store::device_in(tx, scope, id).await?.ok_or(SchedulingError::DeviceNotFound)
}

/// The device that calls itself so on the network.
pub async fn device_by_aet(tx: &mut Tx, scope: Scope, aet: &AeTitle) -> Result<Option<Device>, SchedulingError> {
    Ok(store::device_by_aet(tx, scope, aet).await?)
}

pub async fn devices_in_room(tx: &mut Tx, scope: Scope, room: RoomId) -> Result<Vec<Device>, SchedulingError> {
    Ok(store::devices_in_room(tx, scope, room).await?)
}

pub async fn room(db: &Db, scope: Scope, id: RoomId) -> Result<Room, SchedulingError> {
    store::room(db, scope, id).await?.ok_or(SchedulingError::RoomNotFound)
}

pub async fn room_in(tx: &mut Tx, scope: Scope, id: RoomId) -> Result<Room, SchedulingError> {
    store::room_in(tx, scope, id).await?.ok_or(SchedulingError::RoomNotFound)
}

pub async fn rooms(db: &Db, scope: Scope) -> Result<Vec<Room>, SchedulingError> {
    Ok(store::rooms(db, scope).await?)
}

/// Every device, by name.
pub async fn devices(db: &Db, scope: Scope) -> Result<Vec<Device>, SchedulingError> {
    Ok(store::devices(db, scope).await?)
}
