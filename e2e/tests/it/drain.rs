//! SIGTERM: readiness fails at once, new connections are accepted during the delay, and requests in flight continue
//! until the timeout. Then they end with an error.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use e2e::sse::Event;
use e2e::wire::Framing;
use e2e::{Call, Exchange, Gateway, Piece, Setup, Upstream, Wire, eventually};
use serde_json::json;
use tokio::time::Instant;

use crate::bodies::{CHAT, Format};

const SECOND: Duration = Duration::from_secs(1);
/// Timeout for the end of a server with no request in flight: shorter than each time for which it must not wait.
const HANGS: Duration = Duration::from_secs(20);

fn drain(setup: Setup, delay: &str, timeout: &str) -> Setup {
    setup.section("drain", &format!("{{delay: {delay}, timeout: {timeout}}}"))
}

/// Opens a stream that continues for minutes and reads its first piece.
async fn long_stream(gateway: &Gateway, key: &str, format: Format) -> Exchange {
    let call = Call::json(format.path(), &format.body("mock/long", true)).key(key);
    let mut exchange = call.open(gateway.proxy).await;
    assert_eq!(exchange.status(), 200);
    assert!(matches!(exchange.next().await, Piece::Data(_)));
    exchange
}

#[tokio::test]
async fn readiness_fails_at_once_and_connections_are_accepted_during_the_delay() {
    let gateway = Gateway::start(drain(Setup::mocked(), "5s", "5s")).await;
    let key = gateway.key().await;
    let since = Instant::now();
    gateway.terminate();
    eventually("/readyz fails", async || {
        (Call::get("/readyz").send(gateway.control).await.status() == 503).then_some(())
    })
    .await;
    gateway.ask(Call::get("/livez")).await.expect(200);
    gateway.call(Call::json(CHAT, &Format::Chat.body("mock", false)).key(&key)).await.expect(200);
    let proxy = gateway.proxy;
    let ended = gateway.end_within(HANGS).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(since.elapsed() > 5 * SECOND, "the server ended before the delay: {:?}", since.elapsed());
    assert!(Wire::connect(proxy).await.is_err());
}

#[tokio::test]
async fn streams_in_flight_end_with_their_formats_error_event_and_are_counted() {
    let gateway = Gateway::start(drain(Setup::mocked(), "0s", "1s")).await;
    let key = gateway.key().await;
    let mut streams = Vec::new();
    for format in Format::ALL {
        streams.push((format, long_stream(&gateway, &key, format).await));
    }
    gateway.terminate();
    for (format, stream) in streams {
        let answer = stream.rest().await;
        assert!(answer.whole, "{format:?} {}", answer.text());
        let events = answer.events();
        let errors: Vec<&Event> = events.iter().filter(|event| event.data.contains("draining")).collect();
        let error = errors.first().unwrap_or_else(|| panic!("{format:?} {}", answer.text())).json();
        assert!(error["error"]["message"].as_str().is_some_and(|message| message.len() > 10), "{error}");
        let last = events.last().unwrap();
        if format != Format::Responses {
            assert!(last.data.contains("draining"), "the error event must be the last: {last:?}");
        }
        match format {
            Format::Chat => assert_eq!(error["error"]["code"], "draining"),
            Format::Responses => {
                // The codes of a failed response are a closed list without `draining`.
                assert_eq!((&error["type"], &error["code"]), (&"error".into(), &"draining".into()));
                assert_eq!(last.name.as_deref(), Some("response.failed"));
                assert_eq!(last.json()["response"]["error"]["code"], "server_error");
            }
            Format::Messages => assert_eq!((last.name.as_deref(), &error["type"]), (Some("error"), &"error".into())),
        }
    }
    let ended = gateway.end_within(HANGS).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);

    let again = Gateway::start_in(ended.folder, Setup::mocked()).await;
    again.counted(&key, 3).await;
}

#[tokio::test]
async fn requests_that_end_within_the_drain_timeout_complete() {
    let upstream = Upstream::start(|mut turn| async move {
        turn.read_body().await;
        tokio::time::sleep(SECOND).await;
        turn.answer("200 OK\r\ncontent-type: application/json", b"{\"late\":true}").await;
        Some(turn)
    })
    .await;
    let setup = Setup::provider("openai", upstream.address());
    let gateway = Gateway::start(drain(setup, "0s", "60s")).await;
    let key = gateway.key().await;
    let call = Call::json(CHAT, &Format::Chat.body("m", false)).key(&key);
    let shutdown = async {
        eventually("the request is in flight", async || (upstream.seen().len() == 1).then_some(())).await;
        gateway.terminate();
    };
    let (answer, ()) = tokio::join!(call.send(gateway.proxy), shutdown);
    assert_eq!(answer.expect(200).json()["late"], true);
    // No request is in flight any more.
    let ended = gateway.end_within(HANGS).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let again = Gateway::start_in(ended.folder, Setup::mocked()).await;
    again.counted(&key, 1).await;
}

