use crate::{ExamError, Mpps, MppsCreate, MppsSet, ReadExams, WriteMpps};
use mingying_db::Db;
use mingying_kernel::{OrderId, Permit};

pub async fn mpps_create(db: &Db, permit: &Permit<WriteMpps>, create: MppsCreate) -> Result<Mpps, ExamError> { todo!() }
pub async fn mpps_set(db: &Db, permit: &Permit<WriteMpps>, set: MppsSet) -> Result<Mpps, ExamError> { todo!() }
pub async fn mpps_of(db: &Db, permit: &Permit<ReadExams>, order: OrderId) -> Result<Vec<Mpps>, ExamError> { todo!() }
pub async fn unlinked_mpps(db: &Db, permit: &Permit<ReadExams>, limit: u32) -> Result<Vec<Mpps>, ExamError> { todo!() }
