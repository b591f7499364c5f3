//! Errors of providers in calls that are not translated, in the words by which clients recognize them.

use crate::gateway::Gateway;
use crate::raw::{Conn, Raw, got};

/// Returns the status and the body that a client of `path` gets for an error of its provider.
async fn passed(path: &str, status: u16, error: &'static str, targets: u8) -> (u16, String) {
    let raw = Raw::start(move |mut conn: Conn| async move {
        while conn.body().await.is_some() {
            let length = error.len();
            conn.say(format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{error}"
            ))
            .await;
        }
    })
    .await;
    let kind = if path == "/v1/messages" { "anthropic" } else { "openai" };
    let base = if kind == "openai" { "/v1" } else { "" };
    let gateway = Gateway::plain(&format!(
        "providers: [{{name: far, kind: {kind}, base_url: \"http://{}{base}\", credential: sk-far}}]\n\
         models: [{{name: x, retry: {{attempts: {targets}, on: [503]}}, targets: [{{provider: far, model: m}}]}}]\n",
        raw.address
    ));
    let call = r#"{"model":"x","max_tokens":9,"messages":[{"role":"user","content":"a"}],"input":"a"}"#;
    let answer = got(gateway.post(path, call).await).await;
    (answer.status.as_u16(), answer.body)
}

#[tokio::test]
async fn an_error_about_the_length_of_a_call_has_the_words_of_its_format() {
    const VLLM: &str = r#"{"object":"error","message":"The prompt (length 40000) is longer than the maximum model length of 32768.","type":"BadRequestError","code":400}"#;
    const LLAMA: &str = r#"{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error","n_prompt_tokens":9000,"n_ctx":8192}}"#;
    for (error, status, numbers) in [(VLLM, 400, "40000 tokens > 32768"), (LLAMA, 413, "9000 tokens > 8192")] {
        for targets in [1, 2] {
            for path in ["/v1/chat/completions", "/v1/responses"] {
                let (status, body) = passed(path, status, error, targets).await;
                assert!(status == 400 && body.contains("\"code\":\"context_length_exceeded\""), "{status} {body}");
                assert!(
                    body.starts_with("{\"error\":{") && body.contains("\"type\":\"invalid_request_error\""),
                    "{body}"
                );
            }
            let (status, body) = passed("/v1/messages", status, error, targets).await;
            let words = format!("\"message\":\"prompt is too long: {numbers} maximum\"");
            assert!(status == 400 && body.contains(&words), "{status} {body}");
            assert!(
                body.starts_with("{\"type\":\"error\",") && body.contains("\"type\":\"invalid_request_error\""),
                "{body}"
            );
        }
    }
}

#[tokio::test]
async fn any_other_error_passes_as_it_is() {
    const OWN: &str = r#"{"error":{"message":"maximum context length is 8 tokens","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#;
    const OTHER: &str = r#"{"error":{"message":"temperature must be at most 2","type":"invalid_request_error","param":"temperature","code":null}}"#;
    for (error, status) in [(OWN, 400), (OTHER, 422)] {
        for targets in [1, 2] {
            let passed = passed("/v1/chat/completions", status, error, targets).await;
            assert_eq!(passed, (status, error.to_owned()));
        }
    }
}

/// Returns the statuses of calls of two models, their `x-should-retry`, and the number of calls that the provider received.
async fn refused(status: u16, error: &'static str, calls: &[&str]) -> (Vec<(u16, bool)>, usize) {
    let raw = Raw::start(move |mut conn: Conn| async move {
        while conn.body().await.is_some() {
            let length = error.len();
            conn.note("called");
            conn.say(format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{error}"
            ))
            .await;
        }
    })
    .await;
    let gateway = Gateway::plain(&format!(
        "providers: [{{name: far, kind: openai, base_url: \"http://{}/v1\", credential: sk-far}}]\n",
        raw.address
    ));
    let mut statuses = Vec::new();
    for model in calls {
        let call = format!(r#"{{"model":"far/{model}","max_tokens":9,"messages":[{{"role":"user","content":"a"}}]}}"#);
        let answer = gateway.post("/v1/chat/completions", call).await;
        let ends = answer.headers().get("x-should-retry").is_some_and(|value| value == "false");
        statuses.push((answer.status().as_u16(), ends));
        got(answer).await;
    }
    let called = raw.asked().iter().filter(|(_, what)| what == "called").count();
    (statuses, called)
}

#[tokio::test]
async fn a_refused_credential_is_not_sent_again_and_its_client_does_not_repeat_the_call() {
    const INVALID: &str = r#"{"error":{"message":"Incorrect API key provided","code":"invalid_api_key"}}"#;
    const UNPAID: &str = r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#;
    for (status, error) in [(401, INVALID), (429, UNPAID), (402, UNPAID)] {
        let (statuses, called) = refused(status, error, &["m", "m", "n", "m"]).await;
        assert_eq!((statuses, called), (vec![(502, true); 4], 2), "{status}: each model once");
    }
}

#[tokio::test]
async fn a_refusal_of_one_call_does_not_keep_others_from_the_provider() {
    const FORBIDDEN: &str = r#"{"error":{"message":"Country, region, or territory not supported"}}"#;
    const TOO_DEAR: &str = r#"{"error":{"message":"This request requires more credits, or fewer max_tokens. You requested up to 64000 tokens, but can only afford 12","code":402}}"#;
    for (status, error) in [(403, FORBIDDEN), (402, TOO_DEAR)] {
        assert_eq!(refused(status, error, &["m", "m"]).await, (vec![(502, true); 2], 2), "{status}");
    }
    let busy = r#"{"error":{"message":"slow down","code":"rate_limit_exceeded"}}"#;
    assert_eq!(refused(429, busy, &["m", "m"]).await, (vec![(429, false); 2], 2));
}
