//! Credits by tokens: the weights of classes, factors of models, plans with their own rates, and credits of stored usage.

use e2e::{Call, Gateway, Setup, Turn, Upstream, commands, eventually};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::bodies::{CHAT, Format};
use crate::store;

/// Micro-credits of all calls, and of the newest.
const MICRO: &str = "SELECT CAST(sum(credits) AS BIGINT) FROM usage_events";
const NEWEST: &str = "SELECT credits FROM usage_events ORDER BY id DESC LIMIT 1";
const RATES: &str =
    "{weights: {input: 1, cached_input: 0.1, cache_write: 1.25, output: 5}, models: {\"up/*\": 2}, minimum: 0.25}";
const PRICES: &str = "[{model: up/m, input: \"1\", output: \"1\", input_tokens_max: 1000000, output_tokens_max: 10000}, \
    {model: up/n, input: \"1\", output: \"1\", input_tokens_max: 1000000, output_tokens_max: 10000}]";
const PLANS: &str =
    "{name: free, credits_per_day: 1000}, {name: pro, credits_per_day: 1000, credits: {per_tokens: 10000}}";

/// An upstream that reports the usage that the header `x-stainless-usage` of a call has: prompt, cached and completion tokens.
async fn reporting() -> Upstream {
    Upstream::start(|mut turn: Turn| async move {
        turn.read_body().await;
        let usage = turn.head.header("x-stainless-usage").unwrap_or_default().to_owned();
        let tokens: Vec<u64> = usage.split(',').filter_map(|count| count.parse().ok()).collect();
        let usage = match tokens.as_slice() {
            [prompt, cached, completion] => json!({
                "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
                "prompt_tokens_details": {"cached_tokens": cached},
            }),
            _ => Value::Null,
        };
        let body = json!({
            "id": "a", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
            "usage": usage,
        });
        turn.answer("200 OK\r\ncontent-type: application/json", body.to_string().as_bytes()).await;
        Some(turn)
    })
    .await
}

fn setup(upstream: &Upstream) -> Setup {
    Setup::provider("openai", upstream.address())
        .plans(PLANS)
        .section("prices", PRICES)
        .section("credits", RATES)
        .section("lease", "{ttl: 20s, recall_wait: 10s}")
}

fn call(key: &str, model: &str, usage: &str) -> Call {
    let mut body = Format::Chat.body(model, false);
    body["max_completion_tokens"] = 10.into();
    Call::json(CHAT, &body).key(key).header("x-stainless-usage", usage)
}

/// Returns the used credits of the day, as the API has them, once `count` calls are stored.
async fn used(gateway: &Gateway, key: &str, count: usize) -> Value {
    store::events(gateway.folder(), count).await;
    gateway.usage(key).await["credits"].clone()
}

#[tokio::test]
async fn a_call_costs_what_the_weights_say_in_usage_quota_and_header_fields() {
    let upstream = reporting().await;
    let gateway = Gateway::start(setup(&upstream)).await;
    let key = gateway.account("free").await.key;
    // 2 × (150,000 + 0.1 × 50,000 + 5 × 4,000) / 1,000
    gateway.call(call(&key, "up/m", "200000,50000,4000")).await.expect(200);
    assert_eq!(used(&gateway, &key, 1).await, json!(350));
    assert_eq!(store::number(gateway.folder(), MICRO).await, 350_000_000);
    // A small call costs the minimum.
    gateway.call(call(&key, "up/m", "1,0,1")).await.expect(200);
    assert_eq!(used(&gateway, &key, 2).await, json!(350.25));
    assert_eq!(store::number(gateway.folder(), NEWEST).await, 250_000);
    let usage = gateway.usage(&key).await;
    assert_eq!((&usage["limit"], &usage["remaining"]), (&json!(1000), &json!(649.75)), "{usage}");
    // The remaining credits are rounded down, also while the next call has reserved its maximum.
    let own = gateway.call(Call::get("/v1/usage").key(&key)).await.expect(200).json();
    let day =
        own["windows"].as_array().and_then(|windows| windows.iter().find(|window| window["name"] == "day")).cloned();
    let day = day.unwrap_or_else(|| panic!("{own}"));
    assert_eq!((&day["used"], &day["left"]), (&json!(350.25), &json!(649.75)), "{day}");
    let fields = gateway.call(Call::get("/v1/models").key(&key)).await;
    let states = fields.header("ratelimit").unwrap_or_default().to_owned();
    assert!(states.contains("\"day\";r=649;"), "{states}");
}

