//! Budgets of tokens and money: admitted requests, refusals, and usage after a crash.

use e2e::{Call, Gateway, Mock, Setup, Upstream, eventually};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::bodies::{CHAT, Format, RESPONSES};
use crate::store;

/// Sums over all usage events: charged tokens, and charged money in nano-USD.
const TOKENS: &str = "SELECT sum(charged_tokens) FROM usage_events";
const MONEY: &str = "SELECT sum(charged_nano) FROM usage_events";

/// More requests than the budget admits, however little each uses.
const AT_ONCE: usize = 300;
/// Lease settings for a slow machine on PostgreSQL: no request fails for lack of a lease.
const PATIENT: &str = "{ttl: 20s, recall_wait: 10s}";

fn chat(model: &str, max_tokens: u64) -> Value {
    let mut body = Format::Chat.body(model, false);
    body["max_completion_tokens"] = max_tokens.into();
    body
}

/// Returns a setup in which each user on the plan `small` has this daily budget.
fn small(budget: &str) -> Setup {
    Setup::mocked().plans(&format!("{{name: small, budgets: [{{{budget}, per: day}}]}}")).section("lease", PATIENT)
}

/// Waits until `count` requests that were not refused are stored.
async fn served(gateway: &Gateway, count: usize) {
    let text = "SELECT count(*) FROM usage_events WHERE refusal IS NULL";
    let all = i64::try_from(count).unwrap();
    let stored = async || (store::number(gateway.folder(), text).await == all).then_some(());
    eventually(&format!("{count} requests are stored"), stored).await;
}

