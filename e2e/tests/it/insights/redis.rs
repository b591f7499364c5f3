//! Responses of insights that servers share through Redis.

use e2e::{Call, Gateway, Redis, Setup, eventually};
use serde_json::Value;

use crate::redis_keys::available;

/// Maximum number of processes until Redis was in time for one.
const PROCESSES: u32 = 5;

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
    let mut gateway = Gateway::start(setup(&redis)).await;
    available(&gateway, 1).await;
    let key = gateway.key().await;
    let mut computed = eventually("Redis has the response", async || {
        let computed = classes(&gateway, &key).await;
        redis.dump().await.contains(":response").then_some(computed)
    })
    .await;
    // The content is encrypted.
    let stored = redis.dump().await;
    assert!(!stored.contains("figures_version"), "{stored}");

    // Another process responds with what the one before has computed, unless Redis was late on a busy machine.
    let mut is_shared = false;
    for _ in 0..PROCESSES {
        let folder = gateway.stop().await.folder;
        gateway = Gateway::start_in(folder, setup(&redis)).await;
        available(&gateway, 1).await;
        let before = std::mem::replace(&mut computed, classes(&gateway, &key).await);
        is_shared = computed == before;
        if is_shared {
            break;
        }
    }
    assert!(is_shared, "no process has used the response of another: {computed}");
    redis.kill();
    let again = classes(&gateway, &key).await;
    assert_ne!(again["as_of"], computed["as_of"]);
    assert_eq!(again["classes"], computed["classes"]);
    available(&gateway, 0).await;
    gateway.stop().await;
}
