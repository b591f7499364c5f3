use access::{Credits, NanoUsd, Plan, PlanId, Tokens};
use ledger::{DayUsage, Ledger, UsageTotals};
use meter::Period;
use meter::{Attempt, Caller, Charge, LimitPeriod, Source, UsageEvent};
use spool::Record;
use store::{Actor, Charges};

use crate::usage_world::{attempt, caller, requests};
use crate::world::{NOW, World, key, plan, user};

/// The totals that [`World::event`] adds to a day.
const ONE: UsageTotals = UsageTotals {
    requests: 1,
    credits: Credits::whole(1),
    input: 1,
    cached_input: 2,
    cache_write_short: 3,
    cache_write_long: 4,
    output: 5,
    reasoning: 6,
    cost: NanoUsd(1_000),
    charged: Some(NanoUsd(0)),
    unpriced_requests: 0,
};

pub(crate) async fn a_day_is_the_sum_of_its_events(world: &World) {
    let store = world.store().await;
    let user = user(&store, "ada@example.com").await;
    let (_, first) = key(&store, user.id).await;
    let (_, second) = key(&store, user.id).await;
    let of = |key| Some(Caller { user: user.no, key, plan: PlanId::NIL });
    let dear = UsageEvent { charge: Charge::credits(Credits::whole(10)), ..world.event(of(second.no)) };
    let records = [
        Record::Event(world.event(of(first.no))),
        Record::Event(world.event(of(first.no))),
        Record::Event(dear),
        world.counts(of(first.no), 7),
    ];
    let stats = world.ingest(&store, &records).await;
    assert_eq!(stats.events.into_inner(), 3);
    assert_eq!(stats.oldest_micros.into_inner(), 0);
    world.ingest(&store, &[world.counts(of(first.no), 1)]).await;

    let usage = Ledger::new(store.clone()).usage_of_day(user.no, NOW.day()).await.unwrap();
    assert_eq!((usage.total.requests, usage.total.credits), (3 + 16, Credits::whole(12 + 32)));
    assert_eq!((usage.total.input, usage.total.reasoning, usage.total.cost), (3, 18, NanoUsd(3_000)));
    let [of_first, of_second] = usage.by_key.as_slice() else { panic!("{usage:?}") };
    assert_eq!((of_first.key, of_first.no, of_first.total.requests), (first.id, first.no, 18));
    assert_eq!((of_second.label.as_str(), &of_second.last4), ("laptop", &second.last4));
    assert_eq!(of_second.total, UsageTotals { credits: Credits::whole(10), ..ONE });
    let nothing = UsageTotals { charged: Some(NanoUsd(0)), ..UsageTotals::default() };
    let empty = DayUsage { total: nothing, by_key: Vec::new() };
    assert_eq!(Ledger::new(store.clone()).usage_of_day(user.no, NOW.day().next()).await.unwrap(), empty);
}

pub(crate) async fn open_routes_are_nobodys_usage(world: &World) {
    let store = world.store().await;
    let caller = caller(&store, "ada@example.com").await;
    let records = [Record::Event(world.event(None)), world.counts(None, 5), world.counts(None, 5)];
    let stats = world.ingest(&store, &records).await;
    assert_eq!(stats.events.into_inner(), 1);
    assert_eq!(requests(&store, caller, NOW.day()).await, 0);
    assert_eq!(store.charges(Period::containing(LimitPeriod::Day, NOW.day())).await.unwrap(), Charges::default());
}

pub(crate) async fn a_sum_that_nobody_can_owe_ends_at_the_most(world: &World) {
    let store = world.store().await;
    let caller = caller(&store, "ada@example.com").await;
    for _ in 0..3 {
        let dear = Attempt { cost: Some(NanoUsd(i64::MAX - 7)), ..attempt() };
        let event = UsageEvent { attempts: vec![dear], ..world.event(Some(caller)) };
        world.ingest(&store, &[Record::Event(event)]).await;
    }
    let usage = Ledger::new(store.clone()).usage_of_day(caller.user, NOW.day()).await.unwrap();
    assert_eq!((usage.total.requests, usage.total.cost), (3, NanoUsd(i64::MAX)));
}

pub(crate) async fn an_unknown_cost_is_counted_as_unpriced(world: &World) {
    let store = world.store().await;
    let caller = caller(&store, "ada@example.com").await;
    let charge = Charge { credits: Credits::whole(1), tokens: Tokens(0), ..Charge::money(NanoUsd(5_000)) };
    let event = UsageEvent { charge, ..world.event(Some(caller)) };
    let unpriced = Attempt { cost: None, ..attempt() };
    let plain = UsageEvent { id: world.id(), format: None, attempts: vec![unpriced.clone()], ..event.clone() };
    let half = UsageEvent { id: world.id(), attempts: vec![unpriced.clone(), attempt()], ..event.clone() };
    let whole = UsageEvent { id: world.id(), attempts: vec![unpriced], ..event };
    world.ingest(&store, &[plain, half, whole].map(Record::Event)).await;
    let total = Ledger::new(store.clone()).usage_of_day(caller.user, NOW.day()).await.unwrap().total;
    assert_eq!((total.requests, total.unpriced_requests, total.cost), (3, 2, NanoUsd(1_000)));
    assert_eq!(total.charged, Some(NanoUsd(15_000)), "budgets count what was reserved");
    let days = Ledger::new(store.clone()).usage_of_days(caller.user, None, 2, NOW.day()).await.unwrap();
    assert_eq!(days.iter().map(|(_, day)| day.charged).collect::<Vec<_>>(), [Some(NanoUsd(0)), Some(NanoUsd(15_000))]);
}

