use std::num::NonZeroU32;

use access::{KeyBounds, KeyNo, Plan, PlanId, UserNo};
use proptest::prelude::*;

use super::*;
use crate::event::Caller;
use crate::reservation::Part;

const CALLER: Caller = Caller { user: UserNo(1), key: KeyNo(7), plan: PlanId::NIL };
const AT: Timestamp = Timestamp(1_700_000_000_000_000);
const NOW: Mono = Mono(1);

fn plan(credits_per_day: Option<u64>, requests_per_minute: Option<u32>) -> Plan {
    let requests_per_minute = requests_per_minute.and_then(NonZeroU32::new);
    Plan { credits_per_day, requests_per_minute, ..Plan::unlimited("test") }
}

fn bounds(credits_per_day: Option<u64>, requests_per_minute: Option<u32>) -> KeyBounds {
    let requests_per_minute = requests_per_minute.and_then(NonZeroU32::new);
    KeyBounds { credits_per_day, requests_per_minute, ..KeyBounds::default() }
}

fn terms<'a>(plan: &'a Plan, bounds: &'a KeyBounds) -> Terms<'a> {
    Terms { caller: CALLER, plan, bounds, budgets: &[] }
}

const fn credits_of(subject: Subject) -> BudgetId {
    BudgetId::credits_a_day(subject)
}

const USER: Subject = Subject::User(CALLER.user);
const KEY: Subject = Subject::Key(CALLER.key);

fn ask(limits: &Arc<Limits>, credits: u64) -> Ask<'_> {
    Ask { limits, charge: Some(Charge::credits(credits)), at: AT, now: NOW }
}

fn spend(meter: &Meter, ask: &Ask<'_>) -> Result<(), Refused> {
    meter.admit(ask)?.commit(AT).settle_as_reserved();
    Ok(())
}

fn exceeded(refused: Refused) -> Exceeded {
    match refused {
        Refused::Budget(exceeded) => exceeded,
        Refused::Rate(..) => panic!("{refused:?}"),
    }
}

#[test]
fn the_quota_is_the_users_over_all_keys() {
    let (meter, plan, bounds) = (Meter::default(), plan(Some(2), None), KeyBounds::default());
    let limits = meter.limits(&terms(&plan, &bounds));
    let other = Caller { key: KeyNo(8), ..CALLER };
    let of_other = meter.limits(&Terms { caller: other, ..terms(&plan, &bounds) });
    spend(&meter, &ask(&limits, 1)).unwrap();
    spend(&meter, &ask(&of_other, 1)).unwrap();
    let refused = exceeded(meter.admit(&ask(&of_other, 1)).unwrap_err());
    assert_eq!((refused.budget, refused.limit, refused.used, refused.asked), (credits_of(USER), 2, 2, 1));
    assert_eq!((refused.left(), refused.resets_at(), refused.by), (0, AT.day().next().start(), By::Limit));
    assert_eq!(meter.used(credits_of(USER), AT.day()), 2);
    assert_eq!(meter.used(credits_of(Subject::Key(KeyNo(8))), AT.day()), 1);
    assert_eq!(meter.tally().totals().settled, 2);
}

#[test]
fn a_refusal_by_the_quota_takes_nothing_of_the_rate() {
    let (meter, plan, bounds) = (Meter::default(), plan(Some(1), Some(2)), KeyBounds::default());
    let limits = meter.limits(&terms(&plan, &bounds));
    spend(&meter, &ask(&limits, 1)).unwrap();
    for _ in 0..10 {
        assert_eq!(exceeded(meter.admit(&ask(&limits, 1)).unwrap_err()).limit, 1);
    }
    let free_of_charge = meter.admit(&ask(&limits, 0)).unwrap();
    assert_eq!(free_of_charge.standing().rate.unwrap().remaining, 0);
}

