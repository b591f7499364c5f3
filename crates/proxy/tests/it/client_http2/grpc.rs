//! Calls of gRPC, and other requests with their content type.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use tokio::time::sleep;

use super::StreamClient;
use super::stream_client::request;
use crate::gateway::Gateway;
use crate::raw::{Conn, Raw};
use crate::streams::{Plan, Server, StreamRequest};
use crate::wire::{Client, echo, noted};

/// A message of one byte.
const MESSAGE: &str = "\0\0\0\0\x01m";
const BODY: &str = "sizes: {body: 1KiB}";

/// Starts a gateway before a backend with this URL.
fn before(url: &str, bounds: &str, route: &str) -> Gateway {
    Gateway::plain(&format!(
        "ai: {{enabled: false}}\n{bounds}\nupstreams: [{{name: u, backends: [{{url: \"{url}\"}}]}}]\n\
         routes: [{{path: {{prefix: /}}, upstreams: u, auth: {{type: none}}{route}}}]\n"
    ))
}

/// Sends messages for a while, and then the status of a call.
async fn lasting(mut asked: StreamRequest) {
    asked.read().await;
    let head = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
    let mut to = asked.reply.send_response(head, false).unwrap();
    for _ in 0..8 {
        // The gateway may have reset the stream.
        let _ = to.send_data(Bytes::from_static(MESSAGE.as_bytes()), false);
        sleep(Duration::from_millis(200)).await;
    }
    let _ = to.send_trailers(HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static("0"))]));
}

#[tokio::test]
async fn only_the_total_time_of_its_route_ends_a_call() {
    let server = Server::start(Plan::streams(100), lasting).await;
    // The same over HTTP/1.1, which is no call.
    let raw = Raw::start(|mut conn: Conn| async move {
        conn.head().await;
        conn.say("HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\nconnection: close\r\n\r\n").await;
        for _ in 0..8 {
            conn.say(MESSAGE).await;
            sleep(Duration::from_millis(200)).await;
        }
    })
    .await;
    for (url, route, is_whole) in [
        (server.url(), "", true),
        (server.url(), ", timeouts: {total: 1s}", false),
        (format!("http://{}", raw.address), "", false),
    ] {
        let gateway = before(&url, "timeouts: {total: 1s}", route);
        let mut client = StreamClient::connect(&gateway).await;
        let call = request(Method::POST, "/s/m").header("content-type", "application/grpc").body(()).unwrap();
        let (response, _) = client.open(call, true).await;
        let response = StreamClient::try_read(response).await;
        assert_eq!(response.is_ok_and(|response| response.body == MESSAGE.repeat(8)), is_whole, "{url} {route}");
    }
}

/// 64 messages of 100 bytes.
fn messages() -> Vec<u8> {
    [&[0, 0, 0, 0, 100], &[b'm'; 100][..]].concat().repeat(64)
}

#[tokio::test]
async fn the_size_of_a_body_bounds_each_message_of_a_call() {
    let server = Server::start(Plan::streams(100), |mut asked: StreamRequest| async move {
        let bytes = asked.read().await.len();
        asked.answer(bytes.to_string());
    })
    .await;
    let gateway = before(&server.url(), BODY, "");
    let mut client = StreamClient::connect(&gateway).await;
    for announced in [false, true] {
        let mut call = request(Method::POST, "/s/m").header("content-type", "application/grpc");
        if announced {
            call = call.header("content-length", messages().len());
        }
        let answer = client.call(call.body(()).unwrap(), messages()).await;
        assert_eq!((answer.status, answer.body), (StatusCode::OK, messages().len().to_string()), "{announced}");
    }
}

#[tokio::test]
async fn the_size_of_a_body_bounds_all_of_a_request_that_is_no_call() {
    let raw = echo().await;
    let gateway = before(&format!("http://{}", raw.address), BODY, "");
    let mut client = StreamClient::connect(&gateway).await;
    for announced in [false, true] {
        let mut call = request(Method::POST, "/s/m").header("content-type", "application/grpc");
        if announced {
            call = call.header("content-length", messages().len());
        }
        let refused = client.call(call.body(()).unwrap(), messages()).await;
        assert_eq!((refused.status, refused.header("grpc-status")), (StatusCode::OK, Some("8")), "{announced}");
    }
    let server = Server::start(Plan::streams(100), lasting).await;
    let gateway = before(&server.url(), BODY, "");
    let mut client = Client::connect(&gateway).await;
    let head = "POST /s/m HTTP/1.1\r\nhost: x\r\ncontent-type: application/grpc\r\n";
    let refused = client.call(format!("{head}content-length: {}\r\n\r\n", messages().len())).await;
    refused.is_refusal(413, "payload_too_large");
    assert!(noted(&raw).is_empty(), "{:?}", noted(&raw));
}
