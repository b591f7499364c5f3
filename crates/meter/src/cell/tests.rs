use access::Day;
use proptest::prelude::*;

use super::*;
use crate::budget::Per;

const NOW: Mono = Mono(1);

fn period() -> Period {
    Period::of(Per::Day, Day(20_000))
}

#[test]
fn the_limit_holds_exactly_its_units() {
    let cell = Cell::whole(period(), 0);
    for used in 1..=100 {
        assert_eq!(cell.take(1, Some(100), NOW), Ok(used));
    }
    assert_eq!(cell.take(1, Some(100), NOW), Err(Short { used: 100, by: By::Limit }));
    assert_eq!((cell.take(0, Some(100), NOW), cell.take(0, Some(0), NOW)), (Ok(100), Ok(100)));
    cell.release(1);
    assert!(cell.take(2, Some(100), NOW).is_err());
    assert!(cell.take(1, Some(100), NOW).is_ok());
    assert_eq!(cell.take(7, None, NOW), Ok(107), "without a limit it is only counted");
}

#[test]
fn what_was_held_and_not_used_goes_back_and_what_was_used_beyond_it_counts() {
    let cell = Cell::whole(period(), 0);
    cell.take(10, Some(10), NOW).unwrap();
    assert!(!cell.settle(10, 4));
    assert_eq!((cell.used(), cell.spent()), (4, 4));
    cell.take(6, Some(10), NOW).unwrap();
    assert!(cell.settle(6, 9), "an overrun says so");
    assert_eq!((cell.used(), cell.spent()), (13, 13));
    assert!(cell.take(1, Some(10), NOW).is_err());
}

#[test]
fn a_count_never_wraps() {
    let cell = Cell::whole(period(), 0);
    cell.take(1, Some(u64::MAX), NOW).unwrap();
    cell.settle(1, u64::MAX);
    assert_eq!(cell.take(1, Some(u64::MAX), NOW), Err(Short { used: u64::MAX, by: By::Limit }));
    cell.settle(0, 1);
    assert_eq!((cell.used(), cell.spent()), (u64::MAX, u64::MAX));
    assert_eq!(cell.take(1, None, NOW), Err(Short { used: u64::MAX, by: By::Limit }));
}

#[test]
fn a_lease_allows_what_it_granted_until_its_deadline() {
    let cell = Cell::leased(period());
    assert_eq!(cell.take(1, Some(10), NOW), Err(Short { used: 0, by: By::Lease }));
    cell.allow(5, Mono(100));
    assert_eq!(cell.take(5, Some(10), Mono(99)), Ok(5));
    assert_eq!(cell.take(1, Some(10), Mono(99)), Err(Short { used: 5, by: By::Lease }));
    cell.release(1);
    assert_eq!(cell.take(1, Some(10), Mono(100)), Err(Short { used: 4, by: By::Lease }));
    assert_eq!(cell.lower(0), 4, "what is used is not given back");
    cell.allow(9, Mono(200));
    cell.seal();
    assert_eq!(cell.take(1, Some(10), NOW), Err(Short { used: 4, by: By::Lease }));
    cell.settle(4, 2);
    assert_eq!((cell.used(), cell.spent()), (2, 2));
}

#[test]
fn threads_never_take_more_than_the_limit() {
    let cell = Cell::whole(period(), 0);
    let taken: u64 = std::thread::scope(|scope| {
        let takers: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| (0..2_000).map(|_| u64::from(cell.take(1, Some(1_000), NOW).is_ok())).sum::<u64>()))
            .collect();
        takers.into_iter().map(|taker| taker.join().unwrap()).sum()
    });
    assert_eq!((taken, cell.used()), (1_000, 1_000));
}

/// A holder lowers and raises the allowance against takers at work. What it promised at any time holds: from the moment
/// when `lower` answers until it allows more, what is used is at most the answer.
#[test]
fn what_a_holder_restricts_itself_to_is_never_passed_by_racing_takers() {
    let cell = Cell::leased(period());
    let over = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for taker in 0..3_u64 {
            let (cell, over) = (&cell, &over);
            scope.spawn(move || {
                let mut turn = taker;
                while over.load(Ordering::SeqCst) == 0 {
                    turn = turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let amount = turn >> 61;
                    if cell.take(amount, Some(u64::MAX), NOW).is_ok() && turn & 1 == 0 {
                        cell.release(amount);
                    } else {
                        std::thread::yield_now();
                    }
                }
            });
        }
        let mut granted = 0;
        for round in 0..20_000_u64 {
            let ceiling = cell.lower(granted - granted.min(round % 7));
            for _ in 0..3 {
                let used = cell.used();
                // A taker that has taken and not looked again yet may stand above it, by what it is about to undo.
                assert!(used <= ceiling + 3 * 7, "{used} of {ceiling}");
            }
            granted = ceiling + round % 5;
            cell.allow(granted, Mono(u64::MAX));
        }
        over.store(1, Ordering::SeqCst);
        granted
    });
    assert!(cell.used() <= cell.allowance(), "{} of {}", cell.used(), cell.allowance());
}

proptest! {
    #[test]
    fn a_cell_is_a_sum(steps in prop::collection::vec((0_u8..4, 0_u64..20, 0_u64..30), 1..60)) {
        let cell = Cell::whole(period(), 0);
        let (mut held, mut spent, limit) = (Vec::new(), 0, 100);
        for (step, amount, actual) in steps {
            match step {
                0 | 1 => if cell.take(amount, Some(limit), NOW).is_ok() { held.push(amount); },
                2 => if let Some(amount) = held.pop() { cell.release(amount); },
                _ => if let Some(amount) = held.pop() {
                    prop_assert_eq!(cell.settle(amount, actual), actual > amount);
                    spent += actual;
                },
            }
            prop_assert_eq!((cell.used(), cell.spent()), (held.iter().sum::<u64>() + spent, spent));
        }
    }
}
