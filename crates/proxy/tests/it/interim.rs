//! Interim responses of upstreams (RFC 9110, 15.2): clients receive them before the response.

use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;
use h2::client::Builder;
use http::{Request, StatusCode};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::frames::{answer as stream_answer, head};
use crate::gateway::Gateway;
use crate::raw::{Conn, Raw};
use crate::wire::{Client, OK, PATIENCE, always, before, yaml};

const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\nx-hint : 1\r\nconnection: x-own\r\nx-own: 1\r\n\
    x-request-id: of-the-upstream\r\nX-RateLimit-Remaining: 7\r\nRateLimit: \"x\";r=7\r\n\
    access-control-allow-origin: *\r\nset-cookie: a=1\r\n\r\n";

/// An upstream that sends hints, and responds once the gate is open.
async fn hinting(gate: Arc<Semaphore>) -> Raw {
    Raw::start(move |mut conn: Conn| {
        let gate = gate.clone();
        async move {
            while conn.request().await.is_some() {
                conn.say(HINTS).await;
                gate.acquire().await.unwrap().forget();
                conn.say(OK).await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn http1_clients_receive_hints_before_the_response_exists() {
    let gate = Arc::new(Semaphore::new(0));
    let raw = hinting(gate.clone()).await;
    let gateway = before(&raw);
    let mut client = Client::connect(&gateway).await;
    for _ in 0..2 {
        client.send("GET /api/x HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let hints = client.interim_or_final("GET").await.unwrap();
        assert_eq!((hints.status, hints.reason.as_str()), (103, "Early Hints"));
        assert_eq!(
            hints.fields,
            [("link", "</a.css>; rel=preload"), ("x-hint", "1")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        gate.add_permits(1);
        client.interim_or_final("GET").await.unwrap().is_answer("ok");
    }
}

#[tokio::test]
async fn http2_clients_receive_hints_before_the_response_exists() {
    let gate = Arc::new(Semaphore::new(0));
    let raw = hinting(gate.clone()).await;
    let gateway = before(&raw);
    let stream = gateway.caller().connect().await;
    let (sender, connection) = Builder::new().handshake::<_, Bytes>(stream).await.unwrap();
    let mut driving = JoinSet::new();
    driving.spawn(connection);
    let mut sender = sender.ready().await.unwrap();
    let request = Request::builder().uri("http://gateway.test/api/x").body(()).unwrap();
    let (mut response, _) = sender.send_request(request, true).unwrap();
    let hints = timeout(PATIENCE, poll_fn(|cx| response.poll_informational(cx))).await.unwrap().unwrap().unwrap();
    assert_eq!(hints.status().as_u16(), 103);
    let fields: Vec<_> = hints.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    assert_eq!(fields, [("link", "</a.css>; rel=preload"), ("x-hint", "1")]);
    gate.add_permits(1);
    assert_eq!(timeout(PATIENCE, response).await.unwrap().unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn hints_of_an_http2_upstream_reach_http1_clients() {
    let raw = Raw::start(|mut conn: Conn| async move {
        conn.greet(&[]).await;
        while let Some(stream) = conn.asked().await {
            let hints = head(stream, 0, &[(":status", "103"), ("link", "</a.css>")]);
            conn.say([hints, stream_answer(stream, "ok")].concat()).await;
        }
    })
    .await;
    let gateway = Gateway::plain(&yaml(raw.address, "").replace("http://", "h2c://"));
    let mut client = Client::sending(&gateway, "GET /api/x HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let hints = client.interim_or_final("GET").await.unwrap();
    assert_eq!((hints.status, hints.one("link")), (103, Some("</a.css>")));
    client.interim_or_final("GET").await.unwrap().is_answer("ok");
}

#[tokio::test]
async fn every_interim_response_but_100_is_relayed_in_order_with_the_response() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 199 x\r\n\r\n";
    let raw = always(format!("{interim}{HINTS}{OK}"), false).await;
    let gateway = before(&raw);
    let mut client = Client::connect(&gateway).await;
    for _ in 0..2 {
        client.send("GET /api/x HTTP/1.1\r\nhost: x\r\n\r\n").await;
        for status in [102, 199, 103] {
            assert_eq!(client.interim_or_final("GET").await.unwrap().status, status);
        }
        client.interim_or_final("GET").await.unwrap().is_answer("ok");
    }
}

#[tokio::test]
async fn http_1_0_clients_receive_no_interim_response() {
    let raw = always(format!("{HINTS}{OK}"), false).await;
    let gateway = before(&raw);
    let mut client = Client::sending(&gateway, "GET /api/x HTTP/1.0\r\nhost: x\r\n\r\n").await;
    client.interim_or_final("GET").await.unwrap().is_answer("ok");
    // The next request of the worker does not receive them either.
    let raw = always(OK, false).await;
    gateway.reload(&yaml(raw.address, ""));
    let mut client = Client::sending(&gateway, "GET /api/x HTTP/1.1\r\nhost: x\r\n\r\n").await;
    client.interim_or_final("GET").await.unwrap().is_answer("ok");
}

#[tokio::test]
async fn hints_are_not_mistaken_for_100_continue() {
    let raw = Raw::start(|mut conn: Conn| async move {
        conn.say(HINTS).await;
        while conn.request().await.is_some() {
            conn.say(format!("{HINTS}{OK}")).await;
        }
    })
    .await;
    let gateway = before(&raw);
    let mut client = Client::connect(&gateway).await;
    client.send("POST /api/x HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n").await;
    let mut statuses = vec![client.interim_or_final("POST").await.unwrap().status];
    client.send("hi").await;
    while statuses.last() != Some(&200) {
        statuses.push(client.interim_or_final("POST").await.unwrap().status);
    }
    assert_eq!(statuses.first(), Some(&100), "{statuses:?}");
    assert_eq!(statuses.last(), Some(&200), "{statuses:?}");
}
