//! Bounds on what organizations may store. What is used is counted from the index, and what arrives is added to that
//! until the next count: a bound may be passed by what other nodes store within a minute.

use crate::{Archive, ArchiveError, store};
use mingying_kernel::{OrgId, Timestamp};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A count is believed for so long.
const RECOUNT: Duration = Duration::from_mins(1);
/// Before an object is refused it is counted again, so that a deletion makes room at once, but not more often than this.
const RECOUNT_FULL: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy)]
struct Used {
    bytes: u64,
    counted: Timestamp,
}

#[derive(Default)]
pub(crate) struct Usage {
    by_org: Mutex<HashMap<OrgId, Used>>,
}

impl Usage {
    /// Takes room for `more` bytes; `None` when a count is due first, `Some(false)` when there is no room.
    fn take(&self, org: OrgId, more: u64, bound: u64, now: Timestamp) -> Option<bool> {
        let mut by_org = self.by_org.lock().unwrap_or_else(PoisonError::into_inner);
        let used = by_org.get_mut(&org)?;
        let fits = used.bytes.saturating_add(more) <= bound;
        let age = now.since(used.counted);
        if used.counted > now || age >= if fits { RECOUNT } else { RECOUNT_FULL } {
            return None;
        }
        if fits {
            used.bytes += more;
        }
        Some(fits)
    }

    fn count(&self, org: OrgId, bytes: u64, now: Timestamp) {
        let mut by_org = self.by_org.lock().unwrap_or_else(PoisonError::into_inner);
        by_org.insert(org, Used { bytes, counted: now });
    }
}

impl Archive {
    /// Takes room for an object of `more` bytes; `Quota` when its owner's bound leaves none.
    pub(crate) async fn take_room(&self, org: OrgId, more: u64) -> Result<(), ArchiveError> {
        let Some(bound) = self.settings().org_bytes.get(&org).copied() else { return Ok(()) };
        let now = self.clock().now();
        let fits = match self.usage().take(org, more, bound, now) {
            Some(fits) => fits,
            None => {
                let bytes = store::bytes_of(self.db(), org).await?;
                self.usage().count(org, bytes, now);
                self.usage().take(org, more, bound, now).unwrap_or(false)
            }
        };
        if fits { Ok(()) } else { Err(ArchiveError::Quota) }
    }
}
