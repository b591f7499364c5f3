//! Persistence: `Connection` in HTTP/1.1 and HTTP/1.0, both ways (RFC 9110, 7.6.1; RFC 9112, 9.3 and 9.6).

use crate::wire::{Client, Framing, always, answer, before, echo, upstream, values};

/// The request's version and `Connection` fields, and whether the connection is kept.
const OPTIONS: &[(&str, &[&str], bool)] = &[
    ("1.1", &[], true),
    ("1.1", &["keep-alive"], true),
    ("1.1", &["x-hop"], true),
    ("1.1", &[""], true),
    ("1.1", &[", ,"], true),
    ("1.1", &["closed"], true),
    ("1.1", &["\"close\""], true),
    ("1.1", &["close"], false),
    ("1.1", &["Close"], false),
    ("1.1", &["CLOSE"], false),
    ("1.1", &["x-hop, close"], false),
    ("1.1", &["x-hop,\tCLOSE ,"], false),
    ("1.1", &["x-hop", "close"], false),
    ("1.1", &["close", "x-hop"], false),
    ("1.1", &["keep-alive, close"], false),
    ("1.1", &["close, keep-alive"], false),
    ("1.1", &["keep-alive", "close"], false),
    ("1.0", &[], false),
    ("1.0", &["x-hop"], false),
    ("1.0", &["close"], false),
    ("1.0", &["keep-alive"], true),
    ("1.0", &["Keep-Alive"], true),
    ("1.0", &["KEEP-ALIVE"], true),
    ("1.0", &["x-hop, keep-alive"], true),
    ("1.0", &["x-hop", "keep-alive"], true),
    ("1.0", &["keep-alive, close"], false),
    ("1.0", &["keep-alive", "close"], false),
    ("1.0", &["close", "keep-alive"], false),
];

fn request(path: &str, version: &str, options: &[&str]) -> String {
    let lines: String = options.iter().map(|value| format!("Connection: {value}\r\n")).collect();
    format!("GET {path} HTTP/{version}\r\nhost: x\r\n{lines}x-hop: 1\r\n\r\n")
}

/// Asserts that a response says what becomes of its connection, and that this happens.
async fn check(client: &mut Client, received: &crate::wire::Received, version: &str, is_kept: bool, name: &str) {
    // HTTP/1.0 closes connections by default, so the response need not say it.
    if version == "1.1" || is_kept {
        assert_eq!(received.closes(), !is_kept, "{name}: {received:?}");
    }
    if is_kept {
        if version == "1.0" {
            // RFC 9112, 9.3: a client of HTTP/1.0 keeps the connection only if the response says so.
            assert!(received.options().contains(&"keep-alive".to_owned()), "{name}: {received:?}");
        }
        client.goes_on().await;
    } else {
        client.ends().await;
    }
}

#[tokio::test]
async fn connection_is_kept_as_its_request_says() {
    let raw = echo().await;
    let gateway = before(&raw);
    for (version, options, is_kept) in OPTIONS {
        let name = format!("HTTP/{version} {options:?}");
        let mut client = Client::connect(&gateway).await;
        let received = client.call(request("/api/x", version, options)).await;
        received.is_answer("GET /api/x");
        assert_eq!(received.framing, Framing::Length, "{name}");
        check(&mut client, &received, version, *is_kept, &name).await;
        // And where the gateway itself responds.
        let mut client = Client::connect(&gateway).await;
        let received = client.call(request("/keyed", version, options)).await;
        received.is_refusal(401, "unauthorized");
        check(&mut client, &received, version, *is_kept, &name).await;
    }
}

