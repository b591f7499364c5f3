//! The ends of streams and connections: resets, disconnects, deadlines and shutdowns.

use std::sync::atomic::Ordering;
use std::time::Duration;

use h2::Reason;
use http::{Method, Response};
use tokio::time::{Instant, sleep, timeout};

use crate::client_http2::before_streams;
use crate::client_http2::frame_client::{CANCEL, End, FrameClient, PREFACE, get, post, settings};
use crate::client_http2::stream_client::{StreamClient, request};
use crate::frames::{DATA, GOAWAY, HEADERS, INTERNAL_ERROR, frame, reset};
use crate::gateway::Gateway;
use crate::streams::{Plan, Server, StreamRequest};
use crate::wire::{Client, PATIENCE, always, before, configured, echo};

const HURRIED: &str = "timeouts: {connect: 1s, idle: 600ms}\n";

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn reset_by_the_client_cancels_the_request_upstream() {
    let server = Server::start(Plan::streams(100), StreamRequest::pour).await;
    let gateway = before_streams(&server, "");
    let mut client = FrameClient::connect(&gateway, &[]).await;
    client.send(get(1, "/api/x")).await;
    assert!(client.find(DATA).await.is_some());
    client.send(reset(1, CANCEL)).await;
    until("the upstream's stream is reset", || server.seen.cancelled.load(Ordering::Relaxed) == 1).await;
}

#[tokio::test]
async fn end_of_the_connection_cancels_all_its_requests() {
    let server = Server::start(Plan::streams(100), StreamRequest::pour).await;
    let gateway = before_streams(&server, "");
    let mut client = FrameClient::connect(&gateway, &[]).await;
    for number in 0..10 {
        client.send(get(2 * number + 1, "/api/x")).await;
    }
    until("all requests are sent", || server.seen.streams.load(Ordering::Relaxed) == 10).await;
    assert!(client.find(DATA).await.is_some());
    drop(client);
    until("the upstream's streams are reset", || server.seen.cancelled.load(Ordering::Relaxed) == 10).await;
}

