//! Backends that fail over HTTP/2: breakers, ejections and retries treat them as those over HTTP/1.1.

use http::{Method, StatusCode};

use crate::failing_backends::get;
use crate::frames::{END_STREAM, INTERNAL_ERROR, head, reset};
use crate::gateway::Gateway;
use crate::raw::{Conn, Raw, got};

/// What a backend does with each request.
#[derive(Debug, Clone, Copy)]
enum Behavior {
    /// Responds with these fields alone.
    Says(&'static [(&'static str, &'static str)]),
    Resets,
    Hangs,
}

const FAILURES: [Behavior; 4] = [
    Behavior::Says(&[(":status", "503")]),
    // The status of gRPC in a response of trailers only.
    Behavior::Says(&[(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "14")]),
    Behavior::Resets,
    Behavior::Hangs,
];

async fn backend(behavior: Behavior) -> Raw {
    Raw::start(move |mut conn: Conn| async move {
        if conn.greet(&[]).await.is_none() {
            return;
        }
        while let Some(stream) = conn.asked().await {
            match behavior {
                Behavior::Says(fields) => conn.say(head(stream, END_STREAM, fields)).await,
                Behavior::Resets => conn.say(reset(stream, INTERNAL_ERROR)).await,
                Behavior::Hangs => true,
            };
        }
    })
    .await
}

async fn good() -> Raw {
    backend(Behavior::Says(&[(":status", "201")])).await
}

/// Starts a gateway before these backends, of which one has this behavior; `more` are keys of the upstream.
fn before(backends: &[&Raw], behavior: Behavior, more: &str) -> Gateway {
    let is_hurried = matches!(behavior, Behavior::Hangs);
    let first_byte = if is_hurried { "500ms" } else { "1m" };
    let urls: Vec<String> = backends.iter().map(|raw| format!("{{url: \"h2c://{}\"}}", raw.address)).collect();
    Gateway::plain(&format!(
        "ai: {{enabled: false}}\nupstreams: [{{name: group, backends: [{}]{more}}}]\n\
         routes: [{{path: {{prefix: /}}, upstreams: group, timeouts: {{first_byte: {first_byte}}}}}]\n",
        urls.join(", ")
    ))
}

fn received(raw: &Raw) -> usize {
    raw.asked().len()
}

#[tokio::test]
async fn failures_over_http2_open_a_breaker() {
    for behavior in FAILURES {
        let bad = backend(behavior).await;
        let gateway = before(&[&bad], behavior, ", circuit_breaker: {failure_threshold: 3, timeout: 1h}");
        let caller = gateway.caller();
        for _ in 0..3 {
            get(&caller).await;
        }
        got(get(&caller).await).await.is_refusal(503, "no_healthy_upstream");
        assert_eq!(received(&bad), 3, "{behavior:?}");
    }
}

#[tokio::test]
async fn failures_over_http2_eject_a_backend() {
    for behavior in FAILURES {
        let bad = backend(behavior).await;
        let good = good().await;
        let gateway = before(&[&bad, &good], behavior, ", ejection: {failures: 2, time: 1h, max: 50%}");
        let caller = gateway.caller();
        for _ in 0..12 {
            get(&caller).await;
        }
        assert_eq!((received(&bad), received(&good)), (2, 10), "{behavior:?}");
    }
}

#[tokio::test]
async fn failures_over_http2_are_retried_at_another_backend() {
    for behavior in FAILURES {
        for (method, is_retried) in [(Method::GET, true), (Method::POST, false)] {
            let bad = backend(behavior).await;
            let good = good().await;
            let rules = ", retry: {on: [connect, reset, timeout, 5xx], backoff: 0s}";
            let gateway = before(&[&bad, &good], behavior, rules);
            let caller = gateway.caller();
            let mut created = 0;
            for _ in 0..2 {
                let status = caller.send(method.clone(), "/", "").await.status();
                created += usize::from(status == StatusCode::CREATED);
            }
            let expected = if is_retried { 2 } else { 1 };
            let case = format!("{behavior:?} {method}");
            assert_eq!((created, received(&bad), received(&good)), (expected, 1, expected), "{case}");
        }
    }
}
