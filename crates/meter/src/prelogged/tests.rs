use access::{Amount, Credits, KeyBounds, KeyNo, Plan, PlanId, SubjectId, Timestamp, UserNo};

use super::*;
use crate::scope_counters::Authority;
use crate::{
    AdmissionRequest, BudgetId, BudgetScope, Caller, Charge, LimitPeriod, Limits, Meter, RateSource, SubjectTerms,
    Terms,
};

const CALLER: Caller = Caller { user: UserNo(1), key: KeyNo(7), plan: PlanId::NIL };
const AT: Timestamp = Timestamp(1_700_000_000_000_000);
const NOW: Mono = Mono(1);
const OF_ALL: BudgetId = BudgetId { scope: BudgetScope::Global, measure: Measure::Credits, per: LimitPeriod::Month };

/// The limits of a key with 10,000 credits per day, and `all` credits for all users together.
fn limits(meter: &Meter, all: u64) -> Arc<Limits> {
    let plan = Plan { credits_per_day: Some(Credits(10_000)), ..Plan::unlimited("test") };
    let bounds = KeyBounds::default();
    meter.limits(&Terms { caller: CALLER, plan: &plan, bounds: &bounds, budgets: &[(OF_ALL, Amount(all))] })
}

fn admitted(meter: &Meter, limits: &Arc<Limits>, credits: u64) -> Reservation {
    meter
        .admit(&AdmissionRequest {
            limits,
            charge: Some(Charge::credits(Credits(credits))),
            at: AT,
            now: NOW,
            rate: RateSource::Here,
        })
        .unwrap()
}

const BUDGETS: [BudgetId; 2] = [BudgetId::credits_a_day(BudgetScope::User(CALLER.user)), OF_ALL];

fn used(meter: &Meter) -> [u64; 2] {
    BUDGETS.map(|of| meter.counter(of).unwrap().used().0)
}

#[test]
fn prelogged_credits_count_until_they_are_released() {
    let meter = Meter::default();
    let limits = limits(&meter, 5_130);
    let one = admitted(&meter, &limits, 10);
    // A 256th of 5,120 is 20.
    let mut prelogged = one.prelog(63, 256, NOW);
    assert_eq!((prelogged.credits(), used(&meter)), (Credits(20), [30, 30]));
    assert_eq!(BUDGETS.map(|of| meter.used(of, AT.day())), [10, 10].map(Amount), "no request uses them yet");
    prelogged.release(Credits(10));
    assert_eq!((prelogged.credits(), used(&meter)), (Credits(10), [20, 20]));
    assert!(prelogged.take_more(Credits(10), NOW) && used(&meter) == [30, 30]);
    prelogged.release(Credits(1_000));
    assert_eq!((prelogged.credits(), used(&meter)), (Credits(0), [10, 10]));
    assert!(prelogged.take_more(Credits(5), NOW));
    drop((prelogged, one));
    assert_eq!(used(&meter), [0, 0]);
    assert_eq!(admitted(&meter, &limits, 1).prelog(7, 256, NOW).credits(), Credits(7));
}

#[test]
fn small_budgets_are_not_prelogged() {
    let meter = Meter::default();
    let limits = limits(&meter, 265);
    let one = admitted(&meter, &limits, 10);
    assert_eq!((one.prelog(63, 256, NOW).credits(), used(&meter)), (Credits(0), [10, 10]));
    // A request costs ten; a 32nd of the 255 that are left is seven.
    let mut prelogged = one.prelog(63, 1, NOW);
    assert_eq!((prelogged.credits(), used(&meter)), (Credits(0), [10, 10]));
    assert!(prelogged.take_more(Credits(250), NOW) && used(&meter) == [260, 260]);
    assert!(!prelogged.take_more(Credits(6), NOW) && used(&meter) == [260, 260], "all or nothing");
    let free = admitted(&meter, &limits, 0);
    assert_eq!(free.prelog(63, 1, NOW).credits(), Credits(0));
    assert_eq!(Reservation::open().prelog(63, 1, NOW).credits(), Credits(0));
}