#[tokio::test]
async fn answer_that_has_not_begun_is_refused_as_draining() {
    let upstream = Upstream::start(|mut turn| async move {
        turn.read_body().await;
        turn.wire.closed().await;
        None
    })
    .await;
    let setup = Setup::provider("anthropic", upstream.address());
    let gateway = Gateway::start(drain(setup, "0s", "500ms")).await;
    let key = gateway.key().await;
    let call = Call::json(Format::Messages.path(), &Format::Messages.body("m", false)).key(&key);
    let shutdown = async {
        eventually("the request is in flight", async || (upstream.seen().len() == 1).then_some(())).await;
        gateway.terminate();
    };
    let (answer, ()) = tokio::join!(call.send(gateway.proxy), shutdown);
    let answer = answer.expect(503);
    assert_eq!(answer.json()["type"], "error");
    assert!(answer.text().contains("draining"), "{}", answer.text());
    assert_eq!(gateway.end_within(HANGS).await.code, Some(0));
}

#[tokio::test]
async fn bodies_that_are_still_on_their_way_are_refused_as_draining() {
    let upstream = Upstream::start(|mut turn| async move {
        turn.read_body().await;
        turn.wire.closed().await;
        None
    })
    .await;
    let setup = Setup::routed(upstream.address(), "{path: /plain, upstreams: backend}").flag("--mock");
    let gateway = Gateway::start(drain(setup, "0s", "500ms")).await;
    let key = gateway.key().await;
    let mut waiting = Vec::new();
    for path in ["/plain", Format::Chat.path(), Format::Responses.path(), Format::Messages.path()] {
        let call = Call::new("POST", path).key(&key).header("content-length", "50000");
        let mut wire = Wire::connect(gateway.proxy).await.unwrap();
        wire.write(call.head(gateway.proxy).as_bytes()).await.unwrap();
        wire.write(b"{\"model\": ").await.unwrap();
        waiting.push((path, wire));
    }
    eventually("all requests are in flight", async || {
        (gateway.gauge("tollgate_requests_in_flight").await == 4).then_some(())
    })
    .await;
    gateway.terminate();
    for (path, mut wire) in waiting {
        let head = wire.head().await.unwrap_or_else(|| panic!("{path} has no response"));
        let answer = Exchange::new(wire, head, "POST").rest().await.expect(503);
        let error = &answer.json()["error"];
        if path == Format::Messages.path() {
            assert_eq!((&answer.json()["type"], &error["type"]), (&json!("error"), &json!("overloaded_error")));
        } else {
            assert_eq!(error["code"], "draining", "{path} {error}");
        }
        assert_eq!(error["status"].is_u64(), path == "/plain", "{path} {error}");
        assert!(error["message"].as_str().is_some_and(|message| message.contains("shutting down")), "{error}");
    }
    let ended = gateway.end_within(HANGS).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

/// The requests are aggregated, and the clients do not read the end of their responses.
#[tokio::test]
async fn folded_requests_that_a_drain_cuts_are_counted() {
    const CALLERS: u64 = 12;
    let written = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&written);
    let upstream = Upstream::start(move |mut turn| {
        let count = Arc::clone(&count);
        async move {
            turn.stream("200 OK").await;
            while turn.chunk("x".repeat(60_000).as_bytes()).await {
                count.fetch_add(1, Ordering::Relaxed);
            }
            None
        }
    })
    .await;
    let setup = || Setup::routed(upstream.address(), "{path: /endless, upstreams: backend, credits: 3}");
    let gateway = Gateway::start(drain(setup(), "0s", "300ms")).await;
    let key = gateway.key().await;
    let mut stuck = Vec::new();
    for _ in 0..CALLERS {
        let opened = Call::get("/endless").key(&key).open(gateway.proxy).await;
        assert_eq!(opened.status(), 200);
        stuck.push(opened);
    }
    let mut last = 0;
    eventually("no stream makes progress", async || {
        tokio::time::sleep(SECOND / 10).await;
        let before = std::mem::replace(&mut last, written.load(Ordering::Relaxed));
        (before == last).then_some(())
    })
    .await;
    gateway.terminate();
    let ended = gateway.end_within(HANGS).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let again = Gateway::start_in(ended.folder, setup()).await;
    assert_eq!(again.counted(&key, CALLERS).await["credits"], 3 * CALLERS);
    drop(stuck);
}

