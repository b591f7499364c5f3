//! HTTP/2 from clients: requests of good clients, and frames of hostile ones.

mod bounds;
mod cut_responses;
mod floods;
mod frame_client;
mod grpc;
mod heads;
mod lifetimes;
mod stream_client;
mod windows;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version};
use tokio::time::timeout;

pub(crate) use self::stream_client::StreamClient;
use self::stream_client::request;
use crate::gateway::Gateway;
use crate::streams::{Plan, Server, StreamRequest};
use crate::wire::{Client, PATIENCE, always, answer, before, echo, noted, upstream, yaml};

/// A gateway with the routes of [`yaml`] before an upstream that speaks HTTP/2.
fn before_streams(server: &Server, more: &str) -> Gateway {
    Gateway::plain(&yaml(server.address, more).replace("http://", "h2c://"))
}

#[tokio::test]
async fn get_passes_as_over_http1() {
    let raw = echo().await;
    let gateway = before(&raw);
    let mut client = StreamClient::connect(&gateway).await;
    for number in 0..3 {
        let answer = client.get(&format!("/api/x?{number}")).await;
        assert_eq!((answer.status, answer.version), (StatusCode::OK, Version::HTTP_2));
        assert_eq!(answer.body, format!("GET /api/x?{number}"));
        assert_eq!(answer.header("content-length"), Some("12"));
        assert!(answer.header("date").is_some() && answer.header("x-request-id").is_some());
        assert_eq!(answer.header("connection"), None);
    }
    assert!(raw.asked().iter().all(|(connection, _)| *connection == 1), "the upstream's connection is reused");
}

#[tokio::test]
async fn upstreams_get_the_fields_that_http1_clients_cause() {
    let raw = upstream(|sent| {
        let names = ["host", "x-forwarded-for", "x-forwarded-host", "cookie", "connection", "te", "transfer-encoding"];
        let fields = names.map(|name| {
            let all = sent.fields.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_str());
            format!("{name}={}", all.collect::<Vec<_>>().join("+"))
        });
        (answer(&fields.join("|")), false)
    })
    .await;
    let gateway = before(&raw);
    let mut client = StreamClient::connect(&gateway).await;
    let request = request(Method::GET, "/api/x").header("cookie", "a=b").header("cookie", "c=d");
    let answer = client.call(request.body(()).unwrap(), "").await;
    let expected = "host=gateway.test|x-forwarded-for=127.0.0.1|x-forwarded-host=gateway.test|cookie=a=b; c=d|connection=|te=|\
        transfer-encoding=";
    assert_eq!(answer.body, expected);
}

#[tokio::test]
async fn bodies_pass_with_and_without_a_length() {
    let raw = echo().await;
    let gateway = before(&raw);
    let mut client = StreamClient::connect(&gateway).await;
    let with_length = request(Method::POST, "/api/x").header("content-length", "5").body(()).unwrap();
    assert_eq!(client.call(with_length, "hello").await.body, "POST /api/x | hello");
    let without = request(Method::POST, "/api/x").body(()).unwrap();
    assert_eq!(client.call(without, "hello").await.body, "POST /api/x | hello");
    let empty = request(Method::POST, "/api/x").header("content-length", "0").body(()).unwrap();
    assert_eq!(client.call(empty, "").await.body, "POST /api/x");
}

#[tokio::test]
async fn large_bodies_pass_both_ways() {
    let server = Server::start(Plan::streams(100), async |mut asked: StreamRequest| {
        let body = asked.read().await;
        let mut to = asked.reply.send_response(Response::new(()), false).unwrap();
        to.send_data(body.into(), true).unwrap();
        // The connection is dropped only after the response.
        let _ = std::future::poll_fn(|cx| to.poll_reset(cx)).await;
    })
    .await;
    let gateway = before_streams(&server, "");
    let mut client = StreamClient::connect(&gateway).await;
    let sent: Bytes = (0..3 * 1024 * 1024).map(|at| b'a' + u8::try_from(at % 23).unwrap()).collect();
    let answer = client.call(request(Method::POST, "/api/x").body(()).unwrap(), sent.clone()).await;
    assert!(answer.body.as_bytes() == sent, "the body comes back as it was sent");
}

