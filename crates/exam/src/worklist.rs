use crate::{ExamError, QueryWorklist, WorklistItem, WorklistQuery};
use mingying_db::Db;
use mingying_kernel::Permit;

pub async fn query_worklist(db: &Db, permit: &Permit<QueryWorklist>, query: &WorklistQuery) -> Result<Vec<WorklistItem>, ExamError> { todo!() }
