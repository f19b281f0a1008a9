use crate::{Appointment, BookAppointment, SchedulingError};
use mingying_db::{Db, Tx};
use mingying_kernel::{Action, AppointmentId, DeviceId, OrderId, Permit, Timestamp};

pub async fn hold(db: &Db, permit: &Permit<BookAppointment>, order: OrderId, device: DeviceId, start: Timestamp) -> Result<Appointment, SchedulingError> { todo!() }
pub async fn book(db: &Db, permit: &Permit<BookAppointment>, order: OrderId, device: DeviceId, start: Timestamp) -> Result<Appointment, SchedulingError> { todo!() }
/// OMI^O23 with station and start: another system scheduled it. `sps_id` and `procedure_id` as that system names them.
pub async fn book_direct<A: Action>(tx: &mut Tx, permit: &Permit<A>, order: OrderId, station_aet: &str, start: Timestamp, sps_id: Option<&str>, procedure_id: Option<&str>) -> Result<Appointment, SchedulingError> { todo!() }
pub async fn move_to(db: &Db, permit: &Permit<BookAppointment>, id: AppointmentId, device: DeviceId, start: Timestamp) -> Result<Appointment, SchedulingError> { todo!() }
pub async fn cancel(db: &Db, permit: &Permit<BookAppointment>, id: AppointmentId, reason: &str) -> Result<Appointment, SchedulingError> { todo!() }
pub async fn check_in<A: Action>(tx: &mut Tx, permit: &Permit<A>, order: OrderId) -> Result<Option<Appointment>, SchedulingError> { todo!() }
pub async fn mark_fulfilled<A: Action>(tx: &mut Tx, permit: &Permit<A>, order: OrderId) -> Result<(), SchedulingError> { todo!() }
pub async fn expire_holds<A: Action>(db: &Db, permit: &Permit<A>) -> Result<u64, SchedulingError> { todo!() }
