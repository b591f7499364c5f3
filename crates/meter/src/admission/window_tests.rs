//! Budgets of windows: they open with the first use, reserve together with all other budgets, and never go back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use access::{Amount, Credits, KeyBounds, KeyNo, Minute, Plan, PlanId, UserNo};

use super::*;
use access::Caller;

const CALLER: Caller = Caller { user: UserNo(1), key: KeyNo(7), plan: PlanId::NIL };
const USER: BudgetScope = BudgetScope::User(CALLER.user);
const AT: Timestamp = Timestamp(1_796_120_070_000_000);
const NOW: Mono = Mono(1);

fn of_window(text: &str) -> BudgetId {
    BudgetId { scope: USER, measure: Measure::Credits, per: LimitPeriod::parse(text).unwrap() }
}

fn limits(meter: &Meter, budgets: &[(&str, u64)]) -> Arc<Limits> {
    let budgets: Vec<_> = budgets.iter().map(|(text, amount)| (of_window(text), Amount(*amount))).collect();
    let bounds = KeyBounds::default();
    meter.limits(&Terms { caller: CALLER, plan: &Plan::unlimited("pro"), bounds: &bounds, budgets: &budgets })
}

fn ask(limits: &Arc<Limits>, units: u64, at: Timestamp) -> AdmissionRequest<'_> {
    let charge = (units > 0).then(|| Charge::credits(Credits(units)));
    AdmissionRequest { limits, charge, at, now: NOW, rate: RateSource::Here }
}

/// Spends credits; returns the windows in which the request counts, or the budget that refuses it.
fn spend(meter: &Meter, limits: &Arc<Limits>, units: u64, at: Timestamp) -> Result<Vec<Period>, BudgetExceeded> {
    match meter.admit(&ask(limits, units, at)) {
        Ok(reservation) => {
            let committed = reservation.commit(at);
            let windows = committed.windows();
            committed.settle_as_reserved();
            Ok(windows)
        }
        Err(AdmissionRefusal::Budget(exceeded)) => Err(exceeded),
        Err(refused @ AdmissionRefusal::Rate(..)) => panic!("{refused:?}"),
    }
}

fn after(minutes: u64) -> Timestamp {
    AT.after(Duration::from_secs(minutes * 60))
}

#[test]
fn a_window_opens_with_the_first_use_and_the_next_one_with_the_first_use_after_its_end() {
    let meter = Meter::default();
    let limits = limits(&meter, &[("5h/first_use", 3)]);
    assert!(meter.counter(of_window("5h/first_use")).is_none(), "nothing opens it but use");
    let first = spend(&meter, &limits, 2, AT).unwrap();
    assert_eq!(first.iter().map(|window| window.begin()).collect::<Vec<_>>(), [Minute::containing(AT)]);
    assert_eq!(spend(&meter, &limits, 1, after(299)).unwrap(), first);
    let refused = spend(&meter, &limits, 1, after(299)).unwrap_err();
    assert_eq!((refused.limit, refused.used, refused.resets_at()), (Amount(3), Amount(3), first[0].end()));
    // A minute before its end it is open; two hours after it, another one opens then.
    let next = spend(&meter, &limits, 3, after(420)).unwrap();
    assert_eq!(next[0].begin(), Minute::containing(after(420)));
    // A clock that goes back past the end of a window counts in the newest one.
    assert!(spend(&meter, &limits, 1, after(10)).is_err());
}

#[test]
fn free_requests_and_requests_that_another_budget_refuses_open_no_window() {
    let meter = Meter::default();
    let limits = limits(&meter, &[("5h/first_use", 100), ("day/Asia/Jakarta", 5)]);
    assert_eq!(spend(&meter, &limits, 0, AT).unwrap(), [], "a free request counts in none");
    let refused = spend(&meter, &limits, 6, AT).unwrap_err();
    assert_eq!(refused.budget, of_window("day/Asia/Jakarta"));
    assert!(meter.counter(of_window("5h/first_use")).is_none());
    assert_eq!(spend(&meter, &limits, 5, AT).unwrap().len(), 2);
    // The local day ends at 17:00 UTC: 6 hours and 46 minutes later.
    assert!(spend(&meter, &limits, 1, after(405)).is_err());
    assert!(spend(&meter, &limits, 1, after(406)).is_ok());
}

