use access::{Credits, Day, KeyNo, NanoUsd, PlanId, UserId};
use ledger::{Ledger, Overview, ResultTotals, UsageOf, UsageTotals};
use meter::{Attempt, Caller, Charge, UsageEvent};
use spool::Record;
use store::{Actor, Store, User};

use crate::usage_world::{attempt, caller};
use crate::world::{NOW, World, key, user};

fn day(back: u32) -> Day {
    Day(NOW.day().0 - back)
}

/// A request that counts `back` days before today.
fn event_days_ago(world: &World, caller: Caller, back: u32) -> UsageEvent {
    UsageEvent { day: day(back), started_at: day(back).start(), ..world.event(Some(caller)) }
}

pub(crate) async fn days_without_use_are_zeros(world: &World) {
    let store = world.store().await;
    let user = user(&store, "ada@example.com").await;
    let [(_, first), (_, second)] = [key(&store, user.id).await, key(&store, user.id).await];
    let of = |key| Caller { user: user.no, key, plan: PlanId::NIL };
    let other = caller(&store, "bob@example.com").await;
    let tomorrow = UsageEvent { day: NOW.day().next(), ..event_days_ago(world, of(first.no), 0) };
    let events = [
        event_days_ago(world, of(first.no), 3),
        event_days_ago(world, of(second.no), 3),
        event_days_ago(world, of(first.no), 0),
        event_days_ago(world, other, 1),
        tomorrow,
    ];
    world.ingest(&store, &events.map(Record::Event)).await;
    let requests = async |key: Option<KeyNo>, days: u32| -> Vec<u64> {
        let told = Ledger::new(store.clone()).usage_of_days(user.no, key, days, NOW.day()).await.unwrap();
        assert_eq!(told.last().map(|(day, _)| *day), Some(NOW.day()));
        told.iter().map(|(_, totals)| totals.requests).collect()
    };
    assert_eq!(requests(None, 5).await, [0, 2, 0, 0, 1]);
    assert_eq!(requests(Some(second.no), 4).await, [1, 0, 0, 0]);
    assert_eq!((requests(None, 1).await, requests(None, 366).await.len()), (vec![1], 366));
    let told = Ledger::new(store.clone()).usage_of_days(user.no, None, 4, NOW.day()).await.unwrap();
    let (of_day, sum) = told[0];
    assert_eq!((of_day, sum.cost, sum.input, sum.reasoning, sum.credits), (day(3), NanoUsd(2_000), 2, 12, credits(2)));
    // A clock that is behind has no later days; days before 1970 do not exist.
    assert_eq!(Ledger::new(store.clone()).usage_of_days(user.no, None, 9, Day(2)).await.unwrap().len(), 3);
}

pub(crate) async fn a_sum_of_costs_that_nobody_can_owe_ends_at_the_most(world: &World) {
    let store = world.store().await;
    let user = user(&store, "ada@example.com").await;
    let keys = [key(&store, user.id).await.1, key(&store, user.id).await.1];
    for key in keys {
        let dear = Attempt { cost: Some(NanoUsd(i64::MAX - 7)), ..attempt() };
        let event = UsageEvent {
            attempts: vec![dear],
            ..event_days_ago(world, Caller { user: user.no, key: key.no, plan: PlanId::NIL }, 0)
        };
        world.ingest(&store, &[Record::Event(event)]).await;
    }
    let days = Ledger::new(store.clone()).usage_of_days(user.no, None, 1, NOW.day()).await.unwrap();
    let (_, overview) = overview(&store, &user).await;
    assert_eq!((days[0].1.cost, overview.today.cost), (NanoUsd(i64::MAX), NanoUsd(i64::MAX)));
    assert_eq!(overview.keys[0].today.cost, NanoUsd(i64::MAX - 7));
    assert_eq!(overview.models[0].total.cost, NanoUsd(i64::MAX));
}

