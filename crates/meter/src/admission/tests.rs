use std::num::NonZeroU32;

use access::{Amount, Credits, KeyBounds, KeyNo, NanoUsd, Plan, PlanId, Tokens, UserNo};
use proptest::prelude::*;

use super::*;
use crate::reservation::ReservedPart;
use access::Caller;

mod levels;

const CALLER: Caller = Caller { user: UserNo(1), key: KeyNo(7), plan: PlanId::NIL };
const AT: Timestamp = Timestamp(1_700_000_000_000_000);
const NOW: Mono = Mono(1);

fn plan(credits_per_day: Option<u64>, requests_per_minute: Option<u32>) -> Plan {
    let requests_per_minute = requests_per_minute.and_then(NonZeroU32::new);
    Plan { credits_per_day: credits_per_day.map(Credits), requests_per_minute, ..Plan::unlimited("test") }
}

fn bounds(credits_per_day: Option<u64>, requests_per_minute: Option<u32>) -> KeyBounds {
    let requests_per_minute = requests_per_minute.and_then(NonZeroU32::new);
    KeyBounds { credits_per_day: credits_per_day.map(Credits), requests_per_minute, ..KeyBounds::default() }
}

fn terms<'a>(plan: &'a Plan, bounds: &'a KeyBounds) -> Terms<'a> {
    Terms { caller: CALLER, plan, bounds, budgets: &[] }
}

const fn credits_of(scope: BudgetScope) -> BudgetId {
    BudgetId::credits_a_day(scope)
}

const USER: BudgetScope = BudgetScope::User(CALLER.user);
const KEY: BudgetScope = BudgetScope::Key(CALLER.key);

fn request(limits: &Arc<Limits>, credits: u64) -> AdmissionRequest<'_> {
    AdmissionRequest {
        limits,
        charge: Some(Charge::credits(Credits(credits))),
        at: AT,
        now: NOW,
        rate: RateSource::Here,
    }
}

fn spend(meter: &Meter, request: &AdmissionRequest<'_>) -> Result<(), AdmissionRefusal> {
    meter.admit(request)?.commit(AT).settle_as_reserved();
    Ok(())
}

fn exceeded(refused: AdmissionRefusal) -> BudgetExceeded {
    match refused {
        AdmissionRefusal::Budget(exceeded) => exceeded,
        AdmissionRefusal::Rate(..) => panic!("{refused:?}"),
    }
}

#[test]
fn quota_of_a_user_covers_all_keys() {
    let meter = Meter::default();
    let plan = plan(Some(2), None);
    let bounds = KeyBounds::default();
    let limits = meter.limits(&terms(&plan, &bounds));
    let other = Caller { key: KeyNo(8), ..CALLER };
    let of_other = meter.limits(&Terms { caller: other, ..terms(&plan, &bounds) });
    spend(&meter, &request(&limits, 1)).unwrap();
    spend(&meter, &request(&of_other, 1)).unwrap();
    let refused = exceeded(meter.admit(&request(&of_other, 1)).unwrap_err());
    assert_eq!(
        (refused.budget, refused.limit, refused.used, refused.requested),
        (credits_of(USER), Amount(2), Amount(2), Amount(1))
    );
    assert_eq!(
        (refused.left(), refused.resets_at(), refused.by),
        (Amount(0), AT.day().next().start(), RefusalCause::Limit)
    );
    assert_eq!(meter.used(credits_of(USER), AT.day()), Amount(2));
    assert_eq!(meter.used(credits_of(BudgetScope::Key(KeyNo(8))), AT.day()), Amount(1));
    assert_eq!(meter.stats().totals().settled_count, 2);
}

#[test]
fn refusal_by_the_quota_takes_nothing_from_the_rate() {
    let meter = Meter::default();
    let plan = plan(Some(1), Some(2));
    let bounds = KeyBounds::default();
    let limits = meter.limits(&terms(&plan, &bounds));
    spend(&meter, &request(&limits, 1)).unwrap();
    for _ in 0..10 {
        assert_eq!(exceeded(meter.admit(&request(&limits, 1)).unwrap_err()).limit, Amount(1));
    }
    let free_of_charge = meter.admit(&request(&limits, 0)).unwrap();
    assert_eq!(free_of_charge.info().rate.unwrap().remaining, 0);
}

