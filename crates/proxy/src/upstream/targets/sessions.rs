//! The targets of sessions: a session stays on its target, whose prompt cache knows it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustc_hash::FxHashMap;
use tokio::time::Instant;

/// Maximum number of sessions in each of the two maps.
const SESSIONS_MAX: usize = 50_000;

/// The targets of at most 100,000 sessions. Those that were not used for longest are forgotten first.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<SessionMaps>);

#[derive(Debug, Default)]
struct SessionMaps {
    recent: FxHashMap<u64, SessionTarget>,
    earlier: FxHashMap<u64, SessionTarget>,
}

/// The target of a session, and the time until which the session stays on it.
#[derive(Debug, Clone, Copy)]
struct SessionTarget {
    /// The id of the target, which does not depend on its place in the list.
    target: u64,
    until: Instant,
}

impl Sessions {
    /// Returns the id of the session's target, if it stays on one at `now`.
    pub(crate) fn target(&self, session: u64, now: Instant) -> Option<u64> {
        let maps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = maps.recent.get(&session).or_else(|| maps.earlier.get(&session))?;
        (now < known.until).then_some(known.target)
    }

    /// Lets the session stay on a target for a time.
    pub(crate) fn stay(&self, session: u64, target: u64, now: Instant, time: Duration) {
        let mut maps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if maps.recent.len() >= SESSIONS_MAX && !maps.recent.contains_key(&session) {
            maps.earlier = std::mem::take(&mut maps.recent);
        }
        maps.recent.insert(session, SessionTarget { target, until: now + time });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_stays_on_its_target_for_its_time() {
        let sessions = Sessions::default();
        let now = Instant::now();
        let hour = Duration::from_secs(3_600);
        assert_eq!(sessions.target(1, now), None);
        sessions.stay(1, 2, now, hour);
        sessions.stay(2, 0, now, hour);
        assert_eq!((sessions.target(1, now), sessions.target(2, now)), (Some(2), Some(0)));
        assert_eq!(sessions.target(1, now + hour), None);
        sessions.stay(1, 1, now, hour);
        assert_eq!(sessions.target(1, now), Some(1));
    }

    #[test]
    fn the_number_of_sessions_is_bounded() {
        let sessions = Sessions::default();
        let now = Instant::now();
        let hour = Duration::from_secs(3_600);
        let count = u64::try_from(3 * SESSIONS_MAX).unwrap();
        for session in 0..count {
            sessions.stay(session, 1, now, hour);
        }
        assert_eq!((sessions.target(0, now), sessions.target(count - 1, now)), (None, Some(1)));
        let maps = sessions.0.lock().unwrap();
        assert!(maps.recent.len() <= SESSIONS_MAX && maps.earlier.len() <= SESSIONS_MAX);
    }
}
