//! Forms of the target, upgrades, and heads at their bounds (RFC 9112, 3.2; RFC 9110, 7.8 and 9.3.6).

use crate::wire::{Client, answer, before, echo, noted, upstream, values};

#[tokio::test]
async fn absolute_form_is_forwarded_in_origin_form() {
    let raw = upstream(|sent| {
        let host = values(&sent.fields, "x-forwarded-host").join(" and ");
        (answer(&format!("{} for {host}", sent.summary())), false)
    })
    .await;
    let gateway = before(&raw);
    let mut client = Client::connect(&gateway).await;
    for (target, host, expected) in [
        ("http://x/api/x", "x", "GET /api/x for x"),
        ("http://x/api/x?a=http://y/", "x", "GET /api/x?a=http://y/ for x"),
        ("HTTP://X.Example:80/api/x", "x.example:80", "GET /api/x for X.Example:80"),
        ("http://y/api/x", "x", "GET /api/x for y"),
        ("http://x:81/api/x", "x", "GET /api/x for x:81"),
        ("https://x/api/x", "x", "GET /api/x for x"),
        ("http://[::1]:8080/api/x", "[::1]:8080", "GET /api/x for [::1]:8080"),
    ] {
        client.call(format!("GET {target} HTTP/1.1\r\nhost: {host}\r\n\r\n")).await.is_answer(expected);
    }
    client.call("GET http://x/ HTTP/1.1\r\nhost: x\r\n\r\n").await.is_refusal(404, "route_not_found");
    client.call("GET http://x HTTP/1.1\r\nhost: x\r\n\r\n").await.is_refusal(404, "route_not_found");
    client.call("GET /api/y HTTP/1.1\r\nhost: x\r\n\r\n").await.is_answer("GET /api/y for x");
}

#[tokio::test]
async fn absolute_form_with_a_user_is_refused() {
    let raw = echo().await;
    let gateway = before(&raw);
    let mut client = Client::connect(&gateway).await;
    let received = client.call("GET http://u@x/api/x HTTP/1.1\r\nhost: x\r\n\r\n").await;
    received.is_refusal(400, "bad_request");
    assert!(received.closes());
    client.ends().await;
    assert_eq!(noted(&raw), [""; 0]);
}