#[test]
fn dropped_reservation_is_released() {
    let meter = Meter::default();
    let plan = plan(Some(1), Some(1));
    let bounds = bounds(Some(1), None);
    let limits = meter.limits(&terms(&plan, &bounds));
    for _ in 0..10 {
        drop(meter.admit(&request(&limits, 1)).unwrap());
    }
    assert_eq!((meter.used(credits_of(USER), AT.day()), meter.used(credits_of(KEY), AT.day())), (Amount(0), Amount(0)));
    assert_eq!(meter.stats().totals().released_count, 10);
    assert!(meter.admit(&request(&limits, 1)).is_ok());
}

#[test]
fn unsettled_request_counts_its_reservation_and_is_reported() {
    let meter = Meter::default();
    let plan = plan(Some(9), None);
    let bounds = KeyBounds::default();
    let limits = meter.limits(&terms(&plan, &bounds));
    drop(meter.admit(&request(&limits, 4)).unwrap().commit(AT));
    let counter = meter.counter(credits_of(USER)).unwrap();
    assert_eq!((counter.used(), counter.spent()), (Amount(4), Amount(4)));
    let totals = meter.stats().totals();
    assert_eq!(
        (totals.dropped_count, totals.in_flight, totals.used),
        (1, Charge::default(), Charge::credits(Credits(4)))
    );
}

#[test]
fn settling_releases_the_difference_and_counts_an_overrun() {
    let meter = Meter::default();
    let plan = plan(Some(100), None);
    let bounds = KeyBounds::default();
    let money = BudgetId { scope: USER, measure: Measure::Money, per: LimitPeriod::Month };
    let budgets = [(money, Amount(1_000))];
    let limits = meter.limits(&Terms { budgets: &budgets, ..terms(&plan, &bounds) });
    let charge = Charge { credits: Credits(2), tokens: Tokens(500), ..Charge::money(NanoUsd(800)) };
    let bounded = AdmissionRequest { charge: Some(charge), ..request(&limits, 0) };
    let first = meter.admit(&bounded).unwrap().commit(AT);
    let left = Charge { credits: Credits(98), tokens: Tokens::MAX, ..Charge::money(NanoUsd::MAX) };
    assert_eq!(limits.left(AT), Charge { money: NanoUsd(200), ..left });
    assert_eq!(exceeded(meter.admit(&bounded).unwrap_err()).budget, money);
    assert_eq!(meter.used(credits_of(USER), AT.day()), Amount(2), "the refused request released its credits");
    for (seen, exceeds) in [
        (charge, false),
        (charge.with(Measure::Money, Amount(801)), true),
        (Charge { credits: Credits(3), ..charge }, true),
        (Charge { tokens: Tokens(501), ..charge }, false),
    ] {
        assert_eq!(first.exceeds(&seen), exceeds, "{seen:?}: tokens are not limited");
    }
    first.settle(&Charge { credits: Credits(2), tokens: Tokens(100), ..Charge::money(NanoUsd(150)) });
    assert_eq!(limits.left(AT).money, NanoUsd(850));
    meter.admit(&bounded).unwrap().commit(AT).settle(&Charge {
        credits: Credits(2),
        tokens: Tokens(9),
        ..Charge::money(NanoUsd(900))
    });
    assert_eq!((limits.left(AT).money, meter.used(money, AT.day())), (NanoUsd(0), Amount(1_050)));
    let totals = meter.stats().totals();
    assert_eq!((totals.overrun_count, totals.overrun), (1, Charge::money(NanoUsd(100))));
}

