use std::time::Duration;

use access::{Role, Timestamp};
use serde_json::{Value, json};

use super::{DAY_US, ask, assert_alike, event_of, refused, time_at};
use crate::client::get;
use crate::world::{Holder, NOON, World, tidy};

const PATH: &str = "/api/usage/history";

async fn days(world: &World, holder: &Holder, query: &str) -> Vec<Value> {
    let answer = ask(world, holder, &format!("{PATH}?{query}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["days"].as_array().unwrap().clone()
}

fn requests(days: &[Value]) -> Vec<u64> {
    days.iter().map(|day| day["requests"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn days_are_consecutive_and_unused_days_are_zero() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let second = world.key(&ada, "second").await;
    let ago = |days: u64| Timestamp(NOON.0 - days * DAY_US);
    let bob = world.holder("bob", "starter").await;
    let events = vec![
        event_of(&ada, ago(2)),
        event_of(&second, ago(2)),
        event_of(&ada, time_at(1)),
        refused(&ada, time_at(2), "rate_limited", 429),
        event_of(&bob, time_at(1)),
    ];
    world.record(events).await;
    let answer = ask(&world, &ada, &format!("{PATH}?days=3")).await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    insta::assert_snapshot!(tidy(&answer));
    assert_eq!(requests(&days(&world, &ada, &format!("days=3&key_id={}", second.key)).await), [1, 0, 0]);
    assert_eq!(requests(&days(&world, &ada, "days=1").await), [1]);
    assert_eq!((days(&world, &ada, "").await.len(), days(&world, &ada, "days=366").await.len()), (30, 366));
}

#[tokio::test]
async fn a_session_reads_the_usage_of_its_user() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let session = world.sign_in(&ada).await;
    let answer = get(world.address, &format!("{PATH}?days=1"), &[&session.bearer()]).await;
    assert_eq!(answer.json()["days"][0]["requests"], 0);
    get(world.address, PATH, &[]).await.refuses(401, "unauthorized");
}

#[tokio::test]
async fn a_server_whose_clock_is_a_day_off_uses_its_own_days() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    // The clock of another node is a day ahead.
    world.record(vec![event_of(&ada, time_at(0)), event_of(&ada, Timestamp(NOON.0 + DAY_US))]).await;
    assert_eq!(requests(&days(&world, &ada, "days=2").await), [0, 1]);
    world.clock.advance(Duration::from_secs(86_400));
    world.refresh().await;
    let reported = days(&world, &ada, "days=3").await;
    assert_eq!((requests(&reported), &reported[2]["date"]), (vec![0, 1, 1], &json!("2026-11-21")));
}

#[tokio::test]
async fn a_query_that_cannot_be_is_refused() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    for query in
        ["days=0", "days=367", "days=abc", "days=", "days=-1", "days=1.5", "days=99999999999", "days=1&days=2", "day=1"]
    {
        let message = ask(&world, &ada, &format!("{PATH}?{query}")).await.refuses(400, "bad_request");
        assert!(message.contains("day"), "{query}: {message}");
    }
}

#[tokio::test]
async fn anothers_key_and_user_are_not_there() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let bob = world.holder("bob", "starter").await;
    let absent = "01994d5c-0000-7000-8000-000000000000";
    for (name, foreign) in [("key_id", bob.key.to_string()), ("user_id", bob.user.to_string())] {
        let [foreign, absent] = [foreign.as_str(), absent].map(|id| format!("{PATH}?{name}={id}"));
        let foreign = ask(&world, &ada, &foreign).await;
        let absent = ask(&world, &ada, &absent).await;
        foreign.refuses(404, "not_found");
        assert_alike(&foreign, &absent);
    }
}

#[tokio::test]
async fn an_admin_session_reads_the_usage_of_any_user() {
    let world = World::start().await;
    let bob = world.holder("bob", "starter").await;
    world.record(vec![event_of(&bob, time_at(0))]).await;
    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&root).await;
    let path = |query: &str| format!("{PATH}?days=1&user_id={}{query}", bob.user);
    let requested = async |query: &str| get(world.address, &path(query), &[&session.bearer()]).await;
    assert_eq!(requested("").await.json()["days"][0]["requests"], 1);
    assert_eq!(requested(&format!("&key_id={}", bob.key)).await.json()["days"][0]["requests"], 1);
    let absent = format!("{PATH}?user_id=01994d5c-0000-7000-8000-000000000000");
    get(world.address, &absent, &[&session.bearer()]).await.refuses(404, "not_found");
    // A user may also pass the user's own id.
    assert_eq!(ask(&world, &bob, &path("")).await.status, 200);
}