#[test]
fn all_prelogged_credits_are_a_small_part_of_what_is_left() {
    let meter = Meter::default();
    let limits = limits(&meter, 5_130);
    let one = admitted(&meter, &limits, 10);
    let prelogged: Vec<PreloggedCredits> = (0..500).map(|_| one.prelog(63, 256, NOW)).collect();
    // A 32nd of 5,120 is 160: twenty for each of eight.
    assert_eq!(prelogged.iter().map(|credits| credits.credits().0).sum::<u64>(), 160);
    assert_eq!((prelogged[7].credits(), prelogged[8].credits(), used(&meter)), (Credits(20), Credits(0), [170, 170]));
}

#[test]
fn prelogged_credits_are_limited_by_the_lease() {
    let meter = Meter::leased();
    let limits = limits(&meter, 10_000);
    let grant = |amount| {
        for (budget, counter) in
            limits.counters(&Charge::credits(Credits(1)), AT).filter(|(budget, _)| budget.limit.is_some())
        {
            assert_eq!(budget.id.measure, Measure::Credits);
            counter.allow(Amount(amount), Mono(10));
        }
    };
    assert_eq!(limits.authority, Authority::Leased);
    grant(41);
    let one = admitted(&meter, &limits, 1);
    let prelogged = one.prelog(63, 256, NOW);
    assert_eq!((prelogged.credits(), used(&meter)), (Credits(10), [11, 11]));
    drop(prelogged);
    // Nothing is taken after the deadline.
    assert_eq!((one.prelog(63, 1, Mono(10)).credits(), used(&meter)), (Credits(0), [1, 1]));
}

#[test]
fn prelogged_credits_are_needed_by_others_when_less_is_free() {
    let meter = Meter::default();
    let limits = limits(&meter, 5_130);
    let one = admitted(&meter, &limits, 10);
    let prelogged = one.prelog(63, 256, NOW);
    let none = one.prelog(0, 256, NOW);
    assert_eq!((prelogged.credits(), none.credits()), (Credits(20), Credits(0)));
    let most = admitted(&meter, &limits, 5_080);
    assert!(!prelogged.is_needed_by_others(), "as much is free");
    let next = admitted(&meter, &limits, 10);
    assert!(prelogged.is_needed_by_others() && !none.is_needed_by_others());
    drop((next, most));
    assert!(!prelogged.is_needed_by_others());
}

#[test]
fn prelogged_credits_are_needed_by_a_request_under_a_plan_with_a_smaller_limit() {
    let meter = Meter::default();
    let subject = SubjectId(uuid::Uuid::from_u128(7));
    let [large, small] = [100_000, 20].map(|credits| {
        let plan = Plan { credits_per_day: Some(Credits(credits)), ..Plan::unlimited("test") };
        meter
            .limits_of_subject(&SubjectTerms {
                subject,
                plan: &plan,
                counts: access::limits::plan::LongPeriods::default(),
            })
            .unwrap()
    });
    let prelogged = admitted(&meter, &large, 1).prelog(63, 256, NOW);
    assert!(prelogged.credits() == Credits(63) && !prelogged.is_needed_by_others());
    let charge = Some(Charge::credits(Credits(1)));
    let of_small = AdmissionRequest { limits: &small, charge, at: AT, now: NOW, rate: RateSource::Here };
    assert!(meter.admit(&of_small).is_err() && prelogged.is_needed_by_others());
    drop(prelogged);
    assert!(meter.admit(&of_small).is_ok());
}

#[test]
fn prelogged_credits_are_needed_by_others_after_a_recall() {
    let meter = Meter::leased();
    let limits = limits(&meter, 10_000);
    let counters: Vec<_> = limits
        .counters(&Charge::credits(Credits(1)), AT)
        .filter(|(budget, _)| budget.limit.is_some())
        .map(|(_, counter)| counter)
        .collect();
    counters.iter().for_each(|counter| counter.allow(Amount(1_000), Mono(10)));
    let one = admitted(&meter, &limits, 1);
    let prelogged = one.prelog(63, 256, NOW);
    assert!(!prelogged.credits().is_zero() && !prelogged.is_needed_by_others());
    assert_eq!(counters[0].restrict(Amount::ZERO), counters[0].used());
    assert!(prelogged.is_needed_by_others());
}
