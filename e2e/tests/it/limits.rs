//! Rate limits: one node, two nodes with a shared Redis, and a Redis that fails.

mod leased;

use std::time::Duration;

use e2e::database::Database;
use e2e::setup::Folder;
use e2e::{Answer, Call, Canary, Gateway, Redis, Setup, eventually};
use serde_json::Value;

use crate::bodies::{CHAT, Format, MESSAGES};

const TODAY: &str = "/api/usage/today";
/// Windows that exceed the duration of a test, in which no request is granted again.
const HOURLY: &str =
    "{rate_limits: [{dimension: key, limit: 100, window: 1h}, {dimension: ip, limit: 20, window: 1h, without: key}]}";
const STRANGERS: &str = "[{dimension: ip, limit: 100, window: 1h, without: key}]";
/// Maximum duration of a request, whatever the state of Redis.
const SOON: Duration = Duration::from_secs(2);
/// Maximum number of attempts until Redis was in time for enough requests of one.
const ATTEMPTS: u32 = 20;

fn limited() -> Setup {
    Setup::mocked().limited().section("control", HOURLY).section("rate_limits", STRANGERS)
}

fn sharing(redis: &Redis) -> Setup {
    limited().section("redis", &format!("\"{}\"", redis.url()))
}

/// Starts two nodes on one PostgreSQL that share their rate limits.
async fn nodes(redis: &Redis) -> [Gateway; 2] {
    let folder = Folder::on_postgres(Database::new());
    let beside = folder.beside();
    let first = Gateway::start_in(folder, sharing(redis)).await;
    let second = Gateway::start_in(beside, sharing(redis)).await;
    for node in [&first, &second] {
        shared(node, 1).await;
    }
    [first, second]
}

async fn shared(node: &Gateway, value: i64) {
    let what = format!("tollgate_limits_shared is {value}");
    eventually(&what, async || (node.gauge("tollgate_limits_shared").await == value).then_some(())).await;
}

async fn fallbacks(nodes: &[Gateway; 2]) -> i64 {
    nodes[0].gauge("tollgate_limits_fallbacks_total").await + nodes[1].gauge("tollgate_limits_fallbacks_total").await
}

/// Repeats an attempt until Redis has decided about most of its requests, and at least `least` were admitted. `attempt` returns
/// the number of admitted requests, and the maximum that Redis admits.
///
/// If the machine is busy for 20 ms, a node counts a request itself. In any attempt, only such requests may pass in addition.
async fn is_shared(nodes: &[Gateway; 2], least: u32, attempt: impl AsyncFn(u32) -> (u32, u32)) {
    let mut seen = Vec::new();
    for nth in 0..ATTEMPTS {
        for node in nodes {
            shared(node, 1).await;
        }
        let before = fallbacks(nodes).await;
        let (admitted, most) = attempt(nth).await;
        let late = fallbacks(nodes).await - before;
        assert!(i64::from(admitted) <= i64::from(most) + late, "{admitted} of {most} and {late}");
        if admitted >= least && late <= i64::from(least / 2) {
            return;
        }
        // A late reply may have counted a request that no node has admitted.
        assert!(late > 0, "{admitted} of at least {least}");
        seen.push((admitted, late));
    }
    panic!("Redis is too slow on this machine: {seen:?}");
}

fn number(answer: &Answer, name: &str) -> u64 {
    answer.head.header(name).unwrap_or_else(|| panic!("no {name}: {answer:?}")).parse().unwrap()
}

#[tokio::test]
async fn a_key_passes_100_times_over_two_nodes_and_an_address_without_one_20() {
    let redis = Redis::start().await;
    let nodes = nodes(&redis).await;
    is_shared(&nodes, 100, async |attempt| {
        let key = nodes[0].key().await;
        let mut passed = 0;
        for nth in 0..130 {
            let node = &nodes[nth % 2];
            if attempt > 0 {
                shared(node, 1).await;
            }
            let answer = node.ask(Call::get(TODAY).key(&key)).await;
            assert!([200, 429].contains(&answer.status()), "{answer:?}");
            passed += u32::from(answer.status() == 200);
            assert_eq!(number(&answer, "x-ratelimit-limit"), 100);
        }
        let dump = redis.dump().await;
        assert!(!dump.contains(&key) && !dump.contains("127.0.0.1"), "{dump}");
        (passed, 100)
    })
    .await;
    let dump = redis.dump().await;
    assert!(dump.contains("tollgate:{tollgate}:log:"), "{dump}");
}

#[tokio::test]
async fn a_killed_redis_stops_no_request_and_is_used_again_after_its_restart() {
    let mut redis = Redis::start().await;
    let nodes = nodes(&redis).await;
    let key = nodes[0].key().await;
    let call = async |nth: usize| {
        let since = Canary::new();
        let answer = nodes[nth % 2].ask(Call::get(TODAY).key(&key)).await;
        since.assert_within(SOON, "a request");
        assert!([200, 429].contains(&answer.status()), "{nth} {answer:?}");
        assert_eq!(number(&answer, "x-ratelimit-limit"), 100);
        answer.status()
    };
    for nth in 0..40 {
        assert_eq!(call(nth).await, 200);
    }
    // On a busy machine a node may have logged a slow Redis before.
    let reported = |node: &Gateway| {
        node.stderr().lines().filter(|line| line.contains("\"redis\"") && line.contains("ERROR")).count()
    };
    for node in &nodes {
        shared(node, 1).await;
    }
    let before = [reported(&nodes[0]), reported(&nodes[1])];
    redis.kill();
    // Each node continues with its own counts: 20 requests each, so about 80 more each.
    let mut passed = [0, 0];
    for nth in 0..300 {
        passed[nth % 2] += u32::from(call(nth).await == 200);
    }
    assert!(passed.iter().all(|passed| (70..=90).contains(passed)), "{passed:?}");
    for (node, before) in nodes.iter().zip(before) {
        shared(node, 0).await;
        assert!(node.gauge("tollgate_limits_fallbacks_total").await > 0);
        eventually("the failure is logged once", async || (reported(node) == before + 1).then_some(())).await;
    }
    redis.resume().await;
    for node in &nodes {
        shared(node, 1).await;
    }
    // The restarted Redis is empty.
    assert_eq!(call(0).await, 200);
    redis.freeze(true);
    for nth in 0..30 {
        call(nth).await;
    }
    redis.freeze(false);
    for node in &nodes {
        shared(node, 1).await;
    }
}

