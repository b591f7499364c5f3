//! The pauses between the attempts to send a mail or a webhook.

use std::time::Duration;

use access::Timestamp;
use store::Store;

/// Pauses that double with each attempt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pauses {
    /// The pause after the first attempt.
    pub(crate) first: Duration,
    /// The longest pause between two attempts.
    pub(crate) longest: Duration,
}

impl Pauses {
    /// Returns the time of the next attempt, after this number of failed ones.
    pub(crate) fn next_at(&self, store: &Store, attempts: i64) -> Timestamp {
        store.clock().now().after(self.next(store, attempts))
    }

    /// Returns the pause before the next attempt, after this number of failed ones.
    pub(crate) fn next(&self, store: &Store, attempts: i64) -> Duration {
        // The last byte of a new id is random.
        let [.., random] = store.new_id().into_bytes();
        self.pause(attempts, random)
    }

    /// Returns the pause, of which up to a quarter is left out at random.
    fn pause(&self, attempts: i64, random: u8) -> Duration {
        let doublings = u32::try_from(attempts).unwrap_or(u32::MAX).min(12);
        let whole = (self.first * (1 << doublings)).min(self.longest);
        whole - whole / 4 * u32::from(random) / u32::from(u8::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_differ_by_a_quarter() {
        let mails = Pauses { first: Duration::from_secs(30), longest: Duration::from_hours(1) };
        let webhooks = Pauses { first: Duration::from_secs(5), longest: Duration::from_hours(2) };
        for (pauses, attempts, longest) in [
            (mails, 0, 30.0),
            (mails, 1, 60.0),
            (mails, 6, 1_920.0),
            (mails, 7, 3_600.0),
            (mails, i64::MAX, 3_600.0),
            (webhooks, 0, 5.0),
            (webhooks, 1, 10.0),
            (webhooks, 10, 5_120.0),
            (webhooks, 11, 7_200.0),
            (webhooks, i64::MAX, 7_200.0),
        ] {
            let seconds = |random| pauses.pause(attempts, random).as_secs_f64();
            assert!((seconds(0) - longest).abs() < 1e-6);
            assert!((seconds(u8::MAX) - longest * 0.75).abs() < 1e-6);
        }
    }
}