#[tokio::test]
async fn options_of_the_server_itself_reach_no_route() {
    let raw = echo().await;
    let gateway = before(&raw);
    let mut client = Client::connect(&gateway).await;
    let received = client.call("OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n").await;
    received.is_answer("");
    assert_eq!(received.one("allow"), Some("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
    client.goes_on().await;
}

#[tokio::test]
async fn connect_is_refused_and_nothing_in_its_tunnel_is_a_request() {
    let raw = echo().await;
    let gateway = before(&raw);
    for head in [
        "CONNECT x:443 HTTP/1.1\r\nhost: x:443\r\n\r\n",
        "CONNECT x:443 HTTP/1.0\r\nhost: x:443\r\n\r\n",
        "CONNECT x:443 HTTP/1.1\r\nhost: x:443\r\nconnection: keep-alive\r\n\r\n",
    ] {
        let mut client =
            Client::sending(&gateway, format!("{head}GET /api/smuggled HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        let received = client.response("CONNECT").await;
        received.is_refusal(405, "method_not_allowed");
        // RFC 9110, 15.5.6.
        assert_eq!(received.one("allow"), Some(""), "{received:?}");
        client.ends().await;
    }
    assert_eq!(noted(&raw), [""; 0]);
}

#[tokio::test]
async fn upgrade_is_never_forwarded_and_never_switches() {
    let raw = upstream(|sent| {
        let names: Vec<&str> = sent.fields.iter().map(|(name, _)| name.as_str()).collect();
        (answer(&names.join(" ")), false)
    })
    .await;
    let gateway = before(&raw);
    for fields in [
        "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: \
         dGhlIHNhbXBsZSBub25jZQ==\r\n",
        "Connection: keep-alive, UPGRADE\r\nUpgrade: WebSocket\r\n",
        "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
        "connection: upgrade\r\nupgrade: TLS/1.0, HTTP/1.1\r\n",
        "upgrade: x\r\n",
    ] {
        let mut client = Client::connect(&gateway).await;
        let received = client.call(format!("GET /api/x HTTP/1.1\r\nhost: x\r\n{fields}\r\n")).await;
        // RFC 9110, 7.8: a server may ignore the field, or refuse the request with 426 and the protocols it needs.
        if received.status == 200 {
            for gone in ["upgrade", "connection", "http2-settings"] {
                assert!(!received.body.split(' ').any(|name| name == gone), "{gone}: {received:?}");
            }
        } else {
            received.is_refusal(426, "upgrade_required");
            assert!(received.one("upgrade").is_some(), "{received:?}");
        }
    }
}

#[tokio::test]
async fn websocket_on_an_ordinary_route_is_refused() {
    let raw = echo().await;
    let gateway = before(&raw);
    let mut client = Client::connect(&gateway).await;
    let received = client
        .call(
            "GET /api/x HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .await;
    received.is_refusal(426, "upgrade_required");
    assert_eq!(noted(&raw), [""; 0]);
    client.goes_on().await;
}

#[tokio::test]
async fn frames_behind_an_ignored_upgrade_are_no_request() {
    let raw = echo().await;
    let gateway = before(&raw);
    let head = "GET /api/x HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
        sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let mut bytes = head.as_bytes().to_vec();
    bytes.extend(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58GET /api/smuggled HTTP/1.1\r\nhost: x\r\n\r\n");
    let mut client = Client::sending(&gateway, bytes).await;
    let first = client.response("GET").await;
    assert!(matches!(first.status, 200 | 426), "{first:?}");
    let second = client.response("GET").await;
    second.is_refusal(400, "bad_request");
    assert!(second.closes());
    client.ends().await;
    assert!(!noted(&raw).iter().any(|line| line.contains("smuggled")), "{:?}", noted(&raw));
}

/// A request whose head has exactly `bytes` bytes.
fn head_of(bytes: usize) -> String {
    let begin = "GET /api/x HTTP/1.1\r\nhost: x\r\na: ";
    let end = "\r\n\r\n";
    format!("{begin}{}{end}", "b".repeat(bytes - begin.len() - end.len()))
}

/// A request whose target has exactly `bytes` bytes.
fn target_of(bytes: usize) -> String {
    format!("GET /api/{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(bytes - "/api/".len()))
}

#[tokio::test]
async fn heads_at_their_bounds_are_served_and_one_over_is_refused() {
    const BOUND: usize = 64 * 1024;
    let raw = upstream(|_| (answer("ok"), false)).await;
    let gateway = before(&raw);
    let fields = |count: usize| format!("GET /api/x HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(count - 1));
    let name = |bytes: usize| format!("GET /api/x HTTP/1.1\r\nhost: x\r\n{}: b\r\n\r\n", "a".repeat(bytes));
    for (at, over) in [
        (head_of(BOUND), head_of(BOUND + 1)),
        (head_of(BOUND - 1), head_of(2 * BOUND)),
        (fields(100), fields(101)),
        (name(256), name(257)),
        (target_of(60_000), target_of(BOUND)),
    ] {
        for whole in [true, false] {
            let mut client = Client::connect(&gateway).await;
            for request in [&at, &at, &over] {
                if whole {
                    client.try_send(request).await;
                } else {
                    for piece in request.as_bytes().chunks(request.len().div_ceil(20)) {
                        client.try_send(piece).await;
                        tokio::task::yield_now().await;
                    }
                }
                let received = client.response("GET").await;
                if std::ptr::eq(request, &raw const over) {
                    received.is_refusal(431, "header_too_large");
                    assert!(received.closes());
                } else {
                    received.is_answer("ok");
                }
            }
            client.half_close().await;
            assert_eq!(client.end().await.rest, "");
        }
    }
}

#[tokio::test]
async fn configured_bound_of_heads_applies() {
    let raw = upstream(|_| (answer("ok"), false)).await;
    let gateway = crate::wire::configured(&raw, "sizes: {headers: 8KiB}\n");
    let mut client = Client::connect(&gateway).await;
    client.call(head_of(8 * 1024)).await.is_answer("ok");
    client.call(head_of(8 * 1024 + 1)).await.is_refusal(431, "header_too_large");
    client.ends().await;
}
