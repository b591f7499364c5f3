//! The limits of notifications of the payment provider, over all addresses.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use access::Mono;
use tokio::sync::{Semaphore, SemaphorePermit};

/// The maximum number of notifications at once.
const AT_ONCE: usize = 8;
/// The maximum number of notifications per second. A constant 50 a second pass: a second may contain more of them, because
/// they arrive a little early or late.
const PER_SECOND: u32 = 60;

/// Admits notifications: at most 8 at once, and at most 60 in each second.
#[derive(Debug)]
pub(crate) struct NotificationLimit {
    turns: Semaphore,
    second: Mutex<(Option<Mono>, u32)>,
}

impl Default for NotificationLimit {
    fn default() -> Self {
        Self { turns: Semaphore::new(AT_ONCE), second: Mutex::default() }
    }
}

impl NotificationLimit {
    /// Returns a permit for one notification; `None` if a limit is reached.
    pub(crate) fn enter(&self, now: Mono) -> Option<SemaphorePermit<'_>> {
        let turn = self.turns.try_acquire().ok()?;
        let mut second = self.second.lock().unwrap_or_else(PoisonError::into_inner);
        if second.0.is_none_or(|began| now.since(began) >= Duration::from_secs(1)) {
            *second = (Some(now), 0);
        }
        second.1 = second.1.saturating_add(1);
        (second.1 <= PER_SECOND).then_some(turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixty_a_second_and_eight_at_once_are_admitted() {
        let limit = NotificationLimit::default();
        let turns: Vec<_> = (0..8).map(|_| limit.enter(Mono(1))).collect();
        assert!(turns.iter().all(Option::is_some) && limit.enter(Mono(1)).is_none());
        drop(turns);
        let admitted = (0..100).map(|_| limit.enter(Mono(2)).is_some()).filter(|is_admitted| *is_admitted).count();
        assert_eq!(admitted, 52);
        assert!(limit.enter(Mono(1_000_000_001)).is_some());
    }
}
