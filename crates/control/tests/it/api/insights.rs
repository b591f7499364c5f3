//! The insights of a day: figures of one day as classes, a brief, and savings.

mod bad_input;
mod configured;
mod golden;
mod labels;
mod own_credentials;
mod review;
mod ten_days;

use access::{NanoUsd, Role, Timestamp};
use meter::{Attempt, UsageEvent};
use serde_json::{Value, json};

use crate::client::{call, get};
use crate::world::{Holder, NOON, World, event};

const DAY: u64 = 86_400_000_000;

fn time_at(days_back: u64, seconds: u64) -> Timestamp {
    Timestamp(NOON.0 - days_back * DAY + seconds * 1_000_000)
}

/// The text of the day that is `back` days before today.
fn date(back: u32) -> String {
    insights::figures::day::date(access::Day(NOON.day().0 - back))
}

/// Two users with usage today, yesterday and a week ago; one request failed, and one was refused.
async fn ada_and_bob(world: &World) -> [Holder; 2] {
    let ada = world.holder("ada", "starter").await;
    let bob = world.holder("bob", "endless").await;
    let failed = UsageEvent { status: 502, ..event(ada.caller, time_at(0, 3), Some(NanoUsd(40))) };
    let refused = UsageEvent {
        status: 429,
        refusal: Some("budget_exceeded".into()),
        attempts: Vec::new(),
        ..event(ada.caller, time_at(0, 4), None)
    };
    let streamed = UsageEvent { streamed: true, ..event(bob.caller, time_at(0, 5), Some(NanoUsd(1_000))) };
    let plain = UsageEvent {
        route: "users".into(),
        format: None,
        model: None,
        attempts: vec![Attempt { usage: None, cost: None, ..streamed.attempts[0].clone() }],
        ..event(bob.caller, time_at(0, 6), None)
    };
    let events = vec![
        event(ada.caller, time_at(7, 1), Some(NanoUsd(300))),
        event(ada.caller, time_at(1, 1), Some(NanoUsd(900))),
        event(ada.caller, time_at(0, 1), Some(NanoUsd(1_500))),
        event(ada.caller, time_at(0, 2), None),
        failed,
        refused,
        streamed,
        plain,
    ];
    world.record(events).await;
    [ada, bob]
}

/// Ends the node of the recorded usage, whose spool is empty.
async fn node_ends(world: &World) {
    world.store.join(world.data(), "9.8.7").await.unwrap().leave(true).await.unwrap();
}

async fn admin(world: &World) -> String {
    admin_named(world, "root").await
}

/// Signs in an admin; returns the header with the token.
async fn admin_named(world: &World, name: &str) -> String {
    let root = world.person_with(name, Role::Admin).await;
    world.sign_in(&root).await.bearer()
}

fn by_name(items: &Value, name: &str) -> Vec<(String, u64)> {
    let items = items.as_array().unwrap().iter();
    items.map(|item| (item[name].as_str().unwrap().to_owned(), item["requests"].as_u64().unwrap())).collect()
}

fn owned(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
    expected.iter().map(|(name, requests)| ((*name).to_owned(), *requests)).collect()
}

#[tokio::test]
async fn a_brief_explains_the_day_of_all_users() {
    let world = World::start().await;
    ada_and_bob(&world).await;
    let root = admin(&world).await;
    let brief = get(world.address, "/brief/today", &[&root]).await;
    assert_eq!(brief.status, 200, "{brief:?}");
    let brief = brief.json();
    assert_eq!((&brief["id"], &brief["scope"]), (&json!(date(0)), &json!({"kind": "all"})));
    let cost = |nano: i64| json!({"amount_nano": nano, "currency": "USD"});
    assert_eq!(brief["spend"]["cost"], cost(2_540));
    assert_eq!((&brief["spend"]["yesterday"], &brief["spend"]["same_weekday"]), (&cost(900), &cost(300)));
    assert_eq!((&brief["spend"]["requests"], &brief["spend"]["unpriced_requests"]), (&json!(5), &json!(1)));
    assert_eq!((&brief["spend"]["refused"], &brief["errors"]["requests"]), (&json!(1), &json!(1)));
    assert_eq!(by_name(&brief["errors"]["by_code"], "code"), owned(&[("budget_exceeded", 1), ("status_502", 1)]));
    assert_eq!(by_name(&brief["classes"], "class"), owned(&[("chat", 4), ("plain_api", 1)]));
    assert_eq!(brief["recommendations"][0]["saves"], cost(40));
    assert_eq!((&brief["latency"]["requests"], &brief["latency"]["p50_ms"]), (&json!(5), &json!(2)));
    let differences = brief["movers"].as_array().unwrap().iter().map(|of| of["difference"].as_i64().unwrap());
    assert_eq!(differences.sum::<i64>(), 2_240);
    assert!(brief["anomalies_reason"].as_str().unwrap().starts_with("2 earlier days"));
    assert_eq!(brief["complete"], false);

    let classes = get(world.address, "/classify/today", &[&root]).await.json();
    assert_eq!((&classes["cost"], &classes["requests"]), (&brief["spend"]["cost"], &brief["spend"]["requests"]));
    assert_eq!(classes["tokens"], brief["spend"]["tokens"]);
    assert_eq!(by_name(&classes["classes"], "class"), owned(&[("chat", 4), ("plain_api", 1)]));
    node_ends(&world).await;
    let yesterday = get(world.address, &format!("/brief/{}", date(1)), &[&root]).await.json();
    assert_eq!((&yesterday["spend"]["cost"], &yesterday["complete"]), (&cost(900), &json!(true)));
}

