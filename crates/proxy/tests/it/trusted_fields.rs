//! Headers that only trusted proxies may send, where the gateway itself decides by them.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep, timeout};

use crate::failing_backends::{Switched, yaml};
use crate::gateway::Gateway;
use crate::raw::{Conn, Raw};
use crate::tokens::call;

/// The longest wait for a change of state.
const PATIENCE: Duration = Duration::from_secs(20);
/// The peer of each test.
const TRUSTED: &str = "trusted_proxies: [127.0.0.1]\n";

/// Returns the body of a response.
fn body(response: &(u16, String)) -> &str {
    response.1.split("\r\n\r\n").nth(1).unwrap_or_default()
}

#[tokio::test]
async fn a_route_is_chosen_by_a_trusted_header_only_if_a_trusted_proxy_sends_it() {
    let route = |name: &str, headers: &str| {
        format!(
            "  - {{path: {{prefix: /}}, headers: {{{headers}}}, auth: {{type: none}}, respond: {{body: {name}}}}}\n"
        )
    };
    let routes = [
        route("admin", "X-Consumer-Groups: admin"),
        route("proxied", "X-Real-IP: {present: true}"),
        route("beta", "X-Beta: 'on'"),
        route("plain", "X-Forwarded-Proto: http"),
        "  - {path: {prefix: /}, auth: {type: none}, respond: {body: other}}\n".to_owned(),
    ]
    .concat();
    for (fields, trusted, untrusted) in [
        ("x-consumer-groups: admin\r\n", "admin", "plain"),
        ("X_Consumer_Groups: admin\r\n", "admin", "plain"),
        ("x-real-ip: 192.0.2.1\r\n", "proxied", "plain"),
        ("x_real_ip: 192.0.2.1\r\n", "proxied", "plain"),
        ("x-beta: on\r\n", "beta", "beta"),
        ("x-forwarded-proto: https\r\n", "other", "plain"),
        ("x-forwarded-proto: http\r\n", "plain", "plain"),
        ("", "other", "plain"),
    ] {
        for (proxies, expected) in [(TRUSTED, trusted), ("", untrusted)] {
            let gateway = Gateway::plain(&format!("ai: {{enabled: false}}\n{proxies}routes:\n{routes}"));
            assert_eq!(body(&call(&gateway, "/", fields).await), expected, "{fields}{proxies}");
        }
    }
}

#[tokio::test]
async fn a_limit_by_a_trusted_header_counts_values_of_trusted_proxies_only() {
    for (proxies, expected) in [(TRUSTED, [200, 200, 200, 429]), ("", [200, 429, 429, 429])] {
        let gateway = Gateway::plain(&format!(
            "ai: {{enabled: false}}\n{proxies}rate_limits: [{{dimension: {{header: X-Consumer-Id}}, limit: 1, window: 60s}}]\n\
             routes: [{{path: {{prefix: /}}, auth: {{type: none}}, respond: {{body: fine}}}}]\n"
        ));
        let mut statuses = Vec::new();
        for id in ["1", "2", "3", "3"] {
            statuses.push(call(&gateway, "/", &format!("x-consumer-id: {id}\r\n")).await.0);
        }
        assert_eq!(statuses, expected, "{proxies}");
    }
}

#[tokio::test]
async fn a_hash_of_a_trusted_header_obeys_trusted_proxies_only() {
    let backends = [Switched::start(200).await, Switched::start(200).await];
    let all: Vec<&Switched> = backends.iter().collect();
    let routes = yaml(&all, ", strategy: hash, hash: {header: X-Real-IP}", ", auth: {type: none}");
    for (proxies, used) in [(TRUSTED, 1), ("", 2)] {
        let gateway = Gateway::plain(&format!("{proxies}{routes}"));
        for name in ["x-real-ip", "X_Real_IP"] {
            let before = [backends[0].received(), backends[1].received()];
            for _ in 0..8 {
                assert_eq!(call(&gateway, "/", &format!("{name}: 192.0.2.7\r\n")).await.0, 200);
            }
            let received = backends.iter().zip(before).filter(|(backend, before)| backend.received() > *before);
            assert_eq!(received.count(), used, "{name} {proxies}");
        }
    }
}