#[test]
fn a_dropped_reservation_gives_everything_back() {
    let (meter, plan, bounds) = (Meter::default(), plan(Some(1), Some(1)), bounds(Some(1), None));
    let limits = meter.limits(&terms(&plan, &bounds));
    for _ in 0..10 {
        drop(meter.admit(&ask(&limits, 1)).unwrap());
    }
    assert_eq!((meter.used(credits_of(USER), AT.day()), meter.used(credits_of(KEY), AT.day())), (0, 0));
    assert_eq!(meter.tally().totals().released, 10);
    assert!(meter.admit(&ask(&limits, 1)).is_ok());
}

#[test]
fn an_unsettled_commitment_stays_counted_at_its_reservation_and_is_seen() {
    let (meter, plan, bounds) = (Meter::default(), plan(Some(9), None), KeyBounds::default());
    let limits = meter.limits(&terms(&plan, &bounds));
    drop(meter.admit(&ask(&limits, 4)).unwrap().commit(AT));
    let cell = meter.cell(credits_of(USER)).unwrap();
    assert_eq!((cell.used(), cell.spent()), (4, 4));
    let totals = meter.tally().totals();
    assert_eq!((totals.dropped, totals.held, totals.used), (1, Charge::default(), Charge::credits(4)));
}

#[test]
fn settling_gives_the_difference_back_and_counts_what_is_more() {
    let (meter, plan, bounds) = (Meter::default(), plan(Some(100), None), KeyBounds::default());
    let money = BudgetId { subject: USER, measure: Measure::Money, per: Per::Month };
    let budgets = [(money, 1_000)];
    let limits = meter.limits(&Terms { budgets: &budgets, ..terms(&plan, &bounds) });
    let charge = Charge { credits: 2, tokens: 500, money: 800 };
    let bounded = Ask { charge: Some(charge), ..ask(&limits, 0) };
    let first = meter.admit(&bounded).unwrap().commit(AT);
    assert_eq!(limits.left(AT), Charge { credits: 98, tokens: u64::MAX, money: 200 });
    assert_eq!(exceeded(meter.admit(&bounded).unwrap_err()).budget, money);
    assert_eq!(meter.used(credits_of(USER), AT.day()), 2, "the refused one gave its credits back");
    for (seen, exceeds) in [
        (charge, false),
        (Charge { money: 801, ..charge }, true),
        (Charge { credits: 3, ..charge }, true),
        (Charge { tokens: 501, ..charge }, false),
    ] {
        assert_eq!(first.exceeds(&seen), exceeds, "{seen:?}: tokens are not limited");
    }
    first.settle(&Charge { credits: 2, tokens: 100, money: 150 });
    assert_eq!(limits.left(AT).money, 850);
    meter.admit(&bounded).unwrap().commit(AT).settle(&Charge { credits: 2, tokens: 9, money: 900 });
    assert_eq!((limits.left(AT).money, meter.used(money, AT.day())), (0, 1_050));
    let totals = meter.tally().totals();
    assert_eq!((totals.overruns, totals.overrun), (1, Charge { money: 100, ..Charge::default() }));
}

#[test]
fn what_is_under_way_is_held_and_what_has_ended_was_reserved_once() {
    let (meter, plan, bounds) = (Meter::default(), plan(Some(100), None), KeyBounds::default());
    let limits = meter.limits(&terms(&plan, &bounds));
    let charge = Charge { credits: 1, tokens: 500, money: 800 };
    let ask = Ask { charge: Some(charge), ..ask(&limits, 0) };
    let (one, other, third) = (meter.admit(&ask).unwrap(), meter.admit(&ask).unwrap(), meter.admit(&ask).unwrap());
    let (other, third) = (other.commit(AT), third.commit(AT));
    let totals = meter.tally().totals();
    assert_eq!((totals.reserved, totals.held), (3, Charge { credits: 3, tokens: 1_500, money: 2_400 }));
    assert_eq!(totals.used, Charge::default());
    drop(one);
    let actual = Charge { credits: 1, tokens: 20, money: 800 };
    other.note_unsaid(&Charge::default());
    other.settle(&actual);
    third.note_unsaid(&Charge { credits: 0, ..charge });
    third.settle_as_reserved();
    // Refused, nothing is reserved; on an open route nothing is counted.
    assert!(meter.admit(&Ask { charge: Some(Charge::credits(1_000)), ..ask }).is_err());
    Reservation::open().commit(AT).settle(&charge);
    let expected = crate::tally::Totals {
        reserved: 3,
        released: 1,
        settled: 2,
        bounded: 1,
        used: actual.and(&charge),
        unsaid: Charge { credits: 0, ..charge },
        ..Default::default()
    };
    assert_eq!(meter.tally().totals(), expected);
}

