use bytes::Bytes;

use super::*;
use crate::scan::VALUE_BYTES_MAX;

/// Recorded shapes of each format: name, format, whether it streams, bytes.
pub(super) const FIXTURES: &[(&str, Format, bool, &[u8])] = &[
    ("chat", Format::Chat, true, include_bytes!("../../tests/fixtures/chat.sse")),
    ("chat_azure", Format::Chat, true, include_bytes!("../../tests/fixtures/chat-azure.sse")),
    ("chat_body", Format::Chat, false, include_bytes!("../../tests/fixtures/chat.json")),
    ("responses", Format::Responses, true, include_bytes!("../../tests/fixtures/responses.sse")),
    ("responses_incomplete", Format::Responses, true, include_bytes!("../../tests/fixtures/responses-incomplete.sse")),
    ("responses_body", Format::Responses, false, include_bytes!("../../tests/fixtures/responses.json")),
    ("messages", Format::Messages, true, include_bytes!("../../tests/fixtures/messages.sse")),
    ("messages_cut", Format::Messages, true, include_bytes!("../../tests/fixtures/messages-cut.sse")),
    ("messages_body", Format::Messages, false, include_bytes!("../../tests/fixtures/messages.json")),
    ("error_openai", Format::Chat, false, include_bytes!("../../tests/fixtures/error-openai.json")),
    ("error_anthropic", Format::Messages, false, include_bytes!("../../tests/fixtures/error-anthropic.json")),
];

/// What comes out of pieces, and what was seen.
pub(super) fn tapped<'a>(mut tap: Tap, pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, Seen) {
    let mut out = Vec::new();
    for piece in pieces {
        out.extend_from_slice(&tap.push(Bytes::copy_from_slice(piece)));
    }
    let (rest, seen) = tap.finish();
    out.extend_from_slice(&rest);
    (out, seen)
}

fn seen(format: Format, streamed: bool, bytes: &[u8]) -> Seen {
    tapped(Tap::new(format, streamed, false), [bytes]).1
}

fn chat(stream: &str) -> (String, Seen) {
    let (out, seen) = tapped(Tap::new(Format::Chat, true, true), [stream.as_bytes()]);
    (String::from_utf8(out).unwrap(), seen)
}

const CHUNK: &str = r#"data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#;

#[test]
fn every_format_tells_usage_model_id_and_end() {
    for (name, format, streamed, bytes) in FIXTURES {
        insta::assert_debug_snapshot!(*name, seen(*format, *streamed, bytes));
    }
}

#[test]
fn every_byte_passes_unchanged_where_nothing_is_dropped() {
    for (name, format, streamed, bytes) in FIXTURES {
        let drops = *format == Format::Chat && *streamed;
        let (out, _) = tapped(Tap::new(*format, *streamed, !drops), [*bytes]);
        assert_eq!(out, *bytes, "{name}");
    }
}

#[test]
fn only_the_usage_chunk_is_dropped_with_its_blank_line() {
    let stream = include_str!("../../tests/fixtures/chat.sse");
    for end in ["\n", "\r\n", "\r"] {
        let stream = stream.replace('\n', end);
        let (out, seen) = chat(&stream);
        let blank = end.repeat(2);
        let kept: Vec<_> = stream.split(&blank).filter(|event| !event.contains("\"choices\":[],\"usage\"")).collect();
        assert_eq!(out, kept.join(&blank), "{end:?}");
        assert_eq!(seen.usage.map(|usage| usage.total()), Some(1410));
    }
}

#[test]
fn chunks_that_only_look_like_it_stay() {
    for event in [
        r#"data: {"choices":[],"usage":null}"#,
        r#"data: {"choices":[],"usage":7}"#,
        r#"data: {"choices":[]}"#,
        r#"data: {"choices":null,"usage":{"prompt_tokens":3}}"#,
        r#"data: {"usage":{"prompt_tokens":3}}"#,
        r#"data: {"choices":[{"delta":{"choices":[]}}],"usage":{"prompt_tokens":3}}"#,
        r#"data: {"choices":[null],"usage":{"prompt_tokens":3}}"#,
        r#"data: {"x":{"choices":[],"usage":{"prompt_tokens":3}}}"#,
        r#"data: {"choices":[],"usage":{"prompt_tokens":3}"#,
        r#": {"choices":[],"usage":{"prompt_tokens":3}}"#,
    ] {
        let stream = format!("{event}\n\ndata: [DONE]\n\n");
        assert_eq!(chat(&stream).0, stream, "{event}");
    }
}

#[test]
fn the_usage_chunk_is_known_however_it_is_written() {
    for event in [
        CHUNK,
        "data:{\"usage\":{},\"choices\":[ ]}",
        "data: {\"us\\u0061ge\":{\"prompt_tokens\":3},\ndata: \"choices\":[]}",
        "event: chunk\nid: 7\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":3}}",
    ] {
        assert_eq!(
            chat(&format!("data: 1\n\n{event}\n\ndata: [DONE]\n\n")).0,
            "data: 1\n\ndata: [DONE]\n\n",
            "{event}"
        );
        assert_eq!(chat(event).0, "", "{event} at the end of a stream");
    }
}

