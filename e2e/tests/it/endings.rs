//! The ends of an LLM call: the amounts that are charged to budgets and billed, as in the table of `docs/budgets.md`. The
//! rows of a process that died and of a stream that exhausts its reservation are in `spending.rs`.

use std::time::Duration;

use e2e::setup::Folder;
use e2e::{Call, Gateway, Piece, Setup, Turn, Upstream, eventually};
use serde_json::{Value, json};

use crate::bodies::{CHAT, Format, MESSAGES};
use crate::store;

/// The input and output tokens that the provider reports.
const REPORTED: [i64; 2] = [11, 7];
/// Nano-USD per token of each class.
const RATE: i64 = 1_000;
/// Maximum time of a shutdown, on a busy machine.
const HANGS: Duration = Duration::from_secs(60);
const EVENTS: &str = "200 OK\r\ncontent-type: text/event-stream";
const TEXT: &[u8] = b"data: {\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";
const USAGE: &[u8] =
    b"data: {\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":7}}\n\n";
const ERROR: &[u8] = b"data: {\"error\":{\"message\":\"the model is overloaded\",\"code\":\"server_error\"}}\n\n";
const DONE: &[u8] = b"data: [DONE]\n\n";

/// The source of the charge and of the bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Amount {
    /// Both are the usage that the provider reported.
    Reported,
    /// The charge is the reservation, because the stream may have used more than the provider reported. The reported
    /// usage is billed.
    Unfinished,
    /// The charge is the reservation, and nothing is billed, because no usage was reported.
    Reserved,
    /// Only credits are charged.
    Nothing,
}

/// Answers as the header `x-stainless-ending` of the request says.
async fn answer(mut turn: Turn) -> Option<Turn> {
    turn.read_body().await;
    let ending = turn.head.header("x-stainless-ending").unwrap_or_default().to_owned();
    if let Some(status) = ending.strip_prefix("status ") {
        turn.answer(&format!("{status}\r\ncontent-type: application/json"), b"{\"error\":{}}").await;
        return Some(turn);
    }
    let (pieces, ends): (&[&[u8]], bool) = match ending.as_str() {
        "complete" => (&[TEXT, USAGE, DONE], true),
        "unreported" => (&[TEXT, DONE], true),
        "error" => (&[TEXT, ERROR], true),
        "error done" => (&[TEXT, ERROR, DONE], true),
        "cut text" => (&[TEXT], false),
        "cut usage" => (&[TEXT, USAGE], false),
        "hang text" | "stall" => (&[TEXT], true),
        "hang usage" => (&[TEXT, USAGE], true),
        "silent" => {
            turn.wire.closed().await;
            return None;
        }
        _ => return None,
    };
    turn.stream(EVENTS).await;
    for piece in pieces {
        turn.chunk(piece).await;
    }
    if ending.starts_with("hang") || ending == "stall" {
        turn.wire.closed().await;
        return None;
    }
    if !ends {
        return None;
    }
    turn.chunk(b"").await;
    Some(turn)
}

fn setup(kind: &str, upstream: &Upstream, timeouts: &str) -> Setup {
    Setup::provider(kind, upstream.address())
        .plans("{name: small, budgets: [{money: \"1 USD\", per: day}, {tokens: 1000000, per: day}]}")
        .section("lease", "{ttl: 20s, recall_wait: 10s}")
        .section(
            "prices",
            "[{model: up/m, input: \"1\", output: \"1\", input_tokens_max: 1000000, output_tokens_max: 1000}]",
        )
        .section("ai", &format!("{{timeouts: {{{timeouts}}}}}"))
}

fn call(key: &str, ending: &str) -> Call {
    let mut body = Format::Chat.body("up/m", true);
    body["max_completion_tokens"] = 10.into();
    body["stream_options"] = json!({"include_usage": true});
    Call::json(CHAT, &body).key(key).header("x-stainless-ending", ending)
}