#[tokio::test]
async fn a_plan_with_its_own_rates_uses_no_others() {
    let upstream = reporting().await;
    let gateway = Gateway::start(setup(&upstream)).await;
    let key = gateway.account("pro").await.key;
    // A credit per 10,000 tokens of any class, and a minimum of 1.
    gateway.call(call(&key, "up/m", "200000,50000,4000")).await.expect(200);
    assert_eq!(used(&gateway, &key, 1).await, json!(20.4));
    gateway.call(call(&key, "up/m", "1,0,1")).await.expect(200);
    assert_eq!(used(&gateway, &key, 2).await, json!(21.4));
}

#[tokio::test]
async fn a_call_reserves_its_worst_case_and_unknown_usage_is_charged_so() {
    let upstream = reporting().await;
    let gateway = Gateway::start(setup(&upstream)).await;
    let key = gateway.account("free").await.key;
    gateway.call(call(&key, "up/m", "unknown")).await.expect(200);
    store::events(gateway.folder(), 1).await;
    // Each byte of the body is an input token at most, and the provider may write them to a cache: 1.25.
    let reserved = store::number(gateway.folder(), NEWEST).await;
    let bytes = i64::try_from(upstream.only().body.len()).unwrap();
    let least = 2 * (bytes * 1_250 + 10 * 5_000);
    assert!((least..=least + 2 * 1_250 * 1_024).contains(&reserved), "{least} {reserved}");
    // A call that may cost more than the quota is refused before it is sent.
    let mut body = Format::Chat.body("up/m", false);
    body["max_completion_tokens"] = 200_000.into();
    let refused = gateway.call(Call::json(CHAT, &body).key(&key)).await.expect(429);
    assert!(refused.text().contains("credits are left of the day's quota of 1000 credits"), "{}", refused.text());
}

#[tokio::test]
async fn a_stream_is_cut_at_its_reserved_credits() {
    let rates = "{weights: {output: 10}, minimum: 0.001}";
    let plans = "{name: small, credits_per_day: 50}";
    let setup = Setup::mocked().plans(plans).section("credits", rates).section("lease", "{ttl: 20s, recall_wait: 10s}");
    let gateway = Gateway::start(setup).await;
    let key = gateway.account("small").await.key;
    let mut body = Format::Chat.body("mock/tokens-60000-1", true);
    body["max_completion_tokens"] = 30.into();
    let answer = gateway.call(Call::json(CHAT, &body).key(&key)).await.expect(200);
    assert!(answer.whole && answer.text().contains("\"finish_reason\":\"length\""), "{}", answer.text());
    let row = store::row(gateway.folder(), &answer).await;
    assert_eq!(row["outcome"], json!("budget_cut"), "{row}");
    // 60,000 tokens would cost 600 credits.
    let spent = store::number(gateway.folder(), NEWEST).await;
    assert!((300_000..=50_000_000).contains(&spent), "{spent}");
}

#[tokio::test]
async fn reserved_credits_count_after_a_crash() {
    let plans = "{name: small, credits_per_day: 50}";
    let setup = || Setup::mocked().plans(plans).section("credits", "{weights: {output: 10}}");
    let gateway = Gateway::start(setup()).await;
    let key = gateway.account("small").await.key;
    let mut body = Format::Chat.body("mock/hang", false);
    body["max_completion_tokens"] = 1_000.into();
    let sent = Call::json(CHAT, &body).key(&key);
    let to = gateway.proxy;
    let mut waiting = JoinSet::new();
    waiting.spawn(async move { sent.attempt(to).await });
    let reserved = async || (gateway.usage(&key).await["pending_credits"].as_f64()? >= 10.0).then_some(());
    eventually("the call has reserved its credits", reserved).await;
    let pending = gateway.usage(&key).await["pending_credits"].clone();
    let folder = gateway.crash().folder;
    waiting.join_all().await;
    let gateway = Gateway::start_in(folder, setup()).await;
    assert_eq!(used(&gateway, &key, 1).await, pending);
}

#[tokio::test]
async fn usage_of_an_older_schema_is_converted() {
    let setup = || Setup::mocked().plans("{name: small, credits_per_day: 50}");
    let gateway = Gateway::start(setup()).await;
    let key = gateway.account("small").await.key;
    for _ in 0..3 {
        let body = Format::Chat.body("mock/tokens-1", false);
        gateway.call(Call::json(CHAT, &body).key(&key)).await.expect(200);
    }
    assert_eq!(used(&gateway, &key, 3).await, json!(3));
    let folder = gateway.stop().await.folder;
    let data = folder.data().display().to_string();
    let undone = commands::run(&folder, &["migrate", "down", "--yes", "--data", &data]).await;
    assert!(undone.status.success(), "{undone:?}");
    assert_eq!(store::number(&folder, MICRO).await, 3);
    let gateway = Gateway::start_in(folder, setup()).await;
    assert_eq!(store::number(gateway.folder(), MICRO).await, 3_000_000);
    assert_eq!(gateway.usage(&key).await["remaining"], json!(47));
}
