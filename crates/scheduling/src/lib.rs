//! When and where: devices with their hours, slots computed from them, appointments, and the scheduled procedure step
//! that stands in the device's worklist.
//!
//! Occupancy never exceeds a device's capacity through a booking of ours: booking takes the device's lock, looks, and
//! writes in one transaction. Wall time is the facility's zone.

mod book;
mod error;
mod model;
mod resources;
mod slots;
mod store;
mod worklist_step;

pub use book::{book, book_direct, cancel, check_in, expire_holds, free_order, hold, mark_fulfilled, move_to};
pub use error::SchedulingError;
pub use model::{
    Appointment, AppointmentRow, AppointmentState, DEFAULT_ZONE, Device, Directory, OpeningHours, Refusal, Room, Slot,
    Sps, SpsState, zone,
};
pub use resources::{
    device, device_by_aet, device_in, devices, devices_in_room, directory, facility_zone, facility_zone_in, put_device,
    put_room, room, room_in, rooms, set_facility_zone, set_opening_hours,
};
pub use slots::{SlotQuery, appointment, appointment_of, appointment_of_in, appointments_of, calendar, slots};
pub use worklist_step::{StepNames, ensure_step, set_step_state, step_by_id, step_of, step_of_in};

pub use mingying_orders::{EditCatalogue, ReadCatalogue};

mingying_kernel::action! {
    /// Sees slots and calendars.
    ReadSlots = "slot.read",
    /// Books, moves and cancels appointments.
    BookAppointment = "appointment.book",
}
