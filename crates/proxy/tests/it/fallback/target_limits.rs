//! Targets with limits of their own: a call skips a target that is at one of them.

use meter::SkipReason;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

/// Returns the configuration of a model whose first target has these limits, and whose second one may be missing.
fn limited(raws: &[&Raw], limits: &str) -> String {
    let provider = |(n, raw): (usize, &&Raw)| {
        format!("{{name: p{n}, kind: openai, base_url: \"http://{}/v1\", credential: sk-far}}", raw.address)
    };
    let providers: Vec<String> = raws.iter().enumerate().map(provider).collect();
    let target = |n: usize| {
        let limits = if n == 0 { format!(", limits: {{{limits}}}") } else { String::new() };
        format!("{{provider: p{n}, model: m{n}{limits}}}")
    };
    let targets: Vec<String> = (0..raws.len()).map(target).collect();
    format!(
        "providers: [{}]\nmodels: [{{name: smart, sticky: off, targets: [{}]}}]\n",
        providers.join(", "),
        targets.join(", ")
    )
}

const CALL: &str = "{\"model\":\"smart\",\"stream\":true,\"messages\":[]}";

/// Begins a streamed call. Returns the head of its response in lowercase, and the connection, whose end is the client's.
pub(super) async fn begin(gateway: &Gateway) -> (String, TcpStream) {
    let caller = gateway.caller();
    let mut stream = caller.connect().await;
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway.test\r\nauthorization: {}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{CALL}",
        caller.authorization(),
        CALL.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(PATIENCE, stream.read_u8()).await.expect("a head in time").unwrap());
    }
    (String::from_utf8(head).unwrap().to_ascii_lowercase(), stream)
}

/// Returns the targets that the calls of these records skipped because of their limits.
fn skipped(records: &[Record]) -> Vec<&str> {
    let events = records
        .iter()
        .filter_map(|record| if let Record::Close(event) | Record::Event(event) = record { Some(event) } else { None });
    let skips = events.flat_map(|event| &event.origin.skipped).filter(|skip| skip.reason == SkipReason::Limit);
    skips.map(|skip| &*skip.provider).collect()
}

#[tokio::test]
async fn a_target_gets_as_many_calls_a_minute_as_its_limit_also_after_a_reload() {
    let first = provider(Script::Serves).await;
    let second = provider(Script::Serves).await;
    let yaml = limited(&[&first, &second], "requests: 1");
    let mut gateway = Gateway::plain(&yaml);
    let got = ask(&gateway, true, "").await;
    assert_eq!((got.status, &*got.model, &*got.attempts), (200, "p0/m0", "1"), "{got:?}");
    for _ in 0..2 {
        let got = ask(&gateway, true, "").await;
        assert_eq!((got.status, &*got.model, &*got.attempts), (200, "p1/m1", "1"), "{got:?}");
        gateway.reload(&yaml);
    }
    assert_eq!((first.asked().len(), second.asked().len()), (1, 2));
    let skips = "tollgate_target_limit_skips_total{provider=\"p0\",model=\"m0\"} 2";
    assert!(gateway.metrics().contains(skips), "{}", gateway.metrics());
    assert_eq!(skipped(&gateway.stop().await), ["p0", "p0"]);
}

#[tokio::test]
async fn a_target_gets_no_call_after_the_tokens_of_its_limit() {
    let first = provider(Script::Serves).await;
    let second = provider(Script::Serves).await;
    // Each response reports 15 tokens.
    let gateway = Gateway::plain(&limited(&[&first, &second], "tokens: 31"));
    let begun = Instant::now();
    // The tokens of a response are counted shortly after the client has its end.
    while ask(&gateway, true, "").await.model == "p0/m0" {
        assert!(begun.elapsed() < PATIENCE, "the tokens are counted");
    }
    assert!(first.asked().len() >= 3, "30 tokens are below the limit: {:?}", first.asked());
    for _ in 0..3 {
        assert_eq!(ask(&gateway, true, "").await.model, "p1/m1");
    }
}