#[test]
fn a_commitment_names_what_it_holds() {
    let (meter, plan, bounds) = (Meter::default(), plan(Some(9), None), KeyBounds::default());
    let tokens = BudgetId { subject: Subject::Global, measure: Measure::Tokens, per: Per::Month };
    let budgets = [(tokens, 10)];
    let limits = meter.limits(&Terms { budgets: &budgets, ..terms(&plan, &bounds) });
    let ask = Ask { charge: Some(Charge { credits: 1, tokens: 5, money: 0 }), ..ask(&limits, 0) };
    let committed = meter.admit(&ask).unwrap().commit(AT);
    let parts: Vec<Part> = committed.parts().collect();
    let part = |budget: BudgetId, amount| Part { budget, period: Period::of(budget.per, AT.day()), amount };
    assert_eq!(parts, [part(credits_of(KEY), 1), part(credits_of(USER), 1), part(tokens, 5)]);
    committed.settle_as_reserved();
    let open = Reservation::open().commit(AT);
    assert_eq!((open.day(), open.reserved(), open.parts().count()), (AT.day(), Charge::default(), 0));
}

#[test]
fn free_calls_have_ten_times_the_rate_and_no_quota() {
    let (meter, plan, bounds) = (Meter::default(), plan(Some(0), Some(2)), KeyBounds::default());
    let limits = meter.limits(&terms(&plan, &bounds));
    let free = Ask { charge: None, ..ask(&limits, 0) };
    for _ in 0..20 {
        spend(&meter, &free).unwrap();
    }
    assert!(matches!(meter.admit(&free), Err(Refused::Rate(Empty { limit: 20, .. }, LimitOf::Plan))));
}

#[test]
fn the_smaller_rate_of_plan_and_key_holds() {
    for (of_plan, of_key, limit, of) in [
        (Some(5), Some(2), 2, LimitOf::Key),
        (Some(2), Some(5), 2, LimitOf::Plan),
        (Some(2), Some(2), 2, LimitOf::Plan),
        (None, Some(2), 2, LimitOf::Key),
        (Some(2), None, 2, LimitOf::Plan),
    ] {
        let (meter, plan, bounds) = (Meter::default(), plan(None, of_plan), bounds(None, of_key));
        let limits = meter.limits(&terms(&plan, &bounds));
        for _ in 0..limit {
            spend(&meter, &ask(&limits, 1)).unwrap();
        }
        let refused = meter.admit(&ask(&limits, 1)).unwrap_err();
        assert!(matches!(refused, Refused::Rate(empty, whose) if empty.limit == limit && whose == of), "{refused:?}");
        let free = Ask { charge: None, ..ask(&limits, 0) };
        assert_eq!(meter.admit(&free).unwrap().standing().rate.unwrap().limit, limit * 10);
    }
}

