//! The rate limits of unauthenticated clients, per address. They do not apply to clients with a valid key.

use std::time::Duration;

use access::exchange::limits::{RateLimitRequest, RateLimitResult, SharedLimits};
use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::gateway::Gateway;

const YAML: &str = "trusted_proxies: [127.0.0.1]
rate_limits: [{dimension: ip, limit: 5, window: 1m, without: key}]
upstreams: [{name: backend, backends: [{url: \"http://127.0.0.1:1\"}]}]
routes:
  - {name: users, path: {prefix: /users}, upstreams: backend}
  - {name: open, path: {prefix: /open}, auth: {type: none}, upstreams: backend}
";
const UNKNOWN: &str = "x-api-key: tollgate_00000000000000000000000000000000";

/// Sends a request from the address `from`, behind a trusted proxy. Returns the status, and the head with the body.
async fn call(gateway: &Gateway, path: &str, from: &str, credential: &str) -> (u16, String) {
    let mut stream = gateway.caller().connect().await;
    let credential = if credential.is_empty() { String::new() } else { format!("{credential}\r\n") };
    let head =
        format!("GET {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\nx-forwarded-for: {from}\r\n{credential}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

#[tokio::test]
async fn an_address_waits_after_its_tries_and_no_other_does() {
    let gateway = Gateway::sharing(YAML, None);
    let tries =
        ["", UNKNOWN, "x-api-key: nonsense", "authorization: Basic x", "authorization: Bearer a\r\nx-api-key: b"];
    let expected = [401, 401, 401, 401, 400];
    for (credential, status) in tries.into_iter().zip(expected) {
        assert_eq!(call(&gateway, "/users", "192.0.2.1", credential).await.0, status, "{credential}");
    }
    for credential in tries {
        let (status, answer) = call(&gateway, "/users", "192.0.2.1", credential).await;
        assert_eq!(status, 429, "{answer}");
        assert!(answer.contains("\"code\":\"rate_limited\"") && answer.contains("\r\nretry-after: "), "{answer}");
        assert!(!answer.contains("www-authenticate"), "{answer}");
        for header in ["\r\nx-ratelimit-limit: 5\r\n", "\r\nx-ratelimit-remaining: 0\r\n", "\r\nx-ratelimit-reset: "] {
            assert!(answer.contains(header), "{header} {answer}");
        }
    }
    // A client with a key is admitted from the same address. The upstream is not reachable, so the status is 502.
    let authorization = format!("authorization: {}", gateway.caller().authorization());
    assert_eq!(call(&gateway, "/users", "192.0.2.1", &authorization).await.0, StatusCode::BAD_GATEWAY.as_u16());
    assert_eq!(call(&gateway, "/open", "192.0.2.1", "").await.0, StatusCode::BAD_GATEWAY.as_u16());
    // Another address, and what an address says of itself does not make it another.
    assert_eq!(call(&gateway, "/users", "192.0.2.2", "").await.0, 401);
    assert_eq!(call(&gateway, "/users", "192.0.2.9, 192.0.2.1", "").await.0, 429);
    let metrics = gateway.metrics();
    assert!(metrics.contains("tollgate_limits_refused_total{limit=\"strangers\"} 6\n"), "{metrics}");
}

#[tokio::test]
async fn a_network_of_ipv6_is_one_address_and_each_dialect_has_its_words() {
    let gateway = Gateway::sharing(
        &format!(
            "{YAML}providers: [{{name: far, kind: openai, base_url: \"http://127.0.0.1:1/v1\", credential: sk}}]\n"
        ),
        None,
    );
    for host in 0..5 {
        assert_eq!(call(&gateway, "/users", &format!("2001:db8::{host}"), "").await.0, 401);
    }
    for (path, word) in [("/v1/models", "rate_limit_exceeded"), ("/users", "\"code\":\"rate_limited\",")] {
        let (status, answer) = call(&gateway, path, "2001:db8::ffff", "").await;
        assert!(status == 429 && answer.contains(word) && answer.contains("\r\nretry-after: "), "{answer}");
        assert!(answer.contains("\r\nx-ratelimit-remaining: 0\r\n"), "{answer}");
    }
    assert_eq!(call(&gateway, "/users", "2001:db8:0:1::1", "").await.0, 401);
}

#[tokio::test]
async fn limits_that_nodes_share_are_asked_for_and_a_silence_costs_little() {
    let (queue, mut questions) = mpsc::channel::<RateLimitRequest>(1);
    let gateway = Gateway::sharing(YAML, Some(SharedLimits::new(queue)));
    let (told, answer) = tokio::join!(call(&gateway, "/users", "192.0.2.1", ""), async {
        let question = questions.recv().await.unwrap();
        let [check] = question.checks.as_slice() else { panic!("{question:?}") };
        let told = (check.name, check.key.clone(), check.limit.get(), check.window);
        let retry_after = Duration::from_millis(6_001);
        let result = RateLimitResult { allowed: false, check: 0, remaining: 0, reset: retry_after, retry_after };
        question.reply.send(result).unwrap();
        told
    });
    assert_eq!(answer, ("strangers", "192.0.2.1".to_owned(), 5, Duration::from_secs(60)));
    assert!(told.0 == 429 && told.1.contains("\r\nretry-after: 7\r\n"), "{}", told.1);
    // The shared limits do not respond, and then their queue is full, so the process counts by itself.
    let began = Instant::now();
    let mut statuses = Vec::new();
    for _ in 0..7 {
        statuses.push(call(&gateway, "/users", "192.0.2.1", UNKNOWN).await.0);
    }
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429, 429]);
    assert!(began.elapsed() < Duration::from_secs(5));
    drop(questions);
    assert_eq!(call(&gateway, "/users", "192.0.2.1", "").await.0, 429);
}

#[tokio::test]
async fn no_limit_is_none() {
    let gateway = Gateway::sharing(&YAML.replace("[{dimension: ip, limit: 5, window: 1m, without: key}]", "[]"), None);
    for _ in 0..150 {
        assert_eq!(call(&gateway, "/users", "192.0.2.1", "").await.0, 401);
    }
}
