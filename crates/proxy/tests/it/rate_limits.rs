//! The rate limits of the configuration, before and after authentication.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use access::exchange::limits::{RateLimitRequest, SharedLimits};
use access::{Credits, Mono, Plan};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use meter::limiter::GrantedRequests;
use meter::limiter::sharing::{GrantRequest, LimitSharing, SharingMessage, SharingState};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use crate::gateway::Gateway;
use crate::raw::{Conn, Raw};

/// The longest wait for a response or a change of state.
const PATIENCE: Duration = Duration::from_secs(20);

/// Starts a gateway with these limits of all routes, and these routes.
fn gateway(limits: &str, routes: &str) -> Gateway {
    let open = "auth: {type: none}, respond: {body: fine}";
    Gateway::plain(&format!(
        "trusted_proxies: [127.0.0.1]\nrate_limits: [{limits}]\n\
         routes: [{{path: {{prefix: /open}}, {open}}}, {{path: {{prefix: /key}}, respond: {{body: fine}}}}{routes}]\n"
    ))
}

/// Sends a request from the address `from`, behind a trusted proxy, with these lines of fields.
async fn send(gateway: &Gateway, path: &str, from: &str, fields: &str) -> (u16, String) {
    let mut stream = gateway.caller().connect().await;
    let head =
        format!("GET {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\nx-forwarded-for: {from}\r\n{fields}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

/// The same with the gateway's key.
async fn send_with_key(gateway: &Gateway, path: &str, from: &str) -> (u16, String) {
    send(gateway, path, from, &format!("authorization: {}\r\n", gateway.caller().authorization())).await
}

async fn status(gateway: &Gateway, path: &str, from: &str) -> u16 {
    send(gateway, path, from, "").await.0
}

#[tokio::test]
async fn an_address_passes_as_often_as_its_limit_and_each_response_reports_it() {
    let gateway = gateway("{dimension: ip, limit: 3, window: 60s}", "");
    for left in ["2", "1", "0"] {
        let (status, answer) = send(&gateway, "/open", "192.0.2.1", "").await;
        assert_eq!(status, 200, "{answer}");
        for field in ["x-ratelimit-limit: 3\r\n", "ratelimit-policy: \"ip\";q=3;w=60\r\n"] {
            assert_eq!(answer.matches(field).count(), 1, "{field} {answer}");
        }
        assert!(answer.contains(&format!("\r\nx-ratelimit-remaining: {left}\r\n")), "{answer}");
        assert!(answer.contains(&format!("\r\nratelimit: \"ip\";r={left};t=")), "{answer}");
    }
    let (status, answer) = send(&gateway, "/open", "192.0.2.1", "").await;
    assert_eq!(status, 429, "{answer}");
    for part in
        ["\"code\":\"rate_limited\"", "retry-after: ", "x-ratelimit-remaining: 0\r\n", "ratelimit: \"ip\";r=0;t="]
    {
        assert!(answer.contains(part), "{part} {answer}");
    }
    // Another address; all addresses of one /64 are one.
    assert_eq!(self::status(&gateway, "/open", "192.0.2.2").await, 200);
    for address in ["2001:db8::1", "2001:db8::2", "2001:db8::ffff:3"] {
        assert_eq!(self::status(&gateway, "/open", address).await, 200);
    }
    assert_eq!(self::status(&gateway, "/open", "2001:db8::4").await, 429);
    assert!(gateway.metrics().contains("tollgate_limits_refused_total{limit=\"ip\"} 2\n"), "{}", gateway.metrics());
    gateway.clock().advance(Duration::from_secs(120));
    assert_eq!(self::status(&gateway, "/open", "192.0.2.1").await, 200);
}

#[tokio::test]
async fn no_limit_refuses_a_liveness_probe() {
    let gateway = gateway("{dimension: global, limit: 1, window: 60s}, {dimension: ip, limit: 1, window: 60s}", "");
    for expected in [200, 429] {
        assert_eq!(status(&gateway, "/open", "192.0.2.1").await, expected);
        assert_eq!(status(&gateway, "/healthz", "192.0.2.1").await, 200);
    }
}

#[tokio::test]
async fn a_repeated_header_evades_no_limit_by_it() {
    let by_tenant = gateway("{dimension: {header: X-Tenant}, limit: 5, window: 60s}", "");
    let mut admitted = 0;
    for repeats in 0..12 {
        let other = if repeats % 2 == 0 { "x-tenant: a\r\n" } else { "X_Tenant: b\r\n" };
        let fields = format!("x-tenant: a\r\n{}", other.repeat(repeats));
        let (status, answer) = send(&by_tenant, "/open", "192.0.2.1", &fields).await;
        assert_eq!(status, if repeats == 0 { 200 } else { 400 }, "{answer}");
        admitted += usize::from(status == 200);
    }
    assert_eq!(admitted, 1);
    for expected in [200, 200, 200, 200, 429] {
        assert_eq!(send(&by_tenant, "/open", "192.0.2.1", "X_Tenant: a\r\n").await.0, expected);
    }
    // A header that is a list counts by its first value.
    let by_list = gateway("{dimension: {header: Accept}, limit: 2, window: 60s}", "");
    for (repeats, expected) in [(0, 200), (1, 200), (2, 429)] {
        let fields = format!("accept: a\r\n{}", "accept: b\r\n".repeat(repeats));
        assert_eq!(send(&by_list, "/open", "192.0.2.1", &fields).await.0, expected);
    }
}

#[tokio::test]
async fn limits_of_addresses_apply_before_authentication_and_those_of_users_after_it() {
    let limits = "{dimension: ip, limit: 3, window: 60s}, {dimension: user, limit: 1, window: 60s}, \
                  {dimension: key, limit: 1, window: 60s}";
    let gateway = gateway(limits, "");
    for _ in 0..3 {
        let (status, answer) = send(&gateway, "/key", "192.0.2.1", "x-api-key: nonsense\r\n").await;
        assert_eq!(status, 401);
        assert!(answer.contains("\r\nratelimit-policy: \"ip\";q=3;w=60\r\n"), "{answer}");
    }
    assert_eq!(send_with_key(&gateway, "/key", "192.0.2.1").await.0, 429, "the address has used its limit");
    let (status, answer) = send_with_key(&gateway, "/key", "192.0.2.2").await;
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains("\r\nratelimit: \"user\";r=0;t="), "the limit with the least left is reported: {answer}");
    let (status, answer) = send_with_key(&gateway, "/key", "192.0.2.3").await;
    assert_eq!(status, 429, "{answer}");
    assert!(answer.contains("\r\nratelimit-policy: \"user\";q=1;w=60, \"day\";"), "{answer}");
    // A request without a key has no user.
    for _ in 0..3 {
        assert_eq!(self::status(&gateway, "/open", "192.0.2.4").await, 200);
    }
}

#[tokio::test]
async fn a_request_that_one_limit_refuses_counts_in_no_other() {
    let limits = "{dimension: global, limit: 3, window: 60s}, {dimension: ip, limit: 1, window: 60s}";
    let gateway = gateway(limits, "");
    assert_eq!(status(&gateway, "/open", "192.0.2.1").await, 200);
    for _ in 0..5 {
        let (status, answer) = send(&gateway, "/open", "192.0.2.1", "").await;
        assert_eq!((status, answer.contains("\"ip\";q=1;w=60")), (429, true), "{answer}");
    }
    assert_eq!(status(&gateway, "/open", "192.0.2.2").await, 200);
    assert_eq!(status(&gateway, "/open", "192.0.2.3").await, 200);
    let (status, answer) = send(&gateway, "/open", "192.0.2.4", "").await;
    assert_eq!((status, answer.contains("\"global\";q=3;w=60")), (429, true), "{answer}");
}

#[tokio::test]
async fn a_request_that_the_rate_or_the_quota_of_a_plan_refuses_counts_in_no_limit() {
    let upstream = upstream().await;
    let route = format!(
        "\nupstreams: [{{name: backend, backends: [{{url: \"http://{}\"}}]}}]\nrate_limits: [{{dimension: ip, limit: 100, window: 60s}}]\n\
         trusted_proxies: [127.0.0.1]\nroutes: [{{path: /a, upstreams: backend, credits: 5}}]\n",
        upstream.address
    );
    let gateway = Gateway::plain(&route);
    let plan = |rate: Option<u32>, credits: u64| {
        let requests_per_minute = rate.and_then(NonZeroU32::new);
        Arc::new(Plan {
            requests_per_minute,
            credits_per_day: Some(Credits::whole(credits)),
            ..Plan::unlimited("starter")
        })
    };
    gateway.change(|principal| principal.plan = plan(Some(1), 100));
    let (status, answer) = send_with_key(&gateway, "/a", "192.0.2.1").await;
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains("\r\nx-ratelimit-limit: 1\r\n"), "the plan's rate has less left: {answer}");
    for _ in 0..3 {
        let (status, answer) = send_with_key(&gateway, "/a", "192.0.2.1").await;
        assert_eq!((status, answer.matches("x-ratelimit-limit: 1\r\n").count()), (429, 1), "{answer}");
        assert!(
            answer.contains("\r\nratelimit: \"requests_per_minute\";r=0;t=") && !answer.contains("\"ip\""),
            "{answer}"
        );
    }
    gateway.change(|principal| principal.plan = plan(None, 10));
    let (_, answer) = send_with_key(&gateway, "/a", "192.0.2.1").await;
    assert!(answer.contains(", \"ip\";r=98;t="), "{answer}");
    for _ in 0..3 {
        let (status, answer) = send_with_key(&gateway, "/a", "192.0.2.1").await;
        assert_eq!((status, answer.contains("quota_exceeded")), (429, true), "{answer}");
    }
    gateway.change(|principal| principal.plan = plan(None, 15));
    let (_, answer) = send_with_key(&gateway, "/a", "192.0.2.1").await;
    assert!(answer.contains(", \"ip\";r=97;t="), "{answer}");
}

