use crate::{Appointment, AppointmentRow, ReadSlots, SchedulingError, Slot};
use jiff::civil::Date;
use mingying_db::{Db, Tx};
use mingying_kernel::{AppointmentId, DeviceId, OrderId, Permit, Scope};

#[derive(Debug, Clone)]
pub struct SlotQuery { pub order: OrderId, pub from: Date, pub days: u32, pub device: Option<DeviceId> }

pub async fn slots(db: &Db, permit: &Permit<ReadSlots>, query: &SlotQuery) -> Result<Vec<Slot>, SchedulingError> { todo!() }
pub async fn calendar(db: &Db, permit: &Permit<ReadSlots>, device: Option<DeviceId>, day: Date) -> Result<Vec<AppointmentRow>, SchedulingError> { todo!() }
pub async fn appointment(db: &Db, scope: Scope, id: AppointmentId) -> Result<AppointmentRow, SchedulingError> { todo!() }
pub async fn appointment_of(db: &Db, scope: Scope, order: OrderId) -> Result<Option<AppointmentRow>, SchedulingError> { todo!() }
pub async fn appointment_of_in(tx: &mut Tx, order: OrderId) -> Result<Option<Appointment>, SchedulingError> { todo!() }
/// The present appointment of each order that has one.
pub async fn appointments_of(db: &Db, scope: Scope, orders: &[OrderId]) -> Result<Vec<AppointmentRow>, SchedulingError> { todo!() }