#[tokio::test]
async fn unauthenticated_clients_are_limited_after_100_calls_and_clients_with_a_key_are_not() {
    let redis = Redis::start().await;
    for setup in [limited(), sharing(&redis)] {
        let gateway = Gateway::start(setup).await;
        let key = gateway.key().await;
        let unknown = format!("tollgate_{}", "0".repeat(32));
        let chat = |key: &str| Call::json(CHAT, &Format::Chat.body("mock/tokens-1", false)).key(key);
        let mut refused = 0;
        for nth in 0..110 {
            let call = match nth % 3 {
                0 => chat(&unknown),
                1 => Call::json(CHAT, &Format::Chat.body("mock/tokens-1", false)),
                _ => chat("nonsense"),
            };
            let answer = gateway.call(call).await;
            assert!([401, 429].contains(&answer.status()), "{nth} {answer:?}");
            refused += u32::from(answer.status() == 429);
        }
        // If Redis was slow, the process counted some requests itself.
        let late = gateway.gauge("tollgate_limits_fallbacks_total").await;
        assert!(refused == 10 || late > 0, "{refused}");
        let answer = gateway.call(chat(&unknown)).await.expect(429);
        assert!((1..=7_200).contains(&number(&answer, "retry-after")), "{answer:?}");
        let error: Value = answer.json();
        assert_eq!(error["error"]["code"], "rate_limit_exceeded", "{error}");
        let messages =
            Call::json(MESSAGES, &Format::Messages.body("mock/tokens-1", false)).header("x-api-key", &unknown);
        assert_eq!(gateway.call(messages).await.expect(429).json()["error"]["type"], "rate_limit_error");
        gateway.call(chat(&key)).await.expect(200);
        assert!(gateway.metrics().await.contains("tollgate_limits_refused_total{limit=\"strangers\"}"));
    }
}

#[tokio::test]
async fn limits_hold_by_default() {
    let gateway = Gateway::start(Setup::mocked().limited()).await;
    let key = gateway.key().await;
    let answer = gateway.ask(Call::get(TODAY).key(&key)).await.expect(200);
    assert_eq!((number(&answer, "x-ratelimit-limit"), number(&answer, "x-ratelimit-remaining")), (100, 99));
    let mut statuses = Vec::new();
    for _ in 0..45 {
        statuses.push(gateway.ask(Call::get(TODAY)).await.status());
    }
    assert_eq!(statuses[..20], [401; 20]);
    assert!(statuses.contains(&429));
    gateway.ask(Call::get("/health")).await.expect(200);
    gateway.ask(Call::get(TODAY).key(&key)).await.expect(200);
}

#[tokio::test]
async fn redis_is_used_over_tls() {
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let redis = Redis::with_tls(pair.cert.der(), pair.signing_key.serialized_der()).await;
    // The trusted certificates come from a file.
    let trusted = redis.cert().display().to_string();
    let gateway = Gateway::start(sharing(&redis).variable("SSL_CERT_FILE", &trusted)).await;
    shared(&gateway, 1).await;
    let doubtful = Gateway::start(sharing(&redis)).await;
    shared(&doubtful, 0).await;
    doubtful.ask(Call::get(TODAY).key(&doubtful.key().await)).await.expect(200);
}

#[tokio::test]
async fn a_listed_origin_may_call_and_read_a_refusal() {
    let control = "{cors: {allowed_origins: ['https://app.example.com']}}";
    let gateway = Gateway::start(Setup::mocked().limited().section("control", control)).await;
    let origin = |call: Call, origin: &str| call.header("origin", origin);
    let preflight = || Call::new("OPTIONS", "/api/keys").header("access-control-request-method", "PATCH");
    let answer = gateway.ask(origin(preflight(), "https://app.example.com")).await.expect(204);
    assert_eq!(answer.head.header("access-control-allow-origin"), Some("https://app.example.com"));
    assert_eq!(answer.head.header("access-control-allow-methods"), Some("GET, POST, PUT, PATCH, DELETE, OPTIONS"));
    for _ in 0..45 {
        let answer = gateway.ask(origin(Call::get(TODAY), "https://app.example.com")).await;
        assert!([401, 429].contains(&answer.status()), "{answer:?}");
        assert_eq!(answer.head.header("access-control-allow-credentials"), Some("true"));
        let exposed = answer.head.header("access-control-expose-headers").unwrap();
        assert!(exposed.contains("Retry-After") && exposed.contains("X-RateLimit-Remaining"), "{exposed}");
    }
    let answer = gateway.ask(origin(preflight(), "https://evil.example.com")).await.expect(204);
    assert_eq!(answer.head.header("access-control-allow-origin"), None);
}