#[tokio::test]
async fn routes_headers_and_combinations_are_counted_apart() {
    let routes = ", {path: /one, auth: {type: none}, respond: {}, rate_limits: [{dimension: global, limit: 1, window: 60s}]}, \
                  {path: /client, auth: {type: none}, respond: {}, rate_limit: {requests: 1, window: 60s}}, \
                  {path: /caller, respond: {}, rate_limit: {requests: 1, window: 60s}}";
    let limits = "{dimension: [{header: X-Tenant}, route], limit: 2, window: 60s}";
    let gateway = gateway(limits, routes);
    let tenant =
        async |path: &str, name: &str| send(&gateway, path, "192.0.2.1", &format!("X-TENANT: {name}\r\n")).await.0;
    assert_eq!([tenant("/open", "a").await, tenant("/open", "a").await, tenant("/open", "a").await], [200, 200, 429]);
    assert_eq!([tenant("/open", "b").await, status(&gateway, "/open", "192.0.2.1").await], [200, 200]);
    assert_eq!([tenant("/one", "a").await, tenant("/one", "c").await], [200, 429], "all requests of the route");
    assert_eq!([tenant("/client", "a").await, tenant("/client", "c").await], [200, 429], "the address");
    assert_eq!(send(&gateway, "/client", "192.0.2.9", "x-tenant: d\r\n").await.0, 200);
    let key = format!("authorization: {}\r\nx-tenant: ", gateway.caller().authorization());
    assert_eq!(send(&gateway, "/caller", "192.0.2.1", &format!("{key}e\r\n")).await.0, 200);
    assert_eq!(send(&gateway, "/caller", "192.0.2.2", &format!("{key}f\r\n")).await.0, 429, "the key, not the address");
}

