//! Callers that hang up on an LLM call, at every moment of it, in every format: broken off upstream, or read on to the usage.

use std::time::Duration;

use e2e::{Call, Gateway, Piece, Setup, Turn, Upstream, eventually};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::bodies::{CHAT, Format, MESSAGES, RESPONSES};
use crate::store;

/// When the caller leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    BeforeTheHead,
    BeforeAnEvent,
    WithinTheText,
    BehindTheUsage,
}

impl Moment {
    const ALL: [Self; 4] = [Self::BeforeTheHead, Self::BeforeAnEvent, Self::WithinTheText, Self::BehindTheUsage];

    fn of(text: &str) -> Self {
        Self::ALL.into_iter().find(|moment| format!("{moment:?}") == text).unwrap()
    }

    /// What the caller had of its answer.
    const fn status(self) -> i64 {
        if matches!(self, Self::BeforeTheHead) { 499 } else { 200 }
    }
}

/// A stream of a format: how it is asked for, its text, its usage, its end.
#[derive(Debug, Clone)]
struct Stream {
    path: &'static str,
    kind: &'static str,
    body: Value,
    head: &'static str,
    text: Vec<String>,
    usage: Vec<String>,
    end: Vec<String>,
    /// Input tokens that are told before the text.
    told_first: Option<i64>,
}

const EVENTS: &str = "200 OK\r\ncontent-type: text/event-stream";
const JSON: &str = "200 OK\r\ncontent-type: application/json";

fn data(value: &Value) -> String {
    format!("data: {value}\n\n")
}

fn named(value: &Value) -> String {
    format!("event: {}\n{}", value["type"].as_str().unwrap(), data(value))
}

/// Each streamed answer has used 11 tokens of input and 7 of output.
fn streams() -> Vec<Stream> {
    let [events, array] = google();
    vec![chat(), responses(), messages(), events, array]
}

fn chat() -> Stream {
    let chunk = |choices: Value| json!({"id": "c", "model": "m", "choices": choices});
    let said = |text| data(&chunk(json!([{"index": 0, "delta": {"content": text}}])));
    let spent = json!({"id": "c", "model": "m", "choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 7}});
    let mut asked = Format::Chat.body("m", true);
    asked["stream_options"] = json!({"include_usage": true});
    Stream {
        path: CHAT,
        kind: "openai",
        body: asked,
        head: EVENTS,
        text: vec![said("a"), said("b"), data(&chunk(json!([{"index": 0, "delta": {}, "finish_reason": "stop"}])))],
        usage: vec![data(&spent)],
        end: vec!["data: [DONE]\n\n".to_owned()],
        told_first: None,
    }
}

fn responses() -> Stream {
    let delta = json!({"type": "response.output_text.delta", "delta": "a"});
    let usage = json!({"input_tokens": 11, "output_tokens": 7});
    Stream {
        path: RESPONSES,
        kind: "openai",
        body: Format::Responses.body("m", true),
        head: EVENTS,
        text: vec![named(&json!({"type": "response.created", "response": {"id": "r", "model": "m"}})), named(&delta)],
        usage: vec![named(&json!({"type": "response.completed", "response": {"id": "r", "usage": usage}}))],
        end: vec![],
        told_first: None,
    }
}

fn messages() -> Stream {
    let start = json!({"type": "message_start", "message": {"id": "g", "model": "m", "usage": {"input_tokens": 11}}});
    let said = json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}});
    let spent = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}});
    Stream {
        path: MESSAGES,
        kind: "anthropic",
        body: Format::Messages.body("m", true),
        head: EVENTS,
        text: vec![named(&start), named(&said)],
        usage: vec![named(&spent)],
        end: vec![named(&json!({"type": "message_stop"}))],
        told_first: Some(11),
    }
}

/// Gemini's, as events and as an array.
fn google() -> [Stream; 2] {
    let said = json!({"candidates": [{"content": {"parts": [{"text": "a"}]}}], "modelVersion": "m"});
    let mut spent = json!({"candidates": [{"content": {"parts": []}, "finishReason": "STOP"}], "modelVersion": "m"});
    let unsaid = spent.clone();
    spent["usageMetadata"] = json!({"promptTokenCount": 11, "candidatesTokenCount": 7, "totalTokenCount": 18});
    let google = |path, head, text: Vec<String>, usage, end| Stream {
        path,
        kind: "gemini",
        body: json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}),
        head,
        text,
        usage,
        end,
        told_first: None,
    };
    [
        google(
            "/v1beta/models/m:streamGenerateContent?alt=sse",
            EVENTS,
            vec![data(&said)],
            vec![data(&spent)],
            vec![data(&unsaid)],
        ),
        google(
            "/v1beta/models/m:streamGenerateContent",
            JSON,
            vec![format!("[{said}"), format!(",{said}")],
            vec![format!(",{spent}")],
            vec!["]".to_owned()],
        ),
    ]
}