pub(crate) async fn attempts_count_together_as_one_request(world: &World) {
    let store = world.store().await;
    let caller = caller(&store, "ada@example.com").await;
    let mut counted = attempt();
    counted.usage = counted.usage.map(|usage| meter::Usage { source: Source::Counted, output: None, ..usage });
    let nothing = Attempt { usage: None, answered_model: None, status: None, upstream_id: None, ..attempt() };
    let attempts = vec![nothing, counted, attempt()];
    world.ingest(&store, &[Record::Event(UsageEvent { attempts, ..world.event(Some(caller)) })]).await;
    let total = Ledger::new(store.clone()).usage_of_day(caller.user, NOW.day()).await.unwrap().total;
    assert_eq!((total.requests, total.credits, total.input, total.output), (1, Credits::whole(1), 2, 5));
    assert_eq!(total.cost, NanoUsd(3_000));
}

pub(crate) async fn an_event_counts_on_the_day_it_was_admitted(world: &World) {
    let store = world.store().await;
    let caller = caller(&store, "ada@example.com").await;
    let late = UsageEvent { day: NOW.day(), started_at: NOW.day().next().start(), ..world.event(Some(caller)) };
    world.ingest(&store, &[Record::Event(late)]).await;
    assert_eq!(requests(&store, caller, NOW.day()).await, 1);
    assert_eq!(requests(&store, caller, NOW.day().next()).await, 0);
}

pub(crate) async fn usage_of_one_key_leaves_out_the_others(world: &World) {
    let store = world.store().await;
    let user = user(&store, "ada@example.com").await;
    let (_, first) = key(&store, user.id).await;
    let (_, second) = key(&store, user.id).await;
    let of = |key| Some(Caller { user: user.no, key, plan: PlanId::NIL });
    world.ingest(&store, &[Record::Event(world.event(of(first.no))), world.counts(of(second.no), 9)]).await;
    let unused = key(&store, user.id).await.1;
    let usage = Ledger::new(store.clone()).usage_of_day(user.no, NOW.day()).await.unwrap();
    let of_first = usage.clone().of_key(first.no);
    assert_eq!((of_first.total, of_first.by_key.len()), (ONE, 1));
    // The day has a charge of zero, not none: every figure of a key without usage is known.
    let nothing = UsageTotals { charged: Some(NanoUsd(0)), ..UsageTotals::default() };
    assert_eq!(usage.of_key(unused.no), DayUsage { total: nothing, by_key: Vec::new() });
}

pub(crate) async fn credits_of_a_day_rebuild_the_meter(world: &World) {
    let store = world.store().await;
    let ada = caller(&store, "ada@example.com").await;
    let bob = caller(&store, "bob@example.com").await;
    let yesterday = UsageEvent { day: access::Day(NOW.day().0 - 1), ..world.event(Some(bob)) };
    let dear = UsageEvent { charge: Charge::credits(Credits::whole(41)), ..world.event(Some(ada)) };
    let records = [
        Record::Event(yesterday),
        Record::Event(dear),
        Record::Event(world.event(Some(ada))),
        world.counts(Some(bob), 3),
    ];
    world.ingest(&store, &records).await;
    let charges = store.charges(Period::containing(LimitPeriod::Day, NOW.day())).await.unwrap();
    let [of_ada, of_bob] = [42, 12].map(|credits| Charge::credits(Credits::whole(credits)));
    let mut keys = charges.keys;
    keys.sort_unstable_by_key(|(key, _)| *key);
    assert_eq!(keys, [(ada.key, of_ada), (bob.key, of_bob)]);
    assert_eq!(charges.users, [(ada.user, of_ada), (bob.user, of_bob)]);
}

pub(crate) async fn users_near_their_quota_are_found_whatever_the_quota_is(world: &World) {
    let store = world.store().await;
    let caller = caller(&store, "ada@example.com").await;
    world.ingest(&store, &[Record::Event(world.event(Some(caller)))]).await;
    // One credit is a quarter of 4.
    for (quota, expected) in [(4, 1), (5, 0), (Plan::CREDITS_MAX.rounded_down(), 0)] {
        store.apply_plans(&Actor::COMMAND, &[plan("starter", quota)]).await.unwrap();
        let (users, all) = Ledger::new(store.clone()).busiest_users(NOW.day(), 9).await.unwrap();
        assert_eq!((users.len(), all), (expected, expected), "{quota}");
    }
}
