use crate::{CaseCount, Page, ReadCases, ReadingError, ReadingQuery, ReadingRow, store};
use mingying_db::Db;
use mingying_kernel::Permit;
use mingying_orders::ExamState;

/// What waits for a report or for its audit.
const WAITING: [ExamState; 3] = [ExamState::Imaged, ExamState::Completed, ExamState::Reported];

/// One page of the reading worklist.
pub async fn worklist(
    db: &Db,
    permit: &Permit<ReadCases>,
    query: &ReadingQuery,
) -> Result<Page<ReadingRow>, ReadingError> {
    let states = if query.states.is_empty() { WAITING.to_vec() } else { query.states.clone() };
    store::worklist(db, permit.scope(), permit.now(), query, &states).await
}

/// How many cases are to be read, read again or audited, by state, modality and priority; of those that `text` finds,
/// where it is given. What is done is not counted: it only grows.
pub async fn count_cases(
    db: &Db,
    permit: &Permit<ReadCases>,
    text: Option<&str>,
) -> Result<Vec<CaseCount>, ReadingError> {
    let states = [&WAITING[..], &[ExamState::Redo]].concat();
    Ok(store::count_cases(db, permit.scope(), &states, text).await?)
}
