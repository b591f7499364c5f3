//! The recent use of a lease, by which its requests are sized.

use std::time::Duration;

use access::{Amount, Mono};

/// The length of the windows in which the rate of use is measured.
const WINDOW: Duration = Duration::from_secs(5);
/// The use of a window that has just begun is extrapolated from at least this time, so that one request is not taken for
/// a rate.
const EXTRAPOLATED_FROM: Duration = Duration::from_millis(2_500);

/// The use of one lease in the last tick and in the last seconds.
#[derive(Debug)]
pub(super) struct RecentUse {
    /// The used amount at the last tick.
    used: Amount,
    /// The use of the last tick, or half of the value before if that is more.
    per_tick: Amount,
    /// The start of the current window, and the used amount at that time.
    window_at: Mono,
    window_used: Amount,
    /// The use per window, as the last complete window shows it.
    per_window: Amount,
}

impl RecentUse {
    /// Begins with the used amount `used`.
    pub(super) const fn new(used: Amount, now: Mono) -> Self {
        Self { used, per_tick: Amount::ZERO, window_at: now, window_used: used, per_window: Amount::ZERO }
    }

    /// Records the used amount at a tick; returns whether anything was used since the last one.
    pub(super) fn measure(&mut self, used: Amount, now: Mono) -> bool {
        let taken = used.saturating_sub(self.used);
        self.used = used;
        self.per_tick = taken.max(self.per_tick.part(2));
        let elapsed = now.since(self.window_at);
        if elapsed >= WINDOW {
            self.per_window = scaled(used.saturating_sub(self.window_used), WINDOW, elapsed);
            (self.window_at, self.window_used) = (now, used);
        }
        !taken.is_zero()
    }

    /// Returns the use of this number of ticks, at the highest rate of the last ones.
    pub(super) fn in_ticks(&self, ticks: u64) -> Amount {
        self.per_tick.saturating_mul(ticks)
    }

    /// Returns the use of a time, at the higher rate of the current window and of the one before.
    pub(super) fn during(&self, time: Duration, now: Mono) -> Amount {
        let elapsed = now.since(self.window_at).max(EXTRAPOLATED_FROM);
        let current = scaled(self.used.saturating_sub(self.window_used), WINDOW, elapsed);
        scaled(current.max(self.per_window), time, WINDOW)
    }
}

/// Returns the use of `to` if `amount` is the use of `from`, rounded up.
fn scaled(amount: Amount, to: Duration, from: Duration) -> Amount {
    let whole = u128::from(amount.0).saturating_mul(to.as_millis()).div_ceil(from.as_millis().max(1));
    Amount(u64::try_from(whole).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: u64 = 100_000_000;
    const MINUTE: Duration = Duration::from_secs(60);

    /// Uses an amount in every tick of this number of seconds.
    fn used_for(recent: &mut RecentUse, from: u64, seconds: u64, amount: u64) -> u64 {
        let ticks = seconds * 10;
        for tick in 1..=ticks {
            let used = Amount(recent.used.0 + amount);
            recent.measure(used, Mono((from + tick) * TICK));
        }
        from + ticks
    }

    #[test]
    fn a_steady_rate_is_known_after_half_a_window_and_forgotten_after_two() {
        let mut recent = RecentUse::new(Amount(7), Mono(0));
        let at = used_for(&mut recent, 0, 1, 10);
        assert_eq!(recent.during(MINUTE, Mono(at * TICK)), Amount(2_400), "100 in a second count as 100 in 2.5 s");
        let at = used_for(&mut recent, at, 2, 10);
        assert_eq!(recent.during(MINUTE, Mono(at * TICK)), Amount(6_000));
        let at = used_for(&mut recent, at, 30, 10);
        assert_eq!(recent.during(MINUTE, Mono(at * TICK)), Amount(6_000));
        let at = used_for(&mut recent, at, 10, 0);
        assert_eq!(recent.during(MINUTE, Mono(at * TICK)), Amount::ZERO);
    }

    #[test]
    fn one_request_every_few_seconds_has_its_rate_between_two_requests_too() {
        let mut recent = RecentUse::new(Amount::ZERO, Mono(0));
        let mut at = 0;
        for _ in 0..10 {
            recent.measure(Amount(recent.used.0 + 5), Mono((at + 1) * TICK));
            at = used_for(&mut recent, at + 1, 2, 0) + 4;
            recent.measure(recent.used, Mono(at * TICK));
        }
        assert_eq!(recent.in_ticks(32), Amount::ZERO, "the last ticks used nothing");
        let during = recent.during(MINUTE, Mono(at * TICK));
        assert!((100..=240).contains(&during.0), "5 in each 2.5 s: {during:?}");
    }

    #[test]
    fn released_reservations_are_no_use() {
        let mut recent = RecentUse::new(Amount::ZERO, Mono(0));
        for tick in 1..=100 {
            let used = if tick % 2 == 1 { Amount(1_000) } else { Amount(0) };
            recent.measure(used, Mono(tick * TICK));
        }
        assert!(recent.during(MINUTE, Mono(100 * TICK)) <= Amount(24_000), "at most one reservation counts");
        assert!(recent.in_ticks(1) >= Amount(500), "but the last ticks needed the amount");
    }
}
