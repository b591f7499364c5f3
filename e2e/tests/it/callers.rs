//! Clients that misbehave: their connections are closed and all resources are released.

use std::ops::Range;
use std::time::Duration;

use e2e::{Answer, Call, Canary, Exchange, Gateway, Piece, Setup, Upstream, Wire, eventually, timed};
use serde_json::json;
use tokio::task::JoinSet;

use crate::bodies::{CHAT, Format};

const ROUTE: &str = "{path: {prefix: /up}, upstreams: backend, auth: {type: none}}";
/// Pause between two bytes of a client that sends as slowly as possible.
const TRICKLE: Duration = Duration::from_millis(100);
/// Longer than any of these connections takes to end by itself on a busy machine.
const HANGS: Duration = Duration::from_secs(19);

#[tokio::test]
async fn cancelled_request_gives_everything_back() {
    let upstream = Upstream::start(|mut turn| async move {
        turn.read_body().await;
        if turn.head.header("x-stainless-stream").is_some() {
            turn.stream("200 OK\r\ncontent-type: text/event-stream").await;
            turn.chunk(b"data: {}\n\n").await;
        }
        turn.wire.closed().await;
        None
    })
    .await;
    let gateway = Gateway::start(Setup::provider("openai", upstream.address())).await;
    let key = gateway.key().await;

    // Aborted before the body is complete: no request is forwarded, and none counts.
    for _ in 0..10 {
        let head = Call::new("POST", CHAT).key(&key).header("content-length", "50000").head(gateway.proxy);
        let mut wire = Wire::connect(gateway.proxy).await.unwrap();
        wire.write(head.as_bytes()).await.unwrap();
        wire.write(" ".repeat(20_000).as_bytes()).await.unwrap();
    }
    gateway.at_rest().await;
    assert!(upstream.seen().is_empty());
    assert_eq!(gateway.used(&key).await, 0);

    // Aborted while the upstream computes and in the middle of a stream: the upstream request is aborted and counts.
    for (n, stream) in [(1, false), (2, true)] {
        let mut call = Call::json(CHAT, &Format::Chat.body("m", stream)).key(&key);
        if stream {
            call = call.header("x-stainless-stream", "1");
            let mut exchange = call.open(gateway.proxy).await;
            assert!(matches!(exchange.next().await, Piece::Data(_)));
        } else {
            let asking = call.attempt(gateway.proxy);
            let seen = eventually("the upstream has the request", async || (upstream.seen().len() == n).then_some(()));
            tokio::select! {
                _ = asking => panic!("the upstream sends no response"),
                () = seen => {}
            }
        }
        eventually("the upstream request is aborted", async || (upstream.closed() == n).then_some(())).await;
    }
    gateway.at_rest().await;
    let usage = gateway.counted(&key, 2).await;
    assert_eq!(usage["credits"], 2);
    let metrics = gateway.metrics().await;
    assert!(
        metrics.contains("tollgate_meter_dropped_total 0"),
        "an aborted request is settled, not dropped: {metrics}"
    );
}

#[tokio::test]
async fn client_that_stops_reading_is_disconnected() {
    let upstream = Upstream::start(|mut turn| async move {
        turn.read_body().await;
        turn.stream("200 OK\r\ncontent-type: text/event-stream").await;
        let event = format!("data: {}\n\n", "x".repeat(60_000));
        while turn.chunk(event.as_bytes()).await {}
        None
    })
    .await;
    let provider = Setup::provider("openai", upstream.address()).section("timeouts", "{idle: 1s}");
    let gateway = Gateway::start(provider).await;
    let key = gateway.key().await;
    let stuck = Call::json(CHAT, &Format::Chat.body("m", true)).key(&key).open(gateway.proxy).await;
    let cut = async || (upstream.closed() == 1).then_some(());
    eventually("the upstream's connection is closed", cut).await;
    eventually("the client's connection is closed", async || {
        (gateway.gauge("tollgate_connections").await == 0).then_some(())
    })
    .await;
    gateway.counted(&key, 1).await;
    assert_eq!(stuck.status(), 200);
}

