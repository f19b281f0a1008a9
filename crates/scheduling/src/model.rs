//! Devices and their hours, slots, appointments, scheduled steps; and the pure search for free time.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use mingying_kernel::{
    AccessionNumber, AeTitle, AppointmentId, CampusId, DepartmentId, DeviceId, OrderId, OrgId, RoomId, SpsId,
    Timestamp, words,
};

words! {
    AppointmentState {
        /// Reserved for five minutes; expiry frees it.
        Held = "held",
        Booked = "booked",
        CheckedIn = "checked_in",
        Fulfilled = "fulfilled",
        Cancelled = "cancelled",
        NoShow = "no_show",
        /// Replaced by another row, which names this one.
        Moved = "moved",
    }

    /// Scheduled Procedure Step Status (0040,0020), in our spelling.
    SpsState {
        Scheduled = "scheduled",
        Started = "started",
        Completed = "completed",
        Discontinued = "discontinued",
        Cancelled = "cancelled",
    }

    /// Why a time cannot be booked.
    Refusal { Taken = "taken", Past = "past", Closed = "closed", Inactive = "inactive", WrongModality = "wrong_modality" }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    pub id: RoomId,
    pub org: OrgId,
    pub campus: CampusId,
    pub department: DepartmentId,
    pub code: String,
    pub name: String,
    pub name_en: String,
    /// Letters before the numbers on this room's tickets, unique within the organization, so that a ticket keeps its
    /// meaning when its holder is sent to another room.
    pub ticket_prefix: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    pub id: DeviceId,
    pub org: OrgId,
    pub campus: CampusId,
    pub department: DepartmentId,
    pub room: RoomId,
    pub ae_title: AeTitle,
    pub name: String,
    pub modality: String,
    /// Patients at a time.
    pub capacity: u32,
    pub active: bool,
    /// Wheeled to the bedside.
    pub mobile: bool,
}

/// Weekly opening: ISO weekday 1 (Monday) to 7, wall time of the facility.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpeningHours {
    pub weekday: i8,
    pub from: Time,
    /// Exclusive; `24:00` is written as 23:59:59 and counts as midnight.
    pub to: Time,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appointment {
    pub id: AppointmentId,
    pub org: OrgId,
    pub order: OrderId,
    pub device: DeviceId,
    pub start: Timestamp,
    pub end: Timestamp,
    pub state: AppointmentState,
    pub hold_until: Option<Timestamp>,
    pub moved_from: Option<AppointmentId>,
    /// Set from outside although the time was occupied: another system owns that calendar.
    pub overlaps: bool,
    pub reason: String,
    pub version: i64,
}

/// An appointment as calendars show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppointmentRow {
    pub appointment: Appointment,
    pub accession: AccessionNumber,
    pub patient_name: String,
    pub item_name: String,
    pub item_name_en: String,
    pub device_name: String,
    pub room_name: String,
}

/// What a modality sees as one worklist item (PS3.4 Annex K). One order has at most one that is not cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sps {
    pub id: SpsId,
    pub org: OrgId,
    pub order: OrderId,
    /// Scheduled Procedure Step ID (0040,0009), VR SH.
    pub sps_id: String,
    /// Requested Procedure ID (0040,1001), VR SH.
    pub procedure_id: String,
    pub device: DeviceId,
    pub station_aet: AeTitle,
    pub modality: String,
    pub start: Timestamp,
    pub description: String,
    pub state: SpsState,
}

/// A time on a device's calendar, free or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    pub device: DeviceId,
    pub device_name: String,
    pub room_name: String,
    pub start: Timestamp,
    pub end: Timestamp,
    pub refusal: Option<Refusal>,
}

/// Everything the desk needs to name places and things, in one answer.
#[derive(Debug, Clone)]
pub struct Directory {
    pub org: mingying_access::Org,
    pub campuses: Vec<mingying_access::Campus>,
    pub departments: Vec<mingying_access::Department>,
    pub rooms: Vec<Room>,
    pub devices: Vec<Device>,
    pub catalogue: Vec<mingying_orders::CatalogueItem>,
}

/// Used where an organization has not set another; since 1991 it is UTC+8 all year.
pub const DEFAULT_ZONE: &str = "Asia/Shanghai";

/// The zone by its IANA name. A machine without a zone database still knows the default one.
pub fn zone(name: &str) -> Option<TimeZone> {
    match TimeZone::get(name) {
        Ok(zone) => Some(zone),
        Err(_) if name == DEFAULT_ZONE => Some(TimeZone::fixed(jiff::tz::offset(8))),
        Err(_) => None,
    }
}

/// A half-open stretch of occupied time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Busy {
    pub start: Timestamp,
    pub end: Timestamp,
}

pub(crate) fn micros(minutes: u32) -> i64 {
    i64::from(minutes) * 60_000_000
}

/// The largest number of bookings that are running at the same moment within `[start, end)`.
pub(crate) fn occupancy(busy: &[Busy], start: Timestamp, end: Timestamp) -> u32 {
    let running = |at: Timestamp| busy.iter().filter(|b| b.start <= at && at < b.end).count();
    // Occupancy only rises where something begins.
    busy.iter()
        .filter(|b| b.start < end && start < b.end)
        .map(|b| running(b.start.max(start)))
        .max()
        .map_or(0, |n| u32::try_from(n).unwrap_or(u32::MAX))
}