#[test]
fn totals_count_requests_in_flight_and_ended_ones_once() {
    let meter = Meter::default();
    let plan = plan(Some(100), None);
    let bounds = KeyBounds::default();
    let limits = meter.limits(&terms(&plan, &bounds));
    let charge = Charge { credits: Credits(1), tokens: Tokens(500), ..Charge::money(NanoUsd(800)) };
    let request = AdmissionRequest { charge: Some(charge), ..request(&limits, 0) };
    let one = meter.admit(&request).unwrap();
    let other = meter.admit(&request).unwrap();
    let third = meter.admit(&request).unwrap();
    let other = other.commit(AT);
    let third = third.commit(AT);
    let totals = meter.stats().totals();
    assert_eq!(
        (totals.reserved_count, totals.in_flight),
        (3, Charge { credits: Credits(3), tokens: Tokens(1_500), ..Charge::money(NanoUsd(2_400)) })
    );
    assert_eq!(totals.used, Charge::default());
    drop(one);
    let actual = Charge { credits: Credits(1), tokens: Tokens(20), ..Charge::money(NanoUsd(800)) };
    other.note_estimated(&Charge::default());
    other.settle(&actual);
    third.note_estimated(&Charge { credits: Credits(0), ..charge });
    third.settle_as_reserved();
    // A refused request reserves nothing; on a route without authentication nothing is counted.
    assert!(meter.admit(&AdmissionRequest { charge: Some(Charge::credits(Credits(1_000))), ..request }).is_err());
    Reservation::open().commit(AT).settle(&charge);
    let expected = crate::stats::ReservationTotals {
        reserved_count: 3,
        released_count: 1,
        settled_count: 2,
        bounded_count: 1,
        used: actual.and(&charge),
        estimated: Charge { credits: Credits(0), ..charge },
        ..Default::default()
    };
    assert_eq!(meter.stats().totals(), expected);
}

#[test]
fn committed_request_returns_its_reserved_parts() {
    let meter = Meter::default();
    let plan = plan(Some(9), None);
    let bounds = KeyBounds::default();
    let tokens = BudgetId { scope: BudgetScope::Global, measure: Measure::Tokens, per: LimitPeriod::Month };
    let budgets = [(tokens, Amount(10))];
    let limits = meter.limits(&Terms { budgets: &budgets, ..terms(&plan, &bounds) });
    let request = AdmissionRequest {
        charge: Some(Charge { credits: Credits(1), tokens: Tokens(5), ..Charge::money(NanoUsd(0)) }),
        ..request(&limits, 0)
    };
    let committed = meter.admit(&request).unwrap().commit(AT);
    let parts: Vec<ReservedPart> = committed.parts().collect();
    let part = |budget: BudgetId, amount| ReservedPart {
        budget,
        period: Period::containing(budget.per, AT.day()),
        amount: Amount(amount),
    };
    assert_eq!(parts, [part(credits_of(KEY), 1), part(credits_of(USER), 1), part(tokens, 5)]);
    committed.settle_as_reserved();
    let open = Reservation::open().commit(AT);
    assert_eq!((open.day(), open.reserved(), open.parts().count()), (AT.day(), Charge::default(), 0));
}

#[test]
fn refusal_by_the_quota_of_a_key_takes_nothing_from_the_user() {
    let meter = Meter::default();
    let plan = plan(Some(10), Some(5));
    let bounds = bounds(Some(3), None);
    let bounded = meter.limits(&terms(&plan, &bounds));
    spend(&meter, &request(&bounded, 2)).unwrap();
    for _ in 0..10 {
        let refused = exceeded(meter.admit(&request(&bounded, 2)).unwrap_err());
        assert_eq!((refused.budget, refused.limit, refused.used), (credits_of(KEY), Amount(3), Amount(2)));
    }
    let free = KeyBounds::default();
    let other = meter.limits(&Terms { caller: Caller { key: KeyNo(8), ..CALLER }, ..terms(&plan, &free) });
    spend(&meter, &request(&other, 8)).unwrap();
    assert_eq!(exceeded(meter.admit(&request(&bounded, 1)).unwrap_err()).budget, credits_of(USER));
    assert_eq!(
        (meter.used(credits_of(USER), AT.day()), meter.used(credits_of(KEY), AT.day())),
        (Amount(10), Amount(2))
    );
}

