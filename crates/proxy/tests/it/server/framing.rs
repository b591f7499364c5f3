//! Bodies of responses for clients of HTTP/1.1 and HTTP/1.0, `Date` and reason phrases.

use crate::gateway::Gateway;
use crate::raw::Raw;
use crate::wire::{Client, Framing, Received, always, answer, before, upstream};

/// A client that received a response, and what serves it.
struct Relayed {
    client: Client,
    _gateway: Gateway,
    _raw: Raw,
}

async fn relayed(response: impl Into<String>, ends: bool, version: &str) -> (Relayed, Received) {
    let raw = always(response, ends).await;
    let gateway = before(&raw);
    let mut client = Client::connect(&gateway).await;
    let received = client.call(format!("GET /api/x HTTP/{version}\r\nhost: x\r\n\r\n")).await;
    (Relayed { client, _gateway: gateway, _raw: raw }, received)
}

#[tokio::test]
async fn body_until_close_is_chunked_in_http_1_1_and_until_close_in_http_1_0() {
    for response in ["HTTP/1.1 200 OK\r\n\r\nuntil the end", "HTTP/1.0 200 OK\r\nx: y\r\n\r\nuntil the end"] {
        let (mut at, received) = relayed(response, true, "1.1").await;
        received.is_answer("until the end");
        assert_eq!((received.framing, received.version.as_str()), (Framing::Chunked, "HTTP/1.1"));
        assert!(!received.closes(), "{received:?}");
        at.client.hears_nothing_for(std::time::Duration::from_millis(50)).await;
        let (mut at, received) = relayed(response, true, "1.0").await;
        received.is_answer("until the end");
        assert_eq!(received.framing, Framing::UntilClose, "{received:?}");
        at.client.ends().await;
    }
}

#[tokio::test]
async fn empty_body_until_close_is_complete() {
    let (_, received) = relayed("HTTP/1.1 200 OK\r\n\r\n", true, "1.1").await;
    received.is_answer("");
    let (_, received) = relayed("HTTP/1.1 200 OK\r\n\r\n", true, "1.0").await;
    received.is_answer("");
}

#[tokio::test]
async fn chunked_body_is_until_close_in_http_1_0() {
    let response = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3;a=b\r\nhel\r\n2\r\nlo\r\n0\r\nt: v\r\n\r\n";
    for connection in ["", "connection: keep-alive\r\n"] {
        let raw = always(response, false).await;
        let gateway = before(&raw);
        let mut client = Client::connect(&gateway).await;
        let received = client.call(format!("GET /api/x HTTP/1.0\r\nhost: x\r\n{connection}\r\n")).await;
        received.is_answer("hello");
        assert_eq!((received.framing, received.one("transfer-encoding")), (Framing::UntilClose, None));
        client.ends().await;
    }
}

#[tokio::test]
async fn body_until_close_says_nothing_of_keep_alive() {
    // RFC 9112, 9.3: a connection persists only if the end of the message is found without its end.
    let raw = always("HTTP/1.1 200 OK\r\n\r\nhello", true).await;
    let gateway = before(&raw);
    let mut client = Client::connect(&gateway).await;
    let received = client.call("GET /api/x HTTP/1.0\r\nhost: x\r\nconnection: keep-alive\r\n\r\n").await;
    received.is_answer("hello");
    assert!(!received.options().contains(&"keep-alive".to_owned()), "{received:?}");
}

#[tokio::test]
async fn length_is_kept_in_http_1_0() {
    let (mut at, received) = relayed(answer("hello"), false, "1.0").await;
    received.is_answer("hello");
    assert_eq!(received.framing, Framing::Length);
    at.client.ends().await;
}

#[tokio::test]
async fn cut_body_is_never_a_whole_one() {
    for version in ["1.1", "1.0"] {
        let (mut at, received) = relayed("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello", true, version).await;
        assert_eq!((received.framing, received.body.as_str()), (Framing::Cut, "hello"), "{received:?}");
        assert_eq!(at.client.end().await.rest, "");
    }
    let cut = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let (_, received) = relayed(cut, true, "1.1").await;
    assert_eq!((received.framing, received.body.as_str()), (Framing::Cut, ""), "{received:?}");
}

#[tokio::test]
async fn body_cut_in_chunks_ends_by_reset_for_a_client_of_http_1_0() {
    // A body until close has no other sign of being incomplete (RFC 9112, 8).
    let cut = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let raw = always(cut, true).await;
    let gateway = before(&raw);
    let mut client = Client::sending(&gateway, "GET /api/x HTTP/1.0\r\nhost: x\r\n\r\n").await;
    let end = client.end().await;
    assert!(end.by_reset || !end.rest.contains("hello"), "{end:?}");
}

