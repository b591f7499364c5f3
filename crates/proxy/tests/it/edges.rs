//! Requests at the edge of what HTTP/1.1 allows: what the upstream receives, and what the client gets.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{sleep, timeout};

use crate::gateway::Gateway;
use crate::raw::{Conn, Raw};

/// The longest wait for a change of state.
const PATIENCE: Duration = Duration::from_secs(20);

/// An upstream that responds with the head of each request, after a pause.
async fn echo(pause: Duration) -> Raw {
    Raw::start(move |mut conn: Conn| async move {
        while let Some(head) = conn.whole_head().await {
            sleep(pause).await;
            conn.say(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{head}", head.len())).await;
        }
    })
    .await
}

fn before(raw: &Raw, more: &str) -> Gateway {
    Gateway::plain(&format!(
        "ai: {{enabled: false}}\n{more}upstreams: [{{name: u, backends: [{{url: \"http://{}\"}}]}}]\n\
         routes: [{{path: {{prefix: /}}, auth: {{type: none}}, upstreams: u}}]\n",
        raw.address
    ))
}

/// Sends a request, closes the sending side if `ends`, and returns all that is received, in lowercase.
async fn sent(gateway: &Gateway, request: &[u8], ends: bool) -> String {
    let mut stream = gateway.caller().connect().await;
    stream.write_all(request).await.unwrap();
    if ends {
        stream.shutdown().await.unwrap();
    }
    let mut received = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut received)).await.expect("the connection ends").unwrap();
    String::from_utf8(received).unwrap().to_ascii_lowercase()
}

/// Returns the values of a field that the upstream has received, which it has sent back.
fn values<'a>(response: &'a str, name: &str) -> Vec<&'a str> {
    let (_, head) = response.split_once("\r\n\r\n").unwrap();
    head.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).collect()
}

#[tokio::test]
async fn the_host_of_an_absolute_target_replaces_the_header() {
    let raw = echo(Duration::ZERO).await;
    let gateway = before(&raw, "");
    let request = b"GET http://a.example/x HTTP/1.1\r\nHost: b.example\r\nConnection: close\r\n\r\n";
    let response = sent(&gateway, request, false).await;
    assert!(response.starts_with("http/1.1 200"), "{response}");
    assert_eq!(values(&response, "host"), ["a.example"]);
    assert_eq!(values(&response, "x-forwarded-host"), ["a.example"]);
}

#[tokio::test]
async fn a_later_minor_version_is_read_as_1_1_and_a_raw_query_is_escaped() {
    let raw = echo(Duration::ZERO).await;
    let gateway = before(&raw, "");
    let request = "GET /x?q=\u{e9} HTTP/1.2\r\nHost: a\r\nConnection: close\r\n\r\n";
    let response = sent(&gateway, request.as_bytes(), false).await;
    assert!(response.contains("get /x?q=%c3%a9 http/1.1\r\n"), "{response}");
}

#[tokio::test]
async fn options_and_trace_end_at_their_bound_of_forwards() {
    let raw = echo(Duration::ZERO).await;
    let gateway = before(&raw, "");
    for (line, status) in [("OPTIONS / HTTP/1.1", 200), ("OPTIONS * HTTP/1.1", 200), ("OPTIONS http://a HTTP/1.1", 200)]
    {
        let request = format!("{line}\r\nHost: a\r\nMax-Forwards: 0\r\nConnection: close\r\n\r\n");
        let response = sent(&gateway, request.as_bytes(), false).await;
        assert!(response.starts_with(&format!("http/1.1 {status}")), "{response}");
        assert!(response.contains("allow: get, ") && response.contains("content-length: 0\r\n"), "{response}");
    }
    assert!(raw.asked().is_empty(), "nothing is forwarded");
    let request = b"OPTIONS /x HTTP/1.1\r\nHost: a\r\nMax-Forwards: 2\r\nConnection: close\r\n\r\n";
    assert_eq!(values(&sent(&gateway, request, false).await, "max-forwards"), ["1"]);
}

#[tokio::test]
async fn a_half_closed_client_gets_its_response() {
    let raw = echo(Duration::from_millis(300)).await;
    let gateway = before(&raw, "");
    for connection in ["close", "keep-alive"] {
        let request = format!("GET /x HTTP/1.1\r\nHost: a\r\nConnection: {connection}\r\n\r\n");
        let response = sent(&gateway, request.as_bytes(), true).await;
        assert!(response.starts_with("http/1.1 200") && response.contains("get /x http/1.1"), "{response}");
    }
}

#[tokio::test]
async fn a_trusted_proxy_reports_its_client_and_others_do_not() {
    let raw = echo(Duration::ZERO).await;
    let fields = "X-Forwarded-For: 192.0.2.7, ,10.0.0.9,\r\nX-Forwarded-Proto: https, http\r\nX-Forwarded-Host: pub.example\r\n\
        X-Forwarded-Port: 8443\r\nX-Forwarded-Prefix: /api\r\n";
    let request = format!("GET / HTTP/1.1\r\nHost: inner\r\n{fields}Connection: close\r\n\r\n");
    let trusted = "trusted_proxies: [127.0.0.1/32, 10.0.0.0/8]\n";
    for (more, expected) in [
        (trusted.to_owned(), ["192.0.2.7, 10.0.0.9, 127.0.0.1", "https", "pub.example", "8443", "/api"]),
        (format!("{trusted}forwarded: replace\n"), ["192.0.2.7", "https", "inner", "", ""]),
        (String::new(), ["127.0.0.1", "http", "inner", "", ""]),
    ] {
        let gateway = before(&raw, &more);
        let response = sent(&gateway, request.as_bytes(), false).await;
        let names = ["for", "proto", "host", "port", "prefix"].map(|name| format!("x-forwarded-{name}"));
        let found = names.each_ref().map(|name| values(&response, name).join("|"));
        assert_eq!(found, expected, "{more}");
    }
}

#[tokio::test]
async fn a_list_of_schemes_has_that_of_the_client_first_or_in_its_place() {
    let raw = echo(Duration::ZERO).await;
    let gateway = before(&raw, "trusted_proxies: [127.0.0.1/32, 10.0.0.0/8]\n");
    for (addresses, schemes, expected) in [
        ("192.0.2.7", "https", "https"),
        ("192.0.2.7", "https,", "https"),
        ("192.0.2.7", "https, http", "https"),
        ("198.51.100.1, 192.0.2.7", "https, http", "http"),
        ("192.0.2.7, 10.0.0.9", "https, http", "https"),
        ("", "https,http", "https"),
        ("192.0.2.7", "gopher", "http"),
        ("192.0.2.7", "", "http"),
    ] {
        let request = format!(
            "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {addresses}\r\nX-Forwarded-Proto: {schemes}\r\nConnection: close\r\n\r\n"
        );
        let response = sent(&gateway, request.as_bytes(), false).await;
        assert_eq!(values(&response, "x-forwarded-proto"), [expected], "{addresses} {schemes}");
    }
}

#[tokio::test]
async fn a_408_that_ends_an_idle_connection_is_no_response_to_a_get() {
    let raw = Raw::start(|mut conn: Conn| async move {
        conn.head().await;
        conn.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        if conn.head().await.is_some() {
            conn.say("HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await;
        }
    })
    .await;
    for (method, statuses) in [("GET", ["200", "200"]), ("POST", ["200", "408"])] {
        let gateway = before(&raw, "");
        for expected in statuses {
            let request = format!("{method} / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            let response = sent(&gateway, request.as_bytes(), false).await;
            assert!(response.starts_with(&format!("http/1.1 {expected}")), "{method} {response}");
        }
    }
}
