//! Routes with keys in Redis: the keys that they accept, and an outage of Redis.

use std::time::Duration;

use spool::Record;
use tokio::task::JoinSet;

use crate::gateway::Gateway;
use crate::raw::Raw;
use crate::tokens::{call, call_as, upstream};
use crate::wire;

const KEY: &str = "0123456789abcdef";
/// The name of the key in Redis: `printf %s KEY | sha256sum`.
const NAME: &str = "k:9f9f5111f7b27a781f1f1ddde5ebc2dd2b796bfc7365c9c28b548e564176929f";
const ACME: &str = r#"{"name": "acme"}"#;
const OTHER: &str = "another-key-of-somebody";

fn yaml(raw: &Raw) -> String {
    format!(
        "rate_limits: []
redis: redis://127.0.0.1:1
plans: [{{name: small, requests_per_minute: 2}}, {{name: large, requests_per_minute: 100}}]
auth: [{{name: shared, type: key, redis: {{prefix: \"k:\"}}}}]
upstreams: [{{name: backend, backends: [{{url: \"http://{}\"}}]}}]
routes:
  - {{name: all, path: {{prefix: /all}}, events: rows, auth: {{type: key, use: shared}}, upstreams: backend}}
  - {{name: any, path: {{prefix: /any}}, auth: {{any: [{{type: key, use: shared}}, {{type: key}}]}}, upstreams: backend}}
",
        raw.address
    )
}

fn key(key: &str) -> String {
    format!("x-api-key: {key}\r\n")
}

#[tokio::test]
async fn a_key_in_redis_is_a_subject_and_is_looked_up_again_after_10_seconds() {
    let raw = upstream().await;
    let mut gateway = Gateway::plain(&yaml(&raw));
    gateway.set_redis(Some(&[(NAME, ACME)]));
    for (path, fields, expected) in [
        ("/all", key(KEY), (200, 1)),
        ("/all", key(KEY), (200, 1)),
        ("/any", format!("authorization: Bearer {KEY}\r\n"), (200, 1)),
        ("/any", format!("authorization: {}\r\n", gateway.caller().authorization()), (200, 1)),
        ("/all", key(OTHER), (401, 2)),
        ("/all", key(OTHER), (401, 2)),
        ("/all", key("short"), (401, 2)),
        ("/all", String::new(), (401, 2)),
    ] {
        let (status, answer) = call(&gateway, path, &fields).await;
        assert_eq!((status, gateway.redis_lookups()), expected, "{fields} {answer}");
        assert!(!fields.contains("short") || answer.contains("16 to 4,096 visible"), "{answer}");
        assert!(status != 401 || answer.contains("\r\nwww-authenticate: Bearer\r\n"), "{answer}");
    }
    gateway.set_redis(Some(&[]));
    gateway.clock().advance(Duration::from_secs(10));
    let (status, answer) = call(&gateway, "/all", &key(KEY)).await;
    assert!(status == 401 && answer.contains("\"code\":\"key_unknown\""), "a removed key: {answer}");
    let names: Vec<_> = gateway
        .stop()
        .await
        .iter()
        .filter_map(|record| {
            let Record::Event(event) = record else { return None };
            event.subject.name().map(|name| (name.issuer.to_owned(), name.name.to_owned()))
        })
        .collect();
    assert_eq!(names, vec![("shared".to_owned(), "acme".to_owned()); 2]);
}

#[tokio::test]
async fn a_new_key_is_admitted_after_a_second_and_is_not_forwarded() {
    let reporting = wire::upstream(|sent| {
        let fields: Vec<String> = sent.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        (wire::answer(&fields.join("|")), false)
    });
    let raw = reporting.await;
    let gateway = Gateway::plain(&yaml(&raw));
    gateway.set_redis(Some(&[]));
    assert_eq!(call(&gateway, "/all", &key(KEY)).await.0, 401);
    gateway.set_redis(Some(&[(NAME, ACME)]));
    assert_eq!(call(&gateway, "/all", &key(KEY)).await.0, 401, "the last look-up is used");
    gateway.clock().advance(Duration::from_secs(1));
    let (status, answer) = call(&gateway, "/all", &format!("{}x-other: 1\r\n", key(KEY))).await;
    assert!(status == 200 && answer.to_ascii_lowercase().contains("x-other=1"), "{answer}");
    assert!(!answer.contains(KEY), "{answer}");
}

#[tokio::test]
async fn a_key_remains_valid_for_60_seconds_after_its_look_up_while_redis_is_unavailable() {
    let raw = upstream().await;
    let gateway = Gateway::plain(&yaml(&raw));
    gateway.set_redis(Some(&[(NAME, ACME)]));
    assert_eq!(call(&gateway, "/all", &key(KEY)).await.0, 200);
    gateway.set_redis(None);
    gateway.clock().advance(Duration::from_secs(59));
    assert_eq!((call(&gateway, "/all", &key(KEY)).await.0, gateway.redis_lookups()), (200, 2));
    let (status, answer) = call(&gateway, "/all", &key(OTHER)).await;
    assert!(status == 503 && answer.contains("\"code\":\"unavailable\""), "no key is unknown: {answer}");
    assert!(answer.contains("\r\nretry-after: 1\r\n"), "{answer}");
    gateway.clock().advance(Duration::from_secs(1));
    assert_eq!(call(&gateway, "/all", &key(KEY)).await.0, 503);
    gateway.set_redis(Some(&[(NAME, ACME)]));
    assert_eq!(call(&gateway, "/all", &key(KEY)).await.0, 200, "a failure is not cached");
    gateway.set_redis(Some(&[]));
    gateway.clock().advance(Duration::from_secs(10));
    assert_eq!(call(&gateway, "/all", &key(KEY)).await.0, 401);
    gateway.set_redis(None);
    gateway.clock().advance(Duration::from_secs(1));
    assert_eq!(call(&gateway, "/all", &key(KEY)).await.0, 503, "a removed key does not become valid again");
}

#[tokio::test]
async fn the_value_of_a_key_names_its_plan_in_place_of_that_of_the_entry() {
    let raw = upstream().await;
    let in_value = r#"{"name": "acme", "plan": "small"}"#;
    let prefix = "redis: {prefix: \"k:\"}";
    for (value, plan, last) in [
        (in_value, "", 429),
        (in_value, ", plan: large", 429),
        (ACME, ", plan: small", 429),
        (ACME, ", plan: large", 200),
    ] {
        let gateway = Gateway::plain(&yaml(&raw).replace(prefix, &format!("{prefix}{plan}")));
        gateway.set_redis(Some(&[(NAME, value)]));
        for status in [200, 200, last] {
            assert_eq!(call(&gateway, "/all", &key(KEY)).await.0, status, "{value}{plan}");
        }
    }
}

#[tokio::test]
async fn a_key_that_finds_the_queue_full_is_busy() {
    let raw = upstream().await;
    let gateway = Gateway::plain(&yaml(&raw));
    let _stopped = gateway.stop_redis();
    // One look-up is in progress and four wait, so one of six requests has no place in the queue.
    let mut requests = JoinSet::new();
    for nth in 0..6 {
        let caller = gateway.caller();
        let key = key(&format!("{KEY}{nth}"));
        requests.spawn(async move { call_as(&caller, "/all", &key).await });
    }
    let (status, answer) = requests.join_next().await.unwrap().unwrap();
    assert!(status == 503 && answer.contains("\"code\":\"directory_busy\""), "{answer}");
    assert!(answer.contains("\r\nretry-after: 1\r\n"), "{answer}");
}

#[tokio::test]
async fn a_value_that_is_invalid_or_has_an_unknown_plan_is_forbidden() {
    let raw = upstream().await;
    let gateway = Gateway::plain(&yaml(&raw));
    for value in [r#"{"name": "acme", "plan": "other"}"#, "garbage", r#"{"plan": "small"}"#, &"x".repeat(10_000)] {
        gateway.set_redis(Some(&[(NAME, value)]));
        gateway.clock().advance(Duration::from_secs(10));
        let (status, answer) = call(&gateway, "/all", &key(KEY)).await;
        assert!(status == 403 && answer.contains("\"code\":\"forbidden\""), "{answer}");
    }
    gateway.set_redis(Some(&[(NAME, ACME)]));
    gateway.clock().advance(Duration::from_secs(1));
    assert_eq!(call(&gateway, "/all", &key(KEY)).await.0, 200, "a corrected value is used after a second");
}