fn code(answer: &e2e::Answer) -> String {
    answer.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn calls_at_once_never_use_more_than_a_budget_of_tokens() {
    let gateway = Gateway::start(small("tokens: 5000")).await;
    let key = gateway.account("small").await.key;
    let mut calls = JoinSet::new();
    for _ in 0..AT_ONCE {
        let call = Call::json(CHAT, &chat("mock/tokens-20", 20)).key(&key);
        let to = gateway.proxy;
        calls.spawn(async move { call.send(to).await });
    }
    let answers = calls.join_all().await;
    let passed = answers.iter().filter(|answer| answer.status() == 200).count();
    for refused in answers.iter().filter(|answer| answer.status() != 200) {
        assert_eq!((refused.status(), code(refused).as_str()), (429, "insufficient_quota"), "{}", refused.text());
        assert_eq!(refused.header("retry-after"), None);
        assert!(refused.text().contains("5000 tokens"), "{}", refused.text());
    }
    assert!((1..AT_ONCE).contains(&passed), "{passed} passed");
    served(&gateway, passed).await;
    let metric = format!("tollgate_refusals_total{{code=\"budget_exceeded\"}} {}", AT_ONCE - passed);
    assert!(gateway.metrics().await.contains(&metric));
    // Reserved but unused tokens were released, so more requests pass one by one until the budget is exhausted.
    let mut more = 0;
    while gateway.call(Call::json(CHAT, &chat("mock/tokens-20", 20)).key(&key)).await.status() == 200 {
        more += 1;
    }
    served(&gateway, passed + more).await;
    let spent = store::number(gateway.folder(), TOKENS).await;
    assert!((4_000..=5_000).contains(&spent), "{spent} of 5000, {passed} at once and {more} after them");
}

#[tokio::test]
async fn a_call_larger_than_its_budget_is_refused_with_bound_and_remaining_amount() {
    let gateway = Gateway::start(small("tokens: 100")).await;
    let key = gateway.account("small").await.key;
    let refused = gateway.call(Call::json(CHAT, &chat("mock/tokens-1", 600)).key(&key)).await.expect(429);
    let reported = refused.json()["error"]["message"].as_str().unwrap().to_owned();
    let rest = reported.strip_prefix("this call may use up to ").unwrap_or_else(|| panic!("{reported}"));
    let (most, rest) = rest.split_once(' ').unwrap();
    assert!((600..2_000).contains(&most.parse::<u64>().unwrap()), "{reported}");
    // Servers that share the budget do not know how much is left; only the lease server does.
    let left = if gateway.folder().database().is_some() { "less is left" } else { "100 tokens are left" };
    let expected =
        format!("tokens, and {left} of the day's budget of 100 tokens: request less; it resets at midnight UTC");
    assert_eq!(rest, expected);
}

#[tokio::test]
async fn a_budget_of_money_is_remembered_over_restarts_and_crashes() {
    let mock = Mock::start().await;
    let setup = || {
        Setup::provider("mock", mock.address())
            .section("prices", "[{model: up/tokens-9, input: \"1\", output: \"1000\"}]")
            .plans("{name: small, budgets: [{money: \"0.5 USD\", per: month}]}")
            .section("lease", PATIENT)
    };
    let gateway = Gateway::start(setup()).await;
    let key = gateway.account("small").await.key;
    let call = Call::json(CHAT, &chat("up/tokens-9", 100)).key(&key);
    // Each request may cost 0.1 USD and costs slightly more than 0.009 USD.
    gateway.call(call.clone()).await.expect(200);
    gateway.call(call.clone()).await.expect(200);
    let spent = async |gateway: &Gateway| store::number(gateway.folder(), MONEY).await;
    store::events(gateway.folder(), 2).await;
    let before = spent(&gateway).await;
    assert!((18_000_000..20_000_000).contains(&before), "{before}");

    let gateway = Gateway::start_in(gateway.crash().folder, setup()).await;
    assert_eq!(spent(&gateway).await, before);
    let mut passed = 2;
    while gateway.call(call.clone()).await.status() == 200 {
        passed += 1;
    }
    served(&gateway, passed).await;
    let spent = spent(&gateway).await;
    assert!((400_000_000..=500_000_000).contains(&spent), "{spent} after {passed}");
}

#[tokio::test]
async fn requests_in_flight_in_a_crash_count_with_their_whole_reservation() {
    let mock = Mock::start().await;
    let setup = || {
        Setup::provider("mock", mock.address())
            .plans("{name: small, budgets: [{tokens: 3000, per: day}]}")
            .section("lease", PATIENT)
    };
    let gateway = Gateway::start(setup()).await;
    let key = gateway.account("small").await.key;
    let call = Call::json(CHAT, &chat("up/hang", 600)).key(&key);
    let to = gateway.proxy;
    let mut hanging = JoinSet::new();
    hanging.spawn(async move { call.attempt(to).await.is_err() });
    eventually("the request is in flight", async || (mock.requests("hang").await == 1).then_some(())).await;
    let again = Gateway::start_in(gateway.crash().folder, setup()).await;
    assert_eq!(hanging.join_all().await, [true]);
    let event = store::events(again.folder(), 1).await.remove(0);
    assert_eq!(event.outcome, "interrupted");
    let held = store::number(again.folder(), TOKENS).await;
    assert!((600..2_000).contains(&held), "{held}");
    // The reserved tokens reduce the budget for the rest of the day; no user is billed for them.
    again.call(Call::json(CHAT, &chat("up/tokens-1", 2_000)).key(&key)).await.expect(429);
    again.call(Call::json(CHAT, &chat("up/tokens-1", 10)).key(&key)).await.expect(200);
    assert_eq!(
        store::number(again.folder(), "SELECT count(cost_nano) FROM usage_events WHERE outcome = 'interrupted'").await,
        0
    );
    // No request is counted twice.
    let third = Gateway::start_in(again.crash().folder, setup()).await;
    served(&third, 2).await;
    assert!(store::number(third.folder(), TOKENS).await < held + 200);
}

#[tokio::test]
async fn referenced_content_is_refused_or_bounded_by_the_models_window() {
    let body =
        json!({"model": "mock/tokens-1", "input": "hi", "previous_response_id": "resp_1", "max_output_tokens": 5});
    let call = |key: &str| Call::json(RESPONSES, &body).key(key);
    let refusing = Gateway::start(small("tokens: 100000000")).await;
    let key = refusing.account("small").await.key;
    let refused = refusing.call(call(&key)).await.expect(400);
    assert_eq!(code(&refused), "cost_unbounded");
    assert!(refused.text().contains("previous_response_id"), "{}", refused.text());
    // Without a budget the check does not apply.
    refusing.call(call(&refusing.key().await)).await.expect(200);

    let taking = Gateway::start(small("tokens: 100000000").section("budgets", "{unbounded: window}")).await;
    let key = taking.account("small").await.key;
    taking.call(call(&key)).await.expect(200);
    let tight = Gateway::start(small("tokens: 1000").section("budgets", "{unbounded: window}")).await;
    let key = tight.account("small").await.key;
    assert_eq!(code(&tight.call(call(&key)).await.expect(429)), "insufficient_quota");
}

#[tokio::test]
async fn the_output_limit_is_lowered_to_the_remaining_amount_if_configured() {
    let provider = Upstream::json(&json!({
        "model": "gpt-5-mini", "choices": [],
        "usage": {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20},
    }))
    .await;
    let setup = Setup::provider("openai", provider.address())
        .plans("{name: small, budgets: [{tokens: 1000, per: day}]}")
        .section("budgets", "{clamp: true}");
    let gateway = Gateway::start(setup).await;
    let key = gateway.account("small").await.key;
    gateway.call(Call::json(CHAT, &chat("up/gpt-5-mini", 5_000)).key(&key)).await.expect(200);
    let sent: Value = serde_json::from_slice(&provider.only().body).unwrap();
    let limit = sent["max_completion_tokens"].as_u64().unwrap();
    assert!((100..1_000).contains(&limit), "{sent}");
    let raw = "SELECT count(*) FROM usage_raw";
    let remaining = async || (store::number(gateway.folder(), raw).await == 1).then_some(());
    eventually("the provider's raw usage is stored", remaining).await;
}

#[tokio::test]
async fn the_global_budget_applies_to_every_user() {
    let setup = Setup::mocked()
        .section("budgets", "{limits: [{dimension: global, tokens: 1500, per: month}]}")
        .section("lease", PATIENT);
    let gateway = Gateway::start(setup).await;
    let one = gateway.key().await;
    let other = gateway.key().await;
    let call = |key: &str| Call::json(CHAT, &chat("mock/tokens-20", 20)).key(key);
    gateway.call(call(&one)).await.expect(200);
    while gateway.call(call(&one)).await.status() == 200 {}
    let refused = gateway.call(call(&other)).await.expect(429);
    assert!(refused.text().contains("for this gateway"), "{}", refused.text());
    // Ordinary and free requests have no tokens.
    gateway.call(Call::get("/v1/models").key(&other)).await.expect(200);
}

#[tokio::test]
async fn a_model_without_a_price_is_refused_under_a_money_budget() {
    let provider = Upstream::json(&json!({"model": "m", "choices": []})).await;
    let setup = Setup::provider("openai", provider.address()).plans(
        "{name: small, budgets: [{money: \"1 USD\", per: day}]}, {name: other, budgets: [{tokens: 100000, per: day}]}",
    );
    let gateway = Gateway::start(setup).await;
    let key = gateway.account("small").await.key;
    let refused = gateway.call(Call::json(CHAT, &chat("up/gpt-5-mini", 1)).key(&key)).await.expect(400);
    assert_eq!(code(&refused), "price_unknown", "{}", refused.text());
    // Tokens of a known model have a bound without a price; those of an unknown model have none.
    let other = gateway.account("other").await.key;
    gateway.call(Call::json(CHAT, &chat("up/gpt-5-mini", 1)).key(&other)).await.expect(200);
    let unbounded = gateway.call(Call::json(CHAT, &Format::Chat.body("up/unheard-of", false)).key(&other)).await;
    assert_eq!((unbounded.status(), code(&unbounded).as_str()), (400, "cost_unbounded"), "{}", unbounded.text());
    gateway.call(Call::json(CHAT, &chat("up/gpt-5-mini", 1)).key(&gateway.key().await)).await.expect(200);
}

/// The provider reads a million tokens and searches, for which the price has no rate. The reservation is under a cent.
#[tokio::test]
async fn an_unknown_cost_is_charged_the_known_part_that_exceeds_its_reservation() {
    let usage =
        json!({"prompt_tokens": 1_000_000, "completion_tokens": 10, "total_tokens": 1_000_010, "num_sources_used": 3});
    let provider = Upstream::json(&json!({"model": "m", "choices": [], "usage": usage})).await;
    let prices = "[{model: up/m, input: \"1\", output: \"1\", input_tokens_max: 1000000, output_tokens_max: 1000}]";
    let setup = Setup::provider("openai", provider.address())
        .plans("{name: small, budgets: [{money: \"1 USD\", per: day}]}")
        .section("prices", prices);
    let gateway = Gateway::start(setup).await;
    let key = gateway.account("small").await.key;
    let call = || Call::json(CHAT, &chat("up/m", 10)).key(&key);
    gateway.call(call()).await.expect(200);
    served(&gateway, 1).await;
    assert_eq!(store::number(gateway.folder(), MONEY).await, 1_000_010_000);
    let refused = gateway.call(call()).await.expect(429);
    assert!(refused.text().contains("is used up"), "{}", refused.text());
}

/// The provider ignores the token limit of the request. Each format whose streams can be stopped is tested.
#[tokio::test]
async fn a_stream_that_exhausts_its_reservation_ends_with_an_error_of_its_format() {
    let contents =
        json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}], "generationConfig": {"maxOutputTokens": 30}});
    let limited = |format: Format, key: &str| {
        let mut body = format.body("mock/tokens-60000-1", true);
        body[key] = 30.into();
        body
    };
    let model = "/v1beta/models/mock/tokens-60000-1";
    let events = format!("{model}:streamGenerateContent?alt=sse");
    let array = format!("{model}:streamGenerateContent");
    // Each stream lasts for seconds.
    tokio::join!(
        exhausts(Format::Chat.path(), limited(Format::Chat, "max_completion_tokens"), "\"finish_reason\":\"length\""),
        exhausts(
            Format::Responses.path(),
            limited(Format::Responses, "max_output_tokens"),
            "\"reason\":\"max_output_tokens\""
        ),
        exhausts(Format::Messages.path(), limited(Format::Messages, "max_tokens"), "\"stop_reason\":\"max_tokens\""),
        exhausts(&events, contents.clone(), "\"finishReason\":\"MAX_TOKENS\""),
        exhausts(&array, contents.clone(), "\"finishReason\":\"MAX_TOKENS\""),
    );
}

