//! The state of budgets that clients read.

use super::*;
use crate::limits::BudgetLevel;

#[test]
fn levels_show_what_is_left_and_what_is_unspent_of_own_budgets() {
    let meter = Meter::default();
    let plan = plan(Some(10), None);
    let bounds = bounds(Some(6), None);
    let global = (credits_of(BudgetScope::Global), Amount(3));
    let limits = meter.limits(&Terms { budgets: &[global], ..terms(&plan, &bounds) });
    let levels = |at: Timestamp| {
        let level = |level: BudgetLevel| (level.budget, level.limit.0, level.left.0, level.unspent.0);
        limits.levels(at).map(level).collect::<Vec<_>>()
    };
    let [key, user] = [credits_of(KEY), credits_of(USER)];
    assert_eq!(levels(AT), [(key, 6, 6, 6), (user, 10, 10, 10)]);
    spend(&meter, &request(&limits, 2)).unwrap();
    let held = meter.admit(&request(&limits, 1)).unwrap();
    assert_eq!(levels(AT), [(key, 6, 3, 4), (user, 10, 7, 8)], "the reserved credit is not left, but unspent");
    drop(held);
    assert_eq!(levels(AT), [(key, 6, 4, 4), (user, 10, 8, 8)]);
    let tomorrow = AT.day().next();
    assert_eq!(levels(tomorrow.start()), [(key, 6, 6, 6), (user, 10, 10, 10)]);
    assert_eq!(meter.counter(user).unwrap().period().first(), AT.day(), "no counter has begun");
}

#[test]
fn levels_of_leased_budgets_count_what_other_nodes_hold_as_used() {
    let meter = Meter::leased();
    let plan = plan(Some(100), None);
    let bounds = KeyBounds::default();
    let limits = meter.limits(&terms(&plan, &bounds));
    assert_eq!(limits.levels(AT).count(), 0, "nothing is known before the first lease");
    let _ = meter.admit(&request(&limits, 1));
    let counter = meter.counter(credits_of(USER)).unwrap();
    assert_eq!(limits.levels(AT).count(), 0);
    counter.note_ungranted(Amount(60));
    counter.allow(Amount(20), Mono(u64::MAX));
    spend(&meter, &request(&limits, 5)).unwrap();
    let level = limits.levels(AT).next().unwrap();
    assert_eq!((level.limit, level.left, level.unspent), (Amount(100), Amount(75), Amount(75)));
}