/// An upstream that goes on behind the moment that a request's `x-moment` names when it is told so.
async fn upstream(stream: Stream, told: watch::Receiver<usize>) -> Upstream {
    let script = move |turn: Turn| {
        let (stream, told) = (stream.clone(), told.clone());
        answer(turn, stream, told)
    };
    Upstream::start(script).await
}

async fn answer(mut turn: Turn, stream: Stream, mut told: watch::Receiver<usize>) -> Option<Turn> {
    turn.read_body().await;
    let (leaves, turns) = (Moment::of(turn.head.header("x-stainless-moment").unwrap()), turn.connection + 1);
    let has_usage = turn.head.header("x-stainless-usage").is_some();
    let mut waits = async |turn: &mut Turn, now| {
        if leaves == now {
            tokio::select! {
                () = turn.wire.closed() => return false,
                _ = told.wait_for(|answers| *answers >= turns) => {}
            }
        }
        true
    };
    let steps = [
        (Moment::BeforeTheHead, None),
        (Moment::BeforeAnEvent, Some(stream.text)),
        (Moment::WithinTheText, Some(if has_usage { stream.usage } else { Vec::new() })),
        (Moment::BehindTheUsage, Some(stream.end)),
    ];
    for (moment, events) in steps {
        if !waits(&mut turn, moment).await {
            return None;
        }
        match events {
            None => turn.stream(stream.head).await,
            Some(events) => {
                for event in events {
                    turn.chunk(event.as_bytes()).await;
                }
                true
            }
        };
    }
    turn.chunk(b"").await;
    Some(turn)
}

/// Calls, and leaves at the moment. Each goes over a connection of its own.
async fn leave(gateway: &Gateway, upstream: &Upstream, call: Call, moment: Moment) {
    let before = upstream.seen().len();
    let call = call.header("x-stainless-moment", &format!("{moment:?}"));
    if moment == Moment::BeforeTheHead {
        let sent = eventually("it is sent", async || (upstream.seen().len() > before).then_some(()));
        tokio::select! {
            _ = call.attempt(gateway.proxy) => panic!("nobody answers"),
            () = sent => {}
        }
        return;
    }
    let mut answer = call.open(gateway.proxy).await;
    let last = match moment {
        Moment::BeforeTheHead | Moment::BeforeAnEvent => return,
        Moment::WithinTheText => "\"a\"",
        // A format may tell the input first.
        Moment::BehindTheUsage => ":7",
    };
    let mut text = String::new();
    while !text.contains(last) {
        match answer.next().await {
            Piece::Data(bytes) => text.push_str(&String::from_utf8_lossy(&bytes)),
            over @ (Piece::End | Piece::Cut) => panic!("{moment:?}: {over:?} after {text}"),
        }
    }
}

fn call(stream: &Stream, key: &str, has_usage: bool) -> Call {
    let call = Call::json(stream.path, &stream.body).key(key);
    if has_usage { call.header("x-stainless-usage", "1") } else { call }
}

/// The newest of `count` events.
async fn newest(gateway: &Gateway, count: usize) -> e2e::database::Event {
    store::events(gateway.folder(), count).await.pop().unwrap()
}

#[tokio::test]
async fn caller_that_hangs_up_breaks_the_call_off_at_once_and_what_was_told_counts() {
    for stream in streams() {
        let (_tell, told) = watch::channel(0);
        let upstream = upstream(stream.clone(), told).await;
        let gateway = Gateway::start(Setup::provider(stream.kind, upstream.address())).await;
        let key = gateway.key().await;
        for (nth, moment) in Moment::ALL.into_iter().enumerate() {
            leave(&gateway, &upstream, call(&stream, &key, true), moment).await;
            let left = Instant::now();
            eventually("the call is broken off", async || (upstream.closed() > nth).then_some(())).await;
            assert!(left.elapsed() < Duration::from_secs(1), "{moment:?} {}: {:?}", stream.path, left.elapsed());
            let event = newest(&gateway, nth + 1).await;
            assert_eq!((event.status, event.outcome.as_str()), (moment.status(), "caller_gone"), "{moment:?}");
            let (input, output) = match moment {
                Moment::BeforeTheHead | Moment::BeforeAnEvent => (None, None),
                Moment::WithinTheText => (stream.told_first, None),
                Moment::BehindTheUsage => (Some(11), Some(7)),
            };
            let told = (event.row["input"].as_i64(), event.row["output"].as_i64());
            assert_eq!(told, (input, output), "{moment:?} {} {}", stream.path, event.row);
        }
    }
}