/// Returns charged tokens and charged money of the newest call.
async fn charged(folder: &Folder) -> [i64; 2] {
    let tokens = "SELECT charged_tokens FROM usage_events ORDER BY id DESC LIMIT 1";
    let money = "SELECT charged_nano FROM usage_events ORDER BY id DESC LIMIT 1";
    [store::number(folder, tokens).await, store::number(folder, money).await]
}

/// The newest of `count` calls: its status and outcome, and the amounts that are charged and billed.
#[derive(Debug)]
struct Ended {
    status: i64,
    outcome: String,
    charged: [i64; 2],
    row: Value,
}

async fn newest(folder: &Folder, count: usize) -> Ended {
    let event = store::events(folder, count).await.pop().unwrap();
    Ended { status: event.status, outcome: event.outcome, charged: charged(folder).await, row: event.row }
}

/// Asserts what a call is charged and billed. `reserved` is the reservation of tokens.
#[track_caller]
fn check(what: &str, ended: &Ended, expected: (i64, &str, Amount), reserved: &mut Option<i64>) {
    let (status, outcome, amount) = expected;
    let found = (ended.status, ended.outcome.as_str());
    assert_eq!(found, (status, outcome), "{what} {ended:?}");
    let bill = (ended.row["cost_nano"].as_i64(), ended.row["cost_unknown"].as_str());
    let used: i64 = REPORTED.iter().sum();
    match amount {
        Amount::Reported => {
            assert_eq!((ended.charged, bill), ([used, used * RATE], (Some(used * RATE), None)), "{what} {ended:?}");
        }
        Amount::Reserved | Amount::Unfinished => {
            let [tokens, money] = ended.charged;
            let reserved = *reserved.get_or_insert(tokens);
            assert!(reserved > used, "{what}: {reserved}");
            assert_eq!((tokens, money), (reserved, reserved * RATE), "{what} {ended:?}");
            let billed = if amount == Amount::Reserved { (None, Some("no_usage")) } else { (Some(used * RATE), None) };
            assert_eq!(bill, billed, "{what} {ended:?}");
        }
        Amount::Nothing => assert_eq!((ended.charged, bill), ([0, 0], (Some(0), None)), "{what} {ended:?}"),
    }
    assert_eq!(ended.row["credits"].as_i64(), Some(1), "{what} {ended:?}");
}

/// Reads a response to its end, or disconnects when it contains `until`.
async fn take(gateway: &Gateway, upstream: &Upstream, call: Call, until: Option<&str>) {
    let Some(until) = until else {
        gateway.call(call).await;
        return;
    };
    if until.is_empty() {
        let before = upstream.seen().len();
        let sent = eventually("the request is sent", async || (upstream.seen().len() > before).then_some(()));
        tokio::select! {
            _ = call.attempt(gateway.proxy) => panic!("the upstream sends no response"),
            () = sent => {}
        }
        return;
    }
    let mut response = call.open(gateway.proxy).await;
    let mut text = String::new();
    while !text.contains(until) {
        match response.next().await {
            Piece::Data(bytes) => text.push_str(&String::from_utf8_lossy(&bytes)),
            over @ (Piece::End | Piece::Cut) => panic!("{over:?} after {text}"),
        }
    }
}

