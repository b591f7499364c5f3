//! Responses without content: those to HEAD, and 204, 205 and 304 (RFC 9110, 9.3.2 and 15; RFC 9112, 6.3).

use crate::wire::{Client, Framing, always, before, echo, upstream};

#[tokio::test]
async fn head_gets_the_fields_of_a_get_and_the_connection_goes_on() {
    let raw = upstream(|sent| {
        let is_head = sent.line.starts_with("HEAD");
        let body = if is_head { "" } else { "GET /api/next" };
        (format!("HTTP/1.1 200 OK\r\ncontent-length: 13\r\netag: \"a\"\r\n\r\n{body}"), false)
    })
    .await;
    let gateway = before(&raw);
    let mut client = Client::connect(&gateway).await;
    for _ in 0..3 {
        client.send("HEAD /api/x HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let received = client.response("HEAD").await;
        assert_eq!((received.status, received.one("content-length")), (200, Some("13")), "{received:?}");
        assert_eq!((received.one("etag"), received.one("transfer-encoding")), (Some("\"a\""), None), "{received:?}");
        assert!(!received.closes(), "{received:?}");
        client.goes_on().await;
    }
}

#[tokio::test]
async fn head_of_a_response_without_length_has_no_body() {
    for (response, ends) in [
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\nx-a: b\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\nx-a: b\r\n\r\n", true),
        ("HTTP/1.0 200 OK\r\n\r\n", true),
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\n\r\n", false),
        ("HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", false),
    ] {
        let raw = upstream(move |sent| match sent.line.starts_with("HEAD") {
            true => (response.to_owned(), ends),
            false => (crate::wire::answer(&sent.summary()), false),
        })
        .await;
        let gateway = before(&raw);
        let mut client = Client::sending(&gateway, "HEAD /api/x HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let received = client.response("HEAD").await;
        assert_eq!(response.split(' ').nth(1), Some(received.status.to_string().as_str()), "{received:?}");
        if received.closes() {
            client.ends().await;
        } else {
            client.goes_on().await;
        }
    }
}

#[tokio::test]
async fn head_in_http_1_0_gets_a_head_alone() {
    let raw = always("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", false).await;
    let gateway = before(&raw);
    let mut client = Client::sending(&gateway, "HEAD /api/x HTTP/1.0\r\nhost: x\r\n\r\n").await;
    let received = client.response("HEAD").await;
    assert_eq!((received.status, received.one("content-length")), (200, Some("5")));
    client.ends().await;
}

#[tokio::test]
async fn refusal_of_a_head_announces_the_length_of_its_body_and_sends_none() {
    let raw = echo().await;
    let gateway = before(&raw);
    for (path, status) in [("/keyed", 401), ("/nowhere", 404)] {
        let mut client = Client::connect(&gateway).await;
        let got = client.call(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        client.send(format!("HEAD {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        let headed = client.response("HEAD").await;
        assert_eq!((got.status, headed.status), (status, status));
        assert_eq!(got.body.len().to_string(), got.one("content-length").unwrap());
        assert_eq!(headed.one("content-length"), got.one("content-length"), "{headed:?}");
        assert_eq!(headed.one("content-type"), got.one("content-type"));
        assert!(!headed.closes(), "{headed:?}");
        client.goes_on().await;
    }
    assert_eq!(raw.asked().len(), 2, "only what follows reaches the upstream");
}

#[tokio::test]
async fn refused_head_with_a_request_body_has_no_response_body() {
    let raw = echo().await;
    let gateway = before(&raw);
    let mut client =
        Client::sending(&gateway, "HEAD /keyed HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello").await;
    assert_eq!(client.response("HEAD").await.status, 401);
    client.goes_on().await;
}

#[tokio::test]
async fn statuses_without_content_have_no_bytes_and_no_framing_that_announces_any() {
    for (response, length) in [
        ("HTTP/1.1 204 No Content\r\nx-a: b\r\n\r\n", None),
        ("HTTP/1.1 204 No Content\r\nx-a: b\r\ncontent-length: 0\r\n\r\n", None),
        ("HTTP/1.1 304 Not Modified\r\nx-a: b\r\n\r\n", None),
        ("HTTP/1.1 304 Not Modified\r\nx-a: b\r\ncontent-length: 100\r\n\r\n", Some("100")),
        ("HTTP/1.1 205 Reset Content\r\nx-a: b\r\ncontent-length: 0\r\n\r\n", Some("0")),
        ("HTTP/1.1 200 OK\r\nx-a: b\r\ncontent-length: 0\r\n\r\n", Some("0")),
    ] {
        let raw = upstream(move |sent| match sent.line.starts_with("POST") {
            true => (response.to_owned(), false),
            false => (crate::wire::answer(&sent.summary()), false),
        })
        .await;
        let gateway = before(&raw);
        let mut client = Client::connect(&gateway).await;
        for _ in 0..2 {
            let received = client.call("POST /api/x HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n!").await;
            assert!(response.contains(&format!(" {} ", received.status)), "{received:?}");
            assert_eq!((received.body.as_str(), received.one("x-a")), ("", Some("b")), "{received:?}");
            assert_eq!(received.one("transfer-encoding"), None, "{received:?}");
            // RFC 9110, 8.6: no length in a 204; that of a 304 is what a 200 would have had.
            if received.status == 204 {
                assert_eq!(received.one("content-length"), None, "{received:?}");
            } else if received.status == 304 {
                assert!(received.one("content-length").is_none_or(|own| Some(own) == length), "{received:?}");
            } else {
                assert_eq!(received.one("content-length"), length, "{received:?}");
            }
            client.goes_on().await;
        }
    }
}

#[tokio::test]
async fn length_of_a_304_is_kept() {
    let raw = always("HTTP/1.1 304 Not Modified\r\ncontent-length: 100\r\n\r\n", false).await;
    let gateway = before(&raw);
    let mut client = Client::connect(&gateway).await;
    for _ in 0..2 {
        let received = client.call("GET /api/x HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert_eq!((received.status, received.one("content-length")), (304, Some("100")), "{received:?}");
    }
}

#[tokio::test]
async fn reset_content_that_has_content_keeps_its_framing() {
    // RFC 9110, 15.3.6: a server must not send content. If it does, the client reads the framed content.
    for response in [
        "HTTP/1.1 205 Reset Content\r\ncontent-length: 3\r\n\r\nabc",
        "HTTP/1.1 205 Reset Content\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ] {
        let raw = always(response, false).await;
        let gateway = before(&raw);
        let mut client = Client::connect(&gateway).await;
        for _ in 0..2 {
            let received = client.call("GET /api/x HTTP/1.1\r\nhost: x\r\n\r\n").await;
            assert_eq!((received.status, received.body.as_str()), (205, "abc"), "{received:?}");
            assert_ne!(received.framing, Framing::Cut);
        }
    }
}
