//! Upstream responses that are too long, too deeply nested, endless, or inconsistent.

use std::time::Duration;

use e2e::{Answer, Call, Exchange, Gateway, Piece, Setup, Turn, Upstream, timed};

use crate::bodies::{CHAT, Format};
use crate::hostile::say;

const ROUTE: &str = "{path: {prefix: /up}, upstreams: backend, auth: {type: none}}";
const MIB: u64 = 1 << 20;
/// The length of relayed responses, and the additional memory that relaying may use.
const LONG: usize = 100 << 20;
const MORE_MAX: u64 = 12 * MIB;
const PIECE: usize = 64 * 1024;
/// Timeout after which an abandoned request must have ended, on a busy machine.
const HANGS: Duration = Duration::from_secs(19);
/// The nesting depth of brackets.
const DEPTH: usize = 1_000_000;

/// A long response: its beginning, filling and end.
#[derive(Clone, Copy)]
struct LongResponse {
    content_type: &'static str,
    begins: &'static str,
    fill: u8,
    bytes: usize,
    ends: &'static str,
}

impl LongResponse {
    async fn upstream(self) -> Upstream {
        Upstream::start(move |mut turn| async move {
            turn.read_body().await;
            turn.stream(&format!("200 OK\r\ncontent-type: {}", self.content_type)).await;
            // An empty chunk would end the body.
            if !self.begins.is_empty() {
                turn.chunk(self.begins.as_bytes()).await;
            }
            let mut left = self.bytes;
            while left > 0 {
                let piece = left.min(PIECE);
                if !turn.chunk(&vec![self.fill; piece]).await {
                    return None;
                }
                left -= piece;
            }
            if !self.ends.is_empty() {
                turn.chunk(self.ends.as_bytes()).await;
            }
            turn.chunk(b"").await;
            Some(turn)
        })
        .await
    }

    /// Requests the response in `format`; it must arrive completely while memory grows by less than [`MORE_MAX`].
    async fn check(self, format: Format, stream: bool) {
        let upstream = self.upstream().await;
        let gateway = Gateway::start(Setup::provider(format.kind(), upstream.address())).await;
        let key = gateway.key().await;
        let vitals = gateway.vitals();
        let before = vitals.memory_bytes();
        let call = Call::json(format.path(), &format.body("m", stream)).key(&key);
        let (relayed, took) = timed(count(call.open(gateway.proxy).await)).await;
        let peak = vitals.peak_bytes();
        say(&format!(
            "{format:?}, {}: {relayed} bytes in {took:?}, {} KiB before, {} at most",
            self.content_type,
            before >> 10,
            peak >> 10
        ));
        // These streams lack the last event of their format, so an error event is added.
        let added = relayed - (self.begins.len() + self.bytes + self.ends.len());
        let is_stream = self.content_type == "text/event-stream";
        assert!(added < 2_000 && (added > 0) == is_stream, "{added}");
        assert!(peak < before + MORE_MAX, "{} KiB more", (peak - before) >> 10);
        gateway.at_rest().await;
        gateway.counted(&key, 1).await;
    }
}

/// Reads a response to its end and returns its length in bytes.
async fn count(mut exchange: Exchange) -> usize {
    assert_eq!(exchange.status(), 200);
    let mut bytes = 0;
    loop {
        match exchange.next().await {
            Piece::Data(data) => bytes += data.len(),
            Piece::End => return bytes,
            Piece::Cut => panic!("cut after {bytes}"),
        }
    }
}

#[tokio::test]
async fn sse_line_of_100_mb_is_relayed_in_bounded_memory() {
    let long = LongResponse {
        content_type: "text/event-stream",
        begins: "data: {\"x\":\"",
        fill: b'x',
        bytes: LONG,
        ends: "\"}\n\n",
    };
    long.check(Format::Chat, true).await;
}

#[tokio::test]
async fn sse_line_of_100_mb_without_end_is_relayed_in_bounded_memory() {
    let long = LongResponse {
        content_type: "text/event-stream",
        begins: "event: x\ndata: ",
        fill: b'x',
        bytes: LONG,
        ends: "",
    };
    long.check(Format::Messages, true).await;
}

#[tokio::test]
async fn sse_of_line_ends_alone_is_relayed_in_bounded_memory() {
    let long = LongResponse {
        content_type: "text/event-stream",
        begins: "",
        fill: b'\n',
        bytes: LONG / 10,
        ends: "data: {}\n\n",
    };
    long.check(Format::Responses, true).await;
}

#[tokio::test]
async fn json_answer_of_100_mb_is_relayed_in_bounded_memory() {
    let long =
        LongResponse { content_type: "application/json", begins: "{\"x\":\"", fill: b'x', bytes: LONG, ends: "\"}" };
    long.check(Format::Responses, false).await;
}