#[tokio::test]
async fn members_see_their_own_usage_and_no_other() {
    let world = World::start().await;
    let [ada, bob] = ada_and_bob(&world).await;
    let bearer = bob.bearer();
    let see = async |path: &str| get(world.address, path, &[&bearer]).await;
    let own = see("/brief/today").await.json();
    let scope = json!({"kind": "user", "user_id": bob.user.0});
    assert_eq!((&own["scope"], &own["spend"]["cost"]["amount_nano"]), (&scope, &json!(1_000)));
    assert_eq!(own["id"], format!("{}~user={}", date(0), bob.user.0));
    assert_eq!(see(&format!("/brief/{}", own["id"].as_str().unwrap())).await.json()["spend"], own["spend"]);
    assert_eq!(see(&format!("/classify/today?scope=user:{}", bob.user.0)).await.json()["scope"], scope);
    assert_eq!(see("/roi/today").await.json()["spent"]["amount_nano"], 1_000);

    let nobody = uuid::Uuid::from_u128(7);
    let mut messages = Vec::new();
    for scope in [ada.user.0, nobody] {
        messages.push(see(&format!("/brief/today~user={scope}")).await.refuses(404, "not_found"));
        messages.push(see(&format!("/classify/today?scope=user:{scope}")).await.refuses(404, "not_found"));
    }
    messages.push(see("/classify/today?scope=all").await.refuses(404, "not_found"));
    messages.push(see("/classify/today?scope=label:team=payments").await.refuses(404, "not_found"));
    messages.dedup();
    assert_eq!(messages, ["no usage of this scope is visible to you"]);
    see("/classify/today?scope=everything").await.refuses(400, "bad_request");
    for id in ["tomorrow", "2026-13-01", "9999-12-31", "today~", "test-001"] {
        see(&format!("/brief/{id}")).await.refuses(404, "not_found");
    }
}

#[tokio::test]
async fn an_admin_sees_one_user_and_a_day_without_usage() {
    let world = World::start().await;
    let [ada, _] = ada_and_bob(&world).await;
    let root = admin(&world).await;
    let see = async |path: &str| get(world.address, path, &[&root]).await;
    let of_ada = see(&format!("/brief/today~user={}", ada.user.0)).await.json();
    assert_eq!(of_ada["spend"]["cost"]["amount_nano"], 1_540);
    assert_eq!((&of_ada["spend"]["requests"], &of_ada["spend"]["refused"]), (&json!(3), &json!(1)));
    let empty = see(&format!("/brief/{}", date(3))).await.json();
    assert_eq!((&empty["spend"]["requests"], &empty["classes"], &empty["movers"]), (&json!(0), &json!([]), &json!([])));
    assert!(empty["headline"].as_str().unwrap().ends_with("there were no requests"));
    see(&format!("/brief/today~user={}", uuid::Uuid::from_u128(7))).await.refuses(404, "not_found");
}

#[tokio::test]
async fn savings_need_a_known_price() {
    let world = World::start().await;
    ada_and_bob(&world).await;
    let roi = get(world.address, "/roi/today", &[&admin(&world).await]).await.json();
    assert_eq!((&roi["spent"]["amount_nano"], &roi["saved"]), (&json!(2_540), &json!([])));
    // No request has a version of a price.
    let unknown = owned(&[("refused_overspend", 1), ("response_cache", 0), ("prompt_cache", 4)]);
    assert_eq!(by_name(&roi["not_counted"], "kind"), unknown);
}