#[test]
fn a_keys_own_quota_takes_nothing_of_the_users_when_it_refuses() {
    let (meter, plan, bounds) = (Meter::default(), plan(Some(10), Some(5)), bounds(Some(3), None));
    let bounded = meter.limits(&terms(&plan, &bounds));
    spend(&meter, &ask(&bounded, 2)).unwrap();
    for _ in 0..10 {
        let refused = exceeded(meter.admit(&ask(&bounded, 2)).unwrap_err());
        assert_eq!((refused.budget, refused.limit, refused.used), (credits_of(KEY), 3, 2));
    }
    let free = KeyBounds::default();
    let other = meter.limits(&Terms { caller: Caller { key: KeyNo(8), ..CALLER }, ..terms(&plan, &free) });
    spend(&meter, &ask(&other, 8)).unwrap();
    assert_eq!(exceeded(meter.admit(&ask(&bounded, 1)).unwrap_err()).budget, credits_of(USER));
    assert_eq!((meter.used(credits_of(USER), AT.day()), meter.used(credits_of(KEY), AT.day())), (10, 2));
}

#[test]
fn midnight_and_reloads_leave_a_reservation_where_it_was_taken() {
    let (meter, large, bounds) = (Meter::default(), plan(Some(10), None), KeyBounds::default());
    let limits = meter.limits(&terms(&large, &bounds));
    let held = meter.admit(&ask(&limits, 4)).unwrap();
    let (small, tomorrow) = (plan(Some(3), None), AT.day().next().start());
    let limits = meter.limits(&terms(&small, &bounds));
    let after = Ask { at: tomorrow, ..ask(&limits, 3) };
    spend(&meter, &after).unwrap();
    let yesterday = meter.admit(&ask(&limits, 1)).unwrap_err();
    assert_eq!(exceeded(yesterday).period.first(), AT.day().next(), "periods never go back");
    let committed = held.commit(tomorrow);
    assert_eq!(committed.day(), AT.day());
    committed.settle(&Charge::credits(1));
    assert_eq!((meter.used(credits_of(USER), tomorrow.day()), meter.used(credits_of(USER), AT.day())), (3, 0));
}

#[test]
fn a_limit_lowered_below_what_is_used_refuses_until_its_period_is_over() {
    let (meter, bounds) = (Meter::default(), KeyBounds::default());
    let large = plan(Some(10), None);
    spend(&meter, &ask(&meter.limits(&terms(&large, &bounds)), 8)).unwrap();
    let small = plan(Some(5), None);
    let limits = meter.limits(&terms(&small, &bounds));
    let refused = exceeded(meter.admit(&ask(&limits, 1)).unwrap_err());
    assert_eq!((refused.limit, refused.used, refused.left()), (5, 8, 0));
    assert!(meter.admit(&Ask { at: refused.resets_at(), ..ask(&limits, 5) }).is_ok());
}

#[test]
fn a_key_that_changes_plans_at_noon_keeps_what_its_user_has_used() {
    let (meter, bounds) = (Meter::default(), KeyBounds::default());
    let [starter, team] = [plan(Some(5), None), plan(Some(20), None)];
    let [of_starter, of_team] =
        [PlanId(uuid::Uuid::from_u128(1)), PlanId(uuid::Uuid::from_u128(2))].map(|id| credits_of(Subject::Plan(id)));
    let (first, second) = ([(of_starter, 100)], [(of_team, 7)]);
    spend(&meter, &ask(&meter.limits(&Terms { budgets: &first, ..terms(&starter, &bounds) }), 5)).unwrap();
    let limits = meter.limits(&Terms { budgets: &second, ..terms(&team, &bounds) });
    spend(&meter, &ask(&limits, 7)).unwrap();
    assert_eq!(exceeded(meter.admit(&ask(&limits, 1)).unwrap_err()).budget, of_team);
    assert_eq!([of_starter, of_team, credits_of(USER)].map(|budget| meter.used(budget, AT.day())), [5, 7, 12]);
}