#[tokio::test]
async fn each_end_of_a_call_is_charged_and_billed_as_the_table_says() {
    let upstream = Upstream::start(answer).await;
    let gateway = Gateway::start(setup("openai", &upstream, "first_byte: 1s, idle: 1s")).await;
    let key = gateway.account("small").await.key;
    let mut reserved = None;
    for (nth, (ending, leaves, status, outcome, amount)) in [
        ("complete", None, 200, "completed", Amount::Reported),
        ("unreported", None, 200, "completed", Amount::Reserved),
        ("silent", Some(""), 499, "caller_gone", Amount::Reserved),
        ("hang text", Some("\"a\""), 200, "caller_gone", Amount::Reserved),
        ("hang usage", Some(":7"), 200, "caller_gone", Amount::Unfinished),
        ("close", None, 502, "upstream_cut", Amount::Reserved),
        ("cut text", None, 200, "upstream_cut", Amount::Reserved),
        ("cut usage", None, 200, "upstream_cut", Amount::Unfinished),
        ("silent", None, 504, "timed_out", Amount::Reserved),
        ("stall", None, 200, "timed_out", Amount::Reserved),
        ("status 400 Bad Request", None, 400, "completed", Amount::Nothing),
        ("status 429 Too Many Requests", None, 429, "completed", Amount::Nothing),
        ("status 500 Internal Server Error", None, 500, "completed", Amount::Nothing),
        ("error", None, 200, "upstream_cut", Amount::Reserved),
        ("error done", None, 200, "completed", Amount::Reserved),
    ]
    .into_iter()
    .enumerate()
    {
        take(&gateway, &upstream, call(&key, ending), leaves).await;
        let ended = newest(gateway.folder(), nth + 1).await;
        check(ending, &ended, (status, outcome, amount), &mut reserved);
    }
}

#[tokio::test]
async fn a_call_that_a_shutdown_cuts_is_charged_its_reservation() {
    let upstream = Upstream::start(answer).await;
    let mut reserved = None;
    for (ending, until, amount) in [("hang text", "\"a\"", Amount::Reserved), ("hang usage", ":7", Amount::Unfinished)]
    {
        let gateway = Gateway::start(setup("openai", &upstream, "idle: 20s")).await;
        let key = gateway.account("small").await.key;
        let mut stream = call(&key, ending).open(gateway.proxy).await;
        let mut text = String::new();
        while !text.contains(until) {
            let Piece::Data(bytes) = stream.next().await else { panic!("the stream ended after {text}") };
            text.push_str(&String::from_utf8_lossy(&bytes));
        }
        gateway.terminate();
        assert!(stream.rest().await.text().contains("draining"), "{ending}");
        let ended = gateway.end_within(HANGS).await;
        check(ending, &newest(&ended.folder, 1).await, (200, "drained", amount), &mut reserved);
    }
}

/// Neither response reports usage. The price of images is that of the response's images, the price of speech that of the
/// request's characters: no token is charged, and no more than the price.
#[tokio::test]
async fn a_call_that_is_priced_by_units_is_charged_and_billed_this_price() {
    let upstream = Upstream::start(|mut turn: Turn| async move {
        turn.read_body().await;
        if turn.head.word(1).ends_with("/speech") {
            turn.answer("200 OK\r\ncontent-type: audio/mpeg", b"sound").await;
        } else {
            let two = br#"{"created":1,"data":[{"url":"a"},{"url":"b"}]}"#;
            turn.answer("200 OK\r\ncontent-type: application/json", two).await;
        }
        Some(turn)
    })
    .await;
    let prices = "[{model: up/drawn, per_image: \"0.05\"}, {model: up/said, per_character: \"0.001\"}]";
    let gateway = Gateway::start(setup("openai", &upstream, "idle: 1s").section("prices", prices)).await;
    let key = gateway.account("small").await.key;
    let images = json!({"model": "up/drawn", "prompt": "two dogs", "n": 3});
    let speech = json!({"model": "up/said", "input": "sound", "voice": "alloy"});
    for (nth, (path, body, nano)) in
        [("/v1/images/generations", images, 100_000_000), ("/v1/audio/speech", speech, 5_000_000)]
            .into_iter()
            .enumerate()
    {
        gateway.call(Call::json(path, &body).key(&key)).await.expect(200);
        let ended = newest(gateway.folder(), nth + 1).await;
        assert_eq!((ended.outcome.as_str(), ended.charged), ("completed", [0, nano]), "{path} {ended:?}");
        let bill = (ended.row["cost_nano"].as_i64(), ended.row["credits"].as_i64());
        assert_eq!(bill, (Some(nano), Some(1)), "{path} {ended:?}");
    }
}

