//! The only SQL of the archive.

mod aside;
mod deleted;
mod find;
mod index;
mod known;
mod nodes;
mod places;
mod progress;
mod siblings;

pub(crate) use aside::*;
pub(crate) use deleted::*;
pub(crate) use find::*;
pub(crate) use index::*;
pub(crate) use known::{is_kept_beside, known_contents};
pub(crate) use nodes::*;
pub(crate) use places::*;
pub(crate) use progress::*;
pub(crate) use siblings::*;

use crate::record::{Address, Place};
use index::INDEX_LOCK;
use mingying_blob::Location;
use mingying_db::{DbError, Row};

/// Sizes of IN lists. A list is filled up with its last value, so that few statements serve all lengths and stay in
/// the statement cache.
const LISTS: [usize; 5] = [1, 4, 16, 64, 256];

/// Pieces of `values`, each with a length of `LISTS`.
fn lists<'a>(values: &'a [&'a str]) -> impl Iterator<Item = Vec<&'a str>> {
    values.chunks(256).map(|piece| {
        let size = LISTS.into_iter().find(|size| *size >= piece.len()).unwrap_or(256);
        let mut list = piece.to_vec();
        if let Some(last) = list.last().copied() {
            list.resize(size, last);
        }
        list
    })
}

/// `$1, $2, …` for `n` values, beginning at `first`.
fn places(first: usize, n: usize) -> String {
    (first..first + n).map(|i| format!("${i}")).collect::<Vec<_>>().join(", ")
}

fn place(row: &Row) -> Result<Place, DbError> {
    let sha: Vec<u8> = row.get("sha256")?;
    let address = Address { pack: row.get("pack")?, record: row.get("record_at")? };
    let (moved_to, moved_at): (Option<u64>, Option<u64>) = (row.get("moved_to")?, row.get("moved_at")?);
    Ok(Place {
        address,
        location: Location {
            pack: moved_to.unwrap_or(address.pack),
            record: moved_at.unwrap_or(address.record),
            at: row.get("payload_at")?,
            len: row.get("size")?,
        },
        head_len: row.get("head_len")?,
        sha256: sha.try_into().map_err(|_| DbError::Column("sha256".to_owned()))?,
    })
}
