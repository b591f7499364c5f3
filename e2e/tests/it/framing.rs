//! What says where a message begins, ends and goes: taken in one sense only, or refused.

use e2e::{Answer, Call, Exchange, Gateway, Setup, Upstream, Wire};
use serde_json::json;

const ROUTES: &str = "{path: {prefix: /o}, upstreams: backend, auth: {type: none}}, \
    {path: {prefix: /k}, upstreams: backend}";

/// A gateway before an upstream that answers every request, with an open route `/o` and a keyed one, `/k`.
async fn line() -> (Upstream, Gateway) {
    let upstream = Upstream::answering("200 OK", "fine").await;
    let gateway = Gateway::start(Setup::routed(upstream.address(), ROUTES)).await;
    (upstream, gateway)
}

#[track_caller]
fn check(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status(), status, "{} {}", answer.head.first, answer.text());
    assert_eq!(answer.json()["error"]["code"], json!(code), "{}", answer.text());
}

/// Sends bytes as they are and reads the answer.
async fn raw(gateway: &Gateway, method: &str, request: &str) -> Answer {
    let mut wire = Wire::connect(gateway.proxy).await.unwrap();
    wire.write(request.as_bytes()).await.unwrap();
    let head = wire.head().await.unwrap();
    Exchange::new(wire, head, method).rest().await
}

#[tokio::test]
async fn dot_segments_do_not_lead_from_an_open_route_to_a_keyed_one() {
    let (upstream, gateway) = line().await;
    for path in [
        "/o/../k/a",
        "/o/%2e%2e/k/a",
        "/o/%2E%2e/k/a",
        "/o/.%2E/k/a",
        "/o/./a",
        "/o/%2e/a",
        "/o/..",
        "/o/x/..",
        "/o/../k/a?x=1",
        "/../o/a",
    ] {
        check(&gateway.call(Call::get(path)).await, 400, "bad_request");
    }
    assert!(upstream.seen().is_empty());
    // Dots that are no segment are names like others, and so is a query.
    for path in ["/o/.../a", "/o/..a/b..", "/o/.well-known/x", "/o/a?x=/../k"] {
        gateway.call(Call::get(path)).await.expect(200);
        assert_eq!(upstream.seen().last().unwrap().head.word(1), path);
    }
}

#[tokio::test]
async fn chunked_body_of_any_method_reaches_the_upstream() {
    let (upstream, gateway) = line().await;
    for method in ["GET", "DELETE", "OPTIONS", "POST"] {
        let call =
            Call::new(method, "/o").header("transfer-encoding", "chunked").body("4\r\nbody\r\n3\r\n, 2\r\n0\r\n\r\n");
        gateway.call(call).await.expect(200);
        let seen = upstream.seen().pop().unwrap();
        assert_eq!((seen.head.word(0), seen.body.as_slice()), (method, &b"body, 2"[..]));
        assert!(seen.whole && seen.head.header("content-length").is_none(), "{:?}", seen.head);
    }
    // What has no body gets none.
    gateway.call(Call::get("/o")).await.expect(200);
    assert!(upstream.seen().pop().unwrap().head.framing().is_none());
}

#[tokio::test]
async fn transfer_codings_besides_chunked_are_refused() {
    let (upstream, gateway) = line().await;
    for codings in ["gzip, chunked", "chunked, gzip", "gzip", "identity, chunked", "chunked, chunked"] {
        let request = format!("POST /o HTTP/1.1\r\nhost: x\r\ntransfer-encoding: {codings}\r\n\r\n1\r\nx\r\n0\r\n\r\n");
        let answer = raw(&gateway, "POST", &request).await;
        assert_eq!(answer.status(), 400, "{codings}: {}", answer.text());
    }
    let gzip = "POST /o HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
    check(&raw(&gateway, "POST", gzip).await, 400, "bad_request");
    let lines = "POST /o HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    check(&raw(&gateway, "POST", lines).await, 400, "bad_request");
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn answer_in_an_unknown_transfer_coding_is_502_upstream_protocol() {
    for codings in ["gzip, chunked", "gzip", "chunked\r\ntransfer-encoding: chunked"] {
        let head = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: {codings}\r\n\r\n1\r\nx\r\n0\r\n\r\n");
        let upstream = Upstream::start(move |mut turn| {
            let head = head.clone();
            async move {
                turn.read_body().await;
                turn.write(head.as_bytes()).await;
                None
            }
        })
        .await;
        let gateway = Gateway::start(Setup::routed(upstream.address(), ROUTES)).await;
        check(&gateway.call(Call::get("/o")).await, 502, "upstream_protocol");
    }
}

#[tokio::test]
async fn one_host_is_needed_and_not_two() {
    let (upstream, gateway) = line().await;
    for hosts in ["", "host: a\r\nhost: b\r\n", "host: a\r\nHost: a\r\n"] {
        let answer = raw(&gateway, "GET", &format!("GET /o HTTP/1.1\r\n{hosts}\r\n")).await;
        check(&answer, 400, "bad_request");
    }
    assert!(upstream.seen().is_empty());
    raw(&gateway, "GET", "GET /o HTTP/1.1\r\nhost: a\r\n\r\n").await.expect(200);
}