#[test]
fn reservation_stays_with_its_counter_over_midnight_and_reload() {
    let meter = Meter::default();
    let large = plan(Some(10), None);
    let bounds = KeyBounds::default();
    let limits = meter.limits(&terms(&large, &bounds));
    let held = meter.admit(&request(&limits, 4)).unwrap();
    let small = plan(Some(3), None);
    let tomorrow = AT.day().next().start();
    let limits = meter.limits(&terms(&small, &bounds));
    let after = AdmissionRequest { at: tomorrow, ..request(&limits, 3) };
    spend(&meter, &after).unwrap();
    let yesterday = meter.admit(&request(&limits, 1)).unwrap_err();
    assert_eq!(exceeded(yesterday).period.first(), AT.day().next(), "periods never go back");
    let committed = held.commit(tomorrow);
    assert_eq!(committed.day(), AT.day());
    committed.settle(&Charge::credits(Credits(1)));
    assert_eq!(
        (meter.used(credits_of(USER), tomorrow.day()), meter.used(credits_of(USER), AT.day())),
        (Amount(3), Amount(0))
    );
}

#[test]
fn limit_below_the_used_amount_refuses_until_the_period_ends() {
    let meter = Meter::default();
    let bounds = KeyBounds::default();
    let large = plan(Some(10), None);
    spend(&meter, &request(&meter.limits(&terms(&large, &bounds)), 8)).unwrap();
    let small = plan(Some(5), None);
    let limits = meter.limits(&terms(&small, &bounds));
    let refused = exceeded(meter.admit(&request(&limits, 1)).unwrap_err());
    assert_eq!((refused.limit, refused.used, refused.left()), (Amount(5), Amount(8), Amount(0)));
    assert!(meter.admit(&AdmissionRequest { at: refused.resets_at(), ..request(&limits, 5) }).is_ok());
}

#[test]
fn user_keeps_the_used_amount_when_the_plan_changes() {
    let meter = Meter::default();
    let bounds = KeyBounds::default();
    let [starter, team] = [plan(Some(5), None), plan(Some(20), None)];
    let [of_starter, of_team] = [PlanId(uuid::Uuid::from_u128(1)), PlanId(uuid::Uuid::from_u128(2))]
        .map(|id| credits_of(BudgetScope::Plan(id)));
    let first = [(of_starter, Amount(100))];
    let second = [(of_team, Amount(7))];
    spend(&meter, &request(&meter.limits(&Terms { budgets: &first, ..terms(&starter, &bounds) }), 5)).unwrap();
    let limits = meter.limits(&Terms { budgets: &second, ..terms(&team, &bounds) });
    spend(&meter, &request(&limits, 7)).unwrap();
    assert_eq!(exceeded(meter.admit(&request(&limits, 1)).unwrap_err()).budget, of_team);
    assert_eq!(
        [of_starter, of_team, credits_of(USER)].map(|budget| meter.used(budget, AT.day())),
        [5, 7, 12].map(Amount)
    );
}

#[test]
fn budget_that_returns_in_its_period_contains_the_usage_of_its_absence() {
    let meter = Meter::default();
    let plan = plan(None, None);
    let bounds = KeyBounds::default();
    let id = BudgetId { scope: USER, measure: Measure::Tokens, per: LimitPeriod::Month };
    let budgets = [(id, Amount(1_000))];
    let limits = |budgets: &[(BudgetId, Amount)]| meter.limits(&Terms { budgets, ..terms(&plan, &bounds) });
    let tokens = |tokens| Charge { tokens: Tokens(tokens), ..Charge::default() };
    for (budgets, used) in [(&budgets[..], 500), (&budgets[..0], 600)] {
        meter.admit(&request(&limits(budgets), 0)).unwrap().commit(AT).settle(&tokens(used));
    }
    let limits = limits(&budgets);
    let one = AdmissionRequest { charge: Some(tokens(1)), ..request(&limits, 0) };
    let refused = exceeded(meter.admit(&one).unwrap_err());
    assert_eq!((refused.budget, refused.used), (id, Amount(1_100)));
}

#[test]
fn budgets_of_others_are_ignored_and_the_smaller_of_two_applies() {
    let meter = Meter::default();
    let plan = plan(Some(10), None);
    let bounds = KeyBounds::default();
    let others = credits_of(BudgetScope::User(UserNo(99)));
    let subject = credits_of(BudgetScope::Subject(SubjectId(uuid::Uuid::from_u128(99))));
    let budgets = [(others, 0), (subject, 0), (credits_of(USER), 4), (credits_of(USER), 6), (credits_of(KEY), 8)]
        .map(|(id, limit)| (id, Amount(limit)));
    let limits = meter.limits(&Terms { budgets: &budgets, ..terms(&plan, &bounds) });
    assert_eq!(limits.left(AT).credits, Credits(4));
    assert!(limits.limits(Measure::Credits) && !limits.limits(Measure::Money) && limits.limits_budgets());
    assert_eq!(exceeded(meter.admit(&request(&limits, 5)).unwrap_err()).limit, Amount(4));
}

