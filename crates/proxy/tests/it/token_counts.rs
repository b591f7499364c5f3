//! Counts of tokens, by the provider or by the gateway.

use crate::gateway::Gateway;
use crate::raw::{Conn, Raw, got};

#[tokio::test]
async fn tokens_are_counted_by_the_provider_or_estimated() {
    const COUNT: &str = r#"{"input_tokens":42}"#;
    let raw = Raw::start(|mut conn: Conn| async move {
        while conn.body().await.is_some() {
            conn.note("called");
            conn.say(format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{COUNT}",
                COUNT.len()
            ))
            .await;
        }
    })
    .await;
    let provider = |name: &str, kind: &str, path: &str| {
        format!("{{name: {name}, kind: {kind}, base_url: \"http://{}{path}\", credential: k}}", raw.address)
    };
    let providers = [provider("claude", "anthropic", ""), provider("openai", "openai", "/v1")].join(", ");
    let gateway = Gateway::plain(&format!("providers: [{providers}]\n"));
    let text = "word ".repeat(80);
    let call = |model: &str| match model {
        "" => format!(r#"{{"contents":[{{"parts":[{{"text":"{text}"}}]}}]}}"#),
        model => format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"{text}"}}]}}"#),
    };
    for (path, model, expected) in [
        ("/v1/messages/count_tokens", "claude/m", Ok(COUNT)),
        ("/v1/messages/count_tokens", "openai/m", Err(r#"{"input_tokens":1"#)),
        ("/v1beta/models/openai%2Fm:countTokens", "", Err(r#"{"totalTokens":1"#)),
        ("/v1beta/models/claude%2Fm:countTokens", "", Err(r#"{"totalTokens":1"#)),
    ] {
        let before = raw.asked().iter().filter(|(_, what)| what == "called").count();
        let answer = gateway.post(path, call(model)).await;
        let is_estimated = answer.headers().get("x-tollgate-estimated").is_some_and(|value| value == "true");
        let answer = got(answer).await;
        let called = raw.asked().iter().filter(|(_, what)| what == "called").count() - before;
        match expected {
            Ok(body) => assert_eq!((answer.body.as_str(), is_estimated, called), (body, false, 1), "{path}"),
            Err(begin) => {
                assert!(answer.body.starts_with(begin) && is_estimated && called == 0, "{path} {answer:?}");
            }
        }
    }
    assert_eq!(gateway.used(), 0, "counts are free");
}