#[tokio::test]
async fn idle_connections_do_not_hold_the_end_up() {
    let gateway = Gateway::start(drain(Setup::mocked(), "0s", "60s")).await;
    let (answer, wire) = Call::get("/").open(gateway.proxy).await.reuse().await;
    assert_eq!(answer.status(), 200);
    let silent = Wire::connect(gateway.proxy).await.unwrap();
    gateway.terminate();
    assert_eq!(gateway.end_within(HANGS).await.code, Some(0));
    drop((wire, silent));
}

#[tokio::test]
async fn nothing_in_flight_is_nothing_to_wait_for() {
    let gateway = Gateway::start(drain(Setup::mocked(), "0s", "60s")).await;
    let key = gateway.key().await;
    gateway.call(Call::json(CHAT, &Format::Chat.body("mock/tokens-1", false)).key(&key)).await.expect(200);
    gateway.terminate();
    let ended = gateway.end_within(HANGS).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[tokio::test]
async fn second_sigterm_ends_at_once() {
    let gateway = Gateway::start(drain(Setup::mocked(), "60s", "60s")).await;
    let key = gateway.key().await;
    let stream = long_stream(&gateway, &key, Format::Chat).await;
    gateway.terminate();
    eventually("/readyz fails", async || {
        (Call::get("/readyz").send(gateway.control).await.status() == 503).then_some(())
    })
    .await;
    // An equal signal directly after the first is the same one.
    eventually("a second signal is received", async || {
        gateway.terminate();
        gateway.stderr().contains("received a second signal").then_some(())
    })
    .await;
    let ended = gateway.end_within(HANGS).await;
    assert_eq!(ended.code, Some(143), "128 and the number of SIGTERM");
    drop(stream);
}

/// Opens a WebSocket through the gateway: the upstream accepts it, and sends these bytes.
async fn websocket(gateway: &Gateway) -> Wire {
    let mut wire = Wire::connect(gateway.proxy).await.unwrap();
    let head = "GET /socket HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    wire.write(head.as_bytes()).await.unwrap();
    assert_eq!(wire.head().await.unwrap().word(1), "101");
    wire
}

#[tokio::test]
async fn a_websocket_ends_with_a_close_frame_after_a_whole_frame() {
    for (sent, expected) in [
        // A whole frame is followed by a Close frame with the code 1001.
        (&b"\x82\x03abc"[..], &b"\x82\x03abc\x88\x02\x03\xe9"[..]),
        // After a part of a frame, the client would read it as content.
        (b"\x82\x05abc", b"\x82\x05abc"),
        // The upstream has closed already.
        (b"\x88\x02\x03\xe8", b"\x88\x02\x03\xe8"),
    ] {
        let upstream = Upstream::start(move |mut turn| async move {
            let accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
            let head = format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
            );
            turn.wire.write(head.as_bytes()).await.unwrap();
            turn.wire.write(sent).await.unwrap();
            turn.wire.closed().await;
            None
        })
        .await;
        let route = "{path: /socket, upstreams: backend, auth: none, upgrades: [websocket]}";
        let gateway = Gateway::start(drain(Setup::routed(upstream.address(), route), "0s", "500ms")).await;
        let mut wire = websocket(&gateway).await;
        let mut received = Vec::new();
        while received.len() < sent.len() {
            let Piece::Data(data) = wire.piece(&mut Framing::UntilClose).await else {
                panic!("the socket ends: {received:?}")
            };
            received.extend(data);
        }
        gateway.terminate();
        received.extend(wire.body(Framing::UntilClose).await.0);
        assert_eq!(received, expected);
        let ended = gateway.end_within(HANGS).await;
        let line = ended.stderr.lines().find(|line| line.contains("\"path\":\"/socket\"")).unwrap().to_owned();
        let bytes = format!("\"response_bytes\":{}", expected.len());
        assert!(line.contains("\"outcome\":\"drained\"") && line.contains(&bytes), "{line}");
    }
}
