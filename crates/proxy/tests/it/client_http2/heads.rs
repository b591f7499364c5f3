//! Heads of requests that violate RFC 9113, 8.1 to 8.3, or the rules that HTTP/2 and HTTP/1.1 share.

use crate::client_http2::frame_client::{End, FrameClient, pseudo};
use crate::frames::{DATA, END_HEADERS, END_STREAM, HEADERS, PROTOCOL_ERROR, block, frame};
use crate::wire::{before, echo, noted};

const METHOD: (&str, &str) = (":method", "GET");
const SCHEME: (&str, &str) = (":scheme", "http");
const PATH: (&str, &str) = (":path", "/api/x");
const AUTHORITY: (&str, &str) = (":authority", "x");

/// Returns a GET request with one more field.
fn with<'a>(field: (&'a str, &'a str)) -> Vec<(&'a str, &'a str)> {
    [&pseudo("/api/x")[..], &[field]].concat()
}

/// Sends a request with these fields on a new connection. Asserts that the connection still serves another stream, if the
/// request ended otherwise than with the connection.
async fn check(fields: &[(&str, &str)], expected: End) {
    let raw = echo().await;
    let gateway = before(&raw);
    let mut client = FrameClient::connect(&gateway, &[]).await;
    client.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, block(fields))).await;
    assert_eq!(client.end(1).await, expected, "{fields:?}");
    client.get(3, "/api/next").await;
    assert_eq!(client.answer(3).await.1, "GET /api/next", "{fields:?}");
    let first = if expected == End::Answered("200".to_owned()) { 1 } else { 0 };
    assert_eq!(noted(&raw).len(), first + 1, "{fields:?}");
}

#[tokio::test]
async fn pseudo_fields_that_are_missing_repeated_late_or_unknown_reset_the_stream() {
    for fields in [
        &[SCHEME, PATH, AUTHORITY][..],
        &[METHOD, PATH, AUTHORITY],
        &[METHOD, SCHEME, (":path", ""), AUTHORITY],
        &[METHOD, METHOD, SCHEME, PATH, AUTHORITY],
        &[METHOD, SCHEME, PATH, PATH, AUTHORITY],
        &[METHOD, SCHEME, PATH, AUTHORITY, AUTHORITY],
        &[METHOD, SCHEME, PATH, ("x", "y"), AUTHORITY],
        &[METHOD, SCHEME, PATH, AUTHORITY, (":status", "200")],
    ] {
        check(fields, End::Reset(PROTOCOL_ERROR)).await;
    }
}

#[tokio::test]
async fn fields_of_a_connection_reset_the_stream() {
    for field in [
        ("connection", "close"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("te", "gzip"),
        ("te", "trailers, gzip"),
    ] {
        check(&with(field), End::Reset(PROTOCOL_ERROR)).await;
    }
    check(&with(("te", "trailers")), End::Answered("200".to_owned())).await;
}

#[tokio::test]
async fn websockets_over_http2_are_refused() {
    let connect = [(":method", "CONNECT"), (":protocol", "websocket"), SCHEME, PATH, AUTHORITY];
    check(&connect, End::Reset(PROTOCOL_ERROR)).await;
}

/// The octets of a name or value are checked within HPACK's decoder, whose table is incomplete afterwards. The connection
/// ends then (RFC 9113, 4.3 and 5.4.1).
#[tokio::test]
async fn names_and_values_that_http2_forbids_end_the_connection() {
    for field in [("X-Upper", "1"), ("x y", "1"), ("", "1"), ("x", "a\r\nb"), ("x", "a\0b"), (":unknown", "1")] {
        let raw = echo().await;
        let gateway = before(&raw);
        let mut client = FrameClient::connect(&gateway, &[]).await;
        client.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, block(&with(field)))).await;
        assert_eq!(client.end(1).await, End::GoneAway(PROTOCOL_ERROR), "{field:?}");
        assert!(noted(&raw).is_empty(), "{field:?}");
    }
}

#[tokio::test]
async fn fragment_of_a_path_reaches_no_upstream() {
    let raw = echo().await;
    let gateway = before(&raw);
    let mut client = FrameClient::connect(&gateway, &[]).await;
    for (stream, path) in [(1, "/api/x#y"), (3, "/api/x#/../../y?z"), (5, "/api/x?a#b")] {
        client.get(stream, path).await;
        let forwarded = format!("GET {}", path.split('#').next().unwrap());
        assert_eq!(client.answer(stream).await, ("200".to_owned(), forwarded));
    }
    assert_eq!(noted(&raw), ["GET /api/x", "GET /api/x", "GET /api/x?a"]);
}

#[tokio::test]
async fn rules_of_http1_apply_with_a_code() {
    let raw = echo().await;
    let gateway = before(&raw);
    let mut client = FrameClient::connect(&gateway, &[]).await;
    let mut stream = 1;
    for fields in [
        with(("host", "y")),
        [METHOD, SCHEME, PATH].to_vec(),
        [METHOD, SCHEME, PATH, (":authority", "user@x")].to_vec(),
        [METHOD, SCHEME, (":path", "/api/../x"), AUTHORITY].to_vec(),
        [METHOD, SCHEME, (":path", "/api/%zz"), AUTHORITY].to_vec(),
        [METHOD, (":scheme", "ftp"), PATH, AUTHORITY].to_vec(),
        [METHOD, SCHEME, (":path", "*"), AUTHORITY].to_vec(),
        [&with(("content-length", "0"))[..], &[("content-length", "0")]].concat(),
        with(("content_length", "0")),
    ] {
        client.send(frame(HEADERS, END_STREAM | END_HEADERS, stream, block(&fields))).await;
        let (status, body) = client.answer(stream).await;
        assert!(status == "400" && body.contains("bad_request"), "{fields:?}: {status} {body}");
        stream += 2;
    }
    assert!(noted(&raw).is_empty());
}

#[tokio::test]
async fn hosts_that_repeat_or_replace_the_authority_are_accepted() {
    check(&with(("host", "X")), End::Answered("200".to_owned())).await;
    check(&[METHOD, SCHEME, PATH, ("host", "x")], End::Answered("200".to_owned())).await;
}

#[tokio::test]
async fn connect_is_refused_with_a_code() {
    let raw = echo().await;
    let gateway = before(&raw);
    let mut client = FrameClient::connect(&gateway, &[]).await;
    let connect = [(":method", "CONNECT"), (":authority", "x:443")];
    client.send(frame(HEADERS, END_HEADERS, 1, block(&connect))).await;
    assert!(client.answer(1).await.1.contains("method_not_allowed"));
}

#[tokio::test]
async fn content_that_differs_from_its_length_resets_the_stream() {
    let raw = echo().await;
    let gateway = before(&raw);
    for (flags, content) in [(END_STREAM, None), (0, Some("hellooo")), (0, Some("hell"))] {
        let mut client = FrameClient::connect(&gateway, &[]).await;
        let fields = [(":method", "POST"), SCHEME, PATH, AUTHORITY, ("content-length", "5")];
        client.send(frame(HEADERS, flags | END_HEADERS, 1, block(&fields))).await;
        if let Some(content) = content {
            client.send(frame(DATA, END_STREAM, 1, content)).await;
        }
        assert_eq!(client.end(1).await, End::Reset(PROTOCOL_ERROR), "{content:?}");
        client.get(3, "/api/next").await;
        assert_eq!(client.answer(3).await.1, "GET /api/next");
    }
}
