//! Routes with keys in Redis: a Redis that is killed and returns, a removed key, and a Redis Cluster.

use std::time::Duration;

use e2e::{Answer, Call, Canary, Gateway, Redis, Setup, eventually, eventually_within};

/// The time for which a worker uses a key without a look-up.
const CACHED: Duration = Duration::from_secs(10);
/// Maximum duration of a request, whatever the state of Redis.
const SOON: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(30);
const KEY: &str = "0123456789abcdef";
/// `printf %s KEY | sha256sum`, after the prefix.
const NAME: &str = "tollgate:key:9f9f5111f7b27a781f1f1ddde5ebc2dd2b796bfc7365c9c28b548e564176929f";
const OTHER: &str = "fedcba9876543210";
const OTHER_NAME: &str = "tollgate:key:3465f6e6975baa864ca957f0914ecda9bf7eb601ac31ac20a5dc3d329279a843";
const VALUE: &str = r#"{"name":"acme"}"#;

/// Starts a gateway with one worker, which has one cache.
async fn start(redis: &Redis) -> Gateway {
    let setup = Setup::new()
        .section("workers", "1")
        .section("redis", &format!("\"{}\"", redis.url()))
        .section("auth", "[{name: shared, type: key, redis: {}}]")
        .section("routes", "[{path: /a, auth: {type: key, use: shared}, respond: {body: fine}}]");
    let gateway = Gateway::start(setup).await;
    available(&gateway, 1).await;
    gateway
}

/// Waits until the node knows whether Redis is available.
pub(crate) async fn available(gateway: &Gateway, value: i64) {
    let what = format!("tollgate_limits_shared is {value}");
    let is = async || (gateway.gauge("tollgate_limits_shared").await == value).then_some(());
    eventually(&what, is).await;
}

async fn call(gateway: &Gateway, key: &str) -> Answer {
    gateway.call(Call::get("/a").header("x-api-key", key)).await
}

fn code(answer: &Answer) -> String {
    e2e::text(&answer.json()["error"]["code"])
}

#[tokio::test]
async fn a_key_outlives_an_outage_of_redis_and_ends_with_its_removal() {
    let mut redis = Redis::start().await;
    redis.set(NAME, VALUE).await;
    let gateway = start(&redis).await;
    call(&gateway, KEY).await.expect(200);
    assert_eq!(code(&call(&gateway, OTHER).await.expect(401)), "key_unknown");
    redis.kill();
    available(&gateway, 0).await;
    call(&gateway, KEY).await.expect(200);
    // The worker does not look a missing key up for a second.
    let away = async || Some(call(&gateway, OTHER).await).filter(|answer| answer.status() != 401);
    assert_eq!(code(&eventually("the key is looked up again", away).await.expect(503)), "unavailable");
    // The restarted Redis is empty.
    redis.resume().await;
    redis.set(NAME, VALUE).await;
    redis.set(OTHER_NAME, VALUE).await;
    available(&gateway, 1).await;
    let admitted = async || (call(&gateway, OTHER).await.status() == 200).then_some(());
    eventually("a new key is admitted", admitted).await;
    call(&gateway, KEY).await.expect(200);
    redis.remove(OTHER_NAME).await;
    let refused = async || Some(call(&gateway, OTHER).await).filter(|answer| answer.status() != 200);
    assert_eq!(
        code(&eventually_within(CACHED + PATIENCE, "the removal is noticed", refused).await.expect(401)),
        "key_unknown"
    );
    call(&gateway, KEY).await.expect(200);
    redis.freeze(true);
    let since = Canary::new();
    assert_eq!(code(&call(&gateway, "a-third-key-of-nobody").await.expect(503)), "unavailable");
    since.assert_within(SOON, "a look-up in a Redis that does not respond");
    call(&gateway, KEY).await.expect(200);
}

#[tokio::test]
async fn a_value_that_is_invalid_is_logged_once_a_minute() {
    let redis = Redis::start().await;
    redis.set(NAME, "garbage").await;
    redis.set(OTHER_NAME, "garbage").await;
    let gateway = start(&redis).await;
    for key in [KEY, OTHER, KEY] {
        assert_eq!(code(&call(&gateway, key).await.expect(403)), "forbidden");
    }
    gateway.logs("a key in Redis is refused").await;
    let lines = gateway.stderr().lines().filter(|line| line.contains("a key in Redis is refused")).count();
    assert_eq!(lines, 1, "{}", gateway.stderr());
    assert!(gateway.stderr().contains("9f9f5111f7b2") && !gateway.stderr().contains(KEY), "{}", gateway.stderr());
}

#[tokio::test]
async fn keys_of_a_redis_cluster_are_found_on_each_server() {
    const KEYS: [(&str, &str); 2] = [(KEY, NAME), (OTHER, OTHER_NAME)];
    let servers = Redis::cluster().await;
    for (_, name) in KEYS {
        let mut stored = 0;
        for server in &servers {
            stored += u32::from(server.set(name, VALUE).await);
        }
        assert_eq!(stored, 1, "one server has the slot of {name}");
    }
    for server in &servers {
        let gateway = start(server).await;
        for (key, _) in KEYS {
            call(&gateway, key).await.expect(200);
        }
        call(&gateway, "an-unknown-key-of-nobody").await.expect(401);
    }
}
