//! Counts of tokens, by the provider or by the gateway, and the compaction of a conversation.

use http::StatusCode;

use crate::gateway::Gateway;
use crate::raw::{Conn, Raw, got};

const CLAUDE: &str = r#"{"input_tokens":42}"#;
const OPENAI: &str = r#"{"object":"response.input_tokens","input_tokens":43}"#;
const GEMINI: &str = r#"{"totalTokens":44}"#;
const COMPACTED: &str = r#"{"id":"cmp_1","object":"response.compaction","created_at":1,"output":[{"type":"compaction","id":"c","encrypted_content":"ENC"}],"usage":{"input_tokens":1000,"output_tokens":100,"total_tokens":1100}}"#;

/// Starts the counters of all providers. The status and the body depend on the path, and a model named `broken` has no counter.
async fn counters() -> Raw {
    Raw::start(|mut conn: Conn| async move {
        while let Some(body) = conn.body().await {
            let path = conn.last_target();
            conn.note(&format!("body {body}"));
            let (status, body) = match path.as_str() {
                _ if body.contains("silent") => return,
                _ if body.contains("broken") => ("404 Not Found", "{\"error\":{\"message\":\"no such path\"}}"),
                _ if body.contains("wrong") => ("400 Bad Request", "{\"error\":{\"message\":\"invalid tools\"}}"),
                _ if body.contains("page") => ("200 OK", "<html>"),
                "/v1/messages/count_tokens" => ("200 OK", CLAUDE),
                "/v1/responses/input_tokens" => ("200 OK", OPENAI),
                "/v1/responses/compact" => ("200 OK", COMPACTED),
                "/v1beta/models/m:counttokens" => ("200 OK", GEMINI),
                _ => ("500 Internal Server Error", "{}"),
            };
            conn.say(format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            ))
            .await;
        }
    })
    .await
}

fn gateway(raw: &Raw) -> Gateway {
    let provider = |name: &str, kind: &str, rest: &str| {
        format!("{{name: {name}, kind: {kind}, base_url: \"http://{}{rest}, credential: k}}", raw.address)
    };
    let providers = [
        provider("claude", "anthropic", "\""),
        provider("gemini", "gemini", "\""),
        provider("openai", "openai", "/v1\", formats: [chat, responses]"),
        provider("other", "openai", "/v1\""),
    ];
    let one = "- {name: several, targets: [{provider: claude, model: m}, {provider: openai, model: m}]}";
    Gateway::plain(&format!("providers: [{}]\nmodels:\n{one}\n", providers.join(", ")))
}

/// A count in a client's format, whose text is `word`.
fn count(format: &str, model: &str, word: &str) -> (String, String) {
    let text = format!("{word} ").repeat(80);
    match format {
        "messages" => (
            "/v1/messages/count_tokens".to_owned(),
            format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"{text}"}}]}}"#),
        ),
        "responses" => (
            "/v1/responses/input_tokens".to_owned(),
            format!(r#"{{"model":"{model}","input":[{{"role":"user","content":"{text}"}}],"instructions":"i"}}"#),
        ),
        _ => (
            format!("/v1beta/models/{}:countTokens", model.replace('/', "%2F")),
            format!(r#"{{"contents":[{{"parts":[{{"text":"{text}"}}]}}]}}"#),
        ),
    }
}

