use std::time::Duration;

use access::{NanoUsd, Timestamp};
use serde_json::{Value, json};

use crate::client::{call, get};
use crate::world::{Holder, NOON, World, event, tidy};

const PATH: &str = "/api/usage/today";

fn time_at(seconds: u64) -> Timestamp {
    Timestamp(NOON.0 + seconds * 1_000_000)
}

/// A user with two used keys and an unused one, and another user with separate usage.
async fn ada_and_bob(world: &World) -> [Holder; 4] {
    let ada = world.holder("ada", "starter").await;
    let second = world.key(&ada, "second").await;
    let unused = world.key(&ada, "unused").await;
    let bob = world.holder("bob", "endless").await;
    let day_before = Timestamp(NOON.0 - 86_400_000_000);
    let events = vec![
        event(ada.caller, day_before, Some(NanoUsd(1))),
        event(ada.caller, time_at(1), Some(NanoUsd(1_500))),
        event(ada.caller, time_at(2), None),
        event(second.caller, time_at(3), Some(NanoUsd(250))),
        event(bob.caller, time_at(4), Some(NanoUsd(99))),
    ];
    for event in events.iter().filter(|event| event.day == NOON.day()) {
        let caller = event.subject.caller().unwrap();
        world.has_spent(caller, event.day, event.charge.credits.rounded_down());
    }
    world.record(events).await;
    [ada, second, unused, bob]
}

#[tokio::test]
async fn today_is_the_users_total_with_each_key() {
    let world = World::start().await;
    let [ada, ..] = ada_and_bob(&world).await;
    let answer = get(world.address, PATH, &[&ada.bearer()]).await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    insta::assert_snapshot!(tidy(&answer));
}

#[tokio::test]
async fn in_a_separate_process_the_quota_comes_from_the_store() {
    let world = World::start_apart().await;
    let [ada, ..] = ada_and_bob(&world).await;
    let today = get(world.address, PATH, &[&ada.bearer()]).await.json();
    assert_eq!((&today["credits"], &today["limit"], &today["remaining"]), (&json!(9), &json!(1_000), &json!(991)));
}

#[tokio::test]
async fn usage_can_be_limited_to_one_key_and_the_quota_stays_the_users() {
    let world = World::start().await;
    let [ada, second, unused, _] = ada_and_bob(&world).await;
    let ask = async |id: &str| get(world.address, &format!("{PATH}?key_id={id}"), &[&ada.bearer()]).await;
    insta::assert_snapshot!(tidy(&ask(&second.key.to_string()).await));

    let own = ask(&ada.key.to_string()).await.json();
    assert_eq!((&own["requests"], &own["unpriced_requests"], &own["remaining"]), (&json!(2), &json!(1), &json!(991)));
    let none = ask(&unused.key.to_string()).await.json();
    assert_eq!((&none["requests"], &none["by_key"], &none["remaining"]), (&json!(0), &json!([]), &json!(991)));
    // An unused key has the same fields as a used one, with zeros.
    assert_eq!(none["charged"], json!({"amount_nano": 0, "currency": "USD"}));
    let fields = |body: &Value| body.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(fields(&none), fields(&own));
}

#[tokio::test]
async fn usage_of_a_revoked_key_still_shows() {
    let world = World::start().await;
    let [ada, second, ..] = ada_and_bob(&world).await;
    world.store.revoke_key(&store::Actor::COMMAND, second.key).await.unwrap();
    world.refresh().await;
    let answer = get(world.address, &format!("{PATH}?key_id={}", second.key), &[&ada.bearer()]).await;
    assert_eq!(answer.json()["requests"], 1);
}

#[tokio::test]
async fn unused_figures_are_zero_and_a_missing_quota_is_null() {
    let world = World::start().await;
    let eve = world.holder("eve", "endless").await;
    insta::assert_snapshot!(tidy(&get(world.address, PATH, &[&format!("X-API-Key: {}", eve.secret)]).await));
}

