//! Flow control: windows that stay closed, open slowly, or overflow.

use std::sync::atomic::Ordering;
use std::time::Duration;

use http::Method;
use tokio::time::{Instant, sleep, timeout};

use crate::client_http2::before_streams;
use crate::client_http2::frame_client::{CANCEL, ENHANCE_YOUR_CALM, End, FrameClient, get, post, settings};
use crate::client_http2::stream_client::{StreamClient, request};
use crate::frames::{DATA, END_STREAM, FLOW_CONTROL_ERROR, HEADERS, WINDOW_UPDATE, frame};
use crate::gateway::Gateway;
use crate::raw::{Conn, Raw};
use crate::streams::{Plan, Server, StreamRequest};
use crate::wire::{PATIENCE, always, answer, before, configured, yaml};

const INITIAL_WINDOW: u16 = 4;

fn window(stream: u32, bytes: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, bytes.to_be_bytes())
}

#[tokio::test]
async fn response_waits_for_the_window_and_ends_byte_by_byte() {
    let raw = always(answer("hello"), false).await;
    let gateway = before(&raw);
    let mut client = FrameClient::connect(&gateway, &[(INITIAL_WINDOW, 0)]).await;
    client.send(get(1, "/api/x")).await;
    assert!(client.find(HEADERS).await.is_some());
    for (at, byte) in "hello".bytes().enumerate() {
        client.send(window(1, 1)).await;
        let data = client.find(DATA).await.unwrap();
        assert_eq!((data.payload, data.flags & END_STREAM != 0), (vec![byte], at == 4));
    }
}

#[tokio::test]
async fn stream_whose_window_stays_closed_is_reset_and_others_continue() {
    let raw = always(answer("hello"), false).await;
    let gateway = configured(&raw, "timeouts: {connect: 1s, idle: 600ms}\n");
    let mut client = FrameClient::connect(&gateway, &[(INITIAL_WINDOW, 0)]).await;
    client.send(get(1, "/api/x")).await;
    let since = Instant::now();
    client.send(get(3, "/api/x")).await;
    client.send(window(3, 100)).await;
    assert_eq!(client.answer(3).await.1, "hello");
    assert_eq!(client.end(1).await, End::Reset(CANCEL));
    assert!(since.elapsed() >= Duration::from_millis(500), "{:?}", since.elapsed());
    client.send(get(5, "/api/x")).await;
    client.send(window(5, 100)).await;
    assert_eq!(client.answer(5).await.1, "hello");
}

#[tokio::test]
async fn client_that_reads_a_byte_at_a_time_has_the_total_time() {
    let raw = always(answer(&"x".repeat(1_000)), false).await;
    let gateway = configured(&raw, "timeouts: {connect: 1s, idle: 600ms, first_byte: 600ms, total: 1500ms}\n");
    let mut client = FrameClient::connect(&gateway, &[(INITIAL_WINDOW, 0)]).await;
    client.send(get(1, "/api/x")).await;
    let since = Instant::now();
    let end = loop {
        sleep(Duration::from_millis(50)).await;
        if !client.try_send(window(1, 1)).await {
            break End::Closed;
        }
        let frame = client.next().await.expect("a frame");
        if frame.kind == crate::frames::RST_STREAM {
            break End::Reset(u32::from_be_bytes(frame.payload.try_into().unwrap()));
        }
        assert!(since.elapsed() < Duration::from_secs(10), "the stream goes on");
    };
    assert_eq!(end, End::Reset(CANCEL));
    assert!(since.elapsed() >= Duration::from_millis(1_400));
}

