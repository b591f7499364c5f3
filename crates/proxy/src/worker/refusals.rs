//! The limit of usage events for refused LLM requests, so that a flood of them fills neither spool nor store.

use std::cell::RefCell;
use std::time::Duration;

use access::Subject;
use rustc_hash::FxHashMap;
use tokio::time::Instant;

/// Maximum number of usage events that a worker records for refused requests per second.
const IN_A_SECOND_MAX: u32 = 20;
/// Maximum number of usage events that a worker records for refused requests per subject and minute.
const OF_A_SUBJECT_MAX: u32 = 60;
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// The number of usage events that a worker recorded for refused requests in the current second and minute.
#[derive(Default)]
pub(crate) struct Refusals(RefCell<Option<RefusalWindows>>);

/// The counts of two windows, which restart when they have expired. The number of subjects is bounded, because each of
/// them has a usage event of this minute.
struct RefusalWindows {
    second: Instant,
    in_second: u32,
    minute: Instant,
    of_subjects: FxHashMap<Subject, u32>,
}

impl Refusals {
    /// Returns whether one more usage event of `subject` may be recorded; if so, it is counted.
    pub(crate) fn takes(&self, subject: &Subject, now: Instant) -> bool {
        let mut lately = self.0.borrow_mut();
        let lately = lately.get_or_insert_with(|| RefusalWindows {
            second: now,
            in_second: 0,
            minute: now,
            of_subjects: FxHashMap::default(),
        });
        if now.duration_since(lately.second) >= SECOND {
            (lately.second, lately.in_second) = (now, 0);
        }
        if now.duration_since(lately.minute) >= MINUTE {
            lately.minute = now;
            lately.of_subjects.clear();
        }
        let of_subject = lately.of_subjects.get(subject).copied().unwrap_or(0);
        if lately.in_second >= IN_A_SECOND_MAX || of_subject >= OF_A_SUBJECT_MAX {
            return false;
        }
        lately.in_second += 1;
        lately.of_subjects.insert(subject.clone(), of_subject + 1);
        true
    }
}

#[cfg(test)]
mod tests {
    use access::{Caller, KeyNo, PlanId, UserNo};

    use super::*;

    fn subject(key: i64) -> Subject {
        Subject::Key(Caller { user: UserNo(1), key: KeyNo(key), plan: PlanId::NIL })
    }

    #[test]
    fn a_flood_leaves_few_rows_and_no_key_crowds_out_the_others() {
        let refusals = Refusals::default();
        let start = Instant::now();
        let taken = |key, at: Duration, count: u32| {
            (0..count).map(|_| refusals.takes(&subject(key), start + at)).filter(|is_taken| *is_taken).count()
        };
        assert_eq!(taken(1, Duration::ZERO, 100), 20);
        assert_eq!(taken(2, Duration::from_millis(999), 100), 0, "the second is full for all");
        assert_eq!(taken(1, SECOND, 100) + taken(1, SECOND * 2, 100), 40);
        assert_eq!(taken(1, SECOND * 3, 100), 0, "the key's minute is full");
        assert_eq!(taken(2, SECOND * 3, 5), 5);
        assert_eq!(taken(1, MINUTE, 100), 20);
    }

    #[test]
    fn keys_that_are_remembered_have_an_end() {
        let refusals = Refusals::default();
        let start = Instant::now();
        for tenth in 0..3_000 {
            let at = start + Duration::from_millis(100) * tenth;
            let taken = (0..1_000).filter(|n| refusals.takes(&subject(i64::from(tenth) * 1_000 + n), at)).count();
            assert!(taken <= 20, "{taken}");
            let rows = refusals.0.borrow().as_ref().map_or(0, |lately| lately.of_subjects.len());
            assert!(rows <= 1_220, "{rows}");
        }
    }
}
