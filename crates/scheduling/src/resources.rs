use crate::{Device, Directory, EditCatalogue, OpeningHours, ReadCatalogue, Room, SchedulingError};
use jiff::tz::TimeZone;
use mingying_db::{Db, Tx};
use mingying_kernel::{AeTitle, DeviceId, OrgId, Permit, RoomId, Scope};

pub async fn directory(db: &Db, permit: &Permit<ReadCatalogue>) -> Result<Directory, SchedulingError> { todo!() }
pub async fn put_room(db: &Db, permit: &Permit<EditCatalogue>, room: &Room) -> Result<(), SchedulingError> { todo!() }
pub async fn put_device(db: &Db, permit: &Permit<EditCatalogue>, device: &Device) -> Result<(), SchedulingError> { todo!() }
pub async fn set_opening_hours(db: &Db, permit: &Permit<EditCatalogue>, device: DeviceId, hours: &[OpeningHours]) -> Result<(), SchedulingError> { todo!() }
pub async fn set_facility_zone(db: &Db, permit: &Permit<EditCatalogue>, org: OrgId, name: &str) -> Result<(), SchedulingError> { todo!() }
pub async fn facility_zone(db: &Db, org: OrgId) -> Result<TimeZone, SchedulingError> { todo!() }
pub async fn facility_zone_in(tx: &mut Tx, org: OrgId) -> Result<TimeZone, SchedulingError> { todo!() }
pub async fn device(db: &Db, scope: Scope, id: DeviceId) -> Result<Device, SchedulingError> { todo!() }
pub async fn device_in(tx: &mut Tx, scope: Scope, id: DeviceId) -> Result<Device, SchedulingError> { todo!() }
pub async fn device_by_aet(tx: &mut Tx, scope: Scope, aet: &AeTitle) -> Result<Option<Device>, SchedulingError> { todo!() }
pub async fn devices_in_room(tx: &mut Tx, scope: Scope, room: RoomId) -> Result<Vec<Device>, SchedulingError> { todo!() }
pub async fn room(db: &Db, scope: Scope, id: RoomId) -> Result<Room, SchedulingError> { todo!() }
pub async fn rooms(db: &Db, scope: Scope) -> Result<Vec<Room>, SchedulingError> { todo!() }