#[tokio::test]
async fn client_that_reads_nothing_ends_its_connection() {
    let server = Server::start(Plan::streams(100), StreamRequest::pour).await;
    let gateway = before_streams(&server, "timeouts: {connect: 1s, idle: 600ms}\n");
    let large = (1 << 31) - 1 - 65_535;
    let mut client = FrameClient::connect(&gateway, &[(INITIAL_WINDOW, 1 << 30)]).await;
    client.send(window(0, large)).await;
    client.send(get(1, "/api/x")).await;
    let mut before = 0;
    // The kernel buffers some megabytes.
    loop {
        sleep(Duration::from_secs(1)).await;
        let sent = server.seen.sent.load(Ordering::Relaxed);
        if sent == before && sent > 0 {
            break;
        }
        before = sent;
    }
    assert!(before < 64 * 1024 * 1024, "{before} bytes are buffered");
    let since = Instant::now();
    while server.seen.cancelled.load(Ordering::Relaxed) != 1 {
        assert!(since.elapsed() < Duration::from_secs(20), "the request has ended");
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn response_without_a_reader_is_not_read_from_the_upstream() {
    let server = Server::start(Plan::streams(100), StreamRequest::pour).await;
    let gateway = before_streams(&server, "");
    let mut client = FrameClient::connect(&gateway, &[(INITIAL_WINDOW, 0)]).await;
    client.send(get(1, "/api/x")).await;
    assert!(client.find(HEADERS).await.is_some());
    sleep(Duration::from_millis(500)).await;
    let sent = server.seen.sent.load(Ordering::Relaxed);
    // The window of the upstream's stream, and one piece.
    assert!(sent <= 512 * 1024, "{sent}");
}

#[tokio::test]
async fn windows_that_overflow_are_errors_of_the_stream_or_the_connection() {
    let raw = crate::raw::Raw::start(|mut conn| async move {
        conn.head().await;
        conn.linger().await;
    })
    .await;
    let gateway = before(&raw);
    let all = (1 << 31) - 1;
    let mut client = FrameClient::connect(&gateway, &[]).await;
    client.send([get(1, "/api/x"), window(1, all)].concat()).await;
    assert_eq!(client.end(1).await, End::Reset(FLOW_CONTROL_ERROR));
    client.send(window(0, all)).await;
    assert_eq!(client.end(3).await, End::GoneAway(FLOW_CONTROL_ERROR));

    let mut client = FrameClient::connect(&gateway, &[]).await;
    client.send([get(1, "/api/x"), window(1, 1 << 30)].concat()).await;
    client.send(settings(&[(INITIAL_WINDOW, all)])).await;
    assert!(matches!(client.end(1).await, End::GoneAway(FLOW_CONTROL_ERROR) | End::Reset(FLOW_CONTROL_ERROR)));

    let mut client = FrameClient::connect(&gateway, &[(INITIAL_WINDOW, 1 << 31)]).await;
    assert!(matches!(client.end(1).await, End::GoneAway(_)));
}

#[tokio::test]
async fn content_beyond_the_window_is_an_error() {
    // The upstream reads the head only.
    let raw = crate::raw::Raw::start(|conn| async move {
        sleep(Duration::from_secs(60)).await;
        drop(conn);
    })
    .await;
    let gateway = before(&raw);
    let mut client = FrameClient::connect(&gateway, &[]).await;
    // The settings are acknowledged, so that the window of a stream applies.
    assert!(client.next().await.is_some());
    client.send(post(1, "/api/x")).await;
    let mut ended = None;
    for _ in 0..4_000 {
        if !client.try_send(frame(DATA, 0, 1, [b'x'; 16 * 1024])).await {
            ended = Some(());
            break;
        }
    }
    assert!(ended.is_some() || matches!(client.end(1).await, End::GoneAway(FLOW_CONTROL_ERROR) | End::Reset(_)));
}

/// Fills the windows of streams with frames of 8 bytes, which nothing reads. Returns the end of another request.
async fn end_beside_full_windows(streams: u32) -> End {
    let raw = Raw::start(|mut conn: Conn| async move {
        conn.head().await;
        conn.linger().await;
    })
    .await;
    // The content of requests that wait for a connection is not read.
    let limited = "{name: backend, pool: {max_connections: 1},";
    let yaml = yaml(raw.address, "timeouts: {connect: 20s}\n").replace("{name: backend,", limited);
    let gateway = Gateway::plain(&yaml);
    let mut client = FrameClient::connect(&gateway, &[]).await;
    // The settings precede the window of the connection, and are acknowledged.
    assert!(client.find(WINDOW_UPDATE).await.is_some());
    client.send(get(1, "/api/x")).await;
    let received = async {
        while raw.asked().is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, received).await.expect("the first request uses the only connection");
    for stream in (0..streams).map(|number| 2 * number + 3) {
        let content = frame(DATA, 0, stream, [b'x'; 8]).repeat(16 * 1024);
        if !client.try_send([post(stream, "/api/x"), content].concat()).await {
            break;
        }
    }
    client.try_send(get(35, "/nowhere")).await;
    client.end(35).await
}

#[tokio::test]
async fn one_stream_may_be_full_of_small_frames() {
    assert_eq!(end_beside_full_windows(1).await, End::Answered("404".to_owned()));
    // The client may lose the GOAWAY, because it still sends.
    let end = end_beside_full_windows(16).await;
    assert!(matches!(end, End::GoneAway(ENHANCE_YOUR_CALM) | End::Closed), "{end:?}");
}

#[tokio::test]
async fn upload_continues_when_the_upstream_reads() {
    let server = Server::start(Plan::streams(100), async |mut asked: StreamRequest| {
        let seen = asked.seen.clone();
        seen.gate.acquire().await.unwrap().forget();
        let bytes = asked.read().await.len();
        asked.answer(bytes.to_string());
    })
    .await;
    let gateway = before_streams(&server, "");
    let mut client = StreamClient::connect(&gateway).await;
    let (answer, mut to) = client.open(request(Method::POST, "/api/x").body(()).unwrap(), false).await;
    to.send_data(vec![b'x'; 5_000_000].into(), true).unwrap();
    sleep(Duration::from_millis(200)).await;
    // Another stream is served meanwhile.
    server.seen.gate.add_permits(2);
    assert_eq!(client.call(request(Method::POST, "/api/x").body(()).unwrap(), "hi").await.body, "2");
    assert_eq!(StreamClient::read(answer).await.body, "5000000");
}
