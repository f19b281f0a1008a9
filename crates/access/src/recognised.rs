//! Who presented a token a moment ago: frame after frame of one client asks the database once a second, not once a
//! frame.
//!
//! Only who was recognised is kept, and only for a moment; whoever was refused is looked for again each time. What
//! ends a session, a token or a right on this node empties the memory at once. What ended it elsewhere, another node or
//! the command line, counts here when the moment has passed.

use crate::SignedIn;
use mingying_kernel::{Actor, Timestamp};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long somebody is believed to be who the database said.
pub(crate) const MOMENT: Duration = Duration::from_secs(1);
/// Tokens and sessions kept at most, a few megabytes.
const MOST: usize = 8192;

#[derive(Clone)]
pub(crate) enum Known {
    Machine(Actor),
    Person(Arc<SignedIn>),
}

struct Entry {
    known: Known,
    looked_up: Timestamp,
    /// The token's or session's own end.
    ends: Option<Timestamp>,
}

#[derive(Default)]
struct State {
    by_hash: HashMap<String, Entry>,
    /// Counts how often the memory was emptied.
    emptied: u64,
}

/// Cheap to clone; clones share the memory.
#[derive(Clone, Default)]
pub(crate) struct Recognised {
    state: Arc<Mutex<State>>,
}

/// Taken before the database is asked: what it answers may be kept only when nothing was ended meanwhile.
#[derive(Clone, Copy)]
pub(crate) struct Before(u64);

fn holds(entry: &Entry, now: Timestamp) -> bool {
    // A clock that was set back ends the moment.
    entry.looked_up <= now && now.since(entry.looked_up) < MOMENT && entry.ends.is_none_or(|end| now < end)
}

impl Recognised {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who presented the token with this hash within the last moment.
    pub fn find(&self, hash: &str, now: Timestamp) -> Result<Known, Before> {
        let state = self.lock();
        match state.by_hash.get(hash).filter(|entry| holds(entry, now)) {
            Some(entry) => Ok(entry.known.clone()),
            None => Err(Before(state.emptied)),
        }
    }

    pub fn keep(&self, before: Before, hash: String, known: Known, ends: Option<Timestamp>, now: Timestamp) {
        let mut state = self.lock();
        if state.emptied != before.0 {
            return;
        }
        if state.by_hash.len() >= MOST {
            state.by_hash.retain(|_, entry| holds(entry, now));
        }
        if state.by_hash.len() < MOST {
            state.by_hash.insert(hash, Entry { known, looked_up: now, ends });
        }
    }

    /// Somebody's session, token or right has ended. Called after the commit that says so.
    pub fn forget_all(&self) {
        let mut state = self.lock();
        state.by_hash.clear();
        state.emptied += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mingying_kernel::{ActorKind, Role};

    fn machine(id: usize) -> Known {
        let actor = Actor {
            kind: ActorKind::Device,
            id: id.to_string(),
            name: String::new(),
            roles: vec![Role::Machine],
            org: None,
        };
        Known::Machine(actor)
    }

    fn missing(recognised: &Recognised, hash: &str, now: Timestamp) -> Before {
        recognised.find(hash, now).err().unwrap()
    }

    #[test]
    fn what_was_read_before_an_end_is_not_kept_after_it() {
        let (recognised, now) = (Recognised::default(), Timestamp::from_micros(1_000_000));
        let before = missing(&recognised, "a", now);
        recognised.forget_all();
        recognised.keep(before, "a".into(), machine(1), None, now);
        assert!(recognised.find("a", now).is_err());
    }

    #[test]
    fn the_moment_and_the_own_end_both_count() {
        let (recognised, now) = (Recognised::default(), Timestamp::from_micros(5_000_000));
        let half = now.plus(MOMENT / 2);
        recognised.keep(missing(&recognised, "a", now), "a".into(), machine(1), None, now);
        recognised.keep(missing(&recognised, "b", now), "b".into(), machine(2), Some(half), now);
        assert!(recognised.find("a", half).is_ok() && recognised.find("b", half).is_err());
        assert!(recognised.find("a", now.plus(MOMENT)).is_err());
        assert!(recognised.find("a", now.minus(Duration::from_micros(1))).is_err(), "a clock set back");
    }

    #[test]
    fn it_is_bounded_and_old_ones_make_room() {
        let (recognised, now) = (Recognised::default(), Timestamp::from_micros(5_000_000));
        let keep = |id: usize, now| {
            recognised.keep(missing(&recognised, "none", now), id.to_string(), machine(id), None, now);
        };
        (0..MOST + 10).for_each(|id| keep(id, now));
        assert_eq!(recognised.lock().by_hash.len(), MOST);
        let later = now.plus(MOMENT);
        keep(MOST + 11, later);
        assert_eq!(recognised.lock().by_hash.len(), 1);
        assert!(recognised.find(&(MOST + 11).to_string(), later).is_ok());
    }
}