#[tokio::test]
async fn tiers_follow_the_plan() {
    let gateway = gateway("{dimension: user, limit: 1, tiers: {by: plan, pro: 3}, window: 60s}", "");
    let passes = async || {
        let mut passed = 0;
        while send_with_key(&gateway, "/key", "192.0.2.1").await.0 == 200 {
            passed += 1;
        }
        passed
    };
    assert_eq!(passes().await, 1);
    gateway.change(|principal| principal.plan = Arc::new(Plan::unlimited("pro")));
    assert_eq!(passes().await, 3, "tiers are counted apart");
}

#[tokio::test]
async fn requests_in_flight_are_limited_until_their_responses_end() {
    let ends = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&ends);
    let upstream = Raw::start(move |mut conn: Conn| {
        let ends = Arc::clone(&held);
        async move {
            while conn.head().await.is_some() {
                // The response has a second part, for which the client waits.
                conn.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\na").await;
                ends.acquire().await.unwrap().forget();
                conn.say("b").await;
            }
        }
    })
    .await;
    let gateway = Gateway::plain(&format!(
        "upstreams: [{{name: backend, backends: [{{url: \"http://{}\"}}]}}]\n\
         rate_limits: [{{dimension: ip, limit: 2, unit: concurrent}}]\n\
         routes: [{{path: /a, auth: {{type: none}}, upstreams: backend}}]\n",
        upstream.address
    ));
    for _ in 0..3 {
        let mut calls: FuturesUnordered<_> = (0..3).map(|_| send(&gateway, "/a", "192.0.2.1", "")).collect();
        let refused = tokio::time::timeout(PATIENCE, calls.next()).await.expect("one of them is refused");
        assert_eq!(refused.map(|(status, _)| status), Some(429));
        ends.add_permits(2);
        while let Some((status, _)) = calls.next().await {
            assert_eq!(status, 200);
        }
        // The places are free when the workers have settled the requests.
        let since = Instant::now();
        while gateway.in_flight() > 0 {
            assert!(since.elapsed() < PATIENCE, "{} requests are in flight", gateway.in_flight());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    ends.add_permits(1);
    let (_, answer) = send(&gateway, "/a", "192.0.2.1", "").await;
    assert!(answer.contains("ratelimit-policy: \"ip\";q=2;qu=\"concurrent-requests\"\r\n"), "{answer}");
}

#[tokio::test]
async fn a_reload_keeps_the_counts_of_a_limit_with_another_number() {
    let yaml = |limit: u32| {
        format!(
            "trusted_proxies: [127.0.0.1]\nrate_limits: [{{dimension: ip, limit: {limit}, window: 60s}}]\n\
             routes: [{{path: /open, auth: {{type: none}}, respond: {{}}}}]\n"
        )
    };
    let gateway = Gateway::plain(&yaml(3));
    for _ in 0..3 {
        assert_eq!(status(&gateway, "/open", "192.0.2.1").await, 200);
    }
    gateway.reload(&yaml(4));
    assert_eq!(status(&gateway, "/open", "192.0.2.1").await, 200);
    assert_eq!(status(&gateway, "/open", "192.0.2.1").await, 429);
    gateway.reload("trusted_proxies: [127.0.0.1]\nroutes: [{path: /open, auth: {type: none}, respond: {}}]\n");
    assert_eq!(status(&gateway, "/open", "192.0.2.1").await, 200);
}

#[tokio::test]
async fn the_fields_of_an_upstream_give_way_and_a_route_without_limits_keeps_them() {
    let upstream = upstream().await;
    let gateway = Gateway::plain(&format!(
        "upstreams: [{{name: backend, backends: [{{url: \"http://{}\"}}]}}]\n\
         routes: [{{path: /a, auth: {{type: none}}, upstreams: backend}}, \
         {{path: /b, auth: {{type: none}}, upstreams: backend, rate_limit: {{requests: 9, window: 60s}}}}]\n",
        upstream.address
    ));
    let (_, answer) = send(&gateway, "/a", "192.0.2.1", "").await;
    assert!(answer.contains("RateLimit: upstream") && answer.contains("X-RateLimit-Limit: upstream"), "{answer}");
    let (_, answer) = send(&gateway, "/b", "192.0.2.1", "").await;
    assert!(!answer.contains("upstream") && answer.contains("ratelimit: \"client\";r=8;t="), "{answer}");
}

/// An upstream that reports the upstream's limits.
async fn upstream() -> Raw {
    Raw::start(|mut conn: Conn| async move {
        while conn.head().await.is_some() {
            let limits = "RateLimit: upstream\r\nRateLimit-Policy: upstream\r\nX-RateLimit-Limit: upstream\r\n";
            conn.say(format!("HTTP/1.1 200 OK\r\n{limits}content-length: 0\r\n\r\n")).await;
        }
    })
    .await
}

/// A gateway whose node shares its limits with another one, and the messages to Redis.
fn sharing(yaml: &str) -> (Gateway, Arc<SharingState>, mpsc::Receiver<SharingMessage>) {
    let (queue, messages) = mpsc::channel(8);
    let state = Arc::new(SharingState::default());
    state.set_nodes(2);
    state.set_up(true);
    let gateway = Gateway::leasing(yaml, LimitSharing::new(queue, state.clone()));
    (gateway, state, messages)
}

async fn next(messages: &mut mpsc::Receiver<SharingMessage>) -> GrantRequest {
    let message = messages.recv().await.unwrap();
    if let SharingMessage::Ask(request) = message { request } else { panic!("{message:?}") }
}

/// A result of Redis; no requests are a refusal.
fn grant(requests: u32, left: u32) -> GrantedRequests {
    let valid = Duration::from_secs(30);
    let counted_ms = 5;
    let retry_after = Duration::from_secs(if requests == 0 { 7 } else { 0 });
    GrantedRequests { requests, counted_ms, valid, left, reset: valid, retry_after }
}

#[tokio::test]
async fn small_limits_ask_redis_for_each_request_and_large_ones_for_a_batch() {
    let (gateway, _, mut messages) = sharing(
        "trusted_proxies: [127.0.0.1]\n\
         rate_limits: [{dimension: ip, limit: 4, window: 60s}, {dimension: global, limit: 9, window: 60s}, \
         {dimension: route, limit: 500, window: 60s}]\n\
         routes: [{path: /open, auth: {type: none}, respond: {}}]\n",
    );
    let now = || Mono(0);
    let ((status, text), ()) = tokio::join!(send(&gateway, "/open", "192.0.2.1", ""), async {
        for (want, left) in [(1, 3), (1, 0), (5, 490)] {
            let request = next(&mut messages).await;
            assert_eq!((request.want.get(), request.nodes.get()), (want, 2));
            assert!(request.granted(&grant(want, left), now()).is_none());
        }
    });
    assert_eq!(status, 200, "{text}");
    assert!(text.contains("\r\nratelimit: \"global\";r=0;t=30, \"ip\";r=3;t=30, \"route\";r=494;t=30\r\n"), "{text}");
    // The next request has a grant of the large limit. One of the small limits refuses it.
    let ((status, text), ()) = tokio::join!(send(&gateway, "/open", "192.0.2.1", ""), async {
        let ip = next(&mut messages).await;
        let global = next(&mut messages).await;
        assert!(ip.granted(&grant(1, 2), now()).is_none());
        assert!(global.granted(&grant(0, 0), now()).is_none());
    });
    assert_eq!(status, 429, "{text}");
    for field in ["retry-after: 7\r\n", "ratelimit: \"global\";r=0;t=30", "x-ratelimit-limit: 9\r\n"] {
        assert!(text.contains(field), "{field} {text}");
    }
    let SharingMessage::GiveBack(back) = messages.recv().await.unwrap() else { panic!() };
    assert_eq!(back.counted_ms, 5);
    assert!(back.key.name.starts_with(b"ip window 60000"));
    assert!(messages.try_recv().is_err(), "the large limit needs no call for its requests");
}

#[tokio::test]
async fn without_a_result_a_request_waits_20_ms_in_all_and_counts_in_the_share_of_its_node() {
    let (gateway, state, mut messages) = sharing(
        "trusted_proxies: [127.0.0.1]\n\
         rate_limits: [{dimension: ip, limit: 4, window: 60s}, {dimension: global, limit: 50, window: 60s}, \
         {dimension: [ip, route], limit: 60, window: 60s}]\n\
         routes: [{path: /open, auth: {type: none}, respond: {}}]\n",
    );
    for expected in [200, 200, 429] {
        let since = Instant::now();
        let (status, text) = send(&gateway, "/open", "192.0.2.1", "").await;
        assert_eq!(status, expected, "{text}");
        assert!(text.contains("x-ratelimit-limit: 4\r\n"), "{text}");
        assert!(since.elapsed() >= Duration::from_millis(18), "the request waits for Redis");
        while let Ok(SharingMessage::Ask(request)) = messages.try_recv() {
            assert!(request.is_abandoned());
            request.fail();
        }
    }
    // While Redis is unavailable, no request asks it.
    state.set_up(false);
    for expected in [200, 200, 429] {
        assert_eq!(status(&gateway, "/open", "192.0.2.2").await, expected);
    }
    assert!(messages.try_recv().is_err());
    assert!(state.fallbacks() > 0);
}

#[tokio::test]
async fn the_waits_of_all_limits_of_one_request_have_one_bound() {
    let (queue, mut messages) = mpsc::channel(8);
    let (limits, mut questions) = mpsc::channel::<RateLimitRequest>(8);
    let state = Arc::new(SharingState::default());
    state.set_nodes(2);
    state.set_up(true);
    let gateway = Gateway::with_redis(
        "trusted_proxies: [127.0.0.1]\n\
         rate_limits: [{dimension: ip, limit: 9, window: 60s}, {dimension: ip, limit: 5, window: 60s, without: key}]\n\
         routes: [{path: /key, respond: {}}]\n",
        LimitSharing::new(queue, state),
        SharedLimits::new(limits),
    );
    // Redis does not respond to the first limit, so the request has no time left for the second one.
    let (status, request) = tokio::join!(status(&gateway, "/key", "192.0.2.1"), next(&mut messages));
    assert_eq!((status, request.is_abandoned()), (401, true));
    assert!(questions.try_recv().is_err(), "the request waits once");
}

#[tokio::test]
async fn the_rates_of_plans_and_keys_are_shared() {
    let (gateway, state, mut messages) = sharing("routes: [{path: /key, respond: {body: fine}}]\n");
    gateway.change(|principal| {
        let rate = NonZeroU32::new(10_000);
        principal.plan = Arc::new(Plan { requests_per_minute: rate, ..Plan::unlimited("fast") });
    });
    let ((status, text), ()) = tokio::join!(send_with_key(&gateway, "/key", "192.0.2.1"), async {
        let request = next(&mut messages).await;
        assert_eq!(request.want.get(), 1_000, "free requests have ten times the rate");
        assert!(request.granted(&grant(1_000, 90_000), Mono(0)).is_none());
    });
    assert_eq!(status, 200, "{text}");
    assert!(text.contains("x-ratelimit-limit: 100000\r\nx-ratelimit-remaining: 90999\r\n"), "{text}");
    state.set_up(false);
    let (status, text) = send_with_key(&gateway, "/key", "192.0.2.1").await;
    assert_eq!(status, 200, "{text}");
    assert!(text.contains("x-ratelimit-remaining: 49998\r\n"), "{text}");
}

#[tokio::test]
async fn a_grant_for_free_requests_counts_no_other_request() {
    let yaml = "upstreams: [{name: backend, backends: [{url: \"http://127.0.0.1:1\"}]}]\n\
                routes: [{path: /free, respond: {body: fine}}, {path: /paid, upstreams: backend}]\n";
    let (gateway, _, mut messages) = sharing(yaml);
    gateway.change(|principal| {
        let rate = NonZeroU32::new(10_000);
        principal.plan = Arc::new(Plan { requests_per_minute: rate, ..Plan::unlimited("fast") });
    });
    for (path, id, want, expected) in
        [("/free", b"free user rate\0".as_slice(), 1_000, 200), ("/paid", b"user rate\0".as_slice(), 100, 502)]
    {
        let ((status, text), ()) = tokio::join!(send_with_key(&gateway, path, "192.0.2.1"), async {
            let request = next(&mut messages).await;
            assert!(request.key.name.starts_with(id), "{:?}", request.key);
            assert_eq!(request.want.get(), want);
            assert!(request.granted(&grant(want, 90_000), Mono(0)).is_none());
        });
        assert_eq!(status, expected, "{text}");
    }
}

#[tokio::test]
async fn the_rates_of_plans_and_keys_are_reported_as_other_limits_are() {
    let gateway = gateway("", "");
    gateway.change(|principal| {
        let rate = NonZeroU32::new(1);
        principal.plan = Arc::new(Plan { requests_per_minute: rate, ..Plan::unlimited("slow") });
    });
    // A response of the gateway is free, and free requests have ten times the rate.
    let policy = "\r\nratelimit-policy: \"requests_per_minute\";q=10;w=60\r\n";
    for left in (0..10).rev() {
        let (status, text) = send_with_key(&gateway, "/key", "192.0.2.1").await;
        assert_eq!((status, text.matches(policy).count()), (200, 1), "{text}");
        assert!(text.contains(&format!("\r\nratelimit: \"requests_per_minute\";r={left};t=")), "{text}");
    }
    let (status, text) = send_with_key(&gateway, "/key", "192.0.2.1").await;
    assert_eq!((status, text.matches(policy).count()), (429, 1), "{text}");
    assert!(text.contains("\r\nratelimit: \"requests_per_minute\";r=0;t=60\r\n"), "{text}");
}
