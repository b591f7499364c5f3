//! Clients that disconnect during an LLM request, at every phase and in every format. Tollgate aborts the upstream
//! request, or with `on_hangup: drain` reads the response up to its usage.

use std::time::Duration;

use e2e::{Call, Canary, Gateway, Piece, Setup, Turn, Upstream, eventually};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::bodies::{CHAT, Format, MESSAGES, RESPONSES};
use crate::store;

/// The phase in which the client disconnects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    BeforeTheHead,
    BeforeAnEvent,
    WithinTheText,
    BehindTheUsage,
}

impl Moment {
    const ALL: [Self; 4] = [Self::BeforeTheHead, Self::BeforeAnEvent, Self::WithinTheText, Self::BehindTheUsage];

    fn from_text(text: &str) -> Self {
        Self::ALL.into_iter().find(|moment| format!("{moment:?}") == text).unwrap()
    }

    /// Returns the status in the usage event: 499 if the client received no head.
    const fn status(self) -> i64 {
        if matches!(self, Self::BeforeTheHead) { 499 } else { 200 }
    }
}

/// A stream in one format: its request, text, usage and end.
#[derive(Debug, Clone)]
struct Stream {
    path: &'static str,
    kind: &'static str,
    body: Value,
    head: &'static str,
    text: Vec<String>,
    usage: Vec<String>,
    end: Vec<String>,
    /// Input tokens that the stream reports before its text.
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

/// Returns all streams; each reports 11 input tokens and 7 output tokens.
fn streams() -> Vec<Stream> {
    let [events, array] = google();
    vec![chat(), responses(), messages(), events, array]
}

fn chat() -> Stream {
    let chunk = |choices: Value| json!({"id": "c", "model": "m", "choices": choices});
    let printed = |text| data(&chunk(json!([{"index": 0, "delta": {"content": text}}])));
    let spent = json!({"id": "c", "model": "m", "choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 7}});
    let mut requested = Format::Chat.body("m", true);
    requested["stream_options"] = json!({"include_usage": true});
    Stream {
        path: CHAT,
        kind: "openai",
        body: requested,
        head: EVENTS,
        text: vec![printed("a"), printed("b")],
        usage: vec![data(&chunk(json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]))), data(&spent)],
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
    let printed = json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}});
    let spent = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}});
    Stream {
        path: MESSAGES,
        kind: "anthropic",
        body: Format::Messages.body("m", true),
        head: EVENTS,
        text: vec![named(&start), named(&printed)],
        usage: vec![named(&spent)],
        end: vec![named(&json!({"type": "message_stop"}))],
        told_first: Some(11),
    }
}

/// Gemini's stream, as events and as an array.
fn google() -> [Stream; 2] {
    let printed = json!({"candidates": [{"content": {"parts": [{"text": "a"}]}}], "modelVersion": "m"});
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
            vec![data(&printed)],
            vec![data(&spent)],
            vec![data(&unsaid)],
        ),
        google(
            "/v1beta/models/m:streamGenerateContent",
            JSON,
            vec![format!("[{printed}"), format!(",{printed}")],
            vec![format!(",{spent}")],
            vec!["]".to_owned()],
        ),
    ]
}

/// Starts an upstream that pauses at the moment in the request's `x-moment` until the test lets it continue.
async fn upstream(stream: Stream, reported: watch::Receiver<usize>) -> Upstream {
    let script = move |turn: Turn| {
        let stream = stream.clone();
        let reported = reported.clone();
        answer(turn, stream, reported)
    };
    Upstream::start(script).await
}

