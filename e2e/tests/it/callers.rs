//! Callers that misbehave: they are ended, and give everything back.

use std::time::Duration;

use e2e::{Call, Gateway, Piece, Setup, Upstream, Wire, eventually, eventually_within, timed};
use serde_json::json;
use tokio::task::JoinSet;

use crate::bodies::{CHAT, Format};

const ROUTE: &str = "{path: {prefix: /up}, upstreams: backend, auth: {type: none}}";

#[tokio::test]
async fn cancelled_request_gives_everything_back() {
    let upstream = Upstream::start(|mut turn| async move {
        turn.read_body().await;
        if turn.head.header("x-stream").is_some() {
            turn.stream("200 OK\r\ncontent-type: text/event-stream").await;
            turn.chunk(b"data: {}\n\n").await;
        }
        turn.wire.closed().await;
        None
    })
    .await;
    let gateway = Gateway::start(Setup::provider("openai", upstream.address())).await;
    let key = gateway.key().await;

    // Before the body is whole: nothing was sent, nothing counts.
    for _ in 0..10 {
        let head = Call::new("POST", CHAT).key(&key).header("content-length", "50000").head(gateway.proxy);
        let mut wire = Wire::connect(gateway.proxy).await.unwrap();
        wire.write(head.as_bytes()).await.unwrap();
        wire.write(" ".repeat(20_000).as_bytes()).await.unwrap();
    }
    gateway.at_rest().await;
    assert!(upstream.seen().is_empty());
    assert_eq!(gateway.used(&key).await, 0);

    // While the upstream thinks, and in the middle of a stream: the call upstream is cancelled, and counted.
    for (n, stream) in [(1, false), (2, true)] {
        let mut call = Call::json(CHAT, &Format::Chat.body("m", stream)).key(&key);
        if stream {
            call = call.header("x-stream", "1");
            let mut exchange = call.open(gateway.proxy).await;
            assert!(matches!(exchange.next().await, Piece::Data(_)));
        } else {
            let asking = call.attempt(gateway.proxy);
            let seen = eventually("the upstream has the request", async || (upstream.seen().len() == n).then_some(()));
            tokio::select! {
                _ = asking => panic!("nobody answers"),
                () = seen => {}
            }
        }
        eventually("the call upstream is cancelled", async || (upstream.closed() == n).then_some(())).await;
    }
    gateway.at_rest().await;
    let usage = gateway.counted(&key, 2).await;
    assert_eq!(usage["credits"], 2);
    let metrics = gateway.metrics().await;
    assert!(metrics.contains("tollgate_meter_interrupted_total 0"), "a hang-up is settled, not forgotten: {metrics}");
}

#[tokio::test]
async fn caller_that_stops_reading_is_cut() {
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
    eventually_within(Duration::from_secs(10), "the upstream's connection is closed", cut).await;
    eventually_within(Duration::from_secs(5), "the caller's connection is closed", async || {
        (gateway.gauge("tollgate_connections").await == 0).then_some(())
    })
    .await;
    gateway.counted(&key, 1).await;
    assert_eq!(stuck.status(), 200);
}

#[tokio::test]
async fn caller_that_stops_reading_a_plain_answer_is_cut() {
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
    eventually_within(Duration::from_secs(10), "the upstream's connection is closed", cut).await;
    eventually_within(Duration::from_secs(5), "everything is at rest", async || {
        (gateway.gauge("tollgate_connections").await == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn caller_that_sends_its_body_too_slowly_is_ended() {
    let upstream = Upstream::json(&json!({})).await;
    let setup = Setup::provider("openai", upstream.address()).section("timeouts", "{idle: 1s}");
    let gateway = Gateway::start(setup).await;
    let key = gateway.key().await;
    let head = Call::new("POST", CHAT).key(&key).header("content-length", "50000").head(gateway.proxy);
    let mut wire = Wire::connect(gateway.proxy).await.unwrap();
    wire.write(head.as_bytes()).await.unwrap();
    let ((), took) = timed(async {
        if let Some(head) = wire.head().await {
            assert_eq!(head.word(1), "408", "{head:?}");
        }
    })
    .await;
    assert!(took < Duration::from_secs(8), "{took:?}");
    drop(wire);
    gateway.at_rest().await;
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn caller_that_closes_its_side_counts_as_gone() {
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
    eventually("the call upstream is cancelled", async || (upstream.closed() == 1).then_some(())).await;
    gateway.at_rest().await;
    gateway.counted(&key, 1).await;
}

#[tokio::test]
async fn connections_of_one_address_are_bounded_and_places_come_back() {
    let setup = Setup::mocked().section("connections", "{max: 100, per_address: 3}");
    let gateway = Gateway::start(setup).await;
    let mut kept = Vec::new();
    for _ in 0..3 {
        let (answer, wire) = Call::get("/").open(gateway.proxy).await.reuse().await;
        assert_eq!(answer.status(), 200);
        kept.push(wire);
    }
    let mut fourth = Wire::connect(gateway.proxy).await.unwrap();
    let head = fourth.head().await.unwrap();
    assert_eq!((head.word(1), head.header("retry-after")), ("503", Some("1")));
    let (body, whole) = fourth.body(head.framing().unwrap()).await;
    assert!(whole && String::from_utf8_lossy(&body).contains("overloaded"));
    drop(kept);
    gateway.at_rest().await;
    gateway.call(Call::get("/")).await.expect(200);
}

#[tokio::test]
async fn connection_that_stays_idle_is_closed() {
    let gateway = Gateway::start(Setup::mocked().section("timeouts", "{idle: 1s}")).await;
    let (answer, mut wire) = Call::get("/").open(gateway.proxy).await.reuse().await;
    assert_eq!(answer.status(), 200);
    let ((), took) = timed(wire.closed()).await;
    assert!(took > Duration::from_millis(800) && took < Duration::from_secs(4), "{took:?}");
    gateway.at_rest().await;
}

#[tokio::test]
async fn callers_with_made_up_keys_do_not_hinder_the_others() {
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
        let (answer, took) = timed(gateway.call(call.clone())).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
    // A key that was made meanwhile opens, too.
    let new = gateway.key().await;
    gateway.call(Call::json(CHAT, &Format::Chat.body("mock/tokens-1", false)).key(&new)).await.expect(200);
    made_up.join_all().await;
}