/// Sends a call whose response would have 60,000 tokens, with a budget of 5,000. `last` is the reason in its last event.
async fn exhausts(path: &str, body: Value, last: &str) {
    let gateway = Gateway::start(small("tokens: 5000")).await;
    let key = gateway.account("small").await.key;
    let answer = gateway.call(Call::json(path, &body).key(&key)).await.expect(200);
    assert!(
        answer.whole && answer.text().contains(last),
        "{path}: …{:?}",
        answer.text().split_off(answer.text().len() - 400)
    );
    let row = store::row(gateway.folder(), &answer).await;
    assert_eq!((&row["outcome"], &row["status"]), (&json!("budget_cut"), &json!(200)), "{path} {row}");
    // The larger of the reserved and the reported tokens counts, although the stream would reach 60,000 tokens. A
    // reservation has a token for each byte of the body.
    let reserved = i64::try_from(body.to_string().len()).unwrap() + 30;
    let reported: i64 = ["input", "output"].iter().filter_map(|class| row[*class].as_i64()).sum();
    let spent = store::number(gateway.folder(), TOKENS).await;
    assert!((reserved.max(reported)..=5_000).contains(&spent), "{path}: {spent} {row}");
}

/// A stream that its upstream ends early lacks its final usage: the reserved tokens count, in every format.
#[tokio::test]
async fn a_stream_that_ends_early_is_charged_its_reservation() {
    for format in Format::ALL {
        let gateway = Gateway::start(small("tokens: 100000000")).await;
        let key = gateway.account("small").await.key;
        let mut body = format.body("mock/unfinished", true);
        let field = match format {
            Format::Chat => "max_completion_tokens",
            Format::Responses => "max_output_tokens",
            Format::Messages => "max_tokens",
        };
        body[field] = 500.into();
        let answer = gateway.call(Call::json(format.path(), &body).key(&key)).await.expect(200);
        assert!(answer.text().contains("upstream_reset"), "{format:?}: {}", answer.text());
        let row = store::row(gateway.folder(), &answer).await;
        let spent = store::number(gateway.folder(), TOKENS).await;
        assert!(spent >= 500, "{format:?}: {spent} {row}");
    }
}