#[tokio::test]
async fn llm_call_whose_stream_is_reset_is_recorded_as_caller_gone() {
    let raw = always(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 9999\r\n\r\n\
         data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n",
        false,
    )
    .await;
    let mut gateway = Gateway::before_llm(&format!("http://{}", raw.address));
    let mut client = StreamClient::connect(&gateway).await;
    let request = request(Method::POST, "/v1/chat/completions")
        .header("authorization", gateway.caller().authorization())
        .header("content-type", "application/json")
        .body(())
        .unwrap();
    let (answer, mut to) = client.open(request, false).await;
    to.send_data(r#"{"model":"far/m","stream":true,"messages":[]}"#.into(), true).unwrap();
    let mut incoming = timeout(PATIENCE, answer).await.unwrap().unwrap().into_body();
    assert!(timeout(PATIENCE, incoming.data()).await.unwrap().unwrap().is_ok());
    to.send_reset(Reason::CANCEL);
    drop(incoming);
    until("the request is settled", || gateway.ended().settled == 1).await;
    let records = format!("{:?}", gateway.stop().await);
    assert!(records.contains("CallerGone"), "{records}");
}

#[tokio::test]
async fn reset_within_an_upload_ends_only_that_request() {
    let server = Server::start(Plan::streams(100), async |mut asked: StreamRequest| {
        let seen = asked.seen.clone();
        let mut whole = 0;
        while let Some(data) = asked.body.data().await {
            let Ok(data) = data else {
                seen.cancelled.fetch_add(1, Ordering::Relaxed);
                return;
            };
            whole += data.len();
            let _ = asked.body.flow_control().release_capacity(data.len());
        }
        asked.answer(whole.to_string());
    })
    .await;
    let gateway = before_streams(&server, "");
    let mut client = FrameClient::connect(&gateway, &[]).await;
    client.send([post(1, "/api/x"), frame(DATA, 0, 1, "hello")].concat()).await;
    until("the request is sent", || server.seen.streams.load(Ordering::Relaxed) == 1).await;
    client.send(reset(1, CANCEL)).await;
    until("the upstream's stream is reset", || server.seen.cancelled.load(Ordering::Relaxed) == 1).await;
    client.send([post(3, "/api/x"), frame(DATA, 1, 3, "hello")].concat()).await;
    assert_eq!(client.answer(3).await.1, "5");
}

#[tokio::test]
async fn upstream_that_fails_within_its_response_resets_the_stream() {
    let raw = always("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello", true).await;
    let gateway = before(&raw);
    let mut client = FrameClient::connect(&gateway, &[]).await;
    for stream in [1, 3] {
        client.send(get(stream, "/api/x")).await;
        assert_eq!(client.end(stream).await, End::Reset(INTERNAL_ERROR));
    }
}

#[tokio::test]
async fn slow_upstreams_end_as_over_http1() {
    let raw = crate::raw::Raw::start(|mut conn| async move {
        conn.head().await;
        conn.linger().await;
    })
    .await;
    let gateway = configured(&raw, "timeouts: {connect: 1s, first_byte: 600ms}\n");
    let mut client = StreamClient::connect(&gateway).await;
    let answer = client.get("/api/x").await;
    assert!(answer.status == 504 && answer.body.contains("upstream_timeout"), "{answer:?}");
}

#[tokio::test]
async fn idle_connection_ends_with_goaway_and_pings_do_not_keep_it() {
    let raw = echo().await;
    let gateway = configured(&raw, HURRIED);
    let mut client = FrameClient::connect(&gateway, &[]).await;
    client.get(1, "/api/x").await;
    assert_eq!(client.answer(1).await.1, "GET /api/x");
    let since = Instant::now();
    let end = loop {
        if !client.try_send(frame(crate::frames::PING, 0, 0, [0; 8])).await {
            break None;
        }
        match client.next().await {
            Some(frame) if frame.kind == GOAWAY => break Some(frame.payload[4..].to_vec()),
            Some(_) => {}
            None => break None,
        }
        sleep(Duration::from_millis(50)).await;
    };
    assert!(end.is_none_or(|reason| reason == [0; 4]));
    assert!(since.elapsed() >= Duration::from_millis(400) && since.elapsed() < Duration::from_secs(8));
}

#[tokio::test]
async fn incomplete_prefaces_and_header_blocks_end_in_time() {
    let raw = echo().await;
    let gateway = configured(&raw, HURRIED);
    let unfinished = frame(HEADERS, 1, 1, [0x82]);
    for begin in [
        PREFACE[..18].to_vec(),
        PREFACE.to_vec(),
        [PREFACE, &settings(&[])[..5]].concat(),
        [PREFACE, &settings(&[]), &unfinished].concat(),
    ] {
        let mut client = FrameClient::connecting(&gateway).await;
        client.send(&begin).await;
        let ended = timeout(Duration::from_secs(8), async { while client.next().await.is_some() {} }).await;
        assert!(ended.is_ok(), "{} bytes", begin.len());
    }
}

#[tokio::test]
async fn invalid_prefaces_and_first_frames_end_the_connection() {
    let raw = echo().await;
    let gateway = before(&raw);
    let mut client = FrameClient::connecting(&gateway).await;
    client.send(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n").await;
    while client.next().await.is_some() {}
    let mut client = FrameClient::connecting(&gateway).await;
    client.send([PREFACE, &frame(DATA, 0, 1, "x")].concat()).await;
    assert!(matches!(client.end(1).await, End::GoneAway(_) | End::Closed));
    let mut client = FrameClient::connect(&gateway, &[]).await;
    // An even number, and a frame that is larger than the maximum.
    client.send(get(2, "/api/x")).await;
    assert!(matches!(client.end(2).await, End::GoneAway(_)));
    let mut client = FrameClient::connect(&gateway, &[]).await;
    client.try_send(frame(DATA, 0, 1, vec![0; 20_000])).await;
    assert!(matches!(client.end(1).await, End::GoneAway(_) | End::Closed));
}

#[tokio::test]
async fn drain_sends_goaway_and_finishes_requests_in_flight() {
    let server = Server::start(Plan::streams(100), async |asked: StreamRequest| {
        let seen = asked.seen.clone();
        seen.gate.acquire().await.unwrap().forget();
        asked.answer("done");
    })
    .await;
    let gateway = before_streams(&server, "");
    let mut client = FrameClient::connect(&gateway, &[]).await;
    client.send(get(1, "/api/x")).await;
    let mut idle = FrameClient::connect(&gateway, &[]).await;
    assert!(idle.next().await.is_some());
    until("the request is sent", || server.seen.streams.load(Ordering::Relaxed) == 1).await;
    gateway.drain();
    let goaway = client.find(GOAWAY).await.unwrap();
    assert_eq!(goaway.payload[4..], [0; 4]);
    let since = Instant::now();
    while idle.next().await.is_some() {}
    assert!(since.elapsed() < Duration::from_secs(8), "the idle connection ends");
    // A request that was in transit is served.
    client.send(get(3, "/api/x")).await;
    for stream in [1, 3] {
        server.seen.gate.add_permits(1);
        assert_eq!(client.end(stream).await, End::Answered("200".to_owned()));
    }
    while client.next().await.is_some() {}
}

#[tokio::test]
async fn an_announced_shutdown_ends_connections_of_http1_alone_with_their_response() {
    const GET: &str = "GET /api/x HTTP/1.1\r\nhost: x\r\n\r\n";
    let raw = echo().await;
    let gateway = before(&raw);
    let mut early = Client::connect(&gateway).await;
    let mut early_streams = StreamClient::connect(&gateway).await;
    assert!(!early.call(GET).await.closes());
    assert_eq!(early_streams.get("/api/x").await.status, 200);
    gateway.announce_shutdown();
    let deadline = Instant::now() + PATIENCE;
    while !early.call(GET).await.closes() {
        assert!(Instant::now() < deadline, "no response closes the connection");
    }
    early.ends().await;
    let mut late = Client::connect(&gateway).await;
    let received = late.call(GET).await;
    received.is_answer("GET /api/x");
    assert!(received.closes(), "{received:?}");
    for streams in [&mut early_streams, &mut StreamClient::connect(&gateway).await] {
        for _ in 0..3 {
            assert_eq!(streams.get("/api/x").await.status, 200);
        }
    }
}

#[tokio::test]
async fn client_that_ignores_goaway_does_not_delay_a_drain() {
    let raw = echo().await;
    let gateway = before(&raw);
    let mut client = FrameClient::connect(&gateway, &[]).await;
    client.get(1, "/api/x").await;
    assert_eq!(client.answer(1).await.1, "GET /api/x");
    gateway.drain();
    // It acknowledges no PING.
    use tokio::io::AsyncReadExt as _;
    let mut bytes = Vec::new();
    let ended = timeout(Duration::from_secs(8), async {
        while client.stream.read_buf(&mut bytes).await.is_ok_and(|read| read > 0) {}
    });
    assert!(ended.await.is_ok());
}

#[tokio::test]
async fn end_of_the_shutdown_refuses_requests_that_wait() {
    let raw = crate::raw::Raw::start(|mut conn| async move {
        conn.head().await;
        conn.linger().await;
    })
    .await;
    let mut gateway = before(&raw);
    let mut client = StreamClient::connect(&gateway).await;
    let (answer, _to) = client.open(request(Method::GET, "/api/x").body(()).unwrap(), true).await;
    until("the request is sent", || !raw.asked().is_empty()).await;
    let (answer, _records) = tokio::join!(StreamClient::read(answer), gateway.stop());
    assert!(answer.status == 503 && answer.body.contains("draining"), "{answer:?}");
}

#[tokio::test]
async fn upload_of_a_request_that_was_answered_is_no_error() {
    let server = Server::start(Plan::streams(100), async |mut asked: StreamRequest| {
        let mut to = asked.reply.send_response(Response::new(()), false).unwrap();
        to.send_data("early".into(), true).unwrap();
        let _ = asked.read().await;
    })
    .await;
    let gateway = before_streams(&server, "");
    let mut client = FrameClient::connect(&gateway, &[]).await;
    client.send([post(1, "/api/x"), frame(DATA, 0, 1, "hello")].concat()).await;
    assert_eq!(client.answer(1).await.1, "early");
    // Content in transit is ignored, and the connection continues.
    client.send(frame(DATA, 0, 1, "more")).await;
    client.send([post(3, "/api/x"), frame(DATA, 1, 3, "hello")].concat()).await;
    assert_eq!(client.answer(3).await.1, "early");
}