#[tokio::test]
async fn a_new_day_begins_at_zero() {
    let world = World::start().await;
    let [ada, ..] = ada_and_bob(&world).await;
    world.clock.advance(Duration::from_secs(12 * 3600));
    world.refresh().await;
    let body = get(world.address, PATH, &[&ada.bearer()]).await.json();
    let shown = ["date", "requests", "credits", "remaining", "resets_at"].map(|field| body[field].clone());
    let expected = [json!("2026-11-21"), json!(0), json!(0), json!(1_000), json!("2026-11-22T00:00:00Z")];
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn requests_in_flight_reduce_the_remaining_amount_and_are_listed_separately() {
    let world = World::start().await;
    let [ada, ..] = ada_and_bob(&world).await;
    world.has_spent(ada.caller, NOON.day(), 5);
    let body = get(world.address, PATH, &[&ada.bearer()]).await.json();
    let figures = ["credits", "pending_credits", "remaining", "limit"].map(|figure| body[figure].as_u64().unwrap());
    assert_eq!(figures, [9, 5, 986, 1_000], "they add up");
    let of_key = get(world.address, &format!("{PATH}?key_id={}", ada.key), &[&ada.bearer()]).await.json();
    assert_eq!((&of_key["credits"], &of_key["pending_credits"]), (&json!(6), &json!(5)));
}

/// Settled usage reaches the store a moment later, as with ingest.
#[tokio::test]
async fn a_request_that_ended_is_waited_for_and_counts_in_every_figure() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    world.has_spent(ada.caller, NOON.day(), 3);
    let bearer = ada.bearer();
    let (today, ()) = tokio::join!(async { get(world.address, PATH, &[&bearer]).await }, async {
        tokio::time::sleep(Duration::from_millis(60)).await;
        world.record(vec![event(ada.caller, time_at(1), None)]).await;
    });
    let today = today.json();
    let figures = ["requests", "credits", "pending_credits", "remaining"].map(|figure| today[figure].as_u64().unwrap());
    assert_eq!(figures, [1, 3, 0, 997]);
    let overview = get(world.address, "/api/dashboard/overview", &[&ada.bearer()]).await.json();
    assert_eq!((&overview["today"]["requests"], &overview["quota"]["used"]), (&json!(1), &json!(3)));
}

#[tokio::test]
async fn usage_that_is_not_recorded_in_time_is_pending() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    world.has_spent(ada.caller, NOON.day(), 3);
    let today = get(world.address, PATH, &[&ada.bearer()]).await.json();
    let figures = ["requests", "credits", "pending_credits", "remaining"].map(|figure| today[figure].as_u64().unwrap());
    assert_eq!(figures, [0, 0, 3, 997]);
    let overview = get(world.address, "/api/dashboard/overview", &[&ada.bearer()]).await.json();
    assert_eq!((&overview["today"]["pending_credits"], &overview["quota"]["used"]), (&json!(3), &json!(3)));
}

#[tokio::test]
async fn keys_of_other_users_are_not_found_like_missing_keys() {
    let world = World::start().await;
    let [ada, _, _, bob] = ada_and_bob(&world).await;
    let mut messages = Vec::new();
    for id in [bob.key.to_string(), "01994d5c-0000-7000-8000-000000000000".to_owned()] {
        let answer = get(world.address, &format!("{PATH}?key_id={id}"), &[&ada.bearer()]).await;
        messages.push(answer.refuses(404, "not_found"));
    }
    assert_eq!(messages[0], messages[1]);
}

#[tokio::test]
async fn a_query_that_cannot_be_read_is_refused_by_name() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let check = async |query: &str, reason: &str| {
        let answer = get(world.address, &format!("{PATH}?{query}"), &[&ada.bearer()]).await;
        let message = answer.refuses(400, "bad_request");
        assert!(message.contains(reason), "{query}: {message}");
    };
    check("key=1", "unknown field `key`").await;
    check("key_id=1", "key_id").await;
    check("key_id=", "key_id").await;
    let id = "01994d5c-0000-7000-8000-000000000000";
    check(&format!("key_id={id}&key_id={id}"), "duplicate field `key_id`").await;
}

#[tokio::test]
async fn a_caller_needs_a_valid_key() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    get(world.address, PATH, &[]).await.refuses(401, "unauthorized");
    get(world.address, PATH, &["X-API-Key: nonsense"]).await.refuses(401, "key_malformed");
    let other = format!("X-API-Key: tollgate_{}", "0".repeat(32));
    get(world.address, PATH, &[&other]).await.refuses(401, "key_unknown");
    get(world.address, PATH, &[&ada.bearer(), &other]).await.refuses(400, "ambiguous_credentials");
    world.suspend(&ada).await;
    get(world.address, PATH, &[&ada.bearer()]).await.refuses(403, "user_suspended");
}

#[tokio::test]
async fn it_is_a_get() {
    let world = World::start().await;
    let answer = call(world.address, "POST /api/usage/today", &[], "").await;
    answer.refuses(405, "method_not_allowed");
    assert_eq!(answer.headers["allow"], "GET,HEAD");
}

#[tokio::test]
async fn without_the_store_it_is_unavailable() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    assert_eq!(get(world.address, PATH, &[&ada.bearer()]).await.status, 200);
    world.store.close().await;
    let body = get(world.address, PATH, &[&ada.bearer()]).await;
    body.refuses(503, "unavailable");
    assert_eq!(body.json()["error"].get("source"), None::<&Value>);
}