/// Asserts one `Date` in the form of RFC 9110, 5.6.7.
#[track_caller]
fn is_dated(received: &Received) -> String {
    let date = received.one("date").unwrap_or_else(|| panic!("no date: {received:?}"));
    assert!(date.len() == 29 && date.ends_with(" GMT") && date.as_bytes()[3] == b',', "{date:?}");
    date.to_owned()
}

#[tokio::test]
async fn every_response_has_one_date() {
    let raw = upstream(|sent| {
        let date = if sent.line.contains("dated") { "Date: Tue, 15 Nov 1994 08:12:31 GMT\r\n" } else { "" };
        let status = if sent.line.contains("304") { "304 Not Modified" } else { "200 OK" };
        let body = if status.starts_with("304") || sent.line.starts_with("HEAD") { "" } else { "ok" };
        (format!("HTTP/1.1 {status}\r\n{date}content-length: 2\r\n\r\n{body}"), false)
    })
    .await;
    let gateway = before(&raw);
    for version in ["1.1", "1.0"] {
        for path in ["/api/x", "/api/304", "/keyed", "/nowhere", "/api/../x"] {
            for method in ["GET", "HEAD"] {
                let request = format!("{method} {path} HTTP/{version}\r\nhost: x\r\n\r\n");
                let mut client = Client::sending(&gateway, request).await;
                is_dated(&client.response(method).await);
            }
        }
        let mut client = Client::connect(&gateway).await;
        let received = client.call(format!("GET /api/dated HTTP/{version}\r\nhost: x\r\n\r\n")).await;
        assert_eq!(is_dated(&received), "Tue, 15 Nov 1994 08:12:31 GMT", "the upstream's own stays");
    }
    let mut client = Client::connect(&gateway).await;
    is_dated(&client.call("GET /api/x HTTP/1.1\r\n\r\n").await);
}

#[tokio::test]
async fn reason_phrases_are_kept() {
    for (line, reason) in [
        ("HTTP/1.1 200 Rather Fine", "Rather Fine"),
        ("HTTP/1.1 299 x", "x"),
        ("HTTP/1.1 404 nicht  da", "nicht  da"),
        ("HTTP/1.1 503 \t tab", "\t tab"),
    ] {
        let (_, received) = relayed(format!("{line}\r\ncontent-length: 2\r\n\r\nok"), false, "1.1").await;
        assert_eq!(received.reason, reason);
    }
    for line in ["HTTP/1.1 200 ", "HTTP/1.1 200"] {
        let (_, received) = relayed(format!("{line}\r\ncontent-length: 2\r\n\r\nok"), false, "1.1").await;
        assert!(matches!(received.reason.as_str(), "" | "OK"), "{received:?}");
    }
}

#[tokio::test]
async fn own_responses_name_their_status() {
    let raw = always(answer("ok"), false).await;
    let gateway = before(&raw);
    for (request, status, reason) in [
        ("GET /keyed HTTP/1.1\r\nhost: x\r\n\r\n", 401, "Unauthorized"),
        ("GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n", 404, "Not Found"),
        ("GET /api HTTP/1.1\r\n\r\n", 400, "Bad Request"),
    ] {
        let mut client = Client::connect(&gateway).await;
        let received = client.call(request).await;
        assert_eq!((received.status, received.reason.as_str()), (status, reason));
        assert_eq!(received.version, "HTTP/1.1");
    }
}

#[tokio::test]
async fn own_responses_to_requests_with_a_body_keep_or_announce_the_end_of_the_connection() {
    let gateway = Gateway::plain(
        "ai: {enabled: false}\nroutes: [{path: /old, auth: {type: none}, redirect: {to: /new}}, \
         {path: /empty, auth: {type: none}, respond: {status: 304}}]\n",
    );
    let mut client = Client::connect(&gateway).await;
    for _ in 0..2 {
        let received = client.call("POST /old HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi").await;
        assert_eq!((received.status, received.one("location"), received.closes()), (307, Some("/new"), false));
    }
    let received = client.call("GET /empty HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!((received.status, received.one("content-length")), (304, None), "{received:?}");
    let received = client.call("POST /old HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999\r\n\r\nhi").await;
    assert_eq!((received.status, received.closes()), (413, true), "{received:?}");
    let mut client = Client::connect(&gateway).await;
    let received = client.call("POST /old HTTP/1.1\r\nhost: x\r\ncontent-length: 9999999\r\n\r\nhi").await;
    assert_eq!((received.status, received.closes()), (307, true), "{received:?}");
}