#[tokio::test]
async fn a_route_may_write_the_address_of_the_client() {
    let upstream = Raw::start(|mut conn: Conn| async move {
        while let Some(head) = conn.whole_head().await {
            conn.say(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{head}", head.len())).await;
        }
    })
    .await;
    for (proxies, expected) in [(TRUSTED, "198.51.100.9"), ("", "127.0.0.1")] {
        let gateway = Gateway::plain(&format!(
            "ai: {{enabled: false}}\n{proxies}upstreams: [{{name: u, backends: [{{url: \"http://{}\"}}]}}]\n\
             routes: [{{path: {{prefix: /}}, auth: {{type: none}}, upstreams: u,\n\
             transformations: {{request: {{add_headers: {{X-Real-IP: \"${{client_address}}\"}}}}}}}}]\n",
            upstream.address
        ));
        let fields = "x-real-ip: 203.0.113.66\r\nx-forwarded-for: 198.51.100.9\r\n";
        let response = call(&gateway, "/", fields).await.1.to_ascii_lowercase();
        let written: Vec<&str> = response.lines().filter_map(|line| line.strip_prefix("x-real-ip: ")).collect();
        assert_eq!(written, [expected], "{response}");
    }
}

#[tokio::test]
async fn the_bound_of_connections_of_one_address_exempts_trusted_proxies() {
    for (proxies, last) in [(TRUSTED, "HTTP/1.1 200"), ("", "HTTP/1.1 503")] {
        let gateway = Gateway::plain(&format!(
            "ai: {{enabled: false}}\nconnections: {{per_address: 2}}\n{proxies}\
             routes: [{{path: {{prefix: /}}, auth: {{type: none}}, respond: {{body: fine}}}}]\n"
        ));
        let mut open = Vec::new();
        for number in 0..3 {
            let mut stream = gateway.caller().connect().await;
            stream.write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
            let mut received = [0; 12];
            timeout(PATIENCE, stream.read_exact(&mut received)).await.expect("a response").unwrap();
            let expected = if number < 2 { "HTTP/1.1 200" } else { last };
            assert_eq!(String::from_utf8_lossy(&received), expected, "{number} {proxies}");
            open.push(stream);
        }
    }
}

#[tokio::test]
async fn a_connection_without_a_request_may_send_its_first_one_when_idle_ones_end() {
    let gateway = Gateway::plain(
        "ai: {enabled: false}\nroutes: [{path: {prefix: /}, auth: {type: none}, respond: {body: fine}}]\n",
    );
    let [mut used, mut new, unused] =
        [gateway.caller().connect().await, gateway.caller().connect().await, gateway.caller().connect().await];
    used.write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    let mut received = [0; 12];
    used.read_exact(&mut received).await.unwrap();
    let since = Instant::now();
    while gateway.connections() < 3 {
        assert!(since.elapsed() < PATIENCE, "the connections are accepted");
        sleep(Duration::from_millis(1)).await;
    }
    gateway.drain();
    // The end of the used connection shows that the others know of the shutdown.
    let mut rest = String::new();
    timeout(PATIENCE, used.read_to_string(&mut rest)).await.expect("the idle connection ends").unwrap();
    new.write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    let mut response = String::new();
    timeout(PATIENCE, new.read_to_string(&mut response)).await.expect("the connection ends").unwrap();
    assert!(response.starts_with("HTTP/1.1 200") && response.contains("connection: close"), "{response}");
    let mut unused = unused;
    let ended = timeout(PATIENCE, unused.read_to_string(&mut rest)).await.expect("the unused connection ends");
    assert!(ended.is_ok());
}

#[tokio::test]
async fn a_silent_response_ends_after_its_idle_time_and_not_after_twice_that() {
    const IDLE: Duration = Duration::from_secs(3);
    let upstream = Raw::start(|mut conn: Conn| async move {
        conn.head().await;
        conn.say("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc").await;
        conn.linger().await;
    })
    .await;
    let gateway = Gateway::plain(&format!(
        "ai: {{enabled: false}}\ntimeouts: {{idle: 3s}}\nupstreams: [{{name: u, backends: [{{url: \"http://{}\"}}]}}]\n\
         routes: [{{path: {{prefix: /}}, auth: {{type: none}}, upstreams: u}}]\n",
        upstream.address
    ));
    let mut stream = gateway.caller().connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    let mut received = Vec::new();
    while !received.ends_with(b"abc") {
        timeout(PATIENCE, stream.read_buf(&mut received)).await.expect("the first bytes").unwrap();
    }
    let since = Instant::now();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut received)).await.expect("the response ends");
    let took = since.elapsed();
    assert!(took > IDLE - Duration::from_millis(100) && took < IDLE * 2 - Duration::from_millis(300), "{took:?}");
}