/// No byte is sent to a provider that accepts no connection, nor after a refusal.
#[tokio::test]
async fn a_call_that_is_not_sent_is_not_charged() {
    let upstream = Upstream::start(answer).await;
    let closed = e2e::ReservedPort::new().address();
    let gateway = Gateway::start(
        setup("openai", &upstream, "idle: 1s")
            .section("providers", &format!("[{}]", e2e::setup::provider("up", "openai", closed))),
    )
    .await;
    let key = gateway.account("small").await.key;
    gateway.call(call(&key, "complete")).await.expect(502);
    let ended = newest(gateway.folder(), 1).await;
    assert_eq!((ended.charged, ended.row["credits"].as_i64()), ([0, 0], Some(0)), "{ended:?}");
    assert!(ended.row["cost_nano"].is_null() && ended.row["attempts"] == json!(0), "{ended:?}");
    let mut body = Format::Chat.body("up/m", true);
    body["max_completion_tokens"] = 2_000_000.into();
    gateway.call(Call::json(CHAT, &body).key(&key)).await.expect(429);
    let ended = newest(gateway.folder(), 2).await;
    assert_eq!((ended.status, ended.charged, ended.row["credits"].as_i64()), (429, [0, 0], Some(0)), "{ended:?}");
    assert!(ended.row["cost_nano"].is_null() && ended.row["attempts"] == json!(0), "{ended:?}");
}

/// Anthropic reports the input tokens first.
#[tokio::test]
async fn a_call_with_partly_reported_usage_is_billed_the_part_and_charged_its_reservation() {
    let upstream = Upstream::start(|mut turn| async move {
        turn.read_body().await;
        turn.stream(EVENTS).await;
        let start =
            b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"g\",\"model\":\"m\",\
            \"usage\":{\"input_tokens\":11}}}\n\n";
        turn.chunk(start).await;
        if turn.head.header("x-stainless-ending") == Some("error") {
            turn.chunk(b"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n").await;
            turn.chunk(b"").await;
        }
        None
    })
    .await;
    let gateway = Gateway::start(setup("anthropic", &upstream, "idle: 1s")).await;
    let key = gateway.account("small").await.key;
    let mut body = Format::Messages.body("up/m", true);
    body["max_tokens"] = 10.into();
    for (nth, (ending, outcome)) in [("cut", "upstream_cut"), ("error", "upstream_cut")].into_iter().enumerate() {
        let call = Call::json(MESSAGES, &body).key(&key).header("x-stainless-ending", ending);
        gateway.call(call).await.expect(200);
        let ended = newest(gateway.folder(), nth + 1).await;
        let [tokens, money] = ended.charged;
        assert_eq!(ended.outcome, outcome, "{ending} {ended:?}");
        assert_eq!(ended.row["cost_nano"].as_i64(), Some(11 * RATE), "{ending} {ended:?}");
        assert!(tokens > 18 && money == tokens * RATE, "{ending} {ended:?}");
    }
}

#[tokio::test]
async fn a_call_that_is_read_on_after_its_client_left_is_charged_and_billed_its_usage() {
    let (permit, gate) = tokio::sync::watch::channel(false);
    let upstream = Upstream::start(move |mut turn: Turn| {
        let mut gate = gate.clone();
        async move {
            turn.read_body().await;
            turn.stream(EVENTS).await;
            turn.chunk(TEXT).await;
            let _ = gate.wait_for(|is_open| *is_open).await;
            for piece in [USAGE, DONE, b""] {
                turn.chunk(piece).await;
            }
            Some(turn)
        }
    })
    .await;
    let setup = setup("openai", &upstream, "idle: 20s").section("on_hangup", "drain");
    let gateway = Gateway::start(setup).await;
    let key = gateway.account("small").await.key;
    take(&gateway, &upstream, call(&key, "drain"), Some("\"a\"")).await;
    let gone = async || (gateway.gauge("tollgate_connections").await == 0).then_some(());
    eventually("the client has disconnected", gone).await;
    permit.send_replace(true);
    let ended = newest(gateway.folder(), 1).await;
    check("drain", &ended, (200, "caller_gone", Amount::Reported), &mut None);
}