/// A whole stream without usage.
const UNREPORTED: &str = "data: {\"id\":\"a\",\"choices\":[{\"delta\":{\"content\":\"first\"},\"finish_reason\":\"stop\"}]}\n\n\
    data: [DONE]\n\n";

#[tokio::test]
async fn a_call_without_usage_counts_the_most_tokens_that_it_may_use() {
    let first = provider(Script::Streams(UNREPORTED)).await;
    let second = provider(Script::Serves).await;
    // The bytes of the body, 512 tokens of the provider and 9 of output: less than 700 for each call.
    let gateway = Gateway::plain(&limited(&[&first, &second], "tokens: 1000"));
    let begun = Instant::now();
    while ask(&gateway, true, "").await.model == "p0/m0" {
        assert!(begun.elapsed() < PATIENCE, "the tokens are counted");
    }
    assert!(first.asked().len() >= 2, "one call is below the limit: {:?}", first.asked());
    assert_eq!(ask(&gateway, true, "").await.model, "p1/m1");
}

#[tokio::test]
async fn a_call_without_usage_and_known_limits_counts_the_bytes_of_its_body() {
    let first = provider(Script::Streams(UNREPORTED)).await;
    let second = provider(Script::Serves).await;
    let gateway = Gateway::plain(&limited(&[&first, &second], &format!("tokens: {}", CALL.len() + 1)));
    let begun = Instant::now();
    while begin(&gateway).await.0.contains(SERVED_BY_FIRST) {
        assert!(begun.elapsed() < PATIENCE, "the tokens are counted");
    }
    assert!(first.asked().len() >= 2, "one call is below the limit: {:?}", first.asked());
}

#[tokio::test]
async fn a_call_that_a_target_refuses_counts_no_tokens() {
    let refuses = Script::Says(400, JSON, "{\"error\":{\"message\":\"wrong\"}}");
    let first = provider(refuses).await;
    let second = provider(Script::Serves).await;
    let gateway = Gateway::plain(&limited(&[&first, &second], "tokens: 1"));
    for _ in 0..3 {
        let got = ask(&gateway, true, "").await;
        assert_eq!((got.status, &*got.model), (400, "p0/m0"), "{got:?}");
    }
}

/// The field of a response that the first target has served.
pub(super) const SERVED_BY_FIRST: &str = "\r\nx-tollgate-model: p0/m0\r\n";

#[tokio::test]
async fn a_busy_target_is_skipped_until_its_call_has_ended() {
    let first = provider(Script::Hangs(TEXT)).await;
    let second = provider(Script::Serves).await;
    let gateway = Gateway::plain(&limited(&[&first, &second], "concurrent: 1"));
    let (head, busy) = begin(&gateway).await;
    assert!(head.contains(SERVED_BY_FIRST), "{head}");
    for _ in 0..3 {
        assert_eq!(ask(&gateway, true, "").await.model, "p1/m1");
    }
    drop(busy);
    let begun = Instant::now();
    while !begin(&gateway).await.0.contains(SERVED_BY_FIRST) {
        assert!(begun.elapsed() < PATIENCE, "the client has left");
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(first.asked().len(), 2);
}

#[tokio::test]
async fn the_limits_of_the_only_target_refuse_with_the_time_of_the_next_call() {
    let only = provider(Script::Serves).await;
    let mut gateway = Gateway::plain(&limited(&[&only], "requests: 1"));
    assert_eq!(ask(&gateway, true, "").await.status, 200);
    let refused = gateway.post("/v1/chat/completions", CALL).await;
    let after: u64 = refused.headers()[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
    assert_eq!(refused.status().as_u16(), 503);
    assert!((1..=60).contains(&after), "{after}");
    let body = refused.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8_lossy(&body);
    assert!(text.contains("no_healthy_upstream") && text.contains("at their limits"), "{text}");
    assert_eq!(only.asked().len(), 1);
    assert_eq!(skipped(&gateway.stop().await), ["p0"]);
    assert_eq!(gateway.used(), 1, "a refused call costs nothing");
}
