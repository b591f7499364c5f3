//! Limits of tokens: a call reserves an estimate, and counts its usage.

use std::sync::Arc;
use std::time::Duration;

use access::{Plan, Tokens};
use http::Response;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use meter::limiter::sharing::{LimitSharing, SharingMessage, SharingState, TokenDecision, TokenRequest};
use meter::rate::RateLevel;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::gateway::Gateway;
use crate::raw::{Conn, Raw, got};

const CHAT: &str = "/v1/chat/completions";
/// The longest wait for a change of state.
const PATIENCE: Duration = Duration::from_secs(20);
/// The event of a stream that does not end.
const EVENT: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hello\"}}]}\n\n";
const LIMIT: &str = "rate_limits: [{dimension: [key, model], unit: tokens, limit: 1000, window: 60s}]";

/// Returns a provider, which responds as the name of the model says.
async fn provider() -> Raw {
    Raw::start(|mut conn: Conn| async move {
        while let Some(body) = conn.body().await {
            let usage = |input: u32, output: u32| {
                format!("{{\"usage\":{{\"prompt_tokens\":{input},\"completion_tokens\":{output}}}}}")
            };
            let (status, content) = match () {
                () if body.contains("\"long\"") => ("200 OK", usage(10, 4_990)),
                () if body.contains("\"broken\"") => ("400 Bad Request", "{}".to_owned()),
                () if body.contains("\"silent\"") => ("200 OK", "{}".to_owned()),
                () if body.contains("\"endless\"") => {
                    let head = "content-type: text/event-stream\r\ntransfer-encoding: chunked";
                    conn.say(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{:x}\r\n{EVENT}\r\n", EVENT.len())).await;
                    return conn.linger().await;
                }
                () => ("200 OK", usage(10, 20)),
            };
            let head = format!("content-type: application/json\r\ncontent-length: {}", content.len());
            conn.say(format!("HTTP/1.1 {status}\r\n{head}\r\n\r\n{content}")).await;
        }
    })
    .await
}

fn yaml(raw: &Raw, limits: &str) -> String {
    format!(
        "providers: [{{name: far, kind: openai, base_url: \"http://{}/v1\", credential: sk-far}}]\n\
         routes: [{{path: /plain, respond: {{}}}}]\n{limits}\n",
        raw.address
    )
}

fn body(model: &str, max_tokens: u32) -> String {
    let streamed = if model == "endless" { ",\"stream\":true" } else { "" };
    format!("{{\"model\":\"far/{model}\",\"max_tokens\":{max_tokens},\"messages\":[]{streamed}}}")
}

/// The tokens of input that a call reserves: its JSON has four bytes a token.
fn input(body: &str) -> u64 {
    body.len().div_ceil(4) as u64
}

async fn call(gateway: &Gateway, model: &str, max_tokens: u32) -> Response<Incoming> {
    gateway.post(CHAT, body(model, max_tokens)).await
}

fn field(answer: &Response<Incoming>, name: &str) -> Option<String> {
    answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
}

/// Returns the tokens that are left before a call of one token of output, which it then gets.
async fn left(gateway: &Gateway, model: &str) -> u64 {
    let answer = call(gateway, model, 1).await;
    assert_eq!(answer.status().as_u16(), 200, "{answer:?}");
    let left: u64 = field(&answer, "x-ratelimit-remaining-tokens").unwrap().parse().unwrap();
    got(answer).await;
    left + input(&body(model, 1)) + 1
}

async fn settled(gateway: &Gateway) {
    let since = Instant::now();
    while gateway.in_flight() > 0 {
        assert!(since.elapsed() < PATIENCE, "a request is in flight");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_call_reserves_its_estimate_and_counts_what_it_has_used() {
    let raw = provider().await;
    let gateway = Gateway::plain(&yaml(&raw, LIMIT));
    let answer = call(&gateway, "m", 500).await;
    let reserved = input(&body("m", 500)) + 500;
    for (name, value) in [
        ("x-ratelimit-limit-tokens", "1000".to_owned()),
        ("x-ratelimit-remaining-tokens", (1_000 - reserved).to_string()),
        ("ratelimit-policy", "\"key+model:tokens\";q=1000;qu=\"tokens\";w=60, \"day\";q=100000;w=86400".to_owned()),
    ] {
        assert_eq!(field(&answer, name), Some(value), "{name}");
    }
    assert!(field(&answer, "ratelimit").unwrap().starts_with("\"key+model:tokens\";r="), "{answer:?}");
    let credits = Some("100000".to_owned());
    assert_eq!(field(&answer, "x-ratelimit-limit"), credits, "clients would read the tokens as requests");
    got(answer).await;
    assert_eq!(left(&gateway, "m").await, 1_000 - 30, "the usage is known");
    assert_eq!(left(&gateway, "n").await, 1_000, "another model counts apart");

    let answer = call(&gateway, "m", 950).await;
    assert_eq!((answer.status().as_u16(), field(&answer, "x-ratelimit-limit")), (429, None));
    assert_eq!(field(&answer, "x-ratelimit-remaining-tokens").as_deref(), Some("940"));
    let wait: u64 = field(&answer, "retry-after").unwrap().parse().unwrap();
    let refused = got(answer).await;
    refused.is_refusal(429, "rate_limit_exceeded");
    assert!(refused.body.contains("the rate limit of 1000 tokens is reached"), "{refused:?}");
    assert!(gateway.metrics().contains("tollgate_limits_refused_total{limit=\"key+model:tokens\"} 1\n"));
    gateway.clock().advance(Duration::from_secs(wait));
    assert_eq!(call(&gateway, "m", 950).await.status().as_u16(), 200, "the reported time is enough");
}

#[tokio::test]
async fn a_call_that_never_fits_is_told_so_and_counts_in_no_limit() {
    let raw = provider().await;
    let requests = "rate_limits: [{dimension: key, limit: 2, window: 60s}, ";
    let gateway = Gateway::plain(&yaml(&raw, &LIMIT.replacen("rate_limits: [", requests, 1)));
    for _ in 0..3 {
        let answer = call(&gateway, "m", 1_000).await;
        let fields = ["retry-after", "x-should-retry", "x-ratelimit-limit-tokens"].map(|name| field(&answer, name));
        assert_eq!(fields, [None, Some("false".to_owned()), Some("1000".to_owned())]);
        let refused = got(answer).await;
        refused.is_refusal(429, "rate_limit_exceeded");
        assert!(refused.body.contains("never admits more than 1000 at once"), "{refused:?}");
    }
    assert_eq!(left(&gateway, "m").await, 1_000);
}

#[tokio::test]
async fn usage_beyond_the_reservation_keeps_later_calls_out_until_it_is_paid_back() {
    let raw = provider().await;
    let bucket = "rate_limits: [{dimension: key, unit: tokens, limit: 1000, window: 60s, algorithm: token_bucket}]";
    let gateway = Gateway::plain(&yaml(&raw, bucket));
    got(call(&gateway, "long", 10).await).await;
    let answer = call(&gateway, "m", 10).await;
    let wait: u64 = field(&answer, "retry-after").unwrap().parse().unwrap();
    assert_eq!(answer.status().as_u16(), 429);
    assert!((240..=243).contains(&wait), "5000 tokens less a full bucket need 4 minutes: {wait}");
    gateway.clock().advance(Duration::from_secs(wait - 1));
    assert_eq!(call(&gateway, "m", 10).await.status().as_u16(), 429);
    gateway.clock().advance(Duration::from_secs(1));
    assert_eq!(call(&gateway, "m", 10).await.status().as_u16(), 200);
}

#[tokio::test]
async fn a_call_without_usage_counts_its_estimate_and_a_failed_or_refused_one_nothing() {
    let raw = provider().await;
    let gateway = Gateway::plain(&yaml(&raw, &LIMIT.replace("[key, model]", "key")));
    got(call(&gateway, "broken", 500).await).await;
    assert_eq!(left(&gateway, "m").await, 1_000);
    got(call(&gateway, "silent", 400).await).await;
    let silent = input(&body("silent", 400)) + 400;
    assert_eq!(left(&gateway, "m").await, 1_000 - 30 - silent);
    gateway.change(|principal| {
        principal.plan = Arc::new(Plan { credits_per_day: Some(access::Credits::whole(0)), ..Plan::unlimited("poor") });
    });
    let answer = call(&gateway, "m", 100).await;
    assert_eq!(answer.status().as_u16(), 429, "{answer:?}");
    got(answer).await;
    gateway.change(|principal| principal.plan = Arc::new(Plan::unlimited("rich")));
    assert_eq!(left(&gateway, "m").await, 1_000 - 60 - silent);
}

#[tokio::test]
async fn a_client_that_leaves_a_stream_counts_no_more_output_than_it_has_received() {
    let raw = provider().await;
    let gateway = Gateway::plain(&yaml(&raw, &LIMIT.replace("[key, model]", "key")));
    let mut answer = call(&gateway, "endless", 500).await;
    let received = answer.body_mut().frame().await.unwrap().unwrap().into_data().unwrap().len() as u64;
    drop(answer);
    settled(&gateway).await;
    assert_eq!(left(&gateway, "m").await, 1_000 - input(&body("endless", 500)) - received);
}

#[tokio::test]
async fn a_client_that_leaves_a_call_without_a_stream_counts_its_estimate() {
    let raw = provider().await;
    let gateway = Gateway::plain(&yaml(&raw, &LIMIT.replace("[key, model]", "key")));
    let body = body("endless", 500).replace(",\"stream\":true", "");
    let reserved = input(&body) + 500;
    let mut answer = gateway.post(CHAT, body).await;
    answer.body_mut().frame().await.unwrap().unwrap();
    drop(answer);
    settled(&gateway).await;
    assert_eq!(left(&gateway, "m").await, 1_000 - reserved);
}

#[tokio::test]
async fn input_and_output_have_limits_of_their_own_and_a_plan_counts_all_of_its_clients() {
    let raw = provider().await;
    let limits = "plans: [{name: pro, rate_limits: [{dimension: plan, unit: output_tokens, limit: 100, window: 60s}]}]\n\
                  rate_limits: [{dimension: key, unit: input_tokens, limit: 50, window: 60s}]";
    let gateway = Gateway::plain(&yaml(&raw, limits));
    gateway.change(|principal| principal.plan = Arc::new(Plan::unlimited("pro")));
    let answer = call(&gateway, "m", 60).await;
    assert_eq!(field(&answer, "x-ratelimit-remaining-output-tokens").as_deref(), Some("40"), "{answer:?}");
    got(answer).await;
    // The call has used 10 tokens of input and 20 of output.
    let answer = call(&gateway, "m", 81).await;
    assert_eq!(field(&answer, "x-ratelimit-remaining-output-tokens").as_deref(), Some("80"), "{answer:?}");
    let text = got(answer).await.body;
    assert!(text.contains("the rate limit of 100 tokens of output is reached"), "{text}");
    let long = format!("{{\"model\":\"far/m\",\"max_tokens\":1,\"messages\":[],\"user\":\"{}\"}}", "x".repeat(120));
    let answer = gateway.post(CHAT, long).await;
    assert_eq!(field(&answer, "x-ratelimit-remaining-input-tokens").as_deref(), Some("40"), "{answer:?}");
    assert_eq!(answer.status().as_u16(), 429);
    gateway.change(|principal| principal.plan = Arc::new(Plan::unlimited("other")));
    assert_eq!(call(&gateway, "m", 1_000).await.status().as_u16(), 200, "the limit is that of the plan");
}

#[tokio::test]
async fn each_format_gets_the_refusal_in_its_own_shape_and_counting_tokens_is_free() {
    let raw = provider().await;
    let gateway = Gateway::plain(&yaml(&raw, &LIMIT.replace("[key, model]", "global").replace("1000", "1")));
    for (path, body, shape) in [
        (CHAT, body("m", 9), "{\"error\":{\"message\":"),
        ("/v1/messages", body("m", 9), "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\""),
        (
            "/v1beta/models/far%2Fm:generateContent",
            "{\"contents\":[],\"generationConfig\":{\"maxOutputTokens\":9}}".to_owned(),
            "{\"error\":{\"code\":429,",
        ),
    ] {
        let refused = got(gateway.post(path, body).await).await;
        assert_eq!(refused.status.as_u16(), 429, "{path} {refused:?}");
        assert!(refused.body.starts_with(shape), "{path} {refused:?}");
    }
    let counted = got(gateway.post("/v1/messages/count_tokens", body("m", 9)).await).await;
    assert_ne!(counted.status.as_u16(), 429, "{counted:?}");
    assert_eq!(gateway.caller().send(http::Method::GET, "/plain", "").await.status().as_u16(), 200);
}

/// A gateway whose node shares its limits with another one, and the messages to Redis.
fn sharing(raw: &Raw, limits: &str) -> (Gateway, Arc<SharingState>, mpsc::Receiver<SharingMessage>) {
    let (queue, messages) = mpsc::channel(8);
    let state = Arc::new(SharingState::default());
    state.set_nodes(2);
    state.set_up(true);
    (Gateway::leasing(&yaml(raw, limits), LimitSharing::new(queue, state.clone())), state, messages)
}

async fn asked(messages: &mut mpsc::Receiver<SharingMessage>) -> TokenRequest {
    let message = messages.recv().await.unwrap();
    if let SharingMessage::Tokens(request) = message { request } else { panic!("{message:?}") }
}

#[tokio::test]
async fn redis_decides_about_each_call_and_learns_what_it_has_used() {
    let raw = provider().await;
    let (gateway, _, mut messages) = sharing(&raw, &LIMIT.replace("[key, model]", "key"));
    let reset = Duration::from_secs(40);
    let level = RateLevel { limit: 1_000, remaining: 300, reset };
    let counted = TokenDecision { is_counted: true, level, retry_after: Duration::ZERO, counted_ms: 50 };
    let refused = TokenDecision { is_counted: false, retry_after: reset, ..counted };
    let (answer, ()) = tokio::join!(call(&gateway, "m", 200), async {
        let request = asked(&mut messages).await;
        assert_eq!(request.tokens, Tokens(input(&body("m", 200)) + 200));
        assert!(request.key.name.starts_with(b"key tokens-window 60000"), "{request:?}");
        assert!(request.decided(counted).is_none());
    });
    assert_eq!(field(&answer, "x-ratelimit-remaining-tokens").as_deref(), Some("300"), "{answer:?}");
    got(answer).await;
    let SharingMessage::Settle(settlement) = messages.recv().await.unwrap() else { panic!() };
    assert_eq!((settlement.tokens.counted_ms, settlement.tokens.used), (50, Tokens(30)));
    let (answer, ()) = tokio::join!(call(&gateway, "m", 400), async {
        assert!(asked(&mut messages).await.decided(refused).is_none());
    });
    assert_eq!(answer.status().as_u16(), 429);
    let wait: u64 = field(&answer, "retry-after").unwrap().parse().unwrap();
    assert_eq!(wait, 40);
    got(answer).await;
    assert!(messages.try_recv().is_err(), "nothing was counted");
}

#[tokio::test]
async fn without_redis_a_node_applies_its_share_and_a_call_larger_than_that_passes_alone() {
    let raw = provider().await;
    let (gateway, state, mut messages) = sharing(&raw, &LIMIT.replace("[key, model]", "key"));
    let answer = call(&gateway, "silent", 800).await;
    assert_eq!(answer.status().as_u16(), 200, "Redis was too late: {answer:?}");
    got(answer).await;
    while let Ok(message) = messages.try_recv() {
        assert!(matches!(&message, SharingMessage::Tokens(request) if request.is_abandoned()), "{message:?}");
    }
    state.set_up(false);
    let answer = call(&gateway, "m", 1).await;
    assert_eq!(answer.status().as_u16(), 429, "the share of 500 is used up");
    assert_eq!(field(&answer, "x-ratelimit-limit-tokens").as_deref(), Some("1000"));
    got(answer).await;
    assert!(messages.try_recv().is_err() && state.fallbacks() == 2, "{}", state.fallbacks());
}
