//! Names of models that only clients know: the store keeps a row per name, so a client cannot add any number of them.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use access::Subject;
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::time::Instant;

/// Maximum number of invented names that a worker records per day.
const NAMES_MAX: usize = 500;
/// Maximum number of invented names that a worker records per subject and day.
const OF_A_SUBJECT_MAX: u32 = 20;
/// Maximum number of bytes of an invented name, as of other names in the store.
const NAME_BYTES_MAX: usize = 200;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The invented names that a worker recorded in the current period of a day.
#[derive(Default)]
pub(crate) struct InventedNames(RefCell<Option<NamesWindow>>);

/// The names of a period, which restarts when it has expired. The number of subjects is bounded, because each of them has
/// added a name.
struct NamesWindow {
    since: Instant,
    names: FxHashSet<Arc<str>>,
    of_subjects: FxHashMap<Subject, u32>,
}

impl InventedNames {
    /// Returns the name as it is recorded; `None` if the subject or the worker has recorded too many others.
    pub(crate) fn recorded(&self, subject: &Subject, name: &str, now: Instant) -> Option<Arc<str>> {
        let mut window = self.0.borrow_mut();
        let window = window.get_or_insert_with(|| NamesWindow {
            since: now,
            names: FxHashSet::default(),
            of_subjects: FxHashMap::default(),
        });
        if now.duration_since(window.since) >= DAY {
            window.since = now;
            window.names.clear();
            window.of_subjects.clear();
        }
        let name = printable(name);
        if let Some(name) = window.names.get(&*name) {
            return Some(name.clone());
        }
        let of_subject = window.of_subjects.get(subject).copied().unwrap_or(0);
        if name.is_empty() || window.names.len() >= NAMES_MAX || of_subject >= OF_A_SUBJECT_MAX {
            return None;
        }
        window.of_subjects.insert(subject.clone(), of_subject + 1);
        let name = Arc::<str>::from(name);
        window.names.insert(name.clone());
        Some(name)
    }
}

/// Returns the beginning of a name, with escaped control characters.
fn printable(name: &str) -> String {
    let mut printed = String::new();
    for letter in name.chars() {
        let before = printed.len();
        if letter.is_control() {
            printed.extend(letter.escape_default());
        } else {
            printed.push(letter);
        }
        if printed.len() > NAME_BYTES_MAX {
            printed.truncate(before);
            break;
        }
    }
    printed
}

#[cfg(test)]
mod tests {
    use access::{Caller, KeyNo, PlanId, UserNo};

    use super::*;

    fn subject(key: i64) -> Subject {
        Subject::Key(Caller { user: UserNo(1), key: KeyNo(key), plan: PlanId::NIL })
    }

    #[test]
    fn a_client_adds_few_names_and_no_client_crowds_out_the_others() {
        let names = InventedNames::default();
        let start = Instant::now();
        let added = |key: i64, at: Duration| {
            let of_key = (0..100).filter_map(|n| names.recorded(&subject(key), &format!("m{key}-{n}"), start + at));
            of_key.count()
        };
        assert_eq!((added(1, Duration::ZERO), added(2, Duration::ZERO)), (20, 20));
        assert_eq!(names.recorded(&subject(3), "m1-0", start).as_deref(), Some("m1-0"), "a recorded name adds none");
        assert_eq!(names.recorded(&subject(1), "m2-0", start).as_deref(), Some("m2-0"));
        let all: usize = (3..40).map(|key| added(key, Duration::ZERO)).sum();
        assert_eq!(all, NAMES_MAX - 40);
        assert_eq!(added(1, DAY), 20);
    }

    #[test]
    fn recorded_names_are_short_and_visible() {
        let names = InventedNames::default();
        let recorded = |name: &str| names.recorded(&subject(1), name, Instant::now());
        assert_eq!(recorded("a\0b\nc").as_deref(), Some("a\\u{0}b\\nc"));
        assert_eq!(recorded(&"x".repeat(300)).as_deref(), Some(&*"x".repeat(200)));
        assert_eq!(recorded(&"€".repeat(100)).as_deref(), Some(&*"€".repeat(66)));
        assert_eq!(recorded(&format!("{}\0", "x".repeat(198))).as_deref(), Some(&*"x".repeat(198)));
        assert_eq!(recorded(""), None);
    }
}