/// Returns the overview of a month that began nine days ago.
async fn overview(store: &Store, user: &User) -> (User, Overview) {
    Ledger::new(store.clone()).overview(user.id, [day(9), NOW.day()]).await.unwrap().unwrap()
}

pub(crate) async fn an_overview_adds_up_by_key_and_model(world: &World) {
    let store = world.store().await;
    let user = user(&store, "ada@example.com").await;
    let mut keys = Vec::new();
    for _ in 0..4 {
        keys.push(key(&store, user.id).await.1);
    }
    let [first, second, unused, gone] = keys.as_slice() else { panic!() };
    let of = |key| Caller { user: user.no, key, plan: PlanId::NIL };
    let one = of(first.no);
    let two = of(second.no);
    let other = caller(&store, "bob@example.com").await;
    let fast = |event: UsageEvent| UsageEvent { model: Some("fast".into()), ..event };
    let refused = |model: Option<&str>, status| UsageEvent {
        model: model.map(Into::into),
        charge: Charge::default(),
        attempts: Vec::new(),
        status,
        refusal: Some("rate_limited".into()),
        ..event_days_ago(world, one, 0)
    };
    let events = [
        event_days_ago(world, one, 0),
        fast(event_days_ago(world, one, 0)),
        UsageEvent { status: 500, ..fast(event_days_ago(world, two, 0)) },
        UsageEvent {
            charge: Charge { credits: Credits::whole(7), ..Charge::money(NanoUsd(500)) },
            ..fast(event_days_ago(world, two, 4))
        },
        event_days_ago(world, two, 10),
        event_days_ago(world, other, 0),
        refused(Some("fast"), 429),
        refused(None, 404),
    ];
    world.ingest(&store, &events.map(Record::Event)).await;
    store.revoke_key(&Actor::COMMAND, gone.id).await.unwrap();

    let (found, told) = overview(&store, &user).await;
    assert_eq!(found, user);
    assert_eq!(
        (told.today.requests, told.today.credits, told.month.requests, told.month.credits),
        (3, credits(3), 4, credits(10))
    );
    assert_eq!((told.month.cost, told.month.input, told.month.reasoning), (NanoUsd(4_000), 4, 24));
    assert_eq!((told.today.charged, told.month.charged), (Some(NanoUsd(0)), Some(NanoUsd(500))));
    let by_key: Vec<_> =
        told.keys.iter().map(|key| (key.id, key.today.requests, key.month.credits, key.revoked_at)).collect();
    assert_eq!(
        by_key,
        [(second.id, 1, credits(8), None), (first.id, 2, credits(2), None), (unused.id, 0, credits(0), None)]
    );
    assert_eq!((told.keys[0].label.as_str(), &told.keys[0].last4), ("laptop", &second.last4));

    let by_model: Vec<_> = told
        .models
        .iter()
        .map(|model| {
            (
                model.name.as_deref(),
                model.total.requests,
                model.results.refused,
                model.results.errors,
                model.duration_us,
            )
        })
        .collect();
    assert_eq!(by_model, [(Some("fast"), 3, 1, 1, 3_000), (Some("mock"), 1, 0, 0, 1_000), (None, 0, 1, 0, 0)]);
    assert_eq!((told.models[0].total.credits, told.models[0].total.output), (credits(9), 15));
    assert_eq!(told.results_today, ResultTotals { succeeded: 2, refused: 2, errors: 1 });
    assert_eq!(told.newest.len(), 7);
    assert!(told.newest.iter().is_sorted_by_key(|line| std::cmp::Reverse((line.started_at, line.id))));
}

pub(crate) async fn without_use_an_overview_is_zeros_and_of_nobody_there_is_none(world: &World) {
    let store = world.store().await;
    let bare = user(&store, "ada@example.com").await;
    let (_, told) = overview(&store, &bare).await;
    let nothing = UsageTotals { charged: Some(NanoUsd(0)), ..UsageTotals::default() };
    assert_eq!((told.today, told.month, told.results_today), (nothing, nothing, ResultTotals::default()));
    assert!(told.keys.is_empty() && told.models.is_empty() && told.newest.is_empty());
    assert_eq!(Ledger::new(store.clone()).overview(UserId(world.id().0), [day(9), NOW.day()]).await.unwrap(), None);
}

