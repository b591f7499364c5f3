//! Compares the events that Tollgate writes into a stream with the schemas that providers publish.

use access::Refusal;
use ai::{Format, FormatProblem, Reporter, ResponseFraming, Tap};
use bytes::Bytes;
use serde_json::Value;

use crate::published;

const REPORTER: Reporter<'static> = Reporter { domain: "tollgate", request_id: "019a-1" };
const PROBLEM: FormatProblem<'static> = FormatProblem::new(Refusal::UpstreamReset, "cut", REPORTER);

/// Formats that stream, and the first events of such a stream.
const BEGUN: [(Format, &str); 8] = [
    (
        Format::Chat,
        "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1763700000,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{}}]}\n\n",
    ),
    (
        Format::Completions,
        "data: {\"id\":\"c\",\"created\":1763700000,\"model\":\"m\",\"choices\":[{\"index\":0,\"text\":\"a\"}]}\n\n",
    ),
    (
        Format::Responses,
        "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"created_at\":1763700000,\"model\":\"m\"},\"sequence_number\":0}\n\n",
    ),
    (
        Format::Messages,
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":\"m\",\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    ),
    (Format::GenerateContent, "data: {\"candidates\":[{\"index\":0}]}\n\n"),
    (Format::Images, "event: image_generation.partial_image\ndata: {\"type\":\"image_generation.partial_image\"}\n\n"),
    (Format::Speech, "data: {\"type\":\"speech.audio.delta\",\"audio\":\"\"}\n\n"),
    (Format::Transcription, "data: {\"type\":\"transcript.text.delta\",\"delta\":\"a\"}\n\n"),
];

fn events(stream: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(stream).unwrap();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    data.map(|data| serde_json::from_str(data).unwrap()).collect()
}

#[track_caller]
fn check(format: Format, what: &str, stream: &[u8], least: usize) {
    let events = events(stream);
    assert!(events.len() >= least, "{format:?} {what}: {}", String::from_utf8_lossy(stream));
    for event in events {
        assert_eq!(published::missing(format, &event), Vec::<String>::new(), "{format:?} {what}: {event}");
    }
}

#[test]
fn events_have_the_fields_that_the_schemas_require() {
    for (format, begun) in BEGUN {
        for begun in ["", begun] {
            let tap = || {
                let mut tap = Tap::new(format, ResponseFraming::Events, false);
                assert_eq!(tap.push(Bytes::from_static(begun.as_bytes())).len(), begun.len());
                tap
            };
            check(format, "cut", &tap().cut(&PROBLEM).0, 1);
            check(format, "closed", &tap().close(&PROBLEM).0, 1);
            let stops = !matches!(format, Format::Images | Format::Speech | Format::Transcription);
            check(format, "stopped", &tap().stop().0, usize::from(stops));
        }
    }
}

#[test]
fn a_field_that_is_missing_is_found() {
    let event = |json: &str| serde_json::from_str::<Value>(json).unwrap();
    let error = event(r#"{"type":"error","error":{"message":"m"}}"#);
    assert_eq!(published::missing(Format::Responses, &error), ["sequence_number", "code", "message", "param"]);
    let chunk = event(r#"{"id":"c","created":1,"model":"m","object":"o","choices":[{"index":0,"delta":{}}]}"#);
    assert_eq!(published::missing(Format::Chat, &chunk), ["choices[].finish_reason"]);
    assert_eq!(published::missing(Format::Messages, &event(r#"{"type":"odd"}"#)).len(), 1);
}