#[tokio::test]
async fn named_fields_end_at_the_gateway_and_no_option_is_forwarded() {
    let raw = upstream(|sent| {
        let names: Vec<&str> = sent.fields.iter().map(|(name, _)| name.as_str()).collect();
        (answer(&names.join(" ")), false)
    })
    .await;
    let gateway = before(&raw);
    for options in [
        "Connection: X-A, x-b\r\n",
        "Connection: x-a\r\nconnection: X-B\r\n",
        "CONNECTION: ,x-a ,\tX-B,\r\n",
        "Connection: close, x-a, x-b\r\n",
        "Connection: keep-alive, x-b, x-a\r\n",
    ] {
        let fields = "x-a: 1\r\nX-B: 2\r\nX-Kept: 3\r\nKeep-Alive: timeout=5\r\nTE: deflate\r\nUpgrade: x\r\n\
            Proxy-Connection: keep-alive\r\nTrailer: x\r\n";
        let mut client = Client::connect(&gateway).await;
        let received = client.call(format!("GET /api/x HTTP/1.1\r\nhost: x\r\n{options}{fields}\r\n")).await;
        let names: Vec<&str> = received.body.split(' ').collect();
        assert!(names.contains(&"x-kept"), "{names:?}");
        for gone in ["connection", "x-a", "x-b", "keep-alive", "te", "upgrade", "proxy-connection", "trailer"] {
            assert!(!names.contains(&gone), "{gone}: {names:?} with {options:?}");
        }
    }
}

#[tokio::test]
async fn fields_that_a_response_names_end_at_the_gateway_and_its_close_is_its_own() {
    for (options, ends) in [("X-A", false), ("x-a, close", true), ("CLOSE, X-a", true), ("keep-alive, x-A", false)] {
        let response = format!(
            "HTTP/1.1 200 OK\r\nConnection: {options}\r\nX-A: 1\r\nX-Kept: 2\r\nKeep-Alive: timeout=5\r\n\
             Proxy-Connection: close\r\nContent-Length: 2\r\n\r\nok"
        );
        let raw = always(response, ends).await;
        let gateway = before(&raw);
        let mut client = Client::connect(&gateway).await;
        // A connection of the gateway's upstream says nothing about that of its client.
        for _ in 0..2 {
            let received = client.call("GET /api/x HTTP/1.1\r\nhost: x\r\n\r\n").await;
            received.is_answer("ok");
            assert!(!received.closes(), "{received:?}");
            assert_eq!(received.one("x-kept"), Some("2"));
            for gone in ["x-a", "keep-alive", "proxy-connection"] {
                assert_eq!(values(&received.fields, gone), [""; 0], "{options}: {received:?}");
            }
        }
    }
}

#[tokio::test]
async fn nothing_is_served_after_a_request_that_closes() {
    let raw = echo().await;
    let gateway = before(&raw);
    for first in
        ["GET /api/a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "GET /api/a HTTP/1.0\r\nhost: x\r\n\r\n"]
    {
        let before = raw.asked().len();
        let two = format!("{first}GET /api/b HTTP/1.1\r\nhost: x\r\n\r\n");
        let mut client = Client::sending(&gateway, two).await;
        client.response("GET").await.is_answer("GET /api/a");
        client.ends().await;
        assert_eq!(raw.asked().len(), before + 1);
    }
}

#[tokio::test]
async fn bytes_behind_a_request_that_closes_do_not_destroy_its_response() {
    // More than a socket's buffers hold: the response is still on its way when the bytes come.
    let body = "x".repeat(16 << 20);
    let raw = always(answer(&body), false).await;
    let gateway = before(&raw);
    for (version, behind) in [("1.1", "\r\n"), ("1.0", "\r\n"), ("1.1", "GET /api/b HTTP/1.1\r\nhost: x\r\n\r\n")] {
        let head = format!("POST /api/a HTTP/{version}\r\nhost: x\r\nconnection: close\r\ncontent-length: 1\r\n\r\n!");
        let mut client = Client::sending(&gateway, head).await;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        client.send(behind).await;
        let received = client.response("POST").await;
        assert!(received.body.len() == body.len(), "{version} {behind:?}: {} bytes", received.body.len());
        client.half_close().await;
        client.ends().await;
    }
    assert_eq!(raw.asked().len(), 3);
}

#[tokio::test]
async fn connection_is_kept_for_a_hundred_requests_one_after_the_other() {
    let raw = echo().await;
    let gateway = before(&raw);
    let mut client = Client::connect(&gateway).await;
    for _ in 0..100 {
        client.goes_on().await;
        client.call("GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n").await.is_refusal(404, "route_not_found");
    }
    assert!(raw.asked().iter().all(|(number, _)| *number == 1), "one connection of the upstream is enough");
}