#[test]
fn budget_below_the_cost_of_a_request_refuses_it() {
    let meter = Meter::default();
    let bounds = KeyBounds::default();
    for (limit, credits, passes) in [(0, 0, true), (0, 1, false), (3, 4, false), (3, 3, true)] {
        let meter = &meter;
        let plan = plan(Some(limit), None);
        let limits = meter.limits(&terms(&plan, &bounds));
        assert_eq!(meter.admit(&request(&limits, credits)).is_ok(), passes, "{credits} of {limit}");
    }
}

#[test]
fn sweep_removes_ended_periods_but_not_referenced_or_monthly_counters() {
    let meter = Meter::default();
    let plan = plan(None, None);
    let bounds = KeyBounds::default();
    let held = meter.limits(&terms(&plan, &bounds));
    spend(&meter, &request(&held, 1)).unwrap();
    let idle = credits_of(BudgetScope::User(UserNo(2)));
    let monthly = BudgetScope::User(UserNo(3));
    let monthly = BudgetId { scope: monthly, measure: Measure::Money, per: LimitPeriod::Month };
    meter.begin(idle, AT.day(), Amount(5));
    meter.begin(monthly, AT.day(), Amount(6));
    let tomorrow = AT.day().next();
    meter.sweep(AT.day());
    assert_eq!(meter.used(idle, AT.day()), Amount(5));
    meter.sweep(tomorrow);
    assert_eq!([idle, monthly, credits_of(USER)].map(|budget| meter.used(budget, AT.day())), [0, 6, 1].map(Amount));
    meter.sweep(Period::containing(LimitPeriod::Month, AT.day()).next().first());
    assert_eq!(meter.used(monthly, AT.day()), Amount(0));
    drop(held);
    meter.sweep(tomorrow);
    assert_eq!(meter.used(credits_of(USER), AT.day()), Amount(0));
}

#[test]
fn limited_budget_without_a_lease_refuses_and_names_the_cause() {
    let meter = Meter::leased();
    let plan = plan(Some(10), None);
    let bounds = KeyBounds::default();
    let limits = meter.limits(&terms(&plan, &bounds));
    let refused = exceeded(meter.admit(&request(&limits, 1)).unwrap_err());
    assert_eq!((refused.budget, refused.by, refused.left()), (credits_of(USER), RefusalCause::Lease, Amount(10)));
    assert_eq!(
        meter.used(credits_of(KEY), AT.day()),
        Amount(0),
        "the amount of the key, which has no limit, was released"
    );
    meter.counter(credits_of(USER)).unwrap().allow(Amount(1), Mono(9));
    spend(&meter, &request(&limits, 1)).unwrap();
    assert_eq!(exceeded(meter.admit(&request(&limits, 1)).unwrap_err()).by, RefusalCause::Lease);
}

#[test]
fn concurrent_requests_never_exceed_any_budget_and_lose_nothing() {
    let meter = Meter::default();
    let plan = plan(Some(1_000), None);
    let [of_key, global] = [300, 700];
    let bounds = bounds(Some(of_key), None);
    let budgets = [(credits_of(BudgetScope::Global), Amount(global))];
    let admitted = |key| {
        let caller = Caller { key: KeyNo(key), ..CALLER };
        let limits = meter.limits(&Terms { caller, plan: &plan, bounds: &bounds, budgets: &budgets });
        let mut sum = 0;
        for turn in 0..1_000 {
            let Ok(reservation) = meter.admit(&request(&limits, 2)) else { continue };
            match turn % 3 {
                0 => drop(reservation),
                1 => (reservation.commit(AT).settle(&Charge::credits(Credits(1))), sum += 1).1,
                _ => (drop(reservation.commit(AT)), sum += 2).1,
            }
        }
        sum
    };
    let sums: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..=8).map(|key| scope.spawn(move || admitted(key % 4))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let sum = sums.iter().sum();
    assert!(sum <= global && sum >= global - 1, "{sum}: the last unit may not be enough for a request");
    for key in 0..4 {
        assert!(meter.used(credits_of(BudgetScope::Key(KeyNo(key))), AT.day()) <= Amount(of_key));
    }
    let user = meter.counter(credits_of(USER)).unwrap();
    assert_eq!(
        (user.used(), user.spent(), meter.used(credits_of(BudgetScope::Global), AT.day())),
        (Amount(sum), Amount(sum), Amount(sum))
    );
}