#[test]
fn a_budget_of_another_caller_is_passed_over_and_of_two_the_smaller_holds() {
    let (meter, plan, bounds) = (Meter::default(), plan(Some(10), None), KeyBounds::default());
    let others = credits_of(Subject::User(UserNo(99)));
    let budgets = [(others, 0), (credits_of(USER), 4), (credits_of(USER), 6), (credits_of(KEY), 8)];
    let limits = meter.limits(&Terms { budgets: &budgets, ..terms(&plan, &bounds) });
    assert_eq!(limits.left(AT).credits, 4);
    assert!(limits.limits(Measure::Credits) && !limits.limits(Measure::Money) && limits.limits_budgets());
    assert_eq!(exceeded(meter.admit(&ask(&limits, 5)).unwrap_err()).limit, 4);
}

#[test]
fn a_budget_below_one_request_refuses_it_and_none_at_all_what_costs_anything() {
    let (meter, bounds) = (Meter::default(), KeyBounds::default());
    for (limit, credits, passes) in [(0, 0, true), (0, 1, false), (3, 4, false), (3, 3, true)] {
        let (meter, plan) = (&meter, plan(Some(limit), None));
        let limits = meter.limits(&terms(&plan, &bounds));
        assert_eq!(meter.admit(&ask(&limits, credits)).is_ok(), passes, "{credits} of {limit}");
    }
}

#[test]
fn sweep_forgets_what_is_over_but_not_what_is_held_or_counts_for_the_month() {
    let (meter, plan, bounds) = (Meter::default(), plan(None, None), KeyBounds::default());
    let held = meter.limits(&terms(&plan, &bounds));
    spend(&meter, &ask(&held, 1)).unwrap();
    let (idle, monthly) = (credits_of(Subject::User(UserNo(2))), Subject::User(UserNo(3)));
    let monthly = BudgetId { subject: monthly, measure: Measure::Money, per: Per::Month };
    meter.begin(idle, AT.day(), 5);
    meter.begin(monthly, AT.day(), 6);
    let tomorrow = AT.day().next();
    meter.sweep(AT.day());
    assert_eq!(meter.used(idle, AT.day()), 5);
    meter.sweep(tomorrow);
    assert_eq!([idle, monthly, credits_of(USER)].map(|budget| meter.used(budget, AT.day())), [0, 6, 1]);
    meter.sweep(Period::of(Per::Month, AT.day()).next().first());
    assert_eq!(meter.used(monthly, AT.day()), 0);
    drop(held);
    meter.sweep(tomorrow);
    assert_eq!(meter.used(credits_of(USER), AT.day()), 0);
}

#[test]
fn without_a_lease_a_limited_budget_gives_nothing_and_says_who_refused() {
    let (meter, plan, bounds) = (Meter::leased(), plan(Some(10), None), KeyBounds::default());
    let limits = meter.limits(&terms(&plan, &bounds));
    let refused = exceeded(meter.admit(&ask(&limits, 1)).unwrap_err());
    assert_eq!((refused.budget, refused.by, refused.left()), (credits_of(USER), By::Lease, 10));
    assert_eq!(meter.used(credits_of(KEY), AT.day()), 0, "the key's, which has no limit, was given back");
    meter.cell(credits_of(USER)).unwrap().allow(1, Mono(9));
    spend(&meter, &ask(&limits, 1)).unwrap();
    assert_eq!(exceeded(meter.admit(&ask(&limits, 1)).unwrap_err()).by, By::Lease);
}

