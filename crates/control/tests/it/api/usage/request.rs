use access::{Amount, Credits, NanoUsd, Role, Subject, SubjectKind, SubjectName, Tokens};
use config::snapshot::TraceLink;
use meter::{
    Attempt, BilledQuantity, Charge, LimitOwner, LimitUnit, Outcome, RefusedLimit, RequestOrigin, SkipReason,
    SkippedTarget, Source, ToolCalls, TraceId, Unit, UnknownCost, Usage, UsageEvent,
};
use serde_json::{Value, json};

use super::{ask, assert_alike, event_of, refused, time_at};
use crate::client::get;
use crate::world::{Holder, World, tidy};

const PATH: &str = "/api/usage/requests";
/// The configuration of `openai`, with a price for an additional model; the built-in prices apply as well.
const FILE: &str = "
providers: [{name: openai, kind: openai, credential: x}]
prices: [{model: openai/own, input: \"0.000333\", output: \"0.001501\", per_image: \"0.04\"}]
";

/// Starts a world whose configuration has prices.
async fn priced() -> World {
    let world = World::start().await;
    world.configure(|snapshot| {
        let file = world.data().join("prices.yaml");
        std::fs::write(&file, FILE).unwrap();
        let environment = config::Environment::default();
        let sources = config::Sources { file: Some(&file), environment: &environment, flags: config::Flags::default() };
        let loaded = config::load(sources).unwrap().snapshot;
        (snapshot.traffic.providers, snapshot.traffic.prices) = (loaded.traffic.providers, loaded.traffic.prices);
    });
    world
}

/// A request for the model `own` with this usage, rated as the proxy rates it.
fn rated(world: &World, holder: &Holder, usage: Usage) -> UsageEvent {
    let snapshot = world.live.load_full();
    let price = snapshot.traffic.price(&snapshot.traffic.providers[0], ("own", None), time_at(1)).unwrap();
    let event = event_of(holder, time_at(1));
    let attempt = Attempt {
        model: Some("own".into()),
        answered_model: Some("own-2026-01-01".into()),
        upstream_id: Some("req_1".into()),
        usage: Some(usage),
        cost: price.cost(&usage),
        price_version: Some(price.version.clone()),
        ..event.attempts[0].clone()
    };
    UsageEvent { attempts: vec![attempt], ..event }
}

async fn show(world: &World, holder: &Holder, event: &UsageEvent) -> Value {
    let answer = ask(world, holder, &format!("{PATH}/{}", event.id)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[tokio::test]
async fn a_request_is_returned_in_full_and_its_lines_add_up() {
    let world = priced().await;
    let ada = world.holder("ada", "starter").await;
    let usage = Usage {
        input: Some(Tokens(3)),
        cached_input: Some(Tokens(0)),
        output: Some(Tokens(5)),
        reasoning: Some(Tokens(2)),
        ..Usage::empty(Source::Reported)
    };
    let event = rated(&world, &ada, usage);
    world.record(vec![event.clone()]).await;
    let answer = ask(&world, &ada, &format!("{PATH}/{}", event.id)).await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    insta::assert_snapshot!(tidy(&answer));
    let attempt = &answer.json()["attempts"][0];
    let lines = attempt["price"]["lines"].as_array().unwrap();
    let sum: i64 = lines.iter().map(|line| line["amount_pico"].as_i64().unwrap()).sum();
    let rounding = attempt["price"]["rounding_pico"].as_i64().unwrap();
    assert_eq!(sum + rounding, attempt["cost"]["amount_nano"].as_i64().unwrap() * 1_000);
    for line in lines {
        assert_eq!(
            line["amount_pico"].as_u64(),
            Some(line["quantity"].as_u64().unwrap() * line["rate_pico"].as_u64().unwrap())
        );
    }
}

#[tokio::test]
async fn a_price_that_holds_no_longer_leaves_the_sum_alone() {
    let world = priced().await;
    let ada = world.holder("ada", "starter").await;
    let usage = Usage { input: Some(Tokens(3_000)), ..Usage::empty(Source::Reported) };
    let event = rated(&world, &ada, usage);
    let other = UsageEvent {
        id: access::RequestId(access::Ids::new(world.clock.clone()).next_uuid()),
        attempts: vec![Attempt { price_version: Some("configured-9/9/9/9/9".into()), ..event.attempts[0].clone() }],
        ..event.clone()
    };
    world.record(vec![event.clone(), other.clone()]).await;
    assert!(show(&world, &ada, &event).await["attempts"][0]["price"].is_object());
    let reported = show(&world, &ada, &other).await;
    assert_eq!(
        (&reported["attempts"][0]["price"], &reported["attempts"][0]["cost"]["amount_nano"]),
        (&json!(null), &json!(999))
    );
    world.configure(|snapshot| {
        snapshot.traffic.providers.clear();
        snapshot.traffic.offered_providers.clear();
    });
    assert_eq!(show(&world, &ada, &event).await["attempts"][0]["price"], json!(null));
}

#[tokio::test]
async fn usage_without_tokens_is_returned_per_unit() {
    let world = priced().await;
    let ada = world.holder("ada", "starter").await;
    let billed = BilledQuantity { unit: Unit::Image, quantity: 2 };
    let event = rated(&world, &ada, Usage { billed: Some(billed), ..Usage::empty(Source::Counted) });
    world.record(vec![event.clone()]).await;
    let reported = show(&world, &ada, &event).await;
    let attempt = &reported["attempts"][0];
    assert_eq!((&attempt["billed"], &attempt["source"]), (&json!({"unit": "image", "quantity": 2}), &json!("counted")));
    assert_eq!((&reported["tokens"], &attempt["tokens"]), (&json!(null), &json!(null)));
    let line =
        json!({"class": "image", "quantity": 2, "rate_pico": 40_000_000_000_u64, "amount_pico": 80_000_000_000_u64});
    assert_eq!((&attempt["price"]["lines"][0], &reported["cost"]["amount_nano"]), (&line, &json!(80_000_000)));
}

#[tokio::test]
async fn calls_of_the_providers_tools_are_listed_with_the_tokens() {
    let world = priced().await;
    let ada = world.holder("ada", "starter").await;
    let tools = ToolCalls { searches: Some(2), containers: Some(1), ..ToolCalls::default() };
    let usage = Usage { input: Some(Tokens(3)), tools, ..Usage::empty(Source::Reported) };
    let event = event_of(&ada, time_at(1));
    let attempt = Attempt { usage: Some(usage), ..event.attempts[0].clone() };
    let event = UsageEvent { attempts: vec![attempt], ..event };
    world.record(vec![event.clone()]).await;
    let reported = show(&world, &ada, &event).await;
    let expected = json!({
        "searches": 2, "maps_prompts": null, "maps_queries": null, "containers": 1, "file_searches": null,
    });
    assert_eq!(reported["attempts"][0]["tools"], expected);
}

/// Bills exclude an unknown cost, budgets count the reserved amount: the response shows both, with the reason.
#[tokio::test]
async fn an_unknown_cost_is_null_with_its_charge_and_reason() {
    let world = priced().await;
    let ada = world.holder("ada", "starter").await;
    let event = event_of(&ada, time_at(1));
    let unknown = Attempt {
        cost: None,
        unknown: Some(UnknownCost::UnpricedTool),
        price_version: None,
        ..event.attempts[0].clone()
    };
    let charge = Charge { credits: Credits::whole(1), tokens: Tokens(90), ..Charge::money(NanoUsd(8_000_000)) };
    let event = UsageEvent { attempts: vec![unknown], charge, ..event };
    let lost = UsageEvent {
        id: access::RequestId(access::Ids::new(world.clock.clone()).next_uuid()),
        attempts: Vec::new(),
        outcome: Outcome::Interrupted,
        ..event.clone()
    };
    world.record(vec![event.clone(), lost.clone()]).await;
    let charged = json!({"tokens": 90, "cost": {"amount_nano": 8_000_000, "currency": "USD"}});
    let reported = show(&world, &ada, &event).await;
    assert_eq!(
        (&reported["cost"], &reported["unpriced"], &reported["charged"]),
        (&json!(null), &json!(true), &charged)
    );
    assert_eq!(reported["unknown_reason"], "unpriced_tool");
    assert_eq!(reported["attempts"][0]["unknown_reason"], "unpriced_tool");
    let reported = show(&world, &ada, &lost).await;
    assert_eq!(
        (&reported["cost"], &reported["charged"], &reported["unknown_reason"]),
        (&json!(null), &charged, &json!("interrupted"))
    );
}

#[tokio::test]
async fn attempts_are_listed_in_order_and_unknown_values_are_null() {
    let world = priced().await;
    let ada = world.holder("ada", "starter").await;
    let event = event_of(&ada, time_at(1));
    let failed =
        Attempt { status: Some(500), usage: None, cost: None, first_byte_us: None, ..event.attempts[0].clone() };
    let event = UsageEvent { attempts: vec![failed, event.attempts[0].clone()], ..event };
    world.record(vec![event.clone()]).await;
    let reported = show(&world, &ada, &event).await;
    assert_eq!(
        (&reported["attempt_count"], &reported["unpriced"], &reported["cost"]["amount_nano"]),
        (&json!(2), &json!(true), &json!(1_500))
    );
    let [first, second] = reported["attempts"].as_array().unwrap().as_slice() else { panic!("{reported}") };
    for nothing in ["source", "tokens", "billed", "cost", "price", "first_byte_ms"] {
        assert_eq!(first[nothing], json!(null), "{nothing}");
    }
    assert_eq!((&first["status"], &second["status"], &second["total_ms"]), (&json!(500), &json!(200), &json!(1.0)));
    assert_eq!((&second["tokens"]["cache_write_short"], &second["tokens"]["audio_input"]), (&json!(3), &json!(null)));
    assert_eq!((&second["tokens"]["total"], &reported["tokens"]["cache_write"]), (&json!(187), &json!(7)));
}

#[tokio::test]
async fn skipped_targets_are_listed_and_a_trace_has_its_page_if_one_is_configured() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let target = |provider: &str, reason, attempts_before| SkippedTarget {
        provider: provider.into(),
        model: "m".into(),
        reason,
        attempts_before,
    };
    let skipped = vec![target("first", SkipReason::Cooldown, 0), target("second", SkipReason::Connect, 1)];
    let trace = Some(TraceId(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes()));
    let event = UsageEvent {
        origin: RequestOrigin { skipped, trace, ..RequestOrigin::default() },
        ..event_of(&ada, time_at(1))
    };
    let plain = event_of(&ada, time_at(2));
    world.record(vec![event.clone(), plain.clone()]).await;
    let reported = show(&world, &ada, &event).await;
    let expected = json!([
        {"provider": "first", "model": "m", "reason": "cooldown", "attempts_before": 0},
        {"provider": "second", "model": "m", "reason": "connect", "attempts_before": 1},
    ]);
    let id = json!("0af7651916cd43dd8448eb211c80319c");
    assert_eq!((&reported["skipped"], &reported["trace_id"], &reported["trace_url"]), (&expected, &id, &json!(null)));
    world.configure(|snapshot| {
        snapshot.process.trace_link = TraceLink::parse("https://jaeger.example/trace/{trace_id}?ui=1");
    });
    let url = "https://jaeger.example/trace/0af7651916cd43dd8448eb211c80319c?ui=1";
    assert_eq!(show(&world, &ada, &event).await["trace_url"], url);
    let reported = show(&world, &ada, &plain).await;
    assert_eq!((&reported["trace_id"], &reported["trace_url"]), (&json!(null), &json!(null)));
}

#[tokio::test]
async fn a_refused_request_has_its_refusal_code() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let known = refused(&ada, time_at(1), "quota_exceeded", 429);
    let newer = refused(&ada, time_at(2), "of_tomorrow", 418);
    world.record(vec![known.clone(), newer.clone()]).await;
    insta::assert_snapshot!(tidy(&ask(&world, &ada, &format!("{PATH}/{}", known.id)).await));
    let reported = show(&world, &ada, &newer).await;
    let expected = json!({"code": "of_tomorrow", "message": null, "page": "docs/errors.md#of_tomorrow", "limit": null});
    assert_eq!((&reported["refusal"], &reported["status"]), (&expected, &json!(418)));
}

#[tokio::test]
async fn a_refused_request_has_the_limit_that_refused_it_and_admins_see_shared_amounts() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let by = |owner, unit, at_second| {
        let limit = RefusedLimit {
            owner,
            unit,
            rule: (owner == LimitOwner::Rule).then(|| "ip".into()),
            window_seconds: Some(86_400),
            limit: Amount(2_000),
            used: Some(Amount(1_999)),
            requested: Amount(3),
            full_at: Some(time_at(60)),
        };
        let origin = RequestOrigin { refused_limit: Some(Box::new(limit)), ..RequestOrigin::default() };
        UsageEvent { origin, ..refused(&ada, time_at(at_second), "budget_exceeded", 429) }
    };
    let own = by(LimitOwner::Key, LimitUnit::Money, 1);
    let shared = by(LimitOwner::Plan, LimitUnit::Tokens, 2);
    let rule = by(LimitOwner::Rule, LimitUnit::Requests, 3);
    world.record(vec![own.clone(), shared.clone(), rule.clone()]).await;
    let money = |amount: u64| json!({"amount_nano": amount, "currency": "USD"});
    let full_at = show(&world, &ada, &own).await["refusal"]["limit"]["full_at"].clone();
    assert!(full_at.is_string(), "{full_at}");
    let expected = json!({
        "owner": "key", "rule": null, "unit": "money", "window_s": 86_400, "maximum": money(2_000), "used": money(1_999),
        "requested": money(3), "left": money(1), "full_at": full_at, "raised_by": "owner",
    });
    assert_eq!(show(&world, &ada, &own).await["refusal"]["limit"], expected);
    let limit = show(&world, &ada, &rule).await["refusal"]["limit"].clone();
    assert_eq!((&limit["rule"], &limit["used"], &limit["raised_by"]), (&json!("ip"), &json!(1_999), &json!("admin")));
    let hidden = show(&world, &ada, &shared).await["refusal"]["limit"].clone();
    assert_eq!((&hidden["maximum"], &hidden["used"], &hidden["left"]), (&json!(null), &json!(null), &json!(null)));
    assert_eq!((&hidden["owner"], &hidden["requested"]), (&json!("plan"), &json!(3)));
    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&root).await;
    let path = format!("{PATH}/{}?user_id={}", shared.id, ada.user);
    let seen = get(world.address, &path, &[&session.bearer()]).await.json();
    assert_eq!((&seen["refusal"]["limit"]["maximum"], &seen["refusal"]["limit"]["left"]), (&json!(2_000), &json!(1)));
    assert_eq!(seen["user"]["id"], json!(ada.user.to_string()));
    let table = ask(&world, &ada, &format!("{PATH}?format=csv")).await.body;
    let rows: Vec<&str> = table.trim_end().split("\r\n").collect();
    assert!(rows[1].contains(",rule,ip,requests,86400,2000,1999,3,1,"), "{}", rows[1]);
    assert!(rows[2].contains(",plan,,tokens,86400,,,3,,"), "{}", rows[2]);
    assert!(rows[3].contains(",key,,money,86400,0.000002,0.000001999,0.000000003,0.000000001,"), "{}", rows[3]);
    assert!(rows[3].ends_with(",owner"), "{}", rows[3]);
}

