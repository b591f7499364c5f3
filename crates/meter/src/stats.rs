//! How many reservations were taken, how they ended, and of how much.
//!
//! Each thread counts in a slice of its own, so that workers share no cache line for it; a reader adds the slices up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::budget::{Charge, Measure};

/// Workers are as many as cores; where there are more, some share a slice.
const SLICES: usize = 16;

/// How many reservations were taken, how they ended, and of how much, since the process began.
#[derive(Debug, Default)]
pub struct ReservationStats {
    slices: [Arc<StatsSlice>; SLICES],
}

/// The sum of a [`ReservationStats`]. `reserved` is `released`, `settled`, `dropped`, and what is under way, give or take what
/// changes while it is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReservationTotals {
    /// Taken.
    pub reserved: u64,
    /// Given back before anything was sent.
    pub released: u64,
    /// Settled with what was used, or with what was reserved where nobody said.
    pub settled: u64,
    /// Dropped after the first byte, unsettled: what was reserved counts as used.
    pub dropped: u64,
    /// Settled with more than was reserved, in one budget at least.
    pub overruns: u64,
    /// Settled with what was reserved, in one measure at least, because nobody said what was used.
    pub bounded: u64,
    /// What requests that are under way have reserved.
    pub in_flight: Charge,
    /// What requests were settled with, dropped ones included.
    pub used: Charge,
    /// What they used beyond what was reserved, of what a budget limits.
    pub overrun: Charge,
    /// What counts as used because nobody said.
    pub estimated: Charge,
}

/// One thread's counts. Two lines of a cache wide: its neighbour may be fetched with a line.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct StatsSlice {
    reserved: AtomicU64,
    released: AtomicU64,
    settled: AtomicU64,
    dropped: AtomicU64,
    in_flight: AtomicCharge,
    used: AtomicCharge,
    overruns: AtomicU64,
    bounded: AtomicU64,
    overrun: AtomicCharge,
    estimated: AtomicCharge,
}

/// A sum of charges.
#[derive(Debug, Default)]
struct AtomicCharge {
    credits: AtomicU64,
    tokens: AtomicU64,
    money: AtomicU64,
}

impl ReservationStats {
    /// The slice of the thread that asks.
    pub(crate) fn slice(&self) -> Arc<StatsSlice> {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local!(static NUMBER: usize = THREADS.fetch_add(1, Ordering::Relaxed));
        let [first, ..] = &self.slices;
        self.slices.get(NUMBER.with(|number| number % SLICES)).unwrap_or(first).clone()
    }

    /// All slices together.
    #[must_use]
    pub fn totals(&self) -> ReservationTotals {
        self.slices.iter().fold(ReservationTotals::default(), |sum, slice| {
            let with = |sum: u64, count: &AtomicU64| sum.wrapping_add(count.load(Ordering::Relaxed));
            ReservationTotals {
                reserved: with(sum.reserved, &slice.reserved),
                released: with(sum.released, &slice.released),
                settled: with(sum.settled, &slice.settled),
                dropped: with(sum.dropped, &slice.dropped),
                overruns: with(sum.overruns, &slice.overruns),
                bounded: with(sum.bounded, &slice.bounded),
                in_flight: slice.in_flight.and(&sum.in_flight),
                used: slice.used.and(&sum.used),
                overrun: slice.overrun.and(&sum.overrun),
                estimated: slice.estimated.and(&sum.estimated),
            }
        })
    }
}

impl StatsSlice {
    pub(crate) fn reserve(&self, charge: &Charge) {
        one_more(&self.reserved);
        self.in_flight.add(charge);
    }

    pub(crate) fn release(&self, charge: &Charge) {
        one_more(&self.released);
        self.in_flight.subtract(charge);
    }

    pub(crate) fn settle(&self, reserved: &Charge, actual: &Charge) {
        one_more(&self.settled);
        self.end(reserved, actual);
    }

    /// What was reserved counts as used.
    pub(crate) fn drop_unsettled(&self, reserved: &Charge) {
        one_more(&self.dropped);
        self.end(reserved, reserved);
    }

    pub(crate) fn overrun(&self, beyond: &Charge) {
        one_more(&self.overruns);
        self.overrun.add(beyond);
    }

    pub(crate) fn count_estimated(&self, estimated: &Charge) {
        one_more(&self.bounded);
        self.estimated.add(estimated);
    }

    fn end(&self, reserved: &Charge, actual: &Charge) {
        self.in_flight.subtract(reserved);
        self.used.add(actual);
    }
}

impl AtomicCharge {
    fn of(&self, measure: Measure) -> &AtomicU64 {
        match measure {
            Measure::Credits => &self.credits,
            Measure::Tokens => &self.tokens,
            Measure::Money => &self.money,
        }
    }

    fn add(&self, charge: &Charge) {
        self.each(charge, |sum, part| _ = sum.fetch_add(part, Ordering::Relaxed));
    }

    fn subtract(&self, charge: &Charge) {
        self.each(charge, |sum, part| _ = sum.fetch_sub(part, Ordering::Relaxed));
    }

    /// Most charges are of one measure: the others touch nothing.
    fn each(&self, charge: &Charge, change: impl Fn(&AtomicU64, u64)) {
        for measure in Measure::ALL {
            let part = charge.of(measure);
            if part > 0 {
                change(self.of(measure), part);
            }
        }
    }

    fn and(&self, sum: &Charge) -> Charge {
        let part = |measure| sum.of(measure).wrapping_add(self.of(measure).load(Ordering::Relaxed));
        Charge { credits: part(Measure::Credits), tokens: part(Measure::Tokens), money: part(Measure::Money) }
    }
}

fn one_more(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_count_in_slices_and_are_summed() {
        let stats = ReservationStats::default();
        let charge = Charge { credits: 1, tokens: 20, money: 300 };
        std::thread::scope(|scope| {
            for _ in 0..3 * SLICES {
                scope.spawn(|| {
                    let slice = stats.slice();
                    (0..3).for_each(|_| slice.reserve(&charge));
                    slice.release(&charge);
                    slice.settle(&charge, &Charge::credits(1));
                });
            }
        });
        let (threads, totals) = (3 * SLICES as u64, stats.totals());
        assert_eq!((totals.reserved, totals.released, totals.settled), (3 * threads, threads, threads));
        assert_eq!(totals.in_flight, Charge { credits: threads, tokens: 20 * threads, money: 300 * threads });
        assert_eq!(totals.used, Charge::credits(threads));
        let used: Vec<u64> = stats.slices.iter().map(|slice| slice.settled.load(Ordering::Relaxed)).collect();
        assert!(used.iter().filter(|settled| **settled > 0).count() > 1, "{used:?}");
    }
}