#[test]
fn racing_threads_never_pass_any_of_several_budgets_and_lose_nothing() {
    let (meter, plan) = (Meter::default(), plan(Some(1_000), None));
    let [of_key, global] = [300, 700];
    let bounds = bounds(Some(of_key), None);
    let budgets = [(credits_of(Subject::Global), global)];
    let admitted = |key| {
        let caller = Caller { key: KeyNo(key), ..CALLER };
        let limits = meter.limits(&Terms { caller, plan: &plan, bounds: &bounds, budgets: &budgets });
        let mut sum = 0;
        for turn in 0..1_000 {
            let Ok(reservation) = meter.admit(&ask(&limits, 2)) else { continue };
            match turn % 3 {
                0 => drop(reservation),
                1 => (reservation.commit(AT).settle(&Charge::credits(1)), sum += 1).1,
                _ => (drop(reservation.commit(AT)), sum += 2).1,
            }
        }
        sum
    };
    let sums: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..=8).map(|key| scope.spawn(move || admitted(key % 4))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let sum = sums.iter().sum::<u64>();
    assert!(sum <= global && sum >= global - 1, "{sum}: the last unit may be too little for a request");
    for key in 0..4 {
        assert!(meter.used(credits_of(Subject::Key(KeyNo(key))), AT.day()) <= of_key);
    }
    let user = meter.cell(credits_of(USER)).unwrap();
    assert_eq!((user.used(), user.spent(), meter.used(credits_of(Subject::Global), AT.day())), (sum, sum, sum));
}

proptest! {
    /// Whatever happens in whatever order: no budget is passed, and in the end what is used is what was settled.
    #[test]
    fn all_or_nothing(steps in prop::collection::vec((0_u8..6, 0_u64..4, 0_u64..40, 0_u64..40), 1..80)) {
        let (meter, plan, bounds) = (Meter::default(), plan(Some(20), None), bounds(Some(15), None));
        let id = |measure, per| BudgetId { subject: USER, measure, per };
        let budgets = [(id(Measure::Money, Per::Day), 120), (id(Measure::Money, Per::Month), 200)];
        let limits = meter.limits(&Terms { budgets: &budgets, ..terms(&plan, &bounds) });
        let ids = [credits_of(KEY), credits_of(USER), budgets[0].0, budgets[1].0];
        let (mut held, mut spent) = (Vec::new(), Charge::default());
        for (step, credits, money, actual) in steps {
            let charge = Charge { credits, tokens: 0, money };
            match step {
                0..=2 => if let Ok(taken) = meter.admit(&Ask { charge: Some(charge), ..ask(&limits, 0) }) {
                    held.push((taken.commit(AT), charge));
                },
                3 => drop(meter.admit(&Ask { charge: Some(charge), ..ask(&limits, 0) })),
                _ => if let Some((committed, charge)) = held.pop() {
                    let actual = Charge { money: actual.min(charge.money), ..charge };
                    spent = Charge { credits: spent.credits + actual.credits, tokens: 0, money: spent.money + actual.money };
                    committed.settle(&actual);
                },
            }
            let sum = held.iter().fold(spent, |sum, (_, charge)| Charge {
                credits: sum.credits + charge.credits, tokens: 0, money: sum.money + charge.money,
            });
            for (id, most) in ids.into_iter().zip([15, 20, 120, 200]) {
                prop_assert_eq!(meter.used(id, AT.day()), sum.of(id.measure));
                prop_assert!(meter.used(id, AT.day()) <= most);
            }
        }
    }
}

#[test]
fn what_no_limit_holds_is_not_counted_where_leases_grant_and_stays_so_when_a_limit_comes_meanwhile() {
    let (meter, bounds) = (Meter::leased(), KeyBounds::default());
    let unlimited = plan(None, None);
    let limits = meter.limits(&terms(&unlimited, &bounds));
    let before = meter.admit(&ask(&limits, 4)).unwrap();
    assert_eq!(meter.used(credits_of(USER), AT.day()), 0);
    let plan = plan(Some(10), None);
    let limited = meter.limits(&terms(&plan, &bounds));
    let cell = meter.cell(credits_of(USER)).unwrap();
    cell.allow(5, Mono(u64::MAX));
    let after = meter.admit(&ask(&limited, 5)).unwrap().commit(AT);
    before.commit(AT).settle(&Charge::credits(9));
    after.settle_as_reserved();
    assert_eq!((cell.used(), cell.spent(), cell.limit()), (5, 5, 10));
    assert_eq!(meter.used(credits_of(KEY), AT.day()), 0);
}
