//! The outcome of counted requests in usage events and in the log.

use std::time::Duration;

use e2e::{Call, Gateway, Piece, Setup, Turn, Upstream, eventually};
use serde_json::Value;

use crate::bodies::{CHAT, Format};
use crate::store;

/// Returns status and outcome of each logged request, in the order of their ends.
fn logged(log: &str) -> Vec<(i64, String)> {
    log.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["message"] == "request")
        .map(|line| (line["status"].as_i64().unwrap(), line["outcome"].as_str().unwrap().to_owned()))
        .collect()
}

/// Asserts that the only request has `status` and `outcome` in the store and in the log.
async fn check(gateway: &Gateway, status: i64, outcome: &str) {
    let event = store::events(gateway.folder(), 1).await.remove(0);
    assert_eq!((event.status, event.outcome.as_str()), (status, outcome));
    let lines = eventually("the request is logged", async || Some(logged(&gateway.stderr())).filter(|l| !l.is_empty()));
    assert_eq!(lines.await, [(status, outcome.to_owned())]);
}

/// Runs [`check`] for each format with an upstream that runs `script`.
async fn check_each<F>(script: impl Fn(Turn) -> F + Send + Sync + 'static, status: u16, outcome: &str)
where
    F: Future<Output = Option<Turn>> + Send + 'static,
{
    let upstream = Upstream::start(script).await;
    let time = if outcome == "timed_out" { "1s" } else { "1m" };
    for format in Format::ALL {
        let setup = Setup::provider(format.kind(), upstream.address())
            .section("ai", &format!("{{timeouts: {{first_byte: {time}, idle: {time}}}}}"));
        let gateway = Gateway::start(setup).await;
        let key = gateway.key().await;
        gateway.call(Call::json(format.path(), &format.body("m", true)).key(&key)).await.expect(status);
        check(&gateway, status.into(), outcome).await;
    }
}

#[tokio::test]
async fn answer_that_is_whole_is_completed_whatever_its_status() {
    for (model, status) in [("mock/tokens-1", 200), ("mock/500", 500)] {
        let gateway = Gateway::start(Setup::mocked()).await;
        let key = gateway.key().await;
        gateway.call(Call::json(CHAT, &Format::Chat.body(model, true)).key(&key)).await.expect(status);
        check(&gateway, status.into(), "completed").await;
    }
}

#[tokio::test]
async fn upstream_that_does_not_answer_is_timed_out() {
    let silent = |mut turn: Turn| async move {
        turn.read_body().await;
        turn.wire.closed().await;
        None
    };
    check_each(silent, 504, "timed_out").await;
}

#[tokio::test]
async fn upstream_that_closes_before_it_answers_is_upstream_cut() {
    let closing = |mut turn: Turn| async move {
        turn.read_body().await;
        None
    };
    check_each(closing, 502, "upstream_cut").await;
}

#[tokio::test]
async fn stream_that_stalls_is_timed_out() {
    let stalling = |mut turn: Turn| async move {
        turn.read_body().await;
        turn.stream("200 OK\r\ncontent-type: text/event-stream").await;
        turn.chunk(b"data: {}\n\n").await;
        turn.wire.closed().await;
        None
    };
    check_each(stalling, 200, "timed_out").await;
}

/// The HTTP message is complete, but the format requires more events.
#[tokio::test]
async fn stream_without_its_formats_last_event_is_upstream_cut() {
    let unfinished = |mut turn: Turn| async move {
        turn.read_body().await;
        let events: [&[u8]; 2] = match turn.head.word(1) {
            CHAT => [
                b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n",
                b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"b\"}}]}\n\n",
            ],
            "/v1/responses" => [
                b"event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\"}}\n\n",
                b"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"a\"}\n\n",
            ],
            _ => [
                b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":3}}}\n\n",
                b"event: ping\ndata: {\"type\":\"ping\"}\n\n",
            ],
        };
        turn.stream("200 OK\r\ncontent-type: text/event-stream").await;
        for event in events {
            turn.chunk(event).await;
        }
        turn.chunk(b"").await;
        Some(turn)
    };
    check_each(unfinished, 200, "upstream_cut").await;
}

#[tokio::test]
async fn disconnect_before_the_response_is_caller_gone_with_status_499() {
    let upstream = Upstream::start(|mut turn| async move {
        turn.read_body().await;
        turn.wire.closed().await;
        None
    })
    .await;
    let gateway = Gateway::start(Setup::provider("openai", upstream.address())).await;
    let key = gateway.key().await;
    let call = Call::json(CHAT, &Format::Chat.body("m", false)).key(&key);
    let sent = eventually("the upstream has the request", async || (upstream.seen().len() == 1).then_some(()));
    tokio::select! {
        _ = call.attempt(gateway.proxy) => panic!("the upstream sends no response"),
        () = sent => {}
    }
    check(&gateway, 499, "caller_gone").await;
}

#[tokio::test]
async fn disconnect_in_a_stream_is_caller_gone_with_the_sent_status() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let key = gateway.key().await;
    let mut stream = Call::json(CHAT, &Format::Chat.body("mock/long", true)).key(&key).open(gateway.proxy).await;
    assert!(matches!(stream.next().await, Piece::Data(_)));
    drop(stream);
    check(&gateway, 200, "caller_gone").await;
}

#[tokio::test]
async fn requests_that_a_drain_cuts_have_the_outcome_drained() {
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
    for format in Format::ALL {
        let setup = Setup::provider(format.kind(), upstream.address()).section("drain", "{delay: 0s, timeout: 300ms}");
        let gateway = Gateway::start(setup).await;
        let key = gateway.key().await;
        let call = Call::json(format.path(), &format.body("m", true)).key(&key);
        let mut stream = call.clone().header("x-stainless-stream", "1").open(gateway.proxy).await;
        assert!(matches!(stream.next().await, Piece::Data(_)));
        let seen = upstream.seen().len();
        let shutdown = async {
            eventually("the request is in flight", async || (upstream.seen().len() > seen).then_some(())).await;
            gateway.terminate();
        };
        let (unanswered, ()) = tokio::join!(call.send(gateway.proxy), shutdown);
        unanswered.expect(503);
        stream.rest().await.expect(200);
        let ended = gateway.end_within(Duration::from_secs(20)).await;
        let mut lines = logged(&ended.stderr);
        lines.sort_unstable();
        let expected = [(200, "drained".to_owned()), (503, "drained".to_owned())];
        assert_eq!(lines, expected, "{format:?}");
        let again = Gateway::start_in(ended.folder, Setup::mocked()).await;
        let events = store::events(again.folder(), 2).await;
        assert_eq!(events.into_iter().map(|e| (e.status, e.outcome)).collect::<Vec<_>>(), expected, "{format:?}");
    }
}
