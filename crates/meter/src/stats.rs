//! Statistics of reservations: their number, their outcomes and their amounts.
//!
//! Each thread counts in its own slice, so that workers share no cache line; a reader adds up the slices.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use access::Amount;

use crate::budgets::budget::{Charge, Measure};

/// Usually one worker per core uses one slice; with more threads, some share a slice.
const SLICES: usize = 16;

/// Statistics of all reservations since the process began.
#[derive(Debug, Default)]
pub struct ReservationStats {
    slices: [Arc<StatsSlice>; SLICES],
}

/// The sum of [`ReservationStats`]. `reserved_count` is the sum of `released_count`, `settled_count`,
/// `dropped_count` and the number of requests in flight, apart from changes during reading.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReservationTotals {
    /// The number of reservations made.
    pub reserved_count: u64,
    /// Reservations released before anything was sent.
    pub released_count: u64,
    /// Reservations settled with the used amount, or with the reserved amount if usage was not reported.
    pub settled_count: u64,
    /// Reservations dropped after the commit without settling; the reserved amount counts as used.
    pub dropped_count: u64,
    /// Reservations settled with more than the reserved amount in at least one budget.
    pub overrun_count: u64,
    /// Reservations settled with the reserved amount in at least one measure, because usage was not reported.
    pub bounded_count: u64,
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
    reserved_count: AtomicU64,
    released_count: AtomicU64,
    settled_count: AtomicU64,
    dropped_count: AtomicU64,
    in_flight: AtomicCharge,
    used: AtomicCharge,
    overrun_count: AtomicU64,
    bounded_count: AtomicU64,
    overrun: AtomicCharge,
    estimated: AtomicCharge,
}

/// A sum of charges in atomic words. One thread may add what another one subtracts, so that only the sum of all slices
/// is an amount.
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
        let count = |of: fn(&StatsSlice) -> &AtomicU64| self.sum(of);
        ReservationTotals {
            reserved_count: count(|slice| &slice.reserved_count),
            released_count: count(|slice| &slice.released_count),
            settled_count: count(|slice| &slice.settled_count),
            dropped_count: count(|slice| &slice.dropped_count),
            overrun_count: count(|slice| &slice.overrun_count),
            bounded_count: count(|slice| &slice.bounded_count),
            in_flight: self.charge(|slice| &slice.in_flight),
            used: self.charge(|slice| &slice.used),
            overrun: self.charge(|slice| &slice.overrun),
            estimated: self.charge(|slice| &slice.estimated),
        }
    }

    fn charge(&self, of: fn(&StatsSlice) -> &AtomicCharge) -> Charge {
        Measure::ALL.into_iter().fold(Charge::default(), |charge, measure| {
            charge.with(measure, Amount(self.sum(|slice| of(slice).counter(measure))))
        })
    }

    fn sum<'a>(&'a self, of: impl Fn(&'a StatsSlice) -> &'a AtomicU64) -> u64 {
        self.slices.iter().fold(0_u64, |sum, slice| sum.wrapping_add(of(slice).load(Ordering::Relaxed)))
    }
}

impl StatsSlice {
    pub(crate) fn reserve(&self, charge: &Charge) {
        one_more(&self.reserved_count);
        self.in_flight.add(charge);
    }

    pub(crate) fn release(&self, charge: &Charge) {
        one_more(&self.released_count);
        self.in_flight.subtract(charge);
    }

    pub(crate) fn settle(&self, reserved: &Charge, actual: &Charge) {
        one_more(&self.settled_count);
        self.end(reserved, actual);
    }

    /// Counts the reserved amount as used.
    pub(crate) fn drop_unsettled(&self, reserved: &Charge) {
        one_more(&self.dropped_count);
        self.end(reserved, reserved);
    }

    pub(crate) fn overrun(&self, beyond: &Charge) {
        one_more(&self.overrun_count);
        self.overrun.add(beyond);
    }

    pub(crate) fn count_estimated(&self, estimated: &Charge) {
        one_more(&self.bounded_count);
        self.estimated.add(estimated);
    }

    fn end(&self, reserved: &Charge, actual: &Charge) {
        self.in_flight.subtract(reserved);
        self.used.add(actual);
    }
}

impl AtomicCharge {
    fn counter(&self, measure: Measure) -> &AtomicU64 {
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
            let part = charge.amount_of(measure);
            if !part.is_zero() {
                change(self.counter(measure), part.0);
            }
        }
    }
}

fn one_more(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use access::{Credits, NanoUsd, Tokens};

    use super::*;

    #[test]
    fn threads_count_in_slices_and_are_summed() {
        let stats = ReservationStats::default();
        let charge = Charge { credits: Credits(1), tokens: Tokens(20), ..Charge::money(NanoUsd(300)) };
        std::thread::scope(|scope| {
            for _ in 0..3 * SLICES {
                scope.spawn(|| {
                    let slice = stats.slice();
                    (0..3).for_each(|_| slice.reserve(&charge));
                    slice.release(&charge);
                    slice.settle(&charge, &Charge::credits(Credits(1)));
                });
            }
        });
        let threads = 3 * SLICES as u64;
        let totals = stats.totals();
        assert_eq!(
            (totals.reserved_count, totals.released_count, totals.settled_count),
            (3 * threads, threads, threads)
        );
        assert_eq!(
            totals.in_flight,
            Charge {
                credits: Credits(threads),
                tokens: Tokens(20 * threads),
                ..Charge::money(NanoUsd(300 * threads.cast_signed()))
            }
        );
        assert_eq!(totals.used, Charge::credits(Credits(threads)));
        let used: Vec<u64> = stats.slices.iter().map(|slice| slice.settled_count.load(Ordering::Relaxed)).collect();
        assert!(used.iter().filter(|settled| **settled > 0).count() > 1, "{used:?}");
    }
}