#[tokio::test]
async fn the_status_of_ingest_adds_up_and_shows_nodes_and_all_requests_to_admins() {
    let world = World::start().await;
    let [ada, _] = ada_and_bob(&world).await;
    let status = get(world.address, "/ingest/status", &[&ada.bearer()]).await.json();
    assert_eq!((&status["received"], &status["stored"], &status["refused"]), (&json!(4), &json!(4), &json!(1)));
    assert_eq!((&status["date"], &status["complete"]), (&json!(date(0)), &json!(false)));
    assert!(status.get("nodes").is_none(), "{status}");
    let status = get(world.address, "/ingest/status", &[&admin(&world).await]).await.json();
    assert_eq!((&status["stored"], status["nodes"].as_array().unwrap().len()), (&json!(6), 1), "{status}");
}

#[tokio::test]
async fn late_usage_raises_the_version_of_its_day() {
    let world = World::start().await;
    let [ada, _] = ada_and_bob(&world).await;
    let root = admin(&world).await;
    let version = async |back: u32| {
        let brief = get(world.address, &format!("/brief/{}", date(back)), &[&root]).await.json();
        brief["figures_version"].as_u64().unwrap()
    };
    let before = version(1).await;
    world.record(vec![event(ada.caller, time_at(1, 9), Some(NanoUsd(1)))]).await;
    assert_eq!(version(1).await, before + 1);
    world.record(vec![event(ada.caller, time_at(0, 9), Some(NanoUsd(1)))]).await;
    assert_eq!((version(1).await, version(0).await), (before + 1, 0));
}

#[tokio::test]
async fn charts_and_exports_are_of_visible_briefs_only() {
    let world = World::start().await;
    let [ada, bob] = ada_and_bob(&world).await;
    let bearer = bob.bearer();
    let draw = async |body: Value| {
        let json = "Content-Type: application/json";
        call(world.address, "POST /assets/generate", &[json, &bearer], &body.to_string()).await
    };
    let drawn = draw(json!({"id": "today", "charts": ["classes", "spend"]})).await.json();
    assert_eq!(drawn["assets"][0]["name"], "classes.svg");
    assert_eq!(drawn["assets"][1]["table"][1], json!([date(0), "0.000001 USD"]));
    for bad in [json!([]), json!(["spend", "spend"])] {
        draw(json!({"id": "today", "charts": bad})).await.refuses(422, "unprocessable");
    }
    draw(json!({"id": "today", "charts": ["pie"]})).await.refuses(400, "bad_request");
    let of_ada = format!("today~user={}", ada.user.0);
    draw(json!({"id": of_ada, "charts": ["spend"]})).await.refuses(404, "not_found");
    call(world.address, &format!("POST /export/{of_ada}"), &[&bearer], "").await.refuses(404, "not_found");
}

/// The server without a master key may not sign, and says so.
#[tokio::test]
async fn an_export_needs_the_master_key() {
    let world = World::start().await;
    ada_and_bob(&world).await;
    let root = admin(&world).await;
    assert!(world.store.signing_key().await.unwrap().is_none());
    let other = access::credentials::vault::random_text().unwrap();
    let other = access::Vault::new(&access::MasterKey::parse(other.expose()).unwrap(), None);
    let refused = world.store.add_signing_key(&store::Actor::SYSTEM, signing_key(&world, &other), None).await;
    assert!(refused.is_err(), "{refused:?}");
    let first = world.store.add_signing_key(&store::Actor::SYSTEM, signing_key(&world, &world.vault), None).await;
    let first = first.unwrap();
    // A second node gets the key of the first.
    let second = world.store.add_signing_key(&store::Actor::SYSTEM, signing_key(&world, &world.vault), None).await;
    assert_eq!(second.unwrap(), first);
    let next = signing_key(&world, &world.vault);
    let replaced = world.store.add_signing_key(&store::Actor::SYSTEM, next.clone(), Some(first.id)).await.unwrap();
    assert_eq!((&replaced, world.store.signing_key().await.unwrap()), (&next, Some(next.clone())));
    let export = call(world.address, "POST /export/today", &[&root], "").await;
    assert_eq!((export.status, export.headers["content-type"].as_str()), (200, "application/zip"));
    let name = format!("attachment; filename=\"tollgate-{}.zip\"", date(0));
    assert_eq!(export.headers["content-disposition"], name);
    assert!(export.body.contains("brief.json") && export.body.contains("tollgate-signature-1:"));
}

fn signing_key(world: &World, vault: &access::Vault) -> store::StoredSigningKey {
    let id = world.store.new_id();
    let seed = access::credentials::vault::random_text().unwrap();
    let public_key = evidence::SigningKey::of_seed(&seed).unwrap().public_key();
    let sealed = vault.seal(access::ProviderKeyId(id), None, &seed).unwrap();
    store::StoredSigningKey { id, public_key, sealed }
}