#[tokio::test]
async fn json_that_nests_a_million_deep_is_relayed_in_bounded_memory() {
    for (content_type, begins, ends, stream) in [
        ("application/json", "{\"usage\":", "", false),
        ("application/json", "", "", false),
        ("text/event-stream", "data: {\"usage\":", "\n\n", true),
    ] {
        let long = LongResponse { content_type, begins, fill: b'[', bytes: DEPTH, ends };
        for format in [Format::Chat, Format::Messages] {
            long.check(format, stream).await;
        }
    }
}

/// Runs `script` as upstream; returns the responses to a request for `/up` and to a chat request.
async fn ask<F>(script: impl Fn(Turn) -> F + Send + Sync + 'static) -> Vec<Option<Answer>>
where
    F: Future<Output = Option<Turn>> + Send + 'static,
{
    let upstream = Upstream::start(script).await;
    let setup = Setup::routed(upstream.address(), ROUTE)
        .section("providers", &format!("[{}]", e2e::setup::provider("up", "openai", upstream.address())))
        .section("timeouts", "{first_byte: 1s, idle: 1s}")
        .section("ai", "{timeouts: {first_byte: 1s, idle: 1s}}");
    let gateway = Gateway::start(setup).await;
    let key = gateway.key().await;
    let vitals = gateway.vitals();
    let before = vitals.memory_bytes();
    let mut answers = Vec::new();
    for call in [Call::get("/up"), Call::json(CHAT, &Format::Chat.body("m", false)).key(&key)] {
        let requested = async { Some(call.attempt(gateway.proxy).await.ok()?.rest().await) };
        let (answer, took) = timed(requested).await;
        assert!(took < HANGS, "{took:?}");
        answers.push(answer);
    }
    let peak = vitals.peak_bytes();
    assert!(peak < before + MORE_MAX, "{} KiB more", (peak - before) >> 10);
    gateway.at_rest().await;
    answers
}

#[track_caller]
fn assert_refused(answers: &[Option<Answer>], codes: &[&str]) {
    for answer in answers {
        let answer = answer.as_ref().expect("an answer");
        let code = answer.json()["error"]["code"].clone();
        assert!(codes.iter().any(|known| code == *known), "{} {}", answer.head.first, answer.text());
    }
}

#[tokio::test]
async fn upstream_that_sends_endless_1xx_is_aborted() {
    for interim in ["100 Continue", "103 Early Hints\r\nlink: </x>; rel=preload"] {
        let answers = ask(move |mut turn| async move {
            turn.read_body().await;
            let interim = format!("HTTP/1.1 {interim}\r\n\r\n").repeat(100);
            while turn.write(interim.as_bytes()).await {}
            None
        })
        .await;
        assert_refused(&answers, &["upstream_timeout", "upstream_protocol"]);
    }
}

#[tokio::test]
async fn upstream_with_an_endless_head_is_aborted() {
    let answers = ask(|mut turn| async move {
        turn.read_body().await;
        turn.write(b"HTTP/1.1 200 OK\r\n").await;
        while turn.write(&b"x: y\r\n".repeat(1000)).await {}
        None
    })
    .await;
    assert_refused(&answers, &["upstream_protocol"]);
}

#[tokio::test]
async fn connection_of_an_upstream_that_sends_too_much_is_not_reused() {
    let answers = ask(|mut turn| async move {
        turn.read_body().await;
        turn.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood and what nobody asked for").await;
        Some(turn)
    })
    .await;
    for answer in answers {
        let answer = answer.unwrap();
        assert_eq!((answer.status(), answer.text().as_str(), answer.whole), (200, "good", true));
    }
}

#[tokio::test]
async fn reset_of_the_upstream_is_reported_in_each_phase() {
    for (sent, begun) in [
        ("", false),
        ("HTTP/1.1 200 OK\r\ncontent-", false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf", true),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n", true),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nha", true),
        ("HTTP/1.1 200 OK\r\n\r\nuntil the end", true),
    ] {
        let answers = ask(move |mut turn| async move {
            turn.read_body().await;
            turn.write(sent.as_bytes()).await;
            // The bytes must arrive before the reset.
            tokio::time::sleep(Duration::from_millis(50)).await;
            turn.wire.stream().set_zero_linger().unwrap();
            None
        })
        .await;
        if begun {
            for answer in answers.iter().flatten() {
                let refused = answer.status() == 502;
                assert!(refused || (answer.status() == 200 && !answer.whole), "{sent:?} {}", answer.head.first);
            }
        } else {
            assert_refused(&answers, &["upstream_reset"]);
        }
    }
}