#[tokio::test]
async fn streams_of_a_connection_are_served_at_the_same_time() {
    let server = Server::start(Plan::streams(100), async |asked: StreamRequest| {
        let seen = asked.seen.clone();
        seen.gate.acquire().await.unwrap().forget();
        asked.answer("done");
    })
    .await;
    let gateway = before_streams(&server, "");
    let mut client = StreamClient::connect(&gateway).await;
    let mut pending = Vec::new();
    for _ in 0..50 {
        pending.push(client.open(request(Method::GET, "/api/x").body(()).unwrap(), true).await.0);
    }
    timeout(PATIENCE, async {
        while server.seen.streams.load(std::sync::atomic::Ordering::Relaxed) < 50 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("all requests reach the upstream");
    server.seen.gate.add_permits(50);
    for answer in pending {
        assert_eq!(StreamClient::read(answer).await.body, "done");
    }
}

#[tokio::test]
async fn trailers_follow_content_of_an_announced_length() {
    let server = Server::start(Plan::streams(100), async |mut asked: StreamRequest| {
        let is_late = asked.seen.streams.load(std::sync::atomic::Ordering::Relaxed) > 1;
        let head = Response::builder().header("content-length", "5").header("trailer", "x-t").body(()).unwrap();
        let mut to = asked.reply.send_response(head, false).unwrap();
        to.send_data("hello".into(), false).unwrap();
        if is_late {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("x-t", HeaderValue::from_static("v"));
        to.send_trailers(trailers).unwrap();
    })
    .await;
    let gateway = before_streams(&server, "");
    let mut client = StreamClient::connect(&gateway).await;
    for accepts in [true, true, false] {
        let request = request(Method::GET, "/api/x");
        let request = if accepts { request.header("te", "trailers") } else { request };
        let answer = client.call(request.body(()).unwrap(), "").await;
        assert_eq!((answer.body.as_str(), answer.header("content-length")), ("hello", Some("5")));
        let value = answer.trailers.as_ref().map(|trailers| trailers["x-t"].as_bytes());
        assert_eq!(
            (value, answer.header("trailer")),
            if accepts { (Some(&b"v"[..]), Some("x-t")) } else { (None, None) }
        );
    }
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn trailers_pass_both_ways_between_streams() {
    let server = Server::start(Plan::streams(100), async |mut asked: StreamRequest| {
        asked.read().await;
        let received = asked.body.trailers().await.unwrap().unwrap_or_default();
        let mut to = asked.reply.send_response(Response::new(()), false).unwrap();
        to.send_data("hello".into(), false).unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        trailers.insert("x-forwarded-for", HeaderValue::from_static("forbidden"));
        let names = received.keys().map(|name| name.as_str()).collect::<Vec<_>>().join("+");
        trailers.insert("x-received", HeaderValue::from_str(&names).unwrap());
        to.send_trailers(trailers).unwrap();
    })
    .await;
    let gateway = before_streams(&server, "");
    let mut client = StreamClient::connect(&gateway).await;
    let request = request(Method::POST, "/api/grpc").header("te", "trailers").body(()).unwrap();
    let (answer, mut to) = client.open(request, false).await;
    to.send_data("ping".into(), false).unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("1"));
    trailers.insert("authorization", HeaderValue::from_static("forbidden"));
    to.send_trailers(trailers).unwrap();
    let answer = StreamClient::read(answer).await;
    assert_eq!((answer.body.as_str(), answer.header("content-length")), ("hello", None));
    let trailers = answer.trailers.unwrap();
    assert!(trailers.len() == 2 && trailers["grpc-status"] == "0" && trailers["x-received"] == "x-sum", "{trailers:?}");
    assert_eq!(server.seen.heads.lock().unwrap()[0].headers["te"], "trailers");
}

#[tokio::test]
async fn chunked_trailers_of_http1_upstreams_reach_clients_that_accept_them() {
    let raw = always(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-t\r\n\r\n5\r\nhello\r\n0\r\nx-t: v\r\n\r\n",
        false,
    )
    .await;
    let gateway = before(&raw);
    let mut client = StreamClient::connect(&gateway).await;
    let accepting = request(Method::GET, "/api/x").header("te", "trailers").body(()).unwrap();
    let answer = client.call(accepting, "").await;
    assert_eq!((answer.body.as_str(), answer.header("transfer-encoding")), ("hello", None));
    assert_eq!(answer.trailers.unwrap()["x-t"], "v");
    let answer = client.get("/api/x").await;
    assert_eq!((answer.body.as_str(), answer.trailers), ("hello", None));
}

#[tokio::test]
async fn responses_without_content_keep_their_announcement() {
    let raw = upstream(|sent| {
        let bytes = if sent.line.contains("/204") {
            "HTTP/1.1 204 No Content\r\n\r\n"
        } else if sent.line.contains("/304") {
            "HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\netag: \"a\"\r\n\r\n"
        } else {
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"
        };
        (bytes.to_owned(), false)
    })
    .await;
    let gateway = before(&raw);
    let mut client = StreamClient::connect(&gateway).await;
    for (method, path, status, length) in [
        (Method::HEAD, "/api/200", 200, Some("9")),
        (Method::GET, "/api/204", 204, None),
        (Method::GET, "/api/304", 304, Some("7")),
    ] {
        let answer = client.call(request(method, path).body(()).unwrap(), "").await;
        assert_eq!((answer.status.as_u16(), answer.header("content-length")), (status, length), "{path}");
        assert_eq!(answer.body, "");
    }
}

#[tokio::test]
async fn refusals_are_coded_and_leave_the_connection() {
    let raw = echo().await;
    let gateway = before(&raw);
    let mut client = StreamClient::connect(&gateway).await;
    for (path, status, code) in [("/keyed/x", 401, "unauthorized"), ("/nowhere", 404, "not_found")] {
        let answer = client.get(path).await;
        assert_eq!(answer.status.as_u16(), status, "{answer:?}");
        assert!(answer.body.contains(code), "{answer:?}");
    }
    assert_eq!(client.get("/api/x").await.body, "GET /api/x");
}

#[tokio::test]
async fn content_is_requested_from_a_client_that_waits_for_it() {
    let raw = echo().await;
    let gateway = before(&raw);
    let mut client = StreamClient::connect(&gateway).await;
    let request = request(Method::POST, "/api/x").header("expect", "100-continue").body(()).unwrap();
    let (mut answer, mut to) = client.open(request, false).await;
    let interim = std::future::poll_fn(|cx| answer.poll_informational(cx));
    let interim = timeout(PATIENCE, interim).await.unwrap().unwrap().unwrap();
    assert_eq!(interim.status(), StatusCode::CONTINUE);
    to.send_data("hello".into(), true).unwrap();
    assert_eq!(StreamClient::read(answer).await.body, "POST /api/x | hello");
}

#[tokio::test]
async fn streamed_llm_call_passes_and_is_settled() {
    const EVENTS: &str = "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n\
        data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5}}\n\n\
        data: [DONE]\n\n";
    let raw = always(
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\r\n{EVENTS}",
            EVENTS.len()
        ),
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
    let answer = client.call(request, r#"{"model":"far/m","stream":true,"messages":[]}"#).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert!(answer.body.contains("\"content\":\"hi\"") && answer.body.ends_with("data: [DONE]\n\n"), "{answer:?}");
    gateway.stop().await;
    assert_eq!(gateway.ended().settled, 1);
}

#[tokio::test]
async fn prefaces_are_recognised_in_any_pieces_and_only_at_the_beginning() {
    let raw = echo().await;
    let gateway = before(&raw);
    let mut pieces = frame_client::FrameClient::connecting(&gateway).await;
    for byte in frame_client::PREFACE {
        pieces.send([*byte]).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    pieces.send(crate::frames::frame(crate::frames::SETTINGS, 0, 0, [])).await;
    pieces.get(1, "/api/x").await;
    assert_eq!(pieces.answer(1).await, ("200".to_owned(), "GET /api/x".to_owned()));
    let later = format!("GET /api/x HTTP/1.1\r\nhost: x\r\n\r\n{}", String::from_utf8_lossy(frame_client::PREFACE));
    let mut later = Client::sending(&gateway, later).await;
    later.response("GET").await.is_answer("GET /api/x");
    later.response("GET").await.is_refusal(400, "bad_request");
    assert_eq!(noted(&raw), ["GET /api/x", "GET /api/x"]);
}