#[tokio::test]
async fn caller_that_hangs_up_leaves_a_call_that_is_read_to_its_usage() {
    for stream in streams() {
        let (tell, told) = watch::channel(0);
        let upstream = upstream(stream.clone(), told).await;
        let setup = Setup::provider(stream.kind, upstream.address()).section("on_hangup", "drain");
        let gateway = Gateway::start(setup).await;
        let key = gateway.key().await;
        let moments = Moment::ALL.into_iter().flat_map(|moment| [(moment, true), (moment, false)]);
        // Behind a usage that does not come nobody waits.
        let moments = moments.filter(|(moment, has_usage)| *has_usage || *moment != Moment::BehindTheUsage);
        for (nth, (moment, has_usage)) in moments.enumerate() {
            leave(&gateway, &upstream, call(&stream, &key, has_usage), moment).await;
            let gone = async || (gateway.gauge("tollgate_connections").await == 0).then_some(());
            eventually("the caller is gone", gone).await;
            assert_eq!(gateway.gauge("tollgate_requests_in_flight").await, 1, "{moment:?} {}", stream.path);
            tell.send_replace(usize::MAX);
            let event = newest(&gateway, nth + 1).await;
            tell.send_replace(0);
            let what = format!("{moment:?} {has_usage} {} {}", stream.path, event.row);
            assert_eq!((event.status, event.outcome.as_str()), (moment.status(), "caller_gone"), "{what}");
            let told = (event.row["input"].as_i64(), event.row["output"].as_i64());
            let expected = if has_usage { (Some(11), Some(7)) } else { (stream.told_first, None) };
            assert_eq!(told, expected, "{what}");
            assert_eq!(upstream.closed(), 0, "its connection is used again: {what}");
        }
        eventually("nothing is in flight", async || {
            (gateway.gauge("tollgate_requests_in_flight").await == 0).then_some(())
        })
        .await;
    }
}

/// By what a call that its caller has left ends, beside its own end.
#[tokio::test]
async fn what_is_read_on_ends_by_its_bytes_its_time_and_the_shutdowns() {
    let stream = streams().remove(0);
    for (bounds, long, ends) in [
        ("{drain: {bytes: 1KiB}}", true, true),
        ("{drain: {for: 300ms}}", false, true),
        ("{drain: {for: 1h}}", false, false),
    ] {
        let (tell, told) = watch::channel(0);
        let mut stream = stream.clone();
        if long {
            stream.usage = (0..100).map(|_| stream.text[0].clone()).chain(stream.usage).collect();
        }
        let upstream = upstream(stream.clone(), told).await;
        let setup = Setup::provider(stream.kind, upstream.address()).section("on_hangup", bounds);
        let gateway = Gateway::start(setup).await;
        let key = gateway.key().await;
        for (nth, moment) in [Moment::BeforeTheHead, Moment::WithinTheText].into_iter().enumerate() {
            leave(&gateway, &upstream, call(&stream, &key, true), moment).await;
            let gone = async || (gateway.gauge("tollgate_connections").await == 0).then_some(());
            eventually("the caller is gone", gone).await;
            if long {
                tell.send_replace(usize::MAX);
            }
            if ends {
                let event = newest(&gateway, nth + 1).await;
                assert_eq!((event.status, event.outcome.as_str()), (moment.status(), "caller_gone"));
                assert_eq!(event.row["output"].as_i64(), None, "{bounds} {moment:?} {}", event.row);
            }
            tell.send_replace(0);
        }
        let left = if ends { 0 } else { 2 };
        let in_flight = async || (gateway.gauge("tollgate_requests_in_flight").await == left).then_some(());
        eventually("what has not ended is in flight", in_flight).await;
        gateway.terminate();
        let ended = gateway.end_within(Duration::from_secs(20)).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let events = store::events(&ended.folder, 2).await;
        assert!(events.iter().all(|event| event.outcome == "caller_gone"), "{events:?}");
    }
}

/// What was not sent yet needs no reading on.
#[tokio::test]
async fn caller_that_leaves_before_its_call_is_sent_has_used_nothing() {
    // A listener that nobody accepts from: the connection stands, and nothing of the request is written before TLS.
    let upstream = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let provider = format!(
        "[{{name: up, kind: openai, base_url: \"https://{}/v1\", credential: c}}]",
        upstream.local_addr().unwrap()
    );
    let setup = Setup::new().section("providers", &provider).section("on_hangup", "drain");
    let gateway = Gateway::start(setup).await;
    let key = gateway.key().await;
    let call = Call::json(CHAT, &Format::Chat.body("m", true)).key(&key);
    let connected = async { upstream.accept().await.unwrap() };
    let _upstream = tokio::select! {
        _ = call.attempt(gateway.proxy) => panic!("nobody answers"),
        connected = connected => connected,
    };
    gateway.at_rest().await;
    eventually("its reservation is given back", async || {
        gateway.metrics().await.contains("tollgate_meter_released_total 1").then_some(())
    })
    .await;
}
