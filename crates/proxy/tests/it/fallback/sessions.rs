//! Calls of one session, whose target keeps the beginning of their prompt in its cache.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use super::*;

/// The source of a session: a header, and a field of the body.
type SessionSource = (Option<&'static str>, &'static str);

const SOURCES: [SessionSource; 4] = [
    (Some("session-id"), ""),
    (Some("X-Claude-Code-Session-Id"), ""),
    (None, ",\"prompt_cache_key\":\"SESSION\""),
    (None, ",\"metadata\":{\"user_id\":\"SESSION\"}"),
];

/// Starts a provider that reports 7 cached tokens for a session that it has seen. The text of the first message names the session.
async fn caching() -> Raw {
    let seen = Arc::new(Mutex::new(HashSet::new()));
    Raw::start(move |mut conn: Conn| {
        let seen = Arc::clone(&seen);
        async move {
            while let Some(body) = conn.body().await {
                let prompt = body.split("prompt-").nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned();
                let cached = if seen.lock().unwrap().insert(prompt) { 0 } else { 7 };
                let said = format!(
                    "{{\"id\":\"b\",\"object\":\"chat.completion\",\"choices\":[{{\"message\":{{\"content\":\"hi\"}}}}],\"usage\":\
                     {{\"prompt_tokens\":10,\"completion_tokens\":5,\"prompt_tokens_details\":{{\"cached_tokens\":{cached}}}}}}}"
                );
                let length = said.len();
                conn.say(format!("HTTP/1.1 200 X\r\n{JSON}content-length: {length}\r\n\r\n{said}")).await;
            }
        }
    })
    .await
}

/// Sends a call of a session, and returns the target that has served it.
async fn call(gateway: &Gateway, source: SessionSource, session: &str) -> String {
    let (header, field) = source;
    let field = field.replace("SESSION", session);
    let body = format!(
        "{{\"model\":\"smart\",\"max_tokens\":9{field},\"messages\":[{{\"role\":\"user\",\"content\":\"prompt-{session}\"}}]}}"
    );
    let mut request = Request::builder().method(Method::POST).uri("/v1/chat/completions");
    request = request.header(header::CONTENT_TYPE, "application/json");
    if let Some(header) = header {
        request = request.header(header, session);
    }
    let response = timeout(PATIENCE, gateway.caller().send_request(request, Full::from(body))).await.expect("in time");
    let model = response.headers()["x-tollgate-model"].to_str().unwrap().to_owned();
    assert_eq!(response.status().as_u16(), 200);
    response.into_body().collect().await.unwrap();
    model
}

#[tokio::test]
async fn all_calls_of_a_session_use_one_target_and_its_cache_whatever_names_the_session() {
    for source in SOURCES {
        let raws = [caching().await, caching().await];
        let mut gateway = before(&[&raws[0], &raws[1]], ", strategy: weighted");
        let mut first = HashSet::new();
        let mut sessions = 0;
        // Sessions begin on both targets.
        while first.len() < 2 {
            let session = format!("s{sessions}");
            sessions += 1;
            assert!(sessions < 100, "{source:?}: {first:?}");
            let model = call(&gateway, source, &session).await;
            for _ in 1..30 {
                assert_eq!(call(&gateway, source, &session).await, model, "{source:?}");
            }
            first.insert(model);
        }
        let records = gateway.stop().await;
        let events = records.iter().filter_map(|record| {
            if let Record::Close(event) | Record::Event(event) = record { Some(event) } else { None }
        });
        let cached =
            events.flat_map(|event| &event.attempts).filter_map(|attempt| attempt.usage.as_ref()?.cached_input);
        assert_eq!(cached.map(|tokens| tokens.0).sum::<u64>(), sessions * 29 * 7, "{source:?}");
    }
}
