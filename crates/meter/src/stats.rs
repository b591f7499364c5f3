//! Statistics of reservations: their number, their outcomes and their amounts.
//!
//! Each thread counts in its own slice, so that workers share no cache line; a reader adds up the slices.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::budget::{Charge, Measure};

/// Usually one worker per core uses one slice; with more threads, some share a slice.
const SLICES: usize = 16;

/// Statistics of all reservations since the process began.
#[derive(Debug, Default)]
pub struct ReservationStats {
    slices: [Arc<StatsSlice>; SLICES],
}

/// The sum of [`ReservationStats`]. `reserved` is the sum of `released`, `settled`, `dropped` and the requests in
/// flight, apart from changes during reading.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReservationTotals {
    /// The number of reservations made.
    pub reserved: u64,
    /// Reservations released before anything was sent.
    pub released: u64,
    /// Reservations settled with the used amount, or with the reserved amount if usage was not reported.
    pub settled: u64,
    /// Reservations dropped after the commit without settling; the reserved amount counts as used.
    pub dropped: u64,
    /// Reservations settled with more than the reserved amount in at least one budget.
    pub overruns: u64,
    /// Reservations settled with the reserved amount in at least one measure, because usage was not reported.
    pub bounded: u64,
    /// The amounts reserved by requests in flight.
    pub in_flight: Charge,
    /// The amounts that requests were settled with, dropped ones included.
    pub used: Charge,
    /// The used amounts above the reserved amounts, for budgets with a limit.
    pub overrun: Charge,
    /// The amounts counted as used because usage was not reported.
    pub estimated: Charge,
}

/// The statistics of one thread. The alignment is two cache lines, because the processor may prefetch the neighbour.
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

/// A sum of charges in atomic words.
#[derive(Debug, Default)]
struct AtomicCharge {
    credits: AtomicU64,
    tokens: AtomicU64,
    money: AtomicU64,
}

impl ReservationStats {
    /// Returns the slice of the current thread.
    pub(crate) fn slice(&self) -> Arc<StatsSlice> {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local!(static NUMBER: usize = THREADS.fetch_add(1, Ordering::Relaxed));
        let [first, ..] = &self.slices;
        self.slices.get(NUMBER.with(|number| number % SLICES)).unwrap_or(first).clone()
    }

    /// Returns the sum of all slices.
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

    /// Counts the reserved amount as used.
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

    /// Most charges have one measure, so the other words are not written.
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