#[test]
fn windows_take_together_or_not_at_all() {
    let meter = Meter::default();
    let limits = limits(&meter, &[("5h/first_use", 10), ("7d/first_use", 12), ("month/Asia/Jakarta", 1_000)]);
    spend(&meter, &limits, 10, AT).unwrap();
    let refused = spend(&meter, &limits, 3, after(301)).unwrap_err();
    assert_eq!(refused.budget, of_window("7d/first_use"));
    let used = |text| meter.counter(of_window(text)).map_or(Amount(0), |counter| counter.used());
    assert_eq!((used("7d/first_use"), used("month/Asia/Jakarta")), (Amount(10), Amount(10)));
    let left = limits.left(after(301));
    assert_eq!(left.credits, Credits(2));
    let levels: Vec<_> = limits.levels(after(301)).map(|level| level.left).collect();
    assert_eq!(levels.len(), 3);
}

#[test]
fn of_several_windows_that_are_used_up_the_last_to_reset_refuses() {
    let meter = Meter::default();
    let limits = limits(&meter, &[("5h/first_use", 1), ("7d/first_use", 1), ("day/Asia/Jakarta", 2)]);
    spend(&meter, &limits, 1, AT).unwrap();
    let refused = spend(&meter, &limits, 1, AT).unwrap_err();
    assert_eq!((refused.budget, refused.used), (of_window("7d/first_use"), Amount(1)));
    assert!(spend(&meter, &limits, 1, refused.resets_at()).is_ok(), "who waits is admitted");
}

#[test]
fn requests_at_the_end_of_a_window_count_in_exactly_one() {
    let meter = Meter::default();
    let limits = limits(&meter, &[("1m/first_use", 1_000)]);
    let opened = spend(&meter, &limits, 1, AT).unwrap()[0];
    let first = meter.counter(of_window("1m/first_use")).unwrap();
    let ends_us = opened.end().0;
    let counted = [AtomicU64::new(1), AtomicU64::new(0)];
    std::thread::scope(|scope| {
        for thread in 0..8_u64 {
            let meter = &meter;
            let limits = &limits;
            let counted = &counted;
            scope.spawn(move || {
                for step in 0..125 {
                    // Half of the requests come before the end of the window, the others after it.
                    let at = Timestamp(ends_us - 63_000_000 / 1_000 + (thread + step * 8) * 126);
                    let windows = spend(meter, limits, 1, at).unwrap();
                    assert_eq!(windows.len(), 1);
                    let is_next = windows[0] != opened;
                    counted[usize::from(is_next)].fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let [old, new] = counted.map(AtomicU64::into_inner);
    assert_eq!(old + new, 1_001);
    let newest = meter.counter(of_window("1m/first_use")).unwrap();
    assert_eq!(newest.period().begin(), opened.end_minute(), "the next window begins when the last one ends");
    assert_eq!([first.spent(), newest.spent()], [old, new].map(Amount));
}

#[test]
fn a_restored_window_goes_on_and_an_ended_one_does_not() {
    let meter = Meter::default();
    let budget = of_window("5h/first_use");
    let open = Period::containing(budget.per, AT);
    meter.begin_period(budget, open, Amount(2));
    let limits = limits(&meter, &[("5h/first_use", 3)]);
    assert_eq!(spend(&meter, &limits, 1, after(60)).unwrap(), [open]);
    assert!(spend(&meter, &limits, 1, after(60)).is_err());
    let other = Meter::default();
    other.begin_period(budget, Period::ended(budget.per), Amount(0));
    let limits = limits_of(&other);
    assert_eq!(spend(&other, &limits, 3, after(60)).unwrap()[0].begin(), Minute::containing(after(60)));
}

fn limits_of(meter: &Meter) -> Arc<Limits> {
    limits(meter, &[("5h/first_use", 3)])
}

#[test]
fn a_leased_window_that_another_node_has_opened_moves_there() {
    let meter = Meter::leased();
    let limits = limits(&meter, &[("5h/first_use", 3)]);
    let request = ask(&limits, 1, AT);
    assert!(matches!(meter.admit(&request), Err(AdmissionRefusal::Budget(of)) if of.by == RefusalCause::Lease));
    let [lack] = <[LeaseShortfall; 1]>::try_from(request.shortfalls()).unwrap();
    // Another node has opened the window 7 minutes before.
    let begin = Minute(lack.id.period.begin().0 - 7);
    lack.counter.move_to(begin);
    assert!(meter.admit(&request).is_err());
    let [moved] = <[LeaseShortfall; 1]>::try_from(request.shortfalls()).unwrap();
    assert_eq!((moved.id.period.begin(), moved.id.period.end_minute().0), (begin, begin.0 + 300));
    moved.counter.allow(Amount(3), Mono(u64::MAX));
    assert_eq!(spend(&meter, &limits, 1, AT).unwrap(), [moved.id.period]);
}
