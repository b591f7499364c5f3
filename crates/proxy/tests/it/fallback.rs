//! Models with several targets: calls whose first target fails, and their cost.

mod bad_input;
mod beginnings;
mod last_attempt;
mod sessions;
mod shared_account;
mod target_limits;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use access::{Amount, Clock, Ids, NanoUsd, ProviderKey, ProviderKeyId, Secret, Timestamp, Tokens};
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full};
use meter::{BudgetId, BudgetScope, LimitPeriod, Measure, UsageEvent};
use spool::Record;
use tokio::time::{Instant, sleep, timeout};

use crate::gateway::{Gateway, NOON, USER};
use crate::raw::{Conn, Raw};

const PATIENCE: Duration = Duration::from_secs(20);

/// What a scripted provider does with every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Script {
    /// It serves the call completely.
    Serves,
    /// It responds with this status, fields and body.
    Says(u16, &'static str, &'static str),
    /// It closes the connection without a response, with a TCP reset.
    Resets,
    /// It begins a stream, sends these events, and is silent.
    Hangs(&'static str),
    /// It begins a stream, sends these events, and closes the connection.
    Cuts(&'static str),
    /// It sends these events as a whole stream.
    Streams(&'static str),
    /// It begins a stream, sends these events, and after a pause others that end it.
    Pauses { before: &'static str, pause_ms: u64, after: &'static str },
    /// The first request gets a status with these fields, the second one another, and later ones are served.
    Recovers { first: (u16, &'static str), second: u16 },
    /// It sends the head of a body, and the body after a second.
    LateWhole,
    /// It reads the request and never responds.
    Nothing,
    /// It serves the call completely, after these pauses before the head and before the content.
    Late { head_ms: u64, content_ms: u64 },
}

const ROLE: &str = "data: {\"id\":\"a\",\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
const TEXT: &str = "data: {\"id\":\"a\",\"choices\":[{\"delta\":{\"content\":\"first\"}}]}\n\n";
const SERVED: &str = "data: {\"id\":\"b\",\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\n\n\
    data: {\"id\":\"b\",\"choices\":[{\"delta\":{\"content\":\"second\"},\"finish_reason\":\"stop\"}]}\n\n\
    data: {\"id\":\"b\",\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5}}\n\n\
    data: [DONE]\n\n";
const SERVED_BODY: &str = "{\"id\":\"b\",\"object\":\"chat.completion\",\"choices\":[{\"message\":{\"content\":\"second\"}}],\
    \"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5}}";
const JSON: &str = "content-type: application/json\r\n";
const ERROR_EVENT: &str = "data: {\"error\":{\"type\":\"server_error\",\"message\":\"the first broke\"}}\n\n";

/// Starts a provider with a script.
async fn provider(script: Script) -> Raw {
    let served = Arc::<AtomicUsize>::default();
    Raw::start(move |mut conn: Conn| {
        let served = served.clone();
        async move {
            while let Some(body) = conn.body().await {
                let is_stream = body.contains("\"stream\":true");
                let whole = |status: u16, fields: &str, body: &str| {
                    let length = body.len();
                    format!("HTTP/1.1 {status} X\r\n{fields}content-length: {length}\r\n\r\n{body}")
                };
                let begin = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
                let chunk = |events: &str| format!("{:x}\r\n{events}\r\n", events.len());
                let said = match script {
                    Script::Serves if is_stream => format!("{begin}{}0\r\n\r\n", chunk(SERVED)),
                    Script::Serves => whole(200, JSON, SERVED_BODY),
                    Script::Says(status, fields, body) => whole(status, fields, body),
                    Script::Late { head_ms, content_ms } => {
                        sleep(Duration::from_millis(head_ms)).await;
                        conn.say(begin).await;
                        sleep(Duration::from_millis(content_ms)).await;
                        format!("{}0\r\n\r\n", chunk(SERVED))
                    }
                    Script::Pauses { before, pause_ms, after } => {
                        conn.say(format!("{begin}{}", chunk(before))).await;
                        sleep(Duration::from_millis(pause_ms)).await;
                        format!("{}0\r\n\r\n", chunk(after))
                    }
                    Script::Recovers { first, second } => match served.fetch_add(1, Ordering::SeqCst) {
                        0 => whole(first.0, first.1, "{}"),
                        1 => whole(
                            second,
                            JSON,
                            "{\"error\":{\"message\":\"wrong\",\"type\":\"invalid_request_error\"}}",
                        ),
                        _ if is_stream => format!("{begin}{}0\r\n\r\n", chunk(SERVED)),
                        _ => whole(200, JSON, SERVED_BODY),
                    },
                    Script::LateWhole => {
                        let length = SERVED_BODY.len();
                        conn.say(format!("HTTP/1.1 200 X\r\n{JSON}content-length: {length}\r\n\r\n")).await;
                        sleep(Duration::from_secs(1)).await;
                        SERVED_BODY.to_owned()
                    }
                    Script::Resets => return conn.reset(),
                    Script::Nothing => return conn.linger().await,
                    Script::Hangs("") | Script::Cuts("") => begin.to_owned(),
                    Script::Hangs(events) | Script::Cuts(events) => format!("{begin}{}", chunk(events)),
                    Script::Streams(events) => format!("{begin}{}0\r\n\r\n", chunk(events)),
                };
                conn.say(said).await;
                if let Script::Hangs(_) = script {
                    return conn.linger().await;
                }
                if let Script::Cuts(_) = script {
                    return;
                }
            }
        }
    })
    .await
}

/// Returns a gateway with a model `smart`, whose targets are at `raws`, and rules of it.
fn before(raws: &[&Raw], rules: &str) -> Gateway {
    before_addresses(&raws.iter().map(|raw| raw.address).collect::<Vec<_>>(), rules)
}

fn before_addresses(addresses: &[SocketAddr], rules: &str) -> Gateway {
    Gateway::plain(&configuration(addresses, rules))
}

fn configuration(addresses: &[SocketAddr], rules: &str) -> String {
    let named = |(n, address): (usize, &SocketAddr)| {
        format!("  - {{name: p{n}, kind: openai, base_url: \"http://{address}/v1\", credential: sk-far}}\n")
    };
    let providers: String = addresses.iter().enumerate().map(named).collect();
    let price = |n: usize| format!("{{model: p{n}/m{n}, input: '{}', output: '{}'}}", 2 * n + 1, 2 * n + 2);
    let prices = (0..addresses.len()).map(price).collect::<Vec<_>>().join(", ");
    let targets: Vec<String> = (0..addresses.len()).map(|n| format!("{{provider: p{n}, model: m{n}}}")).collect();
    format!(
        "timeouts: {{connect: 2s}}\nai: {{timeouts: {{first_byte: 2s, first_content: 1s}}}}\nproviders:\n{providers}\
         models: [{{name: smart, credits: 3, targets: [{}]{rules}}}]\nprices: [{prices}]\n",
        targets.join(", ")
    )
}

/// A response as the client gets it.
#[derive(Debug)]
struct Got {
    status: u16,
    model: String,
    attempts: String,
    body: String,
}

async fn ask(gateway: &Gateway, is_stream: bool, session: &str) -> Got {
    let body = format!("{{\"model\":\"smart\",\"stream\":{is_stream},\"max_tokens\":9,\"messages\":[]}}");
    let mut request = Request::builder().method(Method::POST).uri("/v1/chat/completions");
    request = request.header(header::CONTENT_TYPE, "application/json");
    if !session.is_empty() {
        request = request.header("session-id", session);
    }
    let caller = gateway.caller();
    let sent = caller.send_request(request, Full::from(body));
    let response = timeout(PATIENCE, sent).await.expect("a response in time");
    let text = |name: &str| response.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    let status = response.status().as_u16();
    let model = text("x-tollgate-model");
    let attempts = text("x-tollgate-attempts");
    let body = timeout(PATIENCE, response.into_body().collect()).await.expect("a body in time");
    let body = body.map(|body| String::from_utf8(body.to_bytes().to_vec()).unwrap()).unwrap_or_default();
    Got { status, model, attempts, body }
}

/// Returns the only usage event of the records.
fn events(records: &[Record]) -> impl Iterator<Item = &UsageEvent> {
    records
        .iter()
        .filter_map(|record| if let Record::Close(event) | Record::Event(event) = record { Some(event) } else { None })
}

fn event(records: &[Record]) -> &UsageEvent {
    let events: Vec<&UsageEvent> = events(records).collect();
    let [event] = events.as_slice() else { panic!("one event: {records:?}") };
    event
}

/// Asks once through a gateway whose first provider has this script. Returns the response and the usage event.
async fn with_first(script: Script, is_stream: bool) -> (Got, UsageEvent) {
    let first = provider(script).await;
    let second = provider(Script::Serves).await;
    let mut gateway = before(&[&first, &second], "");
    let got = ask(&gateway, is_stream, "").await;
    let event = event(&gateway.stop().await).clone();
    assert_eq!(gateway.used(), 3, "{script:?}: the request and its credits count once");
    (got, event)
}

/// The statuses and costs of the attempts of an event.
fn attempts(event: &UsageEvent) -> Vec<(Option<u16>, Option<i64>)> {
    event.attempts.iter().map(|attempt| (attempt.status, attempt.cost.map(|cost| cost.0))).collect()
}

/// The cost of the response of the second target: 10 tokens at 3 USD and 5 at 4 USD per million, in nano-USD.
const SECOND: (Option<u16>, Option<i64>) = (Some(200), Some(50_000));

#[tokio::test]
async fn each_failure_before_content_leads_to_the_next_target() {
    const RATE: &str = "{\"error\":{\"type\":\"requests\",\"code\":\"rate_limit_exceeded\",\"message\":\"slow down\"}}";
    const QUOTA: &str =
        "{\"error\":{\"type\":\"insufficient_quota\",\"code\":\"insufficient_quota\",\"message\":\"pay\"}}";
    const LIMITS: &str = "{\"error\":{\"message\":\"You have reached your specified API usage limits.\"}}";
    const ERROR: &str = "{\"error\":{\"message\":\"broken\"}}";
    const AFTER_OPENING: &str = "data: {\"id\":\"a\",\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n\
        data: {\"error\":{\"message\":\"overloaded\"}}\n\n";
    let known = |status: u16| Some((Some(status), Some(0)));
    for (script, is_stream, first) in [
        (Script::Says(429, "retry-after: 2\r\ncontent-type: application/json\r\n", RATE), true, known(429)),
        (Script::Says(500, JSON, ERROR), true, known(500)),
        (Script::Says(500, JSON, ERROR), false, known(500)),
        (Script::Says(503, "", ""), true, known(503)),
        (Script::Says(529, JSON, ERROR), false, known(529)),
        (Script::Says(429, JSON, QUOTA), true, known(429)),
        (Script::Says(400, JSON, LIMITS), true, known(400)),
        (Script::Says(401, JSON, ERROR), false, known(401)),
        (Script::Says(404, JSON, ERROR), false, known(404)),
        // Bytes of the request were sent, and nobody knows their cost.
        (Script::Resets, true, Some((None, None))),
        (Script::Nothing, true, Some((None, None))),
        (Script::Hangs(""), true, Some((Some(200), None))),
        (Script::Hangs(ROLE), true, Some((Some(200), None))),
        (Script::Cuts(ROLE), true, Some((Some(200), None))),
        (Script::Streams(ROLE), true, Some((Some(200), None))),
        // An error costs what the provider reports: nothing.
        (Script::Streams(ERROR_EVENT), true, Some((Some(200), Some(0)))),
        (Script::Streams(AFTER_OPENING), true, Some((Some(200), Some(0)))),
        (Script::Says(200, JSON, ERROR), false, Some((Some(200), Some(0)))),
        (Script::Says(200, JSON, ""), false, Some((Some(200), None))),
        (Script::Says(200, "content-type: text/html\r\n", "<html>a portal</html>"), true, Some((Some(200), None))),
        (Script::Says(200, "content-type: text/html\r\n", "<html>a portal</html>"), false, Some((Some(200), None))),
    ] {
        let (got, event) = with_first(script, is_stream).await;
        assert_eq!((got.status, &*got.model, &*got.attempts), (200, "p1/m1", "2"), "{script:?}: {got:?}");
        assert!(got.body.contains("second") && !got.body.contains("first"), "{script:?}: {got:?}");
        assert!(!got.body.contains("error"), "{script:?}: {got:?}");
        assert_eq!(got.body.matches("role").count(), usize::from(is_stream), "one answer: {script:?}: {got:?}");
        let expected: Vec<_> = first.into_iter().chain([SECOND]).collect();
        assert_eq!(attempts(&event), expected, "{script:?}");
    }
}

#[tokio::test]
async fn a_provider_that_refuses_connections_leads_to_the_next_target_at_once() {
    let second = provider(Script::Serves).await;
    let closed = provider(Script::Serves).await;
    let address = closed.address;
    drop(closed);
    let patient = configuration(&[address, second.address], "").replace("connect: 2s", "connect: 1m");
    let mut gateway = Gateway::plain(&patient);
    let begin = Instant::now();
    let got = ask(&gateway, true, "").await;
    assert_eq!((got.status, &*got.attempts), (200, "2"), "{got:?}");
    assert!(begin.elapsed() < PATIENCE, "{:?}", begin.elapsed());
    assert_eq!(attempts(event(&gateway.stop().await)), [SECOND], "nothing was sent to the first one");
}

#[tokio::test]
async fn what_is_an_answer_or_has_begun_stays_with_its_target() {
    const FILTER: &str = "{\"error\":{\"code\":\"content_filter\",\"message\":\"filtered\"}}";
    const LONG: &str = "{\"error\":{\"code\":\"context_length_exceeded\",\"message\":\"too long\"}}";
    for body in [FILTER, LONG] {
        let (got, event) = with_first(Script::Says(400, JSON, body), true).await;
        assert_eq!((got.status, &*got.model, &*got.attempts, &*got.body), (400, "p0/m0", "1", body));
        assert_eq!(attempts(&event), [(Some(400), Some(0))]);
    }
    let (got, event) = with_first(Script::Cuts(TEXT), true).await;
    assert_eq!((got.status, &*got.model), (200, "p0/m0"), "{got:?}");
    assert!(got.body.contains("first") && got.body.contains("error") && !got.body.contains("second"), "{got:?}");
    assert_eq!(attempts(&event), [(Some(200), None)]);
}

#[tokio::test]
async fn a_call_that_is_too_long_leads_to_the_next_target_if_the_rules_say_so() {
    const LONG: &str = "{\"error\":{\"code\":\"context_length_exceeded\",\"message\":\"too long\"}}";
    let first = provider(Script::Says(400, JSON, LONG)).await;
    let second = provider(Script::Serves).await;
    let gateway = before(&[&first, &second], ", retry: {on: [context]}");
    assert_eq!(ask(&gateway, true, "").await.status, 200);
    let broken = provider(Script::Says(500, JSON, "{}")).await;
    let gateway = before(&[&broken, &second], ", retry: {on: [context]}");
    assert_eq!(ask(&gateway, true, "").await.status, 500);
}

#[tokio::test]
async fn the_client_gets_the_first_error_that_says_something() {
    let first = "{\"error\":{\"message\":\"the first\"}}";
    let second = "{\"error\":{\"message\":\"the second\"}}";
    for (scripts, status, text) in [
        ([Script::Says(500, JSON, first), Script::Says(503, JSON, second)], 500, "the first"),
        ([Script::Resets, Script::Says(503, JSON, second)], 503, "the second"),
        ([Script::Says(401, JSON, first), Script::Says(503, JSON, second)], 503, "the second"),
        ([Script::Says(401, JSON, first), Script::Resets], 502, "upstream_protocol"),
        ([Script::Says(500, JSON, first), Script::Resets], 500, "the first"),
        ([Script::Resets, Script::Resets], 502, "upstream_reset"),
    ] {
        let raws = [provider(scripts[0]).await, provider(scripts[1]).await];
        let mut gateway = before(&[&raws[0], &raws[1]], ", retry: {attempts: 1}");
        let got = ask(&gateway, true, "").await;
        assert_eq!(got.status, status, "{scripts:?}: {got:?}");
        assert!(got.body.contains(text), "{scripts:?}: {got:?}");
        assert_eq!(event(&gateway.stop().await).attempts.len(), 2, "{scripts:?}");
    }
}

/// Gives the principal its own credential of the first provider.
fn with_credential(gateway: &Gateway) {
    let id = ProviderKeyId(Ids::new(Clock::manual(Timestamp(1))).next_uuid());
    let secret = Some(Secret::new("sk-own".to_owned()));
    let key = ProviderKey { id, provider: "p0".into(), label: "own".into(), secret };
    gateway.change(|principal| principal.provider_keys.own = [key].into());
}

#[tokio::test]
async fn a_401_to_a_shared_credential_is_no_401_of_the_client() {
    const INVALID: &str = "{\"error\":{\"code\":\"invalid_api_key\",\"message\":\"incorrect key: sk-f**r\"}}";
    for rules in ["", ", retry: {attempts: 1, max_backoff: 5s}"] {
        let only = provider(Script::Says(401, JSON, INVALID)).await;
        let mut gateway = before(&[&only], rules);
        let got = ask(&gateway, false, "").await;
        assert!(got.status == 502 && got.body.contains("upstream_protocol"), "{rules}: {got:?}");
        assert!(!got.body.contains("sk-"), "{rules}: {got:?}");
        assert_eq!(attempts(event(&gateway.stop().await)), [(Some(401), Some(0))], "{rules}");
        let gateway = before(&[&only], rules);
        with_credential(&gateway);
        let got = ask(&gateway, false, "").await;
        assert_eq!((got.status, &*got.body), (401, INVALID), "{rules}");
    }
}

#[tokio::test]
async fn targets_are_tried_again_after_a_pause_until_the_attempts_are_used_up() {
    let only = provider(Script::Says(500, JSON, "{\"error\":{}}")).await;
    let mut gateway = before(&[&only], ", retry: {attempts: 2, backoff: 1ms}, cooldown: {failures: 100, time: 1s}");
    assert_eq!(ask(&gateway, true, "").await.status, 500);
    assert_eq!(event(&gateway.stop().await).attempts.len(), 3);
}

#[tokio::test]
async fn a_target_that_is_left_out_gets_no_call_until_its_time_and_then_one() {
    const RATE: &str = "{\"error\":{\"message\":\"slow down\"}}";
    let first = provider(Script::Says(429, "retry-after: 1\r\n", RATE)).await;
    let second = provider(Script::Serves).await;
    let gateway = before(&[&first, &second], ", sticky: off");
    let begin = Instant::now();
    for _ in 0..10 {
        let got = ask(&gateway, true, "").await;
        assert_eq!((got.status, &*got.model), (200, "p1/m1"));
    }
    if begin.elapsed() < Duration::from_secs(1) {
        assert_eq!(first.asked().len(), 1, "it is left out");
    }
    let cooled = "tollgate_target_cooled_down{provider=\"p0\",model=\"m0\"} 1";
    assert!(gateway.metrics().contains(cooled), "{}", gateway.metrics());
    let asked = first.asked().len();
    while first.asked().len() == asked {
        assert!(begin.elapsed() < PATIENCE, "it is tried again");
        sleep(Duration::from_millis(50)).await;
        ask(&gateway, true, "").await;
    }
    assert!(begin.elapsed() >= Duration::from_secs(1));
    let counted = "tollgate_target_attempts_total{provider=\"p0\",model=\"m0\",result=\"status\"}";
    assert!(gateway.metrics().contains(counted), "{}", gateway.metrics());
}

#[tokio::test]
async fn a_call_does_not_wait_for_a_breaker_that_is_open_for_longer_than_the_maximum_pause() {
    let first = provider(Script::Says(429, "retry-after: 60\r\n", "{\"error\":{\"message\":\"slow down\"}}")).await;
    let second = provider(Script::Says(503, JSON, "{}")).await;
    let rules = ", retry: {attempts: 5, backoff: 1ms}, cooldown: {failures: 100}";
    let yaml = configuration(&[first.address, second.address], rules);
    let gateway = Gateway::plain(&format!("circuit_breaker: {{failure_threshold: 1, timeout: 30s}}\n{yaml}"));
    let got = ask(&gateway, true, "").await;
    assert_eq!((got.status, &*got.model, &*got.attempts), (429, "p0/m0", "2"), "{got:?}");
    assert_eq!((first.asked().len(), second.asked().len()), (1, 1));
}

#[tokio::test]
async fn a_session_stays_on_its_target() {
    let raws = [provider(Script::Serves).await, provider(Script::Serves).await];
    let gateway = before(&[&raws[0], &raws[1]], ", strategy: weighted");
    for session in ["a", "b", "c", "d"] {
        let first = ask(&gateway, true, session).await.model;
        for _ in 0..30 {
            assert_eq!(ask(&gateway, true, session).await.model, first);
        }
    }
    let mut models = Vec::new();
    while models.len() < 2 {
        let model = ask(&gateway, true, "").await.model;
        if !models.contains(&model) {
            models.push(model);
        }
    }
}

#[tokio::test]
async fn strategies_choose_the_first_target() {
    let raws = [provider(Script::Serves).await, provider(Script::Serves).await];
    let cheap = Gateway::plain(&before_cheapest(&raws));
    assert_eq!(ask(&cheap, true, "").await.model, "p1/m1");
    // Each target is tried before any is known to be faster.
    let fast = before(&[&raws[0], &raws[1]], ", strategy: fastest");
    let models = [ask(&fast, true, "").await.model, ask(&fast, true, "").await.model];
    assert_eq!(models, ["p0/m0", "p1/m1"]);
}

fn before_cheapest(raws: &[Raw; 2]) -> String {
    let [first, second] = raws.each_ref().map(|raw| raw.address);
    format!(
        "providers:\n  - {{name: p0, kind: openai, base_url: \"http://{first}/v1\", credential: sk}}\n  \
         - {{name: p1, kind: openai, base_url: \"http://{second}/v1\", credential: sk}}\n\
         models: [{{name: smart, strategy: cheapest, targets: [{{provider: p0, model: m0}}, {{provider: p1, model: m1}}]}}]\n\
         prices: [{{model: p0/m0, input: '5', output: '20'}}, {{model: p1/m1, input: '3', output: '4'}}]\n"
    )
}

#[tokio::test]
async fn the_cheapest_target_is_that_of_the_prices_when_the_call_begins() {
    let raws = [provider(Script::Serves).await, provider(Script::Serves).await];
    let of_today = "output: '20', until: 2026-11-20}, {model: p0/m0, input: '1', output: '1', from: 2026-11-21}";
    let gateway = Gateway::plain(&before_cheapest(&raws).replace("output: '20'}", of_today));
    let midnight = NOON.after(Duration::from_secs(12 * 3_600));
    for (time, model) in [(midnight.before(Duration::from_secs(1)), "p1/m1"), (midnight, "p0/m0")] {
        gateway.clock().jump(time);
        assert_eq!(ask(&gateway, true, "").await.model, model, "{time:?}");
    }
}

/// Gives the principal a budget of money a day, in nano-USD.
fn with_money(gateway: &Gateway, nano_usd: i64) {
    let id = BudgetId { scope: BudgetScope::User(USER), measure: Measure::Money, per: LimitPeriod::Day };
    gateway.change(|principal| principal.budgets = [(id, Amount::of_money(NanoUsd(nano_usd)))].into());
}

#[tokio::test]
async fn each_attempt_reserves_what_it_may_use_and_the_budget_holds() {
    for (script, is_unknown) in [(Script::Says(500, JSON, "{}"), false), (Script::Cuts(ROLE), true)] {
        let first = provider(script).await;
        let second = provider(Script::Serves).await;
        let mut gateway = before(&[&first, &second], "");
        with_money(&gateway, 10_000_000);
        assert_eq!(ask(&gateway, true, "").await.status, 200, "{script:?}");
        let records = gateway.stop().await;
        let opens: Vec<NanoUsd> = records
            .iter()
            .filter_map(|record| if let Record::Open(opened) = record { Some(opened.reserved.money) } else { None })
            .collect();
        // The second target costs more, so more is reserved before it is called.
        let [one, both] = opens.as_slice() else { panic!("{opens:?}") };
        assert!(both > one, "{opens:?}");
        let event = event(&records);
        let expected = if is_unknown { one.0 + 50_000 } else { 50_000 };
        assert_eq!((event.charge.money, event.charge.tokens), (NanoUsd(expected), Tokens(15)), "{script:?}");
        let totals = gateway.ended();
        assert_eq!((totals.released, totals.settled, totals.interrupted), (0, 2, 0), "{script:?}");
    }
}

#[tokio::test]
async fn an_attempt_that_does_not_fit_the_budget_is_refused() {
    let first = provider(Script::Cuts(ROLE)).await;
    let second = provider(Script::Serves).await;
    let mut gateway = before(&[&first, &second], "");
    // Enough for the first target, whose cost is unknown then.
    with_money(&gateway, 1_500_000);
    let got = ask(&gateway, true, "").await;
    assert!(got.status == 429 && got.body.contains("insufficient_quota"), "{got:?}");
    let event = event(&gateway.stop().await).clone();
    assert_eq!(event.attempts.len(), 1);
    assert!(event.charge.money > NanoUsd(0), "{event:?}");
    assert_eq!(second.asked().len(), 0);
}
