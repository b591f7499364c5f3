use std::sync::atomic::AtomicBool;

use access::{Amount, Day};
use proptest::prelude::*;

use super::*;
use crate::budgets::budget::LimitPeriod;

const NOW: Mono = Mono(1);

fn period() -> Period {
    Period::containing(LimitPeriod::Day, Day(20_000))
}

#[test]
fn limit_admits_exactly_its_units() {
    let counter = BudgetCounter::standalone(period(), Amount::ZERO);
    for used in (1..=100).map(Amount) {
        assert_eq!(counter.take(Amount(1), Some(Amount(100)), NOW), Ok(used));
    }
    assert_eq!(
        counter.take(Amount(1), Some(Amount(100)), NOW),
        Err(Shortfall { used: Amount(100), by: RefusalCause::Limit })
    );
    assert_eq!(
        (counter.take(Amount(0), Some(Amount(100)), NOW), counter.take(Amount(0), Some(Amount(0)), NOW)),
        (Ok(Amount(100)), Ok(Amount(100)))
    );
    counter.release(Amount(1));
    assert!(counter.take(Amount(2), Some(Amount(100)), NOW).is_err());
    assert!(counter.take(Amount(1), Some(Amount(100)), NOW).is_ok());
    assert_eq!(counter.take(Amount(7), None, NOW), Ok(Amount(107)), "without a limit it is only counted");
}

#[test]
fn settling_releases_unused_amounts_and_counts_overruns() {
    let counter = BudgetCounter::standalone(period(), Amount::ZERO);
    counter.take(Amount(10), Some(Amount(10)), NOW).unwrap();
    assert!(!counter.settle(Amount(10), Amount(4)));
    assert_eq!((counter.used(), counter.spent()), (Amount(4), Amount(4)));
    counter.take(Amount(6), Some(Amount(10)), NOW).unwrap();
    assert!(counter.settle(Amount(6), Amount(9)), "an overrun is reported");
    assert_eq!((counter.used(), counter.spent()), (Amount(13), Amount(13)));
    assert!(counter.take(Amount(1), Some(Amount(10)), NOW).is_err());
}

#[test]
fn counter_never_wraps() {
    let counter = BudgetCounter::standalone(period(), Amount::ZERO);
    counter.take(Amount(1), Some(Amount(u64::MAX)), NOW).unwrap();
    counter.settle(Amount(1), Amount(u64::MAX));
    assert_eq!(
        counter.take(Amount(1), Some(Amount(u64::MAX)), NOW),
        Err(Shortfall { used: Amount(u64::MAX), by: RefusalCause::Limit })
    );
    counter.settle(Amount(0), Amount(1));
    assert_eq!((counter.used(), counter.spent()), (Amount(u64::MAX), Amount(u64::MAX)));
    assert_eq!(counter.take(Amount(1), None, NOW), Err(Shortfall { used: Amount(u64::MAX), by: RefusalCause::Limit }));
}

#[test]
fn lease_allows_the_granted_amount_until_its_deadline() {
    let counter = BudgetCounter::leased(period());
    assert_eq!(
        counter.take(Amount(1), Some(Amount(10)), NOW),
        Err(Shortfall { used: Amount(0), by: RefusalCause::Lease })
    );
    counter.allow(Amount(5), Mono(100));
    assert_eq!(counter.take(Amount(5), Some(Amount(10)), Mono(99)), Ok(Amount(5)));
    assert_eq!(
        counter.take(Amount(1), Some(Amount(10)), Mono(99)),
        Err(Shortfall { used: Amount(5), by: RefusalCause::Lease })
    );
    counter.release(Amount(1));
    assert_eq!(
        counter.take(Amount(1), Some(Amount(10)), Mono(100)),
        Err(Shortfall { used: Amount(4), by: RefusalCause::Lease })
    );
    assert_eq!(counter.restrict(Amount(0)), Amount(4), "used amounts are not released");
    counter.allow(Amount(9), Mono(200));
    counter.close();
    assert_eq!(
        counter.take(Amount(1), Some(Amount(10)), NOW),
        Err(Shortfall { used: Amount(4), by: RefusalCause::Lease })
    );
    counter.settle(Amount(4), Amount(2));
    assert_eq!((counter.used(), counter.spent()), (Amount(2), Amount(2)));
}

#[test]
fn threads_never_take_more_than_the_limit() {
    let counter = BudgetCounter::standalone(period(), Amount::ZERO);
    let taken: u64 = std::thread::scope(|scope| {
        let takers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    (0..2_000)
                        .map(|_| u64::from(counter.take(Amount(1), Some(Amount(1_000)), NOW).is_ok()))
                        .sum::<u64>()
                })
            })
            .collect();
        takers.into_iter().map(|taker| taker.join().unwrap()).sum()
    });
    assert_eq!((taken, counter.used()), (1_000, Amount(1_000)));
}

/// A lease client lowers and raises the allowance while other threads take. After `restrict` returns, and until it
/// allows more, the used amount is at most the returned one.
#[test]
fn concurrent_takers_never_exceed_the_restricted_allowance() {
    let counter = BudgetCounter::leased(period());
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for taker in 0..3_u64 {
            let counter = &counter;
            let over = &over;
            scope.spawn(move || {
                let mut turn = taker;
                while !over.load(Ordering::SeqCst) {
                    turn = turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let amount = Amount(turn >> 61);
                    if counter.take(amount, Some(Amount::MAX), NOW).is_ok() && turn & 1 == 0 {
                        counter.release(amount);
                    } else {
                        std::thread::yield_now();
                    }
                }
            });
        }
        let mut granted = Amount::ZERO;
        for round in 0..20_000_u64 {
            let ceiling = counter.restrict(granted.saturating_sub(Amount(round % 7)));
            for _ in 0..3 {
                let used = counter.used();
                // A thread between taking and checking again may exceed it by the amount that it is about to release.
                assert!(used <= ceiling.saturating_add(Amount(3 * 7)), "{used:?} of {ceiling:?}");
            }
            granted = ceiling.saturating_add(Amount(round % 5));
            counter.allow(granted, Mono(u64::MAX));
        }
        over.store(true, Ordering::SeqCst);
        granted
    });
    assert!(counter.used() <= counter.allowance(), "{:?} of {:?}", counter.used(), counter.allowance());
}

proptest! {
    #[test]
    fn a_cell_is_a_sum(steps in prop::collection::vec((0_u8..4, 0_u64..20, 0_u64..30), 1..60)) {
        let counter = BudgetCounter::standalone(period(), Amount::ZERO);
        let mut held = Vec::new();
        let mut spent = Amount::ZERO;
        let limit = Amount(100);
        for (step, amount, actual) in steps {
            let amount = Amount(amount);
            let actual = Amount(actual);
            match step {
                0 | 1 => if counter.take(amount, Some(limit), NOW).is_ok() { held.push(amount); },
                2 => if let Some(amount) = held.pop() { counter.release(amount); },
                _ => if let Some(amount) = held.pop() {
                    prop_assert_eq!(counter.settle(amount, actual), actual > amount);
                    spent = spent.saturating_add(actual);
                },
            }
            prop_assert_eq!((counter.used(), counter.spent()), (held.iter().copied().fold(spent, Amount::saturating_add), spent));
        }
    }
}
