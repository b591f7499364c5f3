//! Limits of tokens in the binary, with counts in Redis.

use e2e::{Answer, Call, Gateway, Mock, Redis, Setup, eventually, setup};
use serde_json::Value;

use crate::bodies::Format;

/// More than two calls reserve, each of which has no maximum of output, and less than three.
const LIMITS: &str = "[{dimension: [key, model], unit: tokens, limit: 2500, window: 24h}]";

fn number(answer: &Answer, name: &str) -> u64 {
    answer.head.header(name).unwrap_or_else(|| panic!("no {name}: {answer:?}")).parse().unwrap()
}

#[tokio::test]
async fn calls_of_all_formats_count_what_they_have_used_and_not_what_they_have_reserved() {
    let mock = Mock::start().await;
    let redis = Redis::start().await;
    let models = "[{name: fast, targets: [{provider: up, model: tokens-3}]}]";
    let setup = Setup::new()
        .limited()
        .section("providers", &format!("[{}]", setup::provider("up", "mock", mock.address())))
        .section("models", models)
        .section("rate_limits", LIMITS)
        .section("redis", &format!("\"{}\"", redis.url()));
    let gateway = Gateway::start(setup).await;
    let key = gateway.key().await;
    let call = async |format: Format, body: &Value| gateway.call(Call::json(format.path(), body).key(&key)).await;
    let mut calls = 0;
    for stream in [false, true] {
        for format in Format::ALL {
            let body = format.body("fast", stream);
            eventually("the calls before are settled", async || {
                (call(format, &body).await.status() == 200).then_some(())
            })
            .await;
            calls += 1;
        }
    }
    assert_eq!(mock.requests("tokens-3").await, calls, "a refused call is not sent");
    let mut body = Format::Chat.body("fast", false);
    body["max_tokens"] = 1.into();
    let left = eventually("all calls are settled", async || {
        let answer = call(Format::Chat, &body).await.expect(200);
        let left = number(&answer, "x-ratelimit-remaining-tokens");
        (left > 2_000).then_some(left)
    })
    .await;
    body["max_tokens"] = left.into();
    let refused = call(Format::Chat, &body).await.expect(429);
    assert!(number(&refused, "retry-after") > 0 && refused.text().contains("rate_limit_exceeded"), "{refused:?}");
    body["max_tokens"] = 2_500.into();
    let refused = call(Format::Chat, &body).await.expect(429);
    assert_eq!((refused.header("retry-after"), refused.header("x-should-retry")), (None, Some("false")));
    let metrics = gateway.metrics().await;
    assert!(metrics.contains("tollgate_limits_refused_total{limit=\"key+model:tokens\"}"), "{metrics}");
}
