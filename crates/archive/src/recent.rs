//! Rows of the series that are being read: frame after frame of one series asks the database once.
//!
//! Only what is found is taken from here, and only for a moment: an instance never changes, one that is not here is
//! looked for in the database, and one that was deleted by another process is gone when the moment has passed. Who may
//! see the rows is decided anew for each request.

use crate::model::InstanceRef;
use mingying_kernel::{OrgId, Scope, Timestamp};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long rows are believed.
const MOMENT: Duration = Duration::from_secs(2);
/// Series with more instances are not kept: their rows are looked for one by one.
pub(crate) const LONGEST: usize = 4096;
/// Instances of all series together, about 16 MB.
const INSTANCES: usize = 32_768;
/// Series of which one instance was asked for lately.
const ASKED: usize = 256;

/// Study and series UID.
type Key = (String, String);

#[derive(Default)]
pub(crate) struct RecentSeries {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    series: HashMap<Key, Series>,
    /// In the order in which they were read.
    order: VecDeque<(Key, Timestamp)>,
    instances: usize,
    asked: VecDeque<(Key, Timestamp)>,
    /// Counts deletions.
    forgotten: u64,
    hits: u64,
    misses: u64,
}

/// How many deletions there had been at some moment.
#[derive(Clone, Copy)]
pub(crate) struct Before(u64);

struct Series {
    org: OrgId,
    read_at: Timestamp,
    by_sop: HashMap<String, Arc<InstanceRef>>,
}

/// Whether `at` is less than a moment ago; a clock that was set back ends the moment.
fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    at <= now && now.since(at) < MOMENT
}

impl State {
    fn forget_old(&mut self, now: Timestamp) {
        while let Some((_, read_at)) = self.order.front()
            && (!is_recent(*read_at, now) || self.instances > INSTANCES)
        {
            let Some((key, read_at)) = self.order.pop_front() else { break };
            // Read again meanwhile: a later entry of the order stands for it.
            if self.series.get(&key).is_some_and(|series| series.read_at == read_at)
                && let Some(series) = self.series.remove(&key)
            {
                self.instances -= series.by_sop.len();
            }
        }
    }
}

impl RecentSeries {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The row, when it is here and `scope` sees its study.
    pub fn find(
        &self,
        scope: Scope,
        study_uid: &str,
        series_uid: &str,
        sop_uid: &str,
        now: Timestamp,
    ) -> Option<Arc<InstanceRef>> {
        let key = (study_uid.to_owned(), series_uid.to_owned());
        let mut state = self.lock();
        let found = state
            .series
            .get(&key)
            .filter(|series| is_recent(series.read_at, now) && scope.sees(series.org))
            .and_then(|series| series.by_sop.get(sop_uid).cloned());
        match &found {
            Some(_) => state.hits += 1,
            None => state.misses += 1,
        }
        found
    }

    /// Notes that an instance of the series was asked for; whether that was so lately, which makes the series worth
    /// reading as a whole.
    pub fn again(&self, study_uid: &str, series_uid: &str, now: Timestamp) -> bool {
        let key = (study_uid.to_owned(), series_uid.to_owned());
        let mut state = self.lock();
        let again = state.asked.iter().any(|(asked, at)| *asked == key && is_recent(*at, now));
        if !again {
            if state.asked.len() >= ASKED {
                state.asked.pop_front();
            }
            state.asked.push_back((key, now));
        }
        again
    }

    /// To be asked before rows are read that `put` gets.
    pub fn before(&self) -> Before {
        Before(self.lock().forgotten)
    }

    /// Keeps rows, unless something was deleted since `before` they were read.
    pub fn put(
        &self,
        study_uid: &str,
        series_uid: &str,
        org: OrgId,
        rows: Vec<InstanceRef>,
        now: Timestamp,
        before: Before,
    ) {
        let key = (study_uid.to_owned(), series_uid.to_owned());
        let by_sop: HashMap<_, _> = rows.into_iter().map(|row| (row.sop_uid.clone(), Arc::new(row))).collect();
        let mut state = self.lock();
        if before.0 != state.forgotten {
            return;
        }
        state.instances += by_sop.len();
        if let Some(old) = state.series.insert(key.clone(), Series { org, read_at: now, by_sop }) {
            state.instances -= old.by_sop.len();
        }
        state.order.push_back((key, now));
        state.forget_old(now);
    }

