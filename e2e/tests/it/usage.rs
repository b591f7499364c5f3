//! Usage and cost of requests, as `GET /api/usage/today` reports them.

use e2e::sse::Event;
use e2e::{Answer, Call, Gateway, Setup, Upstream};
use serde_json::{Value, json};

use crate::bodies::{CHAT, Format};

#[tokio::test]
async fn usage_is_counted_in_disjoint_classes_in_every_format() {
    let gateway = Gateway::start(Setup::mocked()).await;
    for format in Format::ALL {
        for stream in [false, true] {
            let key = gateway.key().await;
            let mut body = format.body("mock", stream);
            if format == Format::Chat && stream {
                body["stream_options"] = json!({"include_usage": true});
            }
            let answer = gateway.call(Call::json(format.path(), &body).key(&key)).await.expect(200);
            let (input, output) = reported(format, &answer);
            assert!(input > 0 && output > 0);
            let usage = gateway.counted(&key, 1).await;
            let tokens = &usage["tokens"];
            assert_eq!(sum(tokens, &["input", "cached_input", "cache_write"]), input, "{format:?} {usage}");
            assert_eq!(sum(tokens, &["output", "reasoning"]), output, "{format:?} {usage}");
            assert!(sum(tokens, &["cached_input"]) > 0, "{format:?} {usage}");
            assert_eq!(usage["credits"], 1);
            assert!(usage["cost"]["amount_nano"].as_i64().is_some_and(|cost| cost > 0), "{usage}");
            assert_eq!(usage["cost"]["currency"], "USD");
        }
    }
}

#[tokio::test]
async fn usage_that_is_read_right_after_a_call_agrees_with_itself() {
    let gateway = Gateway::start(Setup::mocked().plans("{name: starter, credits_per_day: 1000}")).await;
    let key = gateway.account("starter").await.key;
    for calls in 1..=5_u64 {
        gateway.call(Call::json("/v1/chat/completions", &Format::Chat.body("mock", false)).key(&key)).await.expect(200);
        let today = gateway.usage(&key).await;
        let figure = |name: &str| today[name].as_u64().unwrap_or_else(|| panic!("no {name}: {today}"));
        assert_eq!(figure("limit") - figure("remaining"), calls, "{today}");
        assert_eq!(figure("credits") + figure("pending_credits"), calls, "{today}");
        assert_eq!(figure("requests"), figure("credits"), "{today}");
        let quota = &today["budgets"][0];
        assert_eq!((quota["used"].as_u64(), &quota["source"]), (Some(calls), &json!("plan")), "{today}");
    }
}

fn sum(tokens: &Value, classes: &[&str]) -> u64 {
    classes.iter().map(|class| tokens[class].as_u64().unwrap_or_else(|| panic!("no {class}: {tokens}"))).sum()
}

/// Returns all input and output tokens that the response reports.
fn reported(format: Format, answer: &Answer) -> (u64, u64) {
    let values: Vec<Value> = if answer.body.starts_with(b"{") {
        vec![answer.json()]
    } else {
        answer.events().iter().map(Event::json).collect()
    };
    let last = |name: &str| {
        let usages = |value: &Value| {
            [&value["usage"], &value["response"]["usage"], &value["message"]["usage"]].map(|u| u[name].as_u64())
        };
        values.iter().rev().flat_map(usages).flatten().next()
    };
    match format {
        Format::Chat => (last("prompt_tokens").unwrap(), last("completion_tokens").unwrap()),
        Format::Responses => (last("input_tokens").unwrap(), last("output_tokens").unwrap()),
        Format::Messages => {
            let cache = last("cache_creation_input_tokens").unwrap_or(0) + last("cache_read_input_tokens").unwrap_or(0);
            (last("input_tokens").unwrap() + cache, last("output_tokens").unwrap())
        }
    }
}

