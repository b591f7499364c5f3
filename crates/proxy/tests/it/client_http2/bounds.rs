//! Bounds of heads, streams and connections.

use http::Method;

use crate::client_http2::frame_client::{End, FrameClient, get, post};
use crate::client_http2::stream_client::{StreamClient, request};
use crate::frames::{DATA, NO_ERROR, REFUSED_STREAM, RST_STREAM, SETTINGS, frame};
use crate::gateway::Gateway;
use crate::wire::{before, configured, echo, noted};

#[tokio::test]
async fn settings_announce_the_bounds() {
    let raw = echo().await;
    let gateway = before(&raw);
    let mut client = FrameClient::connect(&gateway, &[]).await;
    let settings = client.next().await.unwrap();
    assert_eq!(settings.kind, SETTINGS);
    let values: Vec<(u16, u32)> = settings
        .payload
        .chunks(6)
        .map(|one| (u16::from_be_bytes([one[0], one[1]]), u32::from_be_bytes(one[2..].try_into().unwrap())))
        .collect();
    // Streams, the window of a stream, and the header list.
    for expected in [(3, 100), (4, 128 * 1024), (6, 128 * 1024)] {
        assert!(values.contains(&expected), "{expected:?} in {values:?}");
    }
}

#[tokio::test]
async fn heads_over_the_bounds_are_refused_with_a_code() {
    let raw = echo().await;
    let gateway = configured(&raw, "sizes: {headers: 8KiB}\n");
    let mut client = StreamClient::connect(&gateway).await;
    let mut many = request(Method::GET, "/api/x");
    for number in 0..101 {
        many = many.header(format!("x-{number}"), "");
    }
    let long = request(Method::GET, "/api/x").header("x", "y".repeat(9_000));
    let target = request(Method::GET, &format!("/api/{}", "y".repeat(9_000)));
    for head in [many, long, target] {
        let answer = client.call(head.body(()).unwrap(), "").await;
        assert!(answer.status == 431 && answer.body.contains("header_too_large"), "{answer:?}");
    }
    // h2 refuses a header list of this size.
    let larger = request(Method::GET, "/api/x").header("x", "y".repeat(20_000));
    assert_eq!(client.call(larger.body(()).unwrap(), "").await.status, 431);
    assert_eq!(client.get("/api/x").await.body, "GET /api/x");
    assert_eq!(noted(&raw).len(), 1);
}

#[tokio::test]
async fn streams_over_the_bound_are_refused_unprocessed() {
    let raw = crate::raw::Raw::start(|mut conn| async move {
        conn.head().await;
        conn.linger().await;
    })
    .await;
    let gateway = before(&raw);
    let mut client = FrameClient::connect(&gateway, &[]).await;
    for number in 0..101 {
        client.send(get(2 * number + 1, "/api/x")).await;
    }
    let reset = client.find(RST_STREAM).await.unwrap();
    assert_eq!((reset.stream, reset.payload), (201, REFUSED_STREAM.to_be_bytes().to_vec()));
}

#[tokio::test]
async fn connections_count_for_their_address() {
    let raw = echo().await;
    let gateway = configured(&raw, "connections: {per_address: 2}\n");
    let mut first = StreamClient::connect(&gateway).await;
    let mut second = StreamClient::connect(&gateway).await;
    assert_eq!(first.get("/api/x").await.status, 200);
    assert_eq!(second.get("/api/x").await.status, 200);
    let mut third = FrameClient::connecting(&gateway).await;
    assert!(third.next().await.is_none_or(|frame| frame.kind != SETTINGS));
    drop((first, second));
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert_eq!(StreamClient::connect(&gateway).await.get("/api/x").await.status, 200);
}

#[tokio::test]
async fn early_responses_are_followed_by_a_reset_without_error() {
    let raw = echo().await;
    let gateway = configured(&raw, "sizes: {body: 1KiB}\n");
    let mut client = FrameClient::connect(&gateway, &[]).await;
    // The route needs a key, and the content never ends.
    client.send(post(1, "/keyed/x")).await;
    client.send(frame(DATA, 0, 1, "hello")).await;
    assert!(matches!(client.end(1).await, End::Answered(_)));
    assert_eq!(client.end(1).await, End::Reset(NO_ERROR));
    // The content is larger than the bound.
    client.send(post(3, "/api/x")).await;
    client.send(frame(DATA, 0, 3, [b'x'; 2_000])).await;
    assert!(client.answer(3).await.1.contains("payload_too_large"));
    assert_eq!(client.end(3).await, End::Reset(NO_ERROR));
    client.get(5, "/api/x").await;
    assert_eq!(client.answer(5).await.1, "GET /api/x");
}

#[tokio::test]
async fn requests_in_flight_of_a_key_are_bounded_across_streams() {
    let raw = crate::raw::Raw::start(|mut conn| async move {
        conn.head().await;
        conn.linger().await;
    })
    .await;
    let yaml = crate::wire::yaml(raw.address, "connections: {in_flight_per_key: 2}\n");
    let gateway = Gateway::plain(&yaml);
    let mut client = StreamClient::connect(&gateway).await;
    let keyed = || request(Method::GET, "/keyed/x").header("authorization", gateway.caller().authorization());
    let first = client.open(keyed().body(()).unwrap(), true).await;
    let second = client.open(keyed().body(()).unwrap(), true).await;
    while noted_connections(&raw) < 2 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let answer = client.call(keyed().body(()).unwrap(), "").await;
    assert!(answer.status == 429 || answer.status == 503, "{answer:?}");
    drop((first, second));
}

fn noted_connections(raw: &crate::raw::Raw) -> usize {
    raw.asked().len()
}
