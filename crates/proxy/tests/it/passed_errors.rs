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
