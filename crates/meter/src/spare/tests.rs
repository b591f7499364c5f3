use access::{KeyBounds, KeyNo, Plan, PlanId, Timestamp, UserNo};

use super::*;
use crate::account::Authority;
use crate::{Ask, BudgetId, Caller, Charge, Limits, Meter, Per, Subject, Terms};

const CALLER: Caller = Caller { user: UserNo(1), key: KeyNo(7), plan: PlanId::NIL };
const AT: Timestamp = Timestamp(1_700_000_000_000_000);
const NOW: Mono = Mono(1);
const OF_ALL: BudgetId = BudgetId { subject: Subject::Global, measure: Measure::Credits, per: Per::Month };

/// A caller of 10,000 credits a day, and of `all` with everybody.
fn limits(meter: &Meter, all: u64) -> Arc<Limits> {
    let plan = Plan { credits_per_day: Some(10_000), ..Plan::unlimited("test") };
    let bounds = KeyBounds::default();
    meter.limits(&Terms { caller: CALLER, plan: &plan, bounds: &bounds, budgets: &[(OF_ALL, all)] })
}

fn admitted(meter: &Meter, limits: &Arc<Limits>, credits: u64) -> Reservation {
    meter.admit(&Ask { limits, charge: Some(Charge::credits(credits)), at: AT, now: NOW }).unwrap()
}

const BUDGETS: [BudgetId; 2] = [BudgetId::credits_a_day(Subject::User(CALLER.user)), OF_ALL];

fn used(meter: &Meter) -> [u64; 2] {
    BUDGETS.map(|of| meter.cell(of).unwrap().used())
}

#[test]
fn what_is_spare_counts_until_it_goes_back() {
    let meter = Meter::default();
    let limits = limits(&meter, 5_130);
    let one = admitted(&meter, &limits, 10);
    // A 256th of 5,120 is 20.
    let mut spare = one.spare(63, 256, NOW);
    assert_eq!((spare.credits(), used(&meter)), (20, [30, 30]));
    assert_eq!(BUDGETS.map(|of| meter.used(of, AT.day())), [10, 10], "nobody has asked for them yet");
    spare.give_back(10);
    assert_eq!((spare.credits(), used(&meter)), (10, [20, 20]));
    assert!(spare.take(10, NOW) && used(&meter) == [30, 30]);
    spare.give_back(1_000);
    assert_eq!((spare.credits(), used(&meter)), (0, [10, 10]));
    assert!(spare.take(5, NOW));
    drop((spare, one));
    assert_eq!(used(&meter), [0, 0]);
    assert_eq!(admitted(&meter, &limits, 1).spare(7, 256, NOW).credits(), 7);
}

#[test]
fn budgets_that_hold_little_have_nothing_spare() {
    let meter = Meter::default();
    let limits = limits(&meter, 265);
    let one = admitted(&meter, &limits, 10);
    assert_eq!((one.spare(63, 256, NOW).credits(), used(&meter)), (0, [10, 10]));
    // A request costs ten; a 32nd of what is left, 255, is seven.
    let mut spare = one.spare(63, 1, NOW);
    assert_eq!((spare.credits(), used(&meter)), (0, [10, 10]));
    assert!(spare.take(250, NOW) && used(&meter) == [260, 260]);
    assert!(!spare.take(6, NOW) && used(&meter) == [260, 260], "all or nothing");
    let free = admitted(&meter, &limits, 0);
    assert_eq!(free.spare(63, 1, NOW).credits(), 0);
    assert_eq!(Reservation::open().spare(63, 1, NOW).credits(), 0);
}

#[test]
fn all_that_is_spare_is_a_small_part_of_what_is_left_however_many_have_some() {
    let meter = Meter::default();
    let limits = limits(&meter, 5_130);
    let one = admitted(&meter, &limits, 10);
    let spares: Vec<Spare> = (0..500).map(|_| one.spare(63, 256, NOW)).collect();
    // A 32nd of 5,120 is 160: twenty for each of eight.
    assert_eq!(spares.iter().map(Spare::credits).sum::<u64>(), 160);
    assert_eq!((spares[7].credits(), spares[8].credits(), used(&meter)), (20, 0, [170, 170]));
}

#[test]
fn no_more_is_spare_than_what_is_lent() {
    let meter = Meter::leased();
    let limits = limits(&meter, 10_000);
    let grant = |amount| {
        for (budget, cell) in limits.cells(AT).filter(|(budget, _)| budget.most.is_some()) {
            assert_eq!(budget.id.measure, Measure::Credits);
            cell.allow(amount, Mono(10));
        }
    };
    assert_eq!(limits.authority, Authority::Lent);
    grant(41);
    let one = admitted(&meter, &limits, 1);
    let spare = one.spare(63, 256, NOW);
    assert_eq!((spare.credits(), used(&meter)), (10, [11, 11]));
    drop(spare);
    // Past its deadline nothing is taken.
    assert_eq!((one.spare(63, 1, Mono(10)).credits(), used(&meter)), (0, [1, 1]));
}

#[test]
fn what_is_spare_is_wanted_where_less_is_free() {
    let meter = Meter::default();
    let limits = limits(&meter, 5_130);
    let one = admitted(&meter, &limits, 10);
    let (spare, none) = (one.spare(63, 256, NOW), one.spare(0, 256, NOW));
    assert_eq!((spare.credits(), none.credits()), (20, 0));
    let most = admitted(&meter, &limits, 5_080);
    assert!(!spare.is_wanted(), "as much is free");
    let next = admitted(&meter, &limits, 10);
    assert!(spare.is_wanted() && !none.is_wanted());
    drop((next, most));
    assert!(!spare.is_wanted());
}

#[test]
fn what_is_spare_is_wanted_where_the_lease_is_called_back() {
    let meter = Meter::leased();
    let limits = limits(&meter, 10_000);
    let cells: Vec<_> = limits.cells(AT).filter(|(budget, _)| budget.most.is_some()).map(|(_, cell)| cell).collect();
    cells.iter().for_each(|cell| cell.allow(1_000, Mono(10)));
    let one = admitted(&meter, &limits, 1);
    let spare = one.spare(63, 256, NOW);
    assert!(spare.credits() > 0 && !spare.is_wanted());
    assert_eq!(cells[0].lower(0), cells[0].used());
    assert!(spare.is_wanted());
}