/// The opening stretches of `day` as instants. A stretch ending in the last minute of the day ends at midnight.
pub(crate) fn opening(hours: &[OpeningHours], day: Date, zone: &TimeZone) -> Vec<Busy> {
    let weekday = day.weekday().to_monday_one_offset();
    let at = |time: Time| {
        let minute = day.to_datetime(time);
        zone.to_ambiguous_zoned(minute)
            .compatible()
            .ok()
            .map(|z| Timestamp::from_micros(z.timestamp().as_microsecond()))
    };
    let mut open: Vec<Busy> = hours
        .iter()
        .filter(|h| h.weekday == weekday)
        .filter_map(|h| {
            let start = at(h.from)?;
            let end = if h.to.hour() == 23 && h.to.minute() == 59 {
                Timestamp::from_micros(at(h.to)?.as_micros() + 60_000_000 - i64::from(h.to.second()) * 1_000_000)
            } else {
                at(h.to)?
            };
            (start < end).then_some(Busy { start, end })
        })
        .collect();
    open.sort_unstable_by_key(|b| b.start);
    open
}

/// Walks through one opening stretch: free slots of the wanted length one after the other, and between them what is
/// taken, as one refused slot per stretch. Starting again at the end of each booking loses no time between exams of
/// different length.
pub(crate) fn slots_between(
    open: Busy,
    duration_min: u32,
    busy: &[Busy],
    capacity: u32,
    now: Timestamp,
) -> Vec<(Timestamp, Timestamp, Option<Refusal>)> {
    let length = micros(duration_min.max(5));
    let mut found = Vec::new();
    let mut at = open.start.as_micros();
    while at + length <= open.end.as_micros() {
        let (start, end) = (Timestamp::from_micros(at), Timestamp::from_micros(at + length));
        if occupancy(busy, start, end) >= capacity {
            // The earliest moment at which one of the running bookings ends is the next chance.
            let free_again = busy
                .iter()
                .filter(|b| b.start < end && start < b.end)
                .map(|b| b.end.as_micros())
                .min()
                .unwrap_or(at + length)
                .max(at + 60_000_000);
            found.push((start, Timestamp::from_micros(free_again), Some(Refusal::Taken)));
            at = free_again;
        } else {
            found.push((start, end, (start < now).then_some(Refusal::Past)));
            at += length;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::{date, time};
    use proptest::prelude::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_micros(minutes * 60_000_000)
    }

    fn busy(start: i64, end: i64) -> Busy {
        Busy { start: at(start), end: at(end) }
    }

    #[test]
    fn occupancy_counts_what_runs_together() {
        let list = [busy(0, 10), busy(10, 20), busy(15, 30)];
        assert_eq!(occupancy(&list, at(0), at(10)), 1);
        assert_eq!(occupancy(&list, at(10), at(20)), 2);
        assert_eq!(occupancy(&list, at(30), at(40)), 0);
        assert_eq!(occupancy(&list, at(0), at(40)), 2);
    }

    #[test]
    fn opening_follows_the_facilitys_wall_clock() {
        let hours = [
            OpeningHours { weekday: 1, from: time(8, 0, 0, 0), to: time(12, 0, 0, 0) },
            OpeningHours { weekday: 1, from: time(13, 30, 0, 0), to: time(23, 59, 59, 0) },
            OpeningHours { weekday: 2, from: time(8, 0, 0, 0), to: time(12, 0, 0, 0) },
        ];
        let open = opening(&hours, date(2026, 3, 2), &zone(DEFAULT_ZONE).unwrap());
        assert_eq!(open.len(), 2);
        assert_eq!(open[0].start.to_rfc3339(), "2026-03-02T00:00:00Z");
        assert_eq!(open[1].end.to_rfc3339(), "2026-03-02T16:00:00Z");
    }

    #[test]
    fn free_time_starts_again_where_a_booking_ends() {
        let found = slots_between(busy(0, 60), 20, &[busy(10, 25)], 1, at(0));
        assert_eq!(found, vec![(at(0), at(25), Some(Refusal::Taken)), (at(25), at(45), None),]);
    }

    proptest! {
        /// Whatever is booked, a slot that is offered keeps the occupancy within the capacity, lies within the hours,
        /// and offered slots do not overlap each other.
        #[test]
        fn offered_slots_are_really_free(
            bookings in proptest::collection::vec((0i64..600, 5i64..90), 0..20),
            duration in 5u32..90,
            capacity in 1u32..3,
        ) {
            let list: Vec<Busy> = bookings.iter().map(|(s, d)| busy(*s, s + d)).collect();
            let open = busy(0, 600);
            let mut last_end = at(0);
            for (start, end, refusal) in slots_between(open, duration, &list, capacity, at(0)) {
                prop_assert!(start >= last_end && start < end);
                last_end = end;
                if refusal.is_none() {
                    prop_assert!(end <= open.end);
                    prop_assert!(occupancy(&list, start, end) < capacity);
                }
            }
        }
    }
}
