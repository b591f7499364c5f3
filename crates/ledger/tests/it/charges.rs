use access::{BudgetScope, Credits, Day, LimitPeriod, NanoUsd, PlanId, Timestamp, Tokens};
use meter::Period;
use meter::{Caller, Charge, UsageEvent};
use spool::Record;

use crate::world::{NOW, World, key, user};

pub(crate) async fn charges_are_summed_over_the_days_of_a_period(world: &World) {
    let store = world.store().await;
    let ada = user(&store, "ada@example.com").await;
    let bob = user(&store, "bob@example.com").await;
    let keys = [key(&store, ada.id).await.1, key(&store, ada.id).await.1, key(&store, bob.id).await.1];
    let [(laptop, on_ada), (script, _), (of_bob, on_bob)] =
        [(&keys[0], ada.no), (&keys[1], ada.no), (&keys[2], bob.no)];
    let one = PlanId::NIL;
    let two = store.stored_plans().await.unwrap()[0].id;
    let month = Period::containing(LimitPeriod::Month, NOW.day());
    let charge = |n: u64| Charge {
        credits: Credits::whole(n),
        tokens: Tokens(10 * n),
        ..Charge::money(NanoUsd(100 * n.cast_signed()))
    };
    let event = |user, key, plan, (day, charge): (Day, Charge)| {
        let caller = Caller { user, key, plan };
        Record::Event(UsageEvent { day, started_at: Timestamp(day.start().0), charge, ..world.event(Some(caller)) })
    };
    let records = [
        event(on_ada, laptop.no, one, (month.first(), charge(1))),
        event(on_ada, laptop.no, two, (NOW.day(), charge(2))),
        event(on_ada, script.no, two, (NOW.day(), charge(4))),
        event(on_bob, of_bob.no, two, (NOW.day(), charge(8))),
        // Charges before and after this month.
        event(on_bob, of_bob.no, two, (Day(month.first().0 - 1), charge(16))),
        event(on_bob, of_bob.no, two, (month.next().first(), charge(32))),
    ];
    world.ingest(&store, &records).await;
    let all = store.charges(month).await.unwrap();
    assert_eq!(all.keys, [(laptop.no, charge(3)), (script.no, charge(4)), (of_bob.no, charge(8))]);
    assert_eq!(all.users, [(ada.no, charge(7)), (bob.no, charge(8))]);
    assert_eq!((all.plans, all.all), (vec![(one, charge(1)), (two, charge(14))], charge(15)));
    let today = Period::containing(LimitPeriod::Day, NOW.day());
    assert_eq!(store.charges(today).await.unwrap().all, charge(14));
    for (scope, of_month, of_day) in [
        (BudgetScope::Key(laptop.no), 3, 2),
        (BudgetScope::User(ada.no), 7, 6),
        (BudgetScope::Plan(two), 14, 14),
        (BudgetScope::Global, 15, 14),
    ] {
        assert_eq!(store.charge_of(scope, month).await.unwrap(), charge(of_month), "{scope:?}");
        assert_eq!(store.charge_of(scope, today).await.unwrap(), charge(of_day), "{scope:?}");
    }
    assert_eq!(store.charges(Period::containing(LimitPeriod::Day, Day(1))).await.unwrap(), store::Charges::default());
}

pub(crate) async fn charges_beyond_what_is_kept_end_at_the_most(world: &World) {
    let store = world.store().await;
    let ada = user(&store, "ada@example.com").await;
    let most = i64::MAX.unsigned_abs();
    let huge = Charge { credits: Credits::whole(most), tokens: Tokens(most), ..Charge::money(NanoUsd::MAX) };
    let mut records = Vec::new();
    for _ in 0..3 {
        let (_, key) = key(&store, ada.id).await;
        let caller = Caller { user: ada.no, key: key.no, plan: PlanId::NIL };
        for day in [NOW.day(), NOW.day().next()] {
            records.push(Record::Event(UsageEvent { day, charge: huge, ..world.event(Some(caller)) }));
        }
    }
    world.ingest(&store, &records).await;
    let month = Period::containing(LimitPeriod::Month, NOW.day());
    let full = Charge { credits: Credits::MAX, tokens: Tokens::MAX, ..Charge::money(NanoUsd::MAX) };
    assert_eq!(store.charge_of(BudgetScope::User(ada.no), month).await.unwrap(), full);
    assert_eq!(store.charges(month).await.unwrap().users, [(ada.no, full)]);
}