#[test]
fn nothing_held_is_passed_on_in_place() {
    let mut tap = Tap::new(Format::Chat, true, true);
    for _ in 0..3 {
        let bytes = Bytes::from_static(b"data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n");
        let out = tap.push(bytes.clone());
        assert_eq!((out.as_ptr(), out.len()), (bytes.as_ptr(), bytes.len()));
    }
}

#[test]
fn an_open_event_is_held_up_to_its_bound_and_then_passed_as_it_is() {
    let mut tap = Tap::new(Format::Chat, true, true);
    assert_eq!(tap.push(Bytes::from_static(b"data: 1\n\ndata: {\"choices\":[],")), "data: 1\n\n");
    let filler = Bytes::from(vec![b' '; 64 * 1024]);
    let out = tap.push(filler.clone());
    assert_eq!(out.len(), "data: {\"choices\":[],".len() + filler.len());
    let rest = Bytes::from_static(b"\"usage\":{\"prompt_tokens\":3}}\n\n");
    assert_eq!(tap.push(rest.clone()), rest);
    assert_eq!(tap.finish().1.usage.and_then(|usage| usage.input), Some(3));
}

#[test]
fn a_chat_stream_has_ended_when_its_last_choice_finished_or_at_done() {
    let chunk = |reason: &str| format!("data: {{\"choices\":[{{\"index\":0,\"finish_reason\":{reason}}}]}}\n\n");
    for (stream, ended) in [
        (chunk("null"), false),
        (chunk("\"stop\""), true),
        (chunk("\"stop\"") + &chunk("null"), false),
        (chunk("\"stop\"") + CHUNK, true),
        (chunk("null") + "data: [DONE]\n\n", true),
        (chunk("null") + "data: [DONE]", true),
        (chunk("null") + "data: [DONE", false),
        (chunk("null") + "data: {\"error\":{\"message\":\"x\"}}\n\n", false),
        (String::new(), false),
    ] {
        assert_eq!(chat(&stream).1.ended, ended, "{stream}");
    }
}

#[test]
fn a_cut_answer_has_not_ended_and_tells_what_it_told() {
    let whole = include_bytes!("../../tests/fixtures/chat.json");
    for cut in 0..whole.len() - 2 {
        assert_eq!(seen(Format::Chat, false, &whole[..cut]), Seen::default(), "{cut}");
    }
    let start = br#"data: {"type":"message_start","message":{"usage":{"input_tokens":5,"output_tokens":1}}}"#;
    let told = seen(Format::Messages, true, start);
    assert_eq!((told.usage.and_then(|usage| usage.input), told.ended), (Some(5), false));
}

#[test]
fn other_bodies_tell_nothing() {
    for body in
        ["", "<html><body>502, bad gateway</body></html>", "not found, sorry", "null", "7", "[]", "\u{1f}\u{8b}"]
    {
        let seen = seen(Format::Responses, false, body.as_bytes());
        assert_eq!((seen.usage, seen.model, seen.id), (None, None, None), "{body}");
        assert_eq!(seen.ended, body == "[]", "{body}");
    }
}

#[test]
fn long_names_are_not_kept() {
    let body = format!(r#"{{"model":"{}","id":"{}"}}"#, "m".repeat(257), "i".repeat(256));
    let seen = seen(Format::Chat, false, body.as_bytes());
    assert_eq!((seen.model, seen.id.map(|id| id.len())), (None, Some(256)));
}

/// What a tap holds of a hostile stream: its own buffers are all it has.
#[test]
fn a_line_of_100_mb_stays_within_bounds() {
    let piece = Bytes::from(vec![b'x'; 1 << 20]);
    for (head, pieces) in
        [("data: {\"usage\":{\"a\":\"", 100), ("data: {\"", 10), ("data: ", 10), ("event: ", 10), ("", 10), (": ", 10)]
    {
        for (format, drop) in [(Format::Chat, true), (Format::Messages, false)] {
            let mut tap = Tap::new(format, true, drop);
            let mut out = tap.push(Bytes::copy_from_slice(head.as_bytes())).len();
            for _ in 0..pieces {
                out += tap.push(piece.clone()).len();
                assert!(tap.held_bytes() <= 2 * VALUE_BYTES_MAX, "{head}");
            }
            let (rest, seen) = tap.finish();
            assert_eq!(out + rest.len(), head.len() + pieces * piece.len(), "{head}");
            assert_eq!(seen, Seen::default());
        }
    }
}

#[test]
fn an_event_of_many_usages_stays_within_bounds() {
    let usage = format!("\"usage\":\"{}\",", "x".repeat(60_000));
    let mut tap = Tap::new(Format::Chat, true, true);
    tap.push(Bytes::from_static(b"data: {"));
    for _ in 0..100 {
        tap.push(Bytes::from(usage.clone()));
        assert!(tap.held_bytes() <= 6 * VALUE_BYTES_MAX);
    }
}

impl Tap {
    fn held_bytes(&self) -> usize {
        let hold = self.events.as_ref().and_then(|events| events.hold.as_ref());
        self.reading.held_bytes() + hold.map_or(0, Hold::held_bytes)
    }
}