pub(crate) async fn an_overview_is_bounded_and_its_sums_are_not(world: &World) {
    let store = world.store().await;
    let user = user(&store, "ada@example.com").await;
    let mut keys = Vec::new();
    for _ in 0..105 {
        keys.push(key(&store, user.id).await.1);
    }
    // Later keys used fewer credits; the last two are unused.
    let events = keys.iter().take(103).zip((1..=103).rev()).map(|(key, credits)| {
        let caller = Caller { user: user.no, key: key.no, plan: PlanId::NIL };
        let model = Some(format!("m-{}", key.no.0).into());
        UsageEvent {
            model,
            status: 400,
            charge: Charge::credits(Credits::whole(credits)),
            ..event_days_ago(world, caller, 0)
        }
    });
    store.revoke_key(&Actor::COMMAND, keys[0].id).await.unwrap();
    // Usage of a key that is missing in a restored copy.
    let unknown = event_days_ago(world, Caller { user: user.no, key: KeyNo(1 << 40), plan: PlanId::NIL }, 0);
    world.ingest(&store, &events.chain([unknown]).map(Record::Event).collect::<Vec<_>>()).await;
    let (_, told) = overview(&store, &user).await;
    assert_eq!((told.keys.len(), told.models.len(), told.newest.len()), (100, 20, 50));
    assert_eq!(
        (told.today.requests, told.results_today),
        (104, ResultTotals { succeeded: 1, refused: 0, errors: 103 })
    );
    assert!(told.keys.iter().all(|key| key.today.requests == 1));
    assert!(told.keys.iter().map(|key| key.id).eq(keys.iter().take(100).map(|key| key.id)), "the revoked one too");
    assert_eq!(told.month.credits, credits((1..=103).sum::<u64>() + 1));
}

pub(crate) async fn each_key_of_the_month_has_its_figures_of_today(world: &World) {
    let store = world.store().await;
    let user = user(&store, "ada@example.com").await;
    let mut events = Vec::new();
    let mut keys = Vec::new();
    for _ in 0..101 {
        let key = key(&store, user.id).await.1;
        events.push(event_days_ago(world, Caller { user: user.no, key: key.no, plan: PlanId::NIL }, 0));
        keys.push(key);
    }
    // The most expensive key of the month costs the least today.
    let Some(largest) = events.first_mut() else { panic!() };
    let before =
        (0..5).map(|_| UsageEvent { id: world.id(), day: day(1), started_at: day(1).start(), ..largest.clone() });
    let before: Vec<UsageEvent> = before.collect();
    largest.attempts = vec![Attempt { cost: Some(NanoUsd(1)), ..attempt() }];
    world.ingest(&store, &events.into_iter().chain(before).map(Record::Event).collect::<Vec<_>>()).await;
    let ledger = Ledger::new(store.clone());
    let told = ledger.scope_overview(UsageOf::All, None, [day(9), NOW.day()]).await.unwrap().overview;
    assert_eq!((told.keys.len(), told.keys[0].id), (100, keys[0].id));
    assert!(told.keys.iter().all(|key| key.today.requests == 1));
    let (all, listed) = ledger.scope_day(UsageOf::All, None, NOW.day()).await.unwrap();
    assert_eq!((all.requests, listed.len()), (101, 100));
    let (total, of_key) = ledger.scope_day(UsageOf::All, Some(keys[0].no), NOW.day()).await.unwrap();
    assert_eq!((total.cost, of_key.len(), of_key[0].0.total.requests), (NanoUsd(1), 1, 1));
}

const fn credits(whole: u64) -> Credits {
    Credits::whole(whole)
}
