//! The mock's events, compared with the schemas that providers publish.

use ai::Format;
use serde_json::Value;

use crate::published;
use crate::wire::{CHAT, COMPLETIONS, MESSAGES, RESPONSES, RunningMock, ask, ask_google, quick, start};

#[track_caller]
fn check(format: Format, what: &str, events: &[Value]) {
    let events = events.iter().filter(|event| *event != "[DONE]");
    for event in events.clone() {
        assert_eq!(published::missing(format, event), Vec::<String>::new(), "{what}: {event}");
    }
    assert!(events.count() > 1, "{what}");
}

async fn streamed(mock: &RunningMock, path: &str, body: &str) -> Vec<Value> {
    let reply = mock.post(path, body).await;
    assert_eq!(reply.status, 200, "{path}");
    reply.events()
}

#[tokio::test]
async fn events_have_the_fields_that_the_schemas_require() {
    let mock = start(quick()).await;
    let more = r#","stream":true,"stream_options":{"include_usage":true}"#;
    for model in ["mock", "tool", "error-event", "no-usage"] {
        for (format, path) in [
            (Format::Chat, CHAT),
            (Format::Completions, COMPLETIONS),
            (Format::Responses, RESPONSES),
            (Format::Messages, MESSAGES),
        ] {
            // Anthropic reports usage in every message.
            if format == Format::Messages && model == "no-usage" {
                continue;
            }
            let body = ask(model, &format!(r#","prompt":"a"{more}"#));
            check(format, &format!("{model} {path}"), &streamed(&mock, path, &body).await);
        }
        let path = format!("/v1beta/models/{model}:streamGenerateContent?alt=sse");
        check(Format::GenerateContent, &path, &streamed(&mock, &path, &ask_google("")).await);
    }
    let picture = r#"{"model":"gpt-image-1","prompt":"a","stream":true,"partial_images":2}"#;
    check(Format::Images, "pictures", &streamed(&mock, "/v1/images/generations", picture).await);
    let speech = r#"{"model":"tts","input":"a b","voice":"alloy","stream_format":"sse"}"#;
    check(Format::Speech, "speech", &streamed(&mock, "/v1/audio/speech", speech).await);
}

#[tokio::test]
async fn a_failed_response_continues_the_sequence_numbers() {
    let mock = start(quick()).await;
    let events = streamed(&mock, RESPONSES, &ask("error-event", r#","stream":true"#)).await;
    let numbers: Vec<_> = events.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>());
    assert_eq!(events.last().unwrap()["type"], "response.failed");
}