proptest! {
    /// In every order of operations, no budget is exceeded, and at the end the used amount is the settled amount.
    #[test]
    fn all_or_nothing(steps in prop::collection::vec((0_u8..6, 0_u64..4, 0_i64..40, 0_i64..40), 1..80)) {
        let meter = Meter::default();
        let plan = plan(Some(20), None);
        let bounds = bounds(Some(15), None);
        let id = |measure, per| BudgetId { scope: USER, measure, per };
        let budgets = [(id(Measure::Money, LimitPeriod::Day), Amount(120)), (id(Measure::Money, LimitPeriod::Month), Amount(200))];
        let limits = meter.limits(&Terms { budgets: &budgets, ..terms(&plan, &bounds) });
        let ids = [credits_of(KEY), credits_of(USER), budgets[0].0, budgets[1].0];
        let mut held = Vec::new();
        let mut spent = Charge::default();
        for (step, credits, money, actual) in steps {
            let charge = Charge { credits: Credits(credits), ..Charge::money(NanoUsd(money)) };
            match step {
                0..=2 => if let Ok(taken) = meter.admit(&AdmissionRequest { charge: Some(charge), ..request(&limits, 0) }) {
                    held.push((taken.commit(AT), charge));
                },
                3 => drop(meter.admit(&AdmissionRequest { charge: Some(charge), ..request(&limits, 0) })),
                _ => if let Some((committed, charge)) = held.pop() {
                    let actual = Charge { credits: charge.credits, ..Charge::money(charge.money.min(NanoUsd(actual))) };
                    spent = spent.and(&actual);
                    committed.settle(&actual);
                },
            }
            let sum = held.iter().fold(spent, |sum, (_, charge)| sum.and(charge));
            for (id, most) in ids.into_iter().zip([15, 20, 120, 200].map(Amount)) {
                prop_assert_eq!(meter.used(id, AT.day()), sum.amount_of(id.measure));
                prop_assert!(meter.used(id, AT.day()) <= most);
            }
        }
    }
}

#[test]
fn leased_budget_without_a_limit_is_not_counted_even_if_a_limit_follows() {
    let meter = Meter::leased();
    let bounds = KeyBounds::default();
    let unlimited = plan(None, None);
    let limits = meter.limits(&terms(&unlimited, &bounds));
    let before = meter.admit(&request(&limits, 4)).unwrap();
    assert_eq!(meter.used(credits_of(USER), AT.day()), Amount(0));
    let plan = plan(Some(10), None);
    let limited = meter.limits(&terms(&plan, &bounds));
    let counter = meter.counter(credits_of(USER)).unwrap();
    counter.allow(Amount(5), Mono(u64::MAX));
    let after = meter.admit(&request(&limited, 5)).unwrap().commit(AT);
    before.commit(AT).settle(&Charge::credits(Credits(9)));
    after.settle_as_reserved();
    assert_eq!((counter.used(), counter.spent(), counter.limit()), (Amount(5), Amount(5), Amount(10)));
    assert_eq!(meter.used(credits_of(KEY), AT.day()), Amount(0));
}

#[test]
fn a_forgotten_reservation_stays_counted() {
    let meter = Meter::default();
    let plan = plan(Some(2), None);
    let bounds = KeyBounds::default();
    let limits = meter.limits(&terms(&plan, &bounds));
    meter.admit(&request(&limits, 2)).unwrap().forget();
    assert_eq!(meter.used(credits_of(USER), AT.day()), Amount(2));
    assert_eq!(meter.stats().totals().released_count, 0);
}