#[tokio::test]
async fn tokens_are_counted_by_the_provider_in_any_format_or_estimated() {
    let raw = counters().await;
    let gateway = gateway(&raw);
    for (format, model, word, expected) in [
        ("messages", "claude/m", "word", Ok(CLAUDE)),
        ("messages", "several", "word", Ok(CLAUDE)),
        ("messages", "openai/m", "word", Ok(r#"{"input_tokens":43}"#)),
        ("messages", "gemini/m", "word", Ok(r#"{"input_tokens":44}"#)),
        ("messages", "other/m", "word", Err(r#"{"input_tokens":1"#)),
        ("responses", "openai/m", "word", Ok(OPENAI)),
        ("responses", "claude/m", "word", Ok(r#"{"input_tokens":42,"object":"response.input_tokens"}"#)),
        ("responses", "gemini/m", "word", Ok(r#"{"input_tokens":44,"object":"response.input_tokens"}"#)),
        ("responses", "other/m", "word", Err(r#"{"input_tokens":1"#)),
        ("gemini", "gemini/m", "word", Ok(GEMINI)),
        ("gemini", "claude/m", "word", Ok(r#"{"totalTokens":42}"#)),
        ("gemini", "openai/m", "word", Ok(r#"{"totalTokens":43}"#)),
        ("gemini", "other/m", "word", Err(r#"{"totalTokens":1"#)),
        // Counters that have failed.
        ("messages", "claude/m", "broken", Err(r#"{"input_tokens":1"#)),
        ("messages", "openai/m", "broken", Err(r#"{"input_tokens":1"#)),
        ("messages", "openai/m", "wrong", Err(r#"{"input_tokens":1"#)),
        ("messages", "openai/m", "page", Err(r#"{"input_tokens":1"#)),
        ("responses", "openai/m", "silent", Err(r#"{"input_tokens":1"#)),
        ("gemini", "claude/m", "silent", Err(r#"{"totalTokens":1"#)),
    ] {
        let (path, body) = count(format, model, word);
        let answer = gateway.post(&path, body).await;
        let is_estimated = answer.headers().get("x-tollgate-estimated").is_some_and(|value| value == "true");
        let answer = got(answer).await;
        let what = format!("{format} {model} {word}: {answer:?}");
        assert_eq!(answer.status, StatusCode::OK, "{what}");
        match expected {
            Ok(body) => assert!(answer.body == body && !is_estimated, "{what}"),
            Err(begin) => assert!(answer.body.starts_with(begin) && is_estimated, "{what}"),
        }
    }
    let (path, body) = count("messages", "claude/m", "wrong");
    let refused = got(gateway.post(&path, body).await).await;
    assert!(refused.status == StatusCode::BAD_REQUEST && refused.body.contains("invalid tools"), "{refused:?}");
    assert_eq!(gateway.used(), 0, "counts are free");
}

#[tokio::test]
async fn a_translated_count_has_the_fields_of_the_counter() {
    let raw = counters().await;
    let gateway = gateway(&raw);
    for (format, model, fields) in [
        ("responses", "claude/m", &["model", "system", "messages"][..]),
        ("messages", "openai/m", &["model", "input"]),
        ("messages", "gemini/m", &["generateContentRequest"]),
    ] {
        let (path, body) = count(format, model, "word");
        assert_eq!(got(gateway.post(&path, body).await).await.status, StatusCode::OK);
        let asked = raw.asked();
        let sent = asked.iter().rev().find_map(|(_, note)| note.strip_prefix("body ")).unwrap();
        let sent: serde_json::Map<String, serde_json::Value> = serde_json::from_str(sent).unwrap();
        let mut names: Vec<&str> = sent.keys().map(String::as_str).collect();
        let mut fields = fields.to_vec();
        names.sort_unstable();
        fields.sort_unstable();
        assert_eq!(names, fields, "{format} {model}");
    }
}

#[tokio::test]
async fn a_conversation_is_compacted_by_openai_alone() {
    let raw = counters().await;
    let gateway = gateway(&raw);
    let body =
        |model: &str| format!(r#"{{"model":"{model}","instructions":"i","input":[{{"role":"user","content":"x"}}]}}"#);
    let compacted = got(gateway.post("/v1/responses/compact", body("openai/m")).await).await;
    assert_eq!(compacted.status, StatusCode::OK, "{compacted:?}");
    // The ids belong to the user.
    for part in
        ["\"response.compaction\"", "\"id\":\"cmp_1-tgo-", "\"encrypted_content\":\"ENC\"", "\"total_tokens\":1100"]
    {
        assert!(compacted.body.contains(part), "{part}: {compacted:?}");
    }
    assert_eq!(gateway.used(), 1, "it costs as a call does");
    for model in ["claude/m", "gemini/m", "other/m"] {
        let refused = got(gateway.post("/v1/responses/compact", body(model)).await).await;
        assert!(refused.body.contains("\"format_mismatch\""), "{model}: {refused:?}");
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{model}");
    }
    assert_eq!(gateway.used(), 1);
}
