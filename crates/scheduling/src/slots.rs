//! Looking at calendars: free and refused times, a day's appointments.

use crate::model::{opening, slots_between};
use crate::{Appointment, AppointmentRow, ReadSlots, SchedulingError, Slot, store};
use jiff::ToSpan;
use jiff::civil::Date;
use mingying_db::{Db, Tx};
use mingying_kernel::{AppointmentId, DeviceId, OrderId, OrgId, Permit, Scope, Timestamp};
use std::collections::HashMap;

/// For which order to look, and where.
#[derive(Debug, Clone)]
pub struct SlotQuery {
    pub order: OrderId,
    /// First day, by the facility's calendar.
    pub from: Date,
    /// 1 to 14.
    pub days: u32,
    /// All devices that can do the exam when absent.
    pub device: Option<DeviceId>,
}

/// The instants at which `day` begins and ends at the facility.
async fn day_bounds(db: &Db, org: OrgId, day: Date) -> Result<(Timestamp, Timestamp), SchedulingError> {
    let zone = crate::facility_zone(db, org).await?;
    let invalid = || SchedulingError::Invalid { field: "date" };
    let at = |day: Date| {
        let start = day.to_zoned(zone.clone()).map_err(|_| invalid())?;
        Ok::<_, SchedulingError>(Timestamp::from_micros(start.timestamp().as_microsecond()))
    };
    Ok((at(day)?, at(day.tomorrow().map_err(|_| invalid())?)?))
}

/// The times of each fitting device within its opening hours: those that can be booked, and between them those that
/// cannot, with the reason. Times that have passed are left out.
pub async fn slots(db: &Db, permit: &Permit<ReadSlots>, query: &SlotQuery) -> Result<Vec<Slot>, SchedulingError> {
    if !(1..=14).contains(&query.days) {
        return Err(SchedulingError::Invalid { field: "days" });
    }
    let orders = mingying_orders::load_many(db, permit.scope(), &[query.order]).await?;
    let order = orders.first().ok_or(mingying_orders::OrderError::NotFound)?;
    let zone = crate::facility_zone(db, order.org).await?;
    let now = permit.now();
    let scope = Scope::Org(order.org);
    let rooms: HashMap<_, _> = store::rooms(db, scope).await?.into_iter().map(|r| (r.id, r.name)).collect();
    let mut found = Vec::new();
    for device in store::devices(db, scope).await? {
        let fits = device.active && device.modality == order.modality;
        if !fits || query.device.is_some_and(|wanted| wanted != device.id) {
            continue;
        }
        let hours = store::hours(db, device.id).await?;
        let room_name = rooms.get(&device.room).cloned().unwrap_or_default();
        for offset in 0..query.days {
            let day = query
                .from
                .checked_add(i64::from(offset).days())
                .map_err(|_| SchedulingError::Invalid { field: "from" })?;
            let stretches = opening(&hours, day, &zone);
            let (Some(first), Some(last)) = (stretches.first(), stretches.last()) else { continue };
            let busy = store::busy(db, device.id, first.start, last.end, now).await?;
            for open in stretches {
                for (start, end, refusal) in slots_between(open, order.duration_min(), &busy, device.capacity, now) {
                    if end > now && refusal != Some(crate::Refusal::Past) {
                        found.push(Slot {
                            device: device.id,
                            device_name: device.name.clone(),
                            room_name: room_name.clone(),
                            start,
                            end,
                            refusal,
                        });
                    }
                }
            }
        }
    }
    found.sort_by(|a, b| (a.start, &a.device_name).cmp(&(b.start, &b.device_name)));
    Ok(found)
}

/// A day's appointments, of one device or of all.
pub async fn calendar(
    db: &Db,
    permit: &Permit<ReadSlots>,
    device: Option<DeviceId>,
    day: Date,
) -> Result<Vec<AppointmentRow>, SchedulingError> {
    let org = mingying_patients::home_org(db, permit.scope()).await?;
    let (from, to) = day_bounds(db, org, day).await?;
    Ok(store::calendar(db, permit.scope(), device, from, to).await?)
}

pub async fn appointment(db: &Db, scope: Scope, id: AppointmentId) -> Result<AppointmentRow, SchedulingError> {
    store::appointment(db, scope, id).await?.ok_or(SchedulingError::NotFound)
}

/// The order's present appointment, if it has one.
pub async fn appointment_of(db: &Db, scope: Scope, order: OrderId) -> Result<Option<AppointmentRow>, SchedulingError> {
    Ok(store::appointments_of(db, scope, &[order]).await?.into_iter().next())
}

/// The appointment that still stands, within a transaction.
pub async fn appointment_of_in(tx: &mut Tx, order: OrderId) -> Result<Option<Appointment>, SchedulingError> {
    Ok(store::standing_in(tx, order).await?)
}

/// The present appointment of each order that has one.
pub async fn appointments_of(
    db: &Db,
    scope: Scope,
    orders: &[OrderId],
) -> Result<Vec<AppointmentRow>, SchedulingError> {
    Ok(store::appointments_of(db, scope, orders).await?)
}
