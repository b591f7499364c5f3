//! Responses of insights that servers share through Redis.

use e2e::{Call, Gateway, Redis, Setup};
use serde_json::Value;

use crate::redis_keys::available;

/// Returns the classes of today.
async fn classes(gateway: &Gateway, key: &str) -> Value {
    gateway.ask(Call::get("/classify/today").key(key)).await.expect(200).json()
}

#[tokio::test]
async fn servers_share_responses_and_compute_them_while_redis_is_away() {
    let mut redis = Redis::start().await;
    let setup = |redis: &Redis| {
        let insights = "{cache: {today: 60s, redis: true}}";
        Setup::mocked().section("redis", &format!("\"{}\"", redis.url())).section("insights", insights)
    };
    let first = Gateway::start(setup(&redis)).await;
    available(&first, 1).await;
    let key = first.key().await;
    let computed = classes(&first, &key).await;
    // The content is encrypted.
    let stored = redis.dump().await;
    assert!(stored.contains(":response") && !stored.contains("figures_version"), "{stored}");

    // Another process responds with what the first one has computed.
    let folder = first.stop().await.folder;
    let second = Gateway::start_in(folder, setup(&redis)).await;
    available(&second, 1).await;
    assert_eq!(classes(&second, &key).await, computed);
    redis.kill();
    let again = classes(&second, &key).await;
    assert_ne!(again["as_of"], computed["as_of"]);
    assert_eq!(again["classes"], computed["classes"]);
    available(&second, 0).await;
    second.stop().await;
}