/// Starts an upstream whose response reports 7 input tokens, 4 cached input tokens, 5 output tokens and 2 reasoning
/// tokens.
async fn upstream() -> Upstream {
    let prompt = json!({"prompt_tokens": 11, "prompt_tokens_details": {"cached_tokens": 4}});
    let mut usage =
        json!({"completion_tokens": 7, "completion_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 18});
    usage.as_object_mut().unwrap().extend(prompt.as_object().unwrap().clone());
    Upstream::json(&json!({"object": "chat.completion", "model": "m-2026-01-01", "choices": [], "usage": usage})).await
}

#[tokio::test]
async fn cost_is_the_configured_price_times_the_usage() {
    let upstream = upstream().await;
    let prices = "[{model: up/m, input: \"1.00\", cached_input: \"0.10\", output: \"10.00\"}]";
    let gateway = Gateway::start(Setup::provider("openai", upstream.address()).section("prices", prices)).await;
    let key = gateway.key().await;
    for _ in 0..3 {
        gateway.call(Call::json(CHAT, &Format::Chat.body("up/m", false)).key(&key)).await.expect(200);
    }
    let usage = gateway.counted(&key, 3).await;
    // One USD per million tokens is 1,000 nano-USD per token: 7 × 1,000 + 4 × 100 + (5 + 2) × 10,000.
    assert_eq!(usage["cost"], json!({"amount_nano": 3 * 77_400, "currency": "USD"}), "{usage}");
    assert_eq!((&usage["unpriced_requests"], &usage["tokens"]["total"]), (&json!(0), &json!(54)));
}

#[tokio::test]
async fn unknown_price_is_an_unknown_cost_and_not_zero() {
    let upstream = upstream().await;
    let gateway = Gateway::start(Setup::provider("openai", upstream.address())).await;
    let key = gateway.key().await;
    gateway.call(Call::json(CHAT, &Format::Chat.body("up/nobody-knows", false)).key(&key)).await.expect(200);
    let usage = gateway.counted(&key, 1).await;
    assert_eq!((&usage["unpriced_requests"], &usage["tokens"]["total"]), (&json!(1), &json!(18)), "{usage}");
}

#[tokio::test]
async fn response_without_usage_is_counted_as_unpriced() {
    let gateway = Gateway::start(Setup::mocked()).await;
    for format in Format::ALL {
        for stream in [false, true] {
            let key = gateway.key().await;
            let body = format.body("mock/no-usage", stream);
            gateway.call(Call::json(format.path(), &body).key(&key)).await.expect(200);
            let usage = gateway.counted(&key, 1).await;
            assert_eq!((&usage["unpriced_requests"], &usage["credits"]), (&json!(1), &json!(1)), "{format:?} {usage}");
        }
    }
}

#[tokio::test]
async fn answer_that_is_compressed_all_the_same_passes_as_it_is() {
    let coded = b"\x1f\x8b\x08\0not truly gzip\xff";
    let upstream =
        Upstream::answering("200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip", coded).await;
    let gateway = Gateway::start(Setup::provider("openai", upstream.address())).await;
    let key = gateway.key().await;
    let call = Call::json(CHAT, &Format::Chat.body("up/m", true)).key(&key).header("accept-encoding", "gzip");
    let answer = gateway.call(call).await.expect(200);
    assert_eq!((answer.header("content-encoding"), answer.body.as_slice()), (Some("gzip"), &coded[..]));
    assert_eq!(gateway.counted(&key, 1).await["unpriced_requests"], 1);
}

#[tokio::test]
async fn providers_error_counts_and_costs_nothing() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let key = gateway.key().await;
    for (model, status) in [("mock/429", 429), ("mock/500", 500), ("mock/529", 529)] {
        gateway.call(Call::json(CHAT, &Format::Chat.body(model, true)).key(&key)).await.expect(status);
    }
    let usage = gateway.counted(&key, 3).await;
    assert_eq!((&usage["credits"], &usage["cost"]["amount_nano"]), (&json!(3), &json!(0)), "{usage}");
    assert_eq!((&usage["unpriced_requests"], &usage["tokens"]["total"]), (&json!(0), &json!(0)), "{usage}");
}