#[tokio::test]
async fn client_that_stops_reading_a_plain_response_is_disconnected() {
    let upstream = Upstream::start(|mut turn| async move {
        turn.stream("200 OK").await;
        while turn.chunk("x".repeat(60_000).as_bytes()).await {}
        None
    })
    .await;
    let setup = Setup::routed(upstream.address(), ROUTE).section("timeouts", "{idle: 1s}");
    let gateway = Gateway::start(setup).await;
    let _stuck = Call::get("/up").open(gateway.proxy).await;
    let cut = async || (upstream.closed() == 1).then_some(());
    eventually("the upstream's connection is closed", cut).await;
    eventually("the client's connection is closed", async || {
        (gateway.gauge("tollgate_connections").await == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn client_that_sends_without_reading_is_disconnected() {
    let upstream = Upstream::start(|mut turn| async move {
        turn.stream("200 OK").await;
        while turn.chunk("x".repeat(60_000).as_bytes()).await {}
        None
    })
    .await;
    let setup = Setup::routed(upstream.address(), ROUTE).section("timeouts", "{idle: 1s}");
    let gateway = Gateway::start(setup).await;
    let mut wire = Wire::connect(gateway.proxy).await.unwrap();
    let head = Call::new("POST", "/up").header("transfer-encoding", "chunked").head(gateway.proxy);
    wire.write(head.as_bytes()).await.unwrap();
    let trickle = async {
        while wire.write(b"1\r\nx\r\n").await.is_ok() {
            tokio::time::sleep(TRICKLE).await;
        }
    };
    let (cut, took) = timed(tokio::time::timeout(HANGS, trickle)).await;
    assert!(cut.is_ok() && took > Duration::from_millis(900), "{cut:?} {took:?}");
    eventually("the upstream's connection is closed", async || (upstream.closed() == 1).then_some(())).await;
    gateway.at_rest().await;
}

/// More bytes than the kernel buffers (a few MB). The client reads 512 KiB per second, so the kernel frees buffer
/// space often enough.
#[tokio::test]
async fn client_that_reads_slowly_but_steadily_receives_everything() {
    const STEP: usize = 64 * 1024;
    let body = vec![b'x'; 96 * STEP];
    let upstream = Upstream::answering("200 OK", &body).await;
    let setup = Setup::routed(upstream.address(), ROUTE).section("timeouts", "{idle: 1s}");
    let gateway = Gateway::start(setup).await;
    let mut exchange = Call::get("/up").open(gateway.proxy).await;
    let mut ticks = tokio::time::interval(Duration::from_millis(125));
    let mut got = 0;
    let mut allowed = 0;
    loop {
        match exchange.next().await {
            Piece::Data(data) => got += data.len(),
            Piece::End => break,
            Piece::Cut => panic!("cut after {got} bytes"),
        }
        while got > allowed {
            ticks.tick().await;
            allowed += STEP;
        }
    }
    assert_eq!(got, body.len());
}

/// Sends the head of an LLM request and then one byte of `rest` at a time until a response arrives.
async fn trickle(gateway: &Gateway, call: &Call, rest: &[u8]) -> Answer {
    let mut wire = Wire::connect(gateway.proxy).await.unwrap();
    wire.write(call.head(gateway.proxy).as_bytes()).await.unwrap();
    for byte in rest {
        tokio::select! {
            biased;
            ready = wire.stream().readable() => { ready.unwrap(); break }
            () = tokio::time::sleep(TRICKLE) => {}
        }
        wire.write(&[*byte]).await.unwrap();
    }
    let head = wire.head().await.unwrap();
    Exchange::new(wire, head, "POST").rest().await
}

#[tokio::test]
async fn llm_body_that_trickles_ends_at_the_total_time_and_one_that_stalls_at_the_idle_time() {
    let upstream = Upstream::json(&json!({})).await;
    // Bytes sent, idle timeout, total timeout, and the interval in which the response must arrive. It excludes the
    // other timeout and an immediate response.
    for (format, (sent, idle, total, millis)) in Format::ALL.into_iter().flat_map(|format| {
        [(60, "10s", "2500ms", 2_400..9_000), (3, "1s", "20s", 1_000..15_000)].map(|case| (format, case))
    }) {
        let setup = Setup::provider(format.kind(), upstream.address())
            .section("timeouts", &format!("{{idle: {idle}}}"))
            .section("ai", &format!("{{timeouts: {{total: {total}}}}}"));
        let gateway = Gateway::start(setup).await;
        let key = gateway.key().await;
        let call = Call::new("POST", format.path()).key(&key).header("content-length", "50000");
        let (answer, took) = timed(trickle(&gateway, &call, &vec![b' '; sent])).await;
        let answer = answer.expect(408);
        assert!(answer.text().contains("in time"), "{}", answer.text());
        let code = &answer.json()["error"]["code"];
        assert!(format == Format::Messages || code == "request_timeout", "{code}");
        assert!(Range::contains(&millis, &took.as_millis()), "{format:?} {sent}: {took:?}");
        gateway.at_rest().await;
        assert_eq!(gateway.used(&key).await, 0);
    }
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn client_that_closes_its_side_counts_as_disconnected() {
    let upstream = Upstream::start(|mut turn| async move {
        turn.read_body().await;
        turn.wire.closed().await;
        None
    })
    .await;
    let gateway = Gateway::start(Setup::provider("openai", upstream.address())).await;
    let key = gateway.key().await;
    let call = Call::json(CHAT, &Format::Chat.body("m", false)).key(&key);
    let mut wire = Wire::connect(gateway.proxy).await.unwrap();
    wire.write(&call.bytes(gateway.proxy)).await.unwrap();
    eventually("the upstream has the request", async || (upstream.seen().len() == 1).then_some(())).await;
    wire.finish().await.unwrap();
    eventually("the upstream request is aborted", async || (upstream.closed() == 1).then_some(())).await;
    gateway.at_rest().await;
    gateway.counted(&key, 1).await;
}

#[tokio::test]
async fn connections_of_one_address_are_bounded_and_permits_are_returned() {
    let setup = Setup::mocked().section("connections", "{max: 100, per_address: 3}");
    let gateway = Gateway::start(setup).await;
    let mut remaining = Vec::new();
    for _ in 0..3 {
        let (answer, wire) = Call::get("/").open(gateway.proxy).await.reuse().await;
        assert_eq!(answer.status(), 200);
        remaining.push(wire);
    }
    let mut fourth = Wire::connect(gateway.proxy).await.unwrap();
    let head = fourth.head().await.unwrap();
    assert_eq!((head.word(1), head.header("retry-after")), ("503", Some("1")));
    let (body, whole) = fourth.body(head.framing().unwrap()).await;
    assert!(whole && String::from_utf8_lossy(&body).contains("overloaded"));
    drop(remaining);
    gateway.at_rest().await;
    gateway.call(Call::get("/")).await.expect(200);
}

#[tokio::test]
async fn connection_that_stays_idle_is_closed() {
    let gateway = Gateway::start(Setup::mocked().section("timeouts", "{idle: 1s}")).await;
    let (answer, mut wire) = Call::get("/").open(gateway.proxy).await.reuse().await;
    assert_eq!(answer.status(), 200);
    let ((), took) = timed(wire.closed()).await;
    assert!(took > Duration::from_millis(800) && took < HANGS, "{took:?}");
    gateway.at_rest().await;
}

#[tokio::test]
async fn clients_with_invented_keys_do_not_slow_down_others() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let key = gateway.key().await;
    let mut made_up = JoinSet::new();
    for caller in 0..16_u32 {
        let to = gateway.proxy;
        made_up.spawn(async move {
            for n in 0..100_u32 {
                let key = format!("tollgate_{:032x}", caller * 1_000 + n);
                let status = Call::json(CHAT, &Format::Chat.body("mock", false)).key(&key).send(to).await.status();
                assert!(matches!(status, 401 | 503), "{status}");
            }
        });
    }
    let call = Call::json(CHAT, &Format::Chat.body("mock/tokens-1", false)).key(&key);
    for _ in 0..50 {
        let since = Canary::new();
        let answer = gateway.call(call.clone()).await;
        since.assert_within(Duration::from_secs(1), "a request with a known key");
        assert_eq!(answer.status(), 200, "{}", answer.text());
    }
    // A key that was created meanwhile is valid too.
    let new = gateway.key().await;
    gateway.call(Call::json(CHAT, &Format::Chat.body("mock/tokens-1", false)).key(&new)).await.expect(200);
    made_up.join_all().await;
}