#[tokio::test]
async fn a_request_of_another_user_is_not_found_like_a_missing_one() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let bob = world.holder("bob", "starter").await;
    let mine = event_of(&ada, time_at(1));
    let his = event_of_nobody(&bob);
    world.record(vec![mine.clone(), his.clone()]).await;
    let absent = ask(&world, &bob, &format!("{PATH}/01994d5c-0000-7000-8000-000000000000")).await;
    absent.refuses(404, "not_found");
    for id in [mine.id.to_string(), his.id.to_string(), "1".to_owned(), "%20".to_owned(), "%FF".to_owned()] {
        assert_alike(&ask(&world, &bob, &format!("{PATH}/{id}")).await, &absent);
    }
    ask(&world, &bob, &format!("{PATH}/..%2Fkeys")).await.refuses(400, "bad_request");
    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&root).await;
    let path = format!("{PATH}/{}?user_id={}", mine.id, ada.user);
    assert_eq!(get(world.address, &path, &[&session.bearer()]).await.status, 200);
    ask(&world, &bob, &path).await.refuses(404, "not_found");
    ask(&world, &ada, &format!("{PATH}/{}?x=1", mine.id)).await.refuses(400, "bad_request");
}

#[tokio::test]
async fn an_admin_sees_the_identity_of_a_request_without_a_key() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let token = SubjectName { kind: SubjectKind::Token, issuer: "https://id.example.com", name: "ada" };
    let anonymous = event_of_nobody(&ada);
    let of_token = UsageEvent { subject: token.subject().unwrap(), ..event_of(&ada, time_at(3)) };
    let of_key = event_of(&ada, time_at(1));
    world.record(vec![anonymous.clone(), of_token.clone(), of_key.clone()]).await;
    let session = world.sign_in(&world.person_with("root", Role::Admin).await).await;
    let anyone = async |id: &str| get(world.address, &format!("{PATH}/{id}"), &[&session.bearer()]).await;
    for (event, expected) in [
        (&anonymous, json!({"kind": "anonymous", "issuer": null, "name": null})),
        (&of_token, json!({"kind": "token", "issuer": "https://id.example.com", "name": "ada"})),
    ] {
        let shown = anyone(&event.id.to_string()).await.json();
        assert_eq!((&shown["subject"], &shown["key"]), (&expected, &json!(null)), "{shown}");
        let of_user = format!("{}?user_id={}", event.id, ada.user);
        assert_eq!(anyone(&of_user).await.status, 404, "no user made the request");
    }
    let shown = ask(&world, &ada, &format!("{PATH}/{}", of_key.id)).await.json();
    assert_eq!(shown.get("subject"), None, "{shown}");
}

/// A request on an open route, without a key.
fn event_of_nobody(holder: &Holder) -> UsageEvent {
    UsageEvent {
        subject: Subject::ANONYMOUS,
        attempts: vec![Attempt { cost: Some(NanoUsd(1)), ..event_of(holder, time_at(0)).attempts[0].clone() }],
        ..event_of(holder, time_at(2))
    }
}
