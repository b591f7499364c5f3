//! Framing of messages and the fields that route them: each is read in exactly one way, or the request is refused.

use e2e::vitals::unread;
use e2e::{Answer, Call, Exchange, Gateway, Setup, Upstream, Wire, eventually, is_uuid_v7};
use serde_json::json;

use crate::bodies::{CHAT, Format, MESSAGES};

const ROUTES: &str = "{path: {prefix: /o}, upstreams: backend, auth: {type: none}}, \
    {path: {prefix: /k}, upstreams: backend}";

/// Starts a server with an upstream that answers every request, an open route `/o` and a route `/k` that needs a key.
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

/// Sends the bytes unchanged and reads the response.
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
    // Dots that do not form a whole segment are ordinary names; dots in a query are not part of the path.
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
    // A request without a body is forwarded without one.
    gateway.call(Call::get("/o")).await.expect(200);
    assert!(upstream.seen().pop().unwrap().head.framing().is_none());
}

#[tokio::test]
async fn transfer_codings_besides_chunked_are_refused() {
    let (upstream, gateway) = line().await;
    for codings in ["gzip, chunked", "chunked, gzip", "gzip", "identity, chunked", "chunked, chunked"] {
        let request = format!("POST /o HTTP/1.1\r\nhost: x\r\ntransfer-encoding: {codings}\r\n\r\n1\r\nx\r\n0\r\n\r\n");
        check(&raw(&gateway, "POST", &request).await, 400, "bad_request");
    }
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

/// Heads that hyper refuses without a code, tolerates, or reads in one of two ways: each is refused with a code.
const REFUSED: &[(&str, u16, &str)] = &[
    ("GET /o HTTP/1.1\nHost: x\n\n", 400, "bad_request"),
    ("GET /o HTTP/1.1\r\nHost: x\nX: y\r\n\r\n", 400, "bad_request"),
    ("GET /o HTTP/1.1\r\nHost: x\r\nX: \0\r\n\r\n", 400, "bad_request"),
    ("GET /o HTTP/1.1\r\nHost: x\r\nX : y\r\n\r\n", 400, "bad_request"),
    ("GET /o HTTP/1.1\r\nHost: x\r\nX: y\r\n z\r\n\r\n", 400, "bad_request"),
    ("GET /o HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n", 400, "bad_request"),
    ("GET  /o HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
    ("GET /o\r\n\r\n", 400, "bad_request"),
    ("GET /o HTTP/2.0\r\nHost: x\r\n\r\n", 400, "bad_request"),
    ("GET /o?\" HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
    ("GET /o#k HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
    ("GET k HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
    ("GET /o HTTP/1.1\r\nHost: x, y\r\n\r\n", 400, "bad_request"),
    ("POST /o HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 5\r\n\r\nhello", 400, "bad_request"),
    ("POST /o HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400, "bad_request"),
    (
        "POST /o HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        "bad_request",
    ),
    ("POST /o HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "bad_request"),
    ("CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n", 405, "method_not_allowed"),
    ("\u{16}\u{3}\u{1}\u{2}\0\u{1}", 400, "bad_request"),
];

#[tokio::test]
async fn every_refused_head_gets_a_code_in_its_turn_and_the_end_of_its_connection() {
    let (upstream, gateway) = line().await;
    let large = format!("GET /o HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(70_000));
    let long = format!("GET /o{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(70_000));
    let many = format!("GET /o HTTP/1.1\r\nHost: x\r\n{}\r\n", "X: y\r\n".repeat(100));
    let endless = "x".repeat(200_000);
    let too_large = [&large, &long, &many, &endless].map(|request| (request.as_str(), 431, "header_too_large"));
    let good = "POST /o HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";
    for (request, status, code) in REFUSED.iter().copied().chain(too_large) {
        let name = request.get(..60).unwrap_or(request);
        let mut wire = Wire::connect(gateway.proxy).await.unwrap();
        // The second good request must not be served: it follows the refused one.
        wire.write(format!("{good}{request}{good}").as_bytes()).await.unwrap();
        let head = wire.head().await.unwrap();
        let (first, mut wire) = Exchange::new(wire, head, "POST").reuse().await;
        first.expect(200);
        let head = wire.head().await.unwrap_or_else(|| panic!("no response: {name:?}"));
        let (answer, mut wire) = Exchange::new(wire, head, "GET").reuse().await;
        check(&answer, status, code);
        assert_eq!(answer.json()["error"]["status"], status, "{name:?}");
        assert_eq!(answer.header("connection"), Some("close"), "{name:?}");
        assert!(is_uuid_v7(answer.header("x-request-id").unwrap()), "{name:?}");
        wire.finish().await.unwrap();
        assert!(wire.head().await.is_none(), "{name:?}");
    }
    let requests = REFUSED.len() + too_large.len();
    assert_eq!(upstream.seen().len(), requests, "only the first request may reach the upstream");
    assert!(upstream.seen().iter().all(|seen| seen.body == b"hello"));
    let refused = REFUSED.iter().filter(|(_, status, _)| *status == 400).count();
    for counted in [
        format!("tollgate_refusals_total{{code=\"bad_request\"}} {refused}"),
        format!("tollgate_refusals_total{{code=\"header_too_large\"}} {}", too_large.len()),
    ] {
        eventually(&counted, async || gateway.metrics().await.lines().any(|line| line == counted).then_some(())).await;
    }
}

#[tokio::test]
async fn refused_head_of_an_llm_call_is_answered_in_its_format_and_logged_with_its_path() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let head = |path: &str| format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\n");
    let chat = raw(&gateway, "POST", &head(CHAT)).await;
    check(&chat, 400, "bad_request");
    assert_eq!(chat.header("x-should-retry"), Some("false"));
    let messages = raw(&gateway, "POST", &head(MESSAGES)).await.expect(400);
    assert_eq!(messages.json()["error"]["type"], json!("invalid_request_error"), "{}", messages.text());
    let id = messages.header("request-id").unwrap().to_owned();
    let line = eventually("the request is logged", async || {
        gateway.stderr().lines().find(|line| line.contains(&id)).map(str::to_owned)
    })
    .await;
    assert!(line.contains(MESSAGES) && line.contains("bad_request"), "{line}");
    // The key of a valid request is read, wherever its head is split.
    let key = gateway.key().await;
    let call = Call::json(CHAT, &Format::Chat.body("mock", false)).key(&key);
    let bytes = call.bytes(gateway.proxy);
    for cut in [1, 10, 40, bytes.len() / 2, bytes.len() - 1] {
        let mut wire = Wire::connect(gateway.proxy).await.unwrap();
        for piece in [&bytes[..cut], &bytes[cut..]] {
            wire.write(piece).await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let head = wire.head().await.unwrap();
        Exchange::new(wire, head, "POST").rest().await.expect(200);
    }
}

#[tokio::test]
async fn invalid_chunks_are_refused_and_never_form_a_complete_request() {
    let (upstream, gateway) = line().await;
    for body in ["5\r\nhello\n0\r\n\r\n", "5 \r\nhello\r\n0\r\n\r\n", "x\r\n", "0\r\nHost: y\r\n\r\n"] {
        let request = format!("POST /o HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        check(&raw(&gateway, "POST", &request).await, 400, "bad_request");
    }
    assert!(upstream.seen().iter().all(|seen| !seen.whole), "{:?}", upstream.seen());
}

#[tokio::test]
async fn head_that_is_on_its_way_when_a_shutdown_begins_is_served() {
    let upstream = Upstream::answering("200 OK", "fine").await;
    let setup = Setup::routed(upstream.address(), ROUTES).section("drain", "{delay: 0s, timeout: 10s}");
    let gateway = Gateway::start(setup).await;
    let mut first = Wire::connect(gateway.proxy).await.unwrap();
    let head = Call::get("/o").head(gateway.proxy);
    let (begin, end) = head.split_at(head.len() / 2);
    let mut second = Call::get("/o").open(gateway.proxy).await.reuse().await.1;
    for wire in [&mut first, &mut second] {
        wire.write(begin.as_bytes()).await.unwrap();
    }
    eventually("both connections are open", async || (gateway.gauge("tollgate_connections").await == 2).then_some(()))
        .await;
    for wire in [&first, &second] {
        let own = wire.stream().local_addr().unwrap();
        eventually("half a head is read", async || (unread(gateway.proxy, own) == Some(0)).then_some(())).await;
    }
    gateway.terminate();
    eventually("the listener is closed", async || Wire::connect(gateway.proxy).await.err()).await;
    for mut wire in [first, second] {
        wire.write(end.as_bytes()).await.unwrap();
        let head = wire.head().await.unwrap();
        let answer = Exchange::new(wire, head, "GET").rest().await.expect(200);
        assert_eq!(answer.header("connection"), Some("close"));
    }
}