    /// Forgets the series of a study, of which something was deleted.
    pub fn forget(&self, study_uid: &str) {
        let mut state = self.lock();
        state.forgotten += 1;
        let series = std::mem::take(&mut state.series);
        let (gone, kept): (HashMap<_, _>, _) = series.into_iter().partition(|((study, _), _)| study == study_uid);
        state.series = kept;
        state.instances -= gone.values().map(|series| series.by_sop.len()).sum::<usize>();
    }

    /// Rows found here, and rows looked for in vain.
    pub fn counts(&self) -> (u64, u64) {
        let state = self.lock();
        (state.hits, state.misses)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub fn row(sop: usize) -> InstanceRef {
        InstanceRef {
            key: sop as i64,
            study_uid: "1".to_owned(),
            series_uid: "2".to_owned(),
            sop_uid: format!("3.{sop}"),
            sop_class: "4".to_owned(),
            transfer_syntax: "1.2.840.10008.1.2.1".to_owned(),
            number: None,
            rows: None,
            columns: None,
            bits_allocated: None,
            samples: None,
            frames: 1,
            has_pixels: true,
            size: 0,
            head_len: 0,
            header_end: 0,
            pixel_at: 0,
            pixel_len: 0,
            sha256: String::new(),
            received_at: Timestamp::from_micros(0),
            location: mingying_blob::Location { pack: 0, record: 0, at: 0, len: 0 },
            sibling: None,
        }
    }

    const NOW: Timestamp = Timestamp::from_micros(1_000_000_000);

    #[test]
    fn rows_are_believed_for_a_moment_and_only_by_who_may_see_them() {
        let recent = RecentSeries::default();
        let org = OrgId::new();
        recent.put("1", "2", org, vec![row(1), row(2)], NOW, recent.before());
        let find = |scope, sop: &str, now| recent.find(scope, "1", "2", sop, now).is_some();
        assert!(find(Scope::All, "3.1", NOW) && find(Scope::Org(org), "3.2", NOW));
        assert!(!find(Scope::Org(OrgId::new()), "3.1", NOW), "another organization");
        assert!(!find(Scope::All, "3.9", NOW));
        assert!(find(Scope::All, "3.1", NOW.plus(MOMENT / 2)));
        assert!(!find(Scope::All, "3.1", NOW.plus(MOMENT)));
        assert!(!find(Scope::All, "3.1", NOW.minus(Duration::from_secs(1))), "the clock was set back");
    }

    #[test]
    fn the_second_question_makes_a_series_worth_reading() {
        let recent = RecentSeries::default();
        assert!(!recent.again("1", "2", NOW));
        assert!(recent.again("1", "2", NOW) && !recent.again("1", "3", NOW));
        assert!(!recent.again("1", "2", NOW.plus(MOMENT)));
    }

    #[test]
    fn the_number_of_rows_is_bounded() {
        let recent = RecentSeries::default();
        for n in 0..12 {
            let rows = (0..LONGEST).map(row).collect();
            recent.put("1", &n.to_string(), OrgId::new(), rows, NOW, recent.before());
            assert!(recent.lock().instances <= INSTANCES);
        }
        assert!(recent.find(Scope::All, "1", "11", "3.7", NOW).is_some());
        recent.put("1", "x", OrgId::new(), vec![row(1)], NOW.plus(MOMENT * 2), recent.before());
        assert_eq!(recent.lock().instances, 1, "what is old goes");
        recent.put("1", "x", OrgId::new(), vec![row(1), row(2)], NOW.plus(MOMENT * 2), recent.before());
        assert_eq!(recent.lock().instances, 2);
        recent.put("2", "x", OrgId::new(), vec![row(3)], NOW.plus(MOMENT * 2), recent.before());
        recent.forget("1");
        assert_eq!(recent.lock().instances, 1, "of the other study");
        assert!(recent.find(Scope::All, "1", "x", "3.1", NOW.plus(MOMENT * 2)).is_none());
    }

    #[test]
    fn rows_that_were_read_before_a_deletion_are_not_kept() {
        let recent = RecentSeries::default();
        let before = recent.before();
        recent.forget("1");
        recent.put("1", "2", OrgId::new(), vec![row(1)], NOW, before);
        assert!(recent.find(Scope::All, "1", "2", "3.1", NOW).is_none());
    }
}
