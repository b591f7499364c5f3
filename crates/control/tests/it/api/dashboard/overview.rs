use std::time::Duration;

use access::{NanoUsd, Role, Timestamp};
use meter::UsageEvent;
use serde_json::json;

use crate::api::usage::{DAY_US, ask, assert_alike, event_of, refused, time_at};
use crate::client::{call, get};
use crate::world::{NOON, World, event, tidy};

const PATH: &str = "/api/dashboard/overview";

#[tokio::test]
async fn an_overview_lists_the_month_by_key_and_model() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let second = world.key(&ada, "second").await;
    world.key(&ada, "unused").await;
    let bob = world.holder("bob", "endless").await;
    let took = |duration_us, event| UsageEvent { duration_us, ..event };
    let smart = UsageEvent { model: Some("smart".into()), status: 503, ..event(second.caller, time_at(3), None) };
    let events = vec![
        event_of(&ada, Timestamp(NOON.0 - 20 * DAY_US)),
        event_of(&second, Timestamp(NOON.0 - 3 * DAY_US)),
        took(1_000_500, event_of(&ada, time_at(1))),
        took(4_000, event_of(&ada, time_at(2))),
        smart,
        refused(&ada, time_at(4), "quota_exceeded", 429),
        event_of(&bob, time_at(5)),
    ];
    for event in events.iter().filter(|event| event.day == NOON.day()) {
        let caller = event.subject.caller().unwrap();
        world.has_spent(caller, event.day, event.charge.credits.rounded_down());
    }
    world.record(events).await;
    let answer = ask(&world, &ada, PATH).await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    insta::assert_snapshot!(tidy(&answer));
}

#[tokio::test]
async fn unused_figures_are_zero_or_null() {
    let world = World::start().await;
    let eve = world.holder("eve", "endless").await;
    insta::assert_snapshot!(tidy(&ask(&world, &eve, PATH).await));
}

#[tokio::test]
async fn in_a_separate_process_the_quota_comes_from_the_store() {
    let world = World::start_apart().await;
    let ada = world.holder("ada", "starter").await;
    world.record(vec![event_of(&ada, time_at(1)), event_of(&ada, time_at(2))]).await;
    let reported = ask(&world, &ada, PATH).await.json();
    assert_eq!((&reported["quota"]["used"], &reported["quota"]["remaining"]), (&json!(6), &json!(994)));
}

#[tokio::test]
async fn a_new_month_begins_at_zero_whatever_other_clocks_show() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    // The last day of November, and a node whose clock is a day ahead.
    let last = Timestamp(NOON.0 + 10 * DAY_US);
    world.record(vec![event_of(&ada, last), event_of(&ada, Timestamp(last.0 + DAY_US))]).await;
    let reported = async || {
        let reported = ask(&world, &ada, PATH).await.json();
        [&reported["today"]["requests"], &reported["month"]["requests"], &reported["month"]["since"]].map(Clone::clone)
    };
    world.clock.advance(Duration::from_secs(10 * 86_400));
    world.refresh().await;
    assert_eq!(reported().await, [json!(1), json!(1), json!("2026-11-01")]);
    world.clock.advance(Duration::from_secs(86_400));
    world.refresh().await;
    assert_eq!(reported().await, [json!(1), json!(1), json!("2026-12-01")]);
}

#[tokio::test]
async fn latency_and_recent_requests_are_those_of_the_newest() {
    let world = World::start().await;
    let ada = world.holder("ada", "endless").await;
    let events =
        (0..79).map(|nth| UsageEvent { duration_us: 1_000 * nth, ..event(ada.caller, time_at(nth), Some(NanoUsd(1))) });
    world.record(events.chain([refused(&ada, time_at(90), "rate_limited", 429)]).collect()).await;
    let reported = ask(&world, &ada, PATH).await.json();
    let expected = json!({"p50_ms": 54.0, "p95_ms": 76.0, "basis": "newest_requests", "requests": 49});
    assert_eq!((&reported["latency"], reported["recent"].as_array().unwrap().len()), (&expected, 20));
    assert_eq!(reported["recent"][0]["refusal"]["code"], "rate_limited");
    assert_eq!(reported["errors"], json!({"today": 0, "refused": 1, "requests": 79, "rate": 0.0}));
}

#[tokio::test]
async fn the_overview_is_visible_to_its_user_and_admins() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let bob = world.holder("bob", "endless").await;
    get(world.address, PATH, &[]).await.refuses(401, "unauthorized");
    let foreign = ask(&world, &ada, &format!("{PATH}?user_id={}", bob.user)).await;
    foreign.refuses(404, "not_found");
    assert_alike(&foreign, &ask(&world, &ada, &format!("{PATH}?user_id=01994d5c-0000-7000-8000-000000000000")).await);
    ask(&world, &ada, &format!("{PATH}?user=1")).await.refuses(400, "bad_request");

    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&root).await;
    let shown = get(world.address, &format!("{PATH}?user_id={}", bob.user), &[&session.bearer()]).await.json();
    assert_eq!((&shown["user"]["name"], &shown["plan"]["name"]), (&json!("bob"), &json!("endless")));
    let own = get(world.address, PATH, &[&session.bearer()]).await.json();
    assert_eq!(
        (&own["user"]["name"], &own["user"]["role"], &own["keys"]),
        (&json!("root"), &json!("admin"), &json!([]))
    );

    assert_eq!(ask(&world, &ada, PATH).await.status, 200);
    world.store.close().await;
    ask(&world, &ada, PATH).await.refuses(503, "unavailable");
}

#[tokio::test]
async fn a_scope_has_the_budgets_that_apply_to_all_its_requests() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let root = world.person_with("root", Role::Admin).await;
    let root = world.sign_in(&root).await;
    let plans = world.store.stored_plans().await.unwrap();
    let starter = plans.iter().find(|stored| stored.plan.name == "starter").unwrap().id;
    let of_key = format!("key/{}", ada.key);
    for owner in ["global/-", &format!("plan/{starter}"), &format!("user/{}", ada.user), &of_key] {
        let target = format!("PUT /api/budgets/{owner}/tokens/month");
        let headers = [&*root.bearer(), "Content-Type: application/json"];
        assert_eq!(call(world.address, &target, &headers, r#"{"tokens":9}"#).await.status, 200, "{owner}");
    }
    for (scope, expected) in [
        ("all", &["global"][..]),
        ("plan:starter", &["global", "plan"]),
        ("plan:endless", &["global"]),
        (&format!("key:{}", ada.key), &["global", "key", "plan", "user"]),
        (&format!("user:{}", ada.user), &["global", "plan", "user"]),
    ] {
        let overview = get(world.address, &format!("{PATH}?scope={scope}"), &[&root.bearer()]).await.json();
        let stored = overview["budgets"].as_array().unwrap().iter().filter(|budget| budget["source"] == "api");
        let mut found: Vec<&str> = stored
            .map(|budget| {
                assert_eq!(budget["remaining"], 9, "{scope}: {budget}");
                budget["dimension"].as_str().unwrap()
            })
            .collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{scope}");
    }
}