async fn answer(mut turn: Turn, stream: Stream, mut reported: watch::Receiver<usize>) -> Option<Turn> {
    turn.read_body().await;
    let leaves = Moment::from_text(turn.head.header("x-stainless-moment").unwrap());
    let turns = turn.connection + 1;
    let has_usage = turn.head.header("x-stainless-usage").is_some();
    let mut waits = async |turn: &mut Turn, now| {
        if leaves == now {
            tokio::select! {
                () = turn.wire.closed() => return false,
                _ = reported.wait_for(|answers| *answers >= turns) => {}
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

/// Sends the request on a new connection and disconnects at `moment`.
async fn leave(gateway: &Gateway, upstream: &Upstream, call: Call, moment: Moment) {
    let before = upstream.seen().len();
    let call = call.header("x-stainless-moment", &format!("{moment:?}"));
    if moment == Moment::BeforeTheHead {
        let sent = eventually("the request is sent", async || (upstream.seen().len() > before).then_some(()));
        tokio::select! {
            _ = call.attempt(gateway.proxy) => panic!("the upstream sends no response"),
            () = sent => {}
        }
        return;
    }
    let mut answer = call.open(gateway.proxy).await;
    let last = match moment {
        Moment::BeforeTheHead | Moment::BeforeAnEvent => return,
        Moment::WithinTheText => "\"a\"",
        // Some formats report the input tokens first.
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

/// Waits for `count` usage events and returns the newest.
async fn newest(gateway: &Gateway, count: usize) -> e2e::database::EventRow {
    store::events(gateway.folder(), count).await.pop().unwrap()
}

#[tokio::test]
async fn disconnect_aborts_the_call_at_once_and_reported_usage_counts() {
    for stream in streams() {
        let (_tell, reported) = watch::channel(0);
        let upstream = upstream(stream.clone(), reported).await;
        let gateway = Gateway::start(Setup::provider(stream.kind, upstream.address())).await;
        let key = gateway.key().await;
        for (nth, moment) in Moment::ALL.into_iter().enumerate() {
            leave(&gateway, &upstream, call(&stream, &key, true), moment).await;
            let what = format!("{moment:?} {}: the upstream request is aborted", stream.path);
            let aborted = async || (upstream.closed() > nth).then_some(());
            Canary::new().within(Duration::from_secs(1), &what, aborted).await;
            let event = newest(&gateway, nth + 1).await;
            assert_eq!((event.status, event.outcome.as_str()), (moment.status(), "caller_gone"), "{moment:?}");
            let (input, output) = match moment {
                Moment::BeforeTheHead | Moment::BeforeAnEvent => (None, None),
                Moment::WithinTheText => (stream.told_first, None),
                Moment::BehindTheUsage => (Some(11), Some(7)),
            };
            let reported = (event.row["input"].as_i64(), event.row["output"].as_i64());
            assert_eq!(reported, (input, output), "{moment:?} {} {}", stream.path, event.row);
        }
    }
}

#[tokio::test]
async fn call_of_a_disconnected_client_is_read_to_its_usage() {
    for stream in streams() {
        let (tell, reported) = watch::channel(0);
        let upstream = upstream(stream.clone(), reported).await;
        let setup = Setup::provider(stream.kind, upstream.address()).section("on_hangup", "drain");
        let gateway = Gateway::start(setup).await;
        let key = gateway.key().await;
        let moments = Moment::ALL.into_iter().flat_map(|moment| [(moment, true), (moment, false)]);
        // After an end without usage there is no more data to wait for.
        let moments = moments.filter(|(moment, has_usage)| *has_usage || *moment != Moment::BehindTheUsage);
        for (nth, (moment, has_usage)) in moments.enumerate() {
            leave(&gateway, &upstream, call(&stream, &key, has_usage), moment).await;
            let gone = async || (gateway.gauge("tollgate_connections").await == 0).then_some(());
            eventually("the client has disconnected", gone).await;
            assert_eq!(gateway.gauge("tollgate_requests_in_flight").await, 1, "{moment:?} {}", stream.path);
            tell.send_replace(usize::MAX);
            let event = newest(&gateway, nth + 1).await;
            tell.send_replace(0);
            let what = format!("{moment:?} {has_usage} {} {}", stream.path, event.row);
            assert_eq!((event.status, event.outcome.as_str()), (moment.status(), "caller_gone"), "{what}");
            let reported = (event.row["input"].as_i64(), event.row["output"].as_i64());
            let expected = if has_usage { (Some(11), Some(7)) } else { (stream.told_first, None) };
            assert_eq!(reported, expected, "{what}");
            assert_eq!(upstream.closed(), 0, "the upstream connection must be reusable: {what}");
        }
        eventually("nothing is in flight", async || {
            (gateway.gauge("tollgate_requests_in_flight").await == 0).then_some(())
        })
        .await;
    }
}

/// Besides its own end, a byte limit, a time limit or a shutdown ends the reading of an abandoned response.
#[tokio::test]
async fn detached_responses_end_by_bytes_time_or_shutdown() {
    let stream = streams().remove(0);
    for (bounds, long, ends) in [
        ("{drain: {bytes: 1KiB}}", true, true),
        ("{drain: {for: 300ms}}", false, true),
        ("{drain: {for: 1h}}", false, false),
    ] {
        let (tell, reported) = watch::channel(0);
        let mut stream = stream.clone();
        if long {
            stream.usage = (0..100).map(|_| stream.text[0].clone()).chain(stream.usage).collect();
        }
        let upstream = upstream(stream.clone(), reported).await;
        let setup = Setup::provider(stream.kind, upstream.address()).section("on_hangup", bounds);
        let gateway = Gateway::start(setup).await;
        let key = gateway.key().await;
        for (nth, moment) in [Moment::BeforeTheHead, Moment::WithinTheText].into_iter().enumerate() {
            leave(&gateway, &upstream, call(&stream, &key, true), moment).await;
            let gone = async || (gateway.gauge("tollgate_connections").await == 0).then_some(());
            eventually("the client has disconnected", gone).await;
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
        eventually("unfinished requests are in flight", in_flight).await;
        gateway.terminate();
        let ended = gateway.end_within(Duration::from_secs(20)).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let events = store::events(&ended.folder, 2).await;
        assert!(events.iter().all(|event| event.outcome == "caller_gone"), "{events:?}");
    }
}

/// A request that was not sent yet is not continued.
#[tokio::test]
async fn disconnect_before_the_call_is_sent_uses_nothing() {
    // The listener never accepts: the connection is established, but no request is written before TLS is.
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
        _ = call.attempt(gateway.proxy) => panic!("the upstream sends no response"),
        connected = connected => connected,
    };
    gateway.at_rest().await;
    eventually("the reservation is released", async || {
        gateway.metrics().await.contains("tollgate_meter_released_total 1").then_some(())
    })
    .await;
}

/// The usage of a chat stream follows the end of the model. A provider that does not report it is left after 2 s.
#[tokio::test]
async fn usage_that_is_due_after_the_end_of_the_model_is_waited_for() {
    for (on_hangup, is_reported, output) in [("cancel", true, Some(7)), ("cancel", false, None), ("abort", false, None)]
    {
        let (tell, reported) = watch::channel(0);
        let mut stream = chat();
        let finish = stream.usage.remove(0);
        stream.text.push(finish);
        let upstream = upstream(stream.clone(), reported).await;
        let setup = Setup::provider(stream.kind, upstream.address()).section("on_hangup", on_hangup);
        let gateway = Gateway::start(setup).await;
        let key = gateway.key().await;
        let moment = format!("{:?}", Moment::WithinTheText);
        let mut answer = call(&stream, &key, true).header("x-stainless-moment", &moment).open(gateway.proxy).await;
        let mut text = String::new();
        while !text.contains("\"stop\"") {
            let Piece::Data(bytes) = answer.next().await else { panic!("the stream ended after {text}") };
            text.push_str(&String::from_utf8_lossy(&bytes));
        }
        drop(answer);
        let gone = async || (gateway.gauge("tollgate_connections").await == 0).then_some(());
        eventually("the client has disconnected", gone).await;
        if is_reported {
            tell.send_replace(usize::MAX);
        } else {
            let aborted = async || (upstream.closed() > 0).then_some(());
            let within = Duration::from_secs(if on_hangup == "abort" { 1 } else { 4 });
            Canary::new().within(within, "the upstream request is aborted", aborted).await;
        }
        let event = newest(&gateway, 1).await;
        assert_eq!((event.status, event.outcome.as_str()), (200, "caller_gone"), "{on_hangup}");
        assert_eq!(event.row["output"].as_i64(), output, "{on_hangup} {is_reported} {}", event.row);
    }
}
