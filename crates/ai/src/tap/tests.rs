mod array;
mod calls;
mod cut;
mod due;
mod empty;
mod guard;
mod hostile;
mod keep_alive;
mod stop;
mod terms;
mod tools;

use access::Tokens;
use bytes::Bytes;

use super::*;
use crate::scan::VALUE_BYTES_MAX;

/// A response: name, format, framing, bytes.
type Fixture = (&'static str, Format, ResponseFraming, &'static [u8]);

/// Fixtures, written by hand after the documentation of each format.
#[rustfmt::skip]
pub(super) const FIXTURES: &[Fixture] = &[
    ("chat", Format::Chat, ResponseFraming::Events, include_bytes!("../../tests/fixtures/chat.sse")),
    ("chat_azure", Format::Chat, ResponseFraming::Events, include_bytes!("../../tests/fixtures/chat-azure.sse")),
    ("chat_body", Format::Chat, ResponseFraming::Json, include_bytes!("../../tests/fixtures/chat.json")),
    ("responses", Format::Responses, ResponseFraming::Events, include_bytes!("../../tests/fixtures/responses.sse")),
    ("responses_incomplete", Format::Responses, ResponseFraming::Events, include_bytes!("../../tests/fixtures/responses-incomplete.sse")),
    ("responses_body", Format::Responses, ResponseFraming::Json, include_bytes!("../../tests/fixtures/responses.json")),
    ("messages", Format::Messages, ResponseFraming::Events, include_bytes!("../../tests/fixtures/messages.sse")),
    ("messages_cut", Format::Messages, ResponseFraming::Events, include_bytes!("../../tests/fixtures/messages-cut.sse")),
    ("messages_body", Format::Messages, ResponseFraming::Json, include_bytes!("../../tests/fixtures/messages.json")),
    ("error_openai", Format::Chat, ResponseFraming::Json, include_bytes!("../../tests/fixtures/error-openai.json")),
    ("error_anthropic", Format::Messages, ResponseFraming::Json, include_bytes!("../../tests/fixtures/error-anthropic.json")),
    ("completions", Format::Completions, ResponseFraming::Events, include_bytes!("../../tests/fixtures/completions.sse")),
    ("embeddings_body", Format::Embeddings, ResponseFraming::Json, include_bytes!("../../tests/fixtures/embeddings.json")),
    ("generate", Format::GenerateContent, ResponseFraming::Events, include_bytes!("../../tests/fixtures/generate.sse")),
    ("generate_blocked", Format::GenerateContent, ResponseFraming::Events, include_bytes!("../../tests/fixtures/generate-blocked.sse")),
    ("generate_array", Format::GenerateContent, ResponseFraming::Array, include_bytes!("../../tests/fixtures/generate-array.json")),
    ("generate_body", Format::GenerateContent, ResponseFraming::Json, include_bytes!("../../tests/fixtures/generate.json")),
    ("embed_body", Format::EmbedContent, ResponseFraming::Json, include_bytes!("../../tests/fixtures/embed.json")),
    ("error_google", Format::GenerateContent, ResponseFraming::Array, include_bytes!("../../tests/fixtures/error-google.json")),
    ("images", Format::Images, ResponseFraming::Events, include_bytes!("../../tests/fixtures/images.sse")),
    ("images_body", Format::Images, ResponseFraming::Json, include_bytes!("../../tests/fixtures/images.json")),
    ("images_urls", Format::Images, ResponseFraming::Json, include_bytes!("../../tests/fixtures/images-urls.json")),
    ("speech", Format::Speech, ResponseFraming::Events, include_bytes!("../../tests/fixtures/speech.sse")),
    ("transcription", Format::Transcription, ResponseFraming::Events, include_bytes!("../../tests/fixtures/transcription.sse")),
    ("transcription_body", Format::Transcription, ResponseFraming::Json, include_bytes!("../../tests/fixtures/transcription.json")),
    ("transcription_verbose", Format::Transcription, ResponseFraming::Json, include_bytes!("../../tests/fixtures/transcription-verbose.json")),
    ("transcription_whisper", Format::Transcription, ResponseFraming::Json, include_bytes!("../../tests/fixtures/transcription-whisper.json")),
    ("moderations_body", Format::Moderations, ResponseFraming::Json, include_bytes!("../../tests/fixtures/moderations.json")),
];

/// Returns the forwarded bytes of these pieces, and the facts that were read.
pub(super) fn tapped<'a>(mut tap: Tap, pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, ResponseFacts) {
    let mut out = Vec::new();
    for piece in pieces {
        out.extend_from_slice(&tap.push(Bytes::copy_from_slice(piece)));
    }
    let (rest, seen) = tap.finish();
    out.extend_from_slice(&rest);
    (out, seen)
}

fn seen(format: Format, framing: ResponseFraming, bytes: &[u8]) -> ResponseFacts {
    tapped(Tap::new(format, framing, false), [bytes]).1
}

fn chat(stream: &str) -> (String, ResponseFacts) {
    let (out, seen) = tapped(Tap::new(Format::Chat, ResponseFraming::Events, true), [stream.as_bytes()]);
    (String::from_utf8(out).unwrap(), seen)
}

const CHUNK: &str = r#"data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#;

#[test]
fn usage_model_id_and_end_are_read_in_every_format() {
    for (name, format, framing, bytes) in FIXTURES {
        insta::assert_debug_snapshot!(*name, seen(*format, *framing, bytes));
    }
}

#[test]
fn every_byte_passes_unchanged_where_nothing_is_dropped() {
    for (name, format, framing, bytes) in FIXTURES {
        let drops = matches!(format, Format::Chat | Format::Completions) && *framing == ResponseFraming::Events;
        let (out, _) = tapped(Tap::new(*format, *framing, !drops), [*bytes]);
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
        let remaining: Vec<_> =
            stream.split(&blank).filter(|event| !event.contains("\"choices\":[],\"usage\"")).collect();
        assert_eq!(out, remaining.join(&blank), "{end:?}");
        assert_eq!(seen.usage.map(|usage| usage.total()), Some(Tokens(1410)));
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
fn without_buffered_bytes_chunks_are_forwarded_without_a_copy() {
    let event = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n";
    for format in Format::ALL {
        let mut tap = Tap::new(format, ResponseFraming::Events, true);
        for open in ["", "", "data: {\"cho"] {
            let bytes = Bytes::from([event, event, open].concat());
            let out = tap.push(bytes.clone());
            assert_eq!((out.as_ptr(), out.len()), (bytes.as_ptr(), 2 * event.len()), "{format:?}");
        }
    }
}

/// Returns the ends of the events of a stream whose blank lines are LF or CR LF.
fn ends(stream: &[u8]) -> Vec<usize> {
    let blank = |at: &usize| stream[..*at].ends_with(b"\n\n") || stream[..*at].ends_with(b"\r\n\r\n");
    (0..=stream.len()).filter(|at| *at == 0 || blank(at)).collect()
}

/// Returns each stream of the fixtures, with lines that end in LF and in CR LF.
fn streams() -> impl Iterator<Item = (Format, Vec<u8>)> {
    FIXTURES.iter().filter(|(_, _, framing, _)| *framing == ResponseFraming::Events).flat_map(
        |(_, format, _, bytes)| {
            // Comments are forwarded separately.
            let text = std::str::from_utf8(bytes).unwrap().replace(": keepalive\n\n", "");
            ["\n", "\r\n"].map(|end| (*format, text.replace('\n', end).into_bytes()))
        },
    )
}

#[test]
fn half_an_event_is_buffered_until_it_is_complete() {
    for (format, stream) in streams() {
        let ends = ends(&stream);
        assert!(ends.len() > 1, "{format:?}");
        for cut in 0..=stream.len() {
            let mut tap = Tap::new(format, ResponseFraming::Events, false);
            let whole = *ends.iter().rfind(|end| **end <= cut).unwrap();
            let out = tap.push(Bytes::copy_from_slice(&stream[..cut]));
            // The line feed of a blank line's CR LF may arrive later: the event ends at its CR.
            let tail = usize::from(stream[..cut].ends_with(b"\n\r"));
            assert_eq!(out.len(), if tail == 1 { cut } else { whole }, "{format:?} at {cut}");
            let out = [out, tap.push(Bytes::copy_from_slice(&stream[cut..]))].concat();
            assert_eq!(out, stream[..*ends.last().unwrap()], "{format:?} at {cut}");
        }
        let mut tap = Tap::new(format, ResponseFraming::Events, false);
        let mut passed = 0;
        for (at, byte) in stream.iter().enumerate() {
            passed += tap.push(Bytes::copy_from_slice(&[*byte])).len();
            assert!(!ends.contains(&(at + 1)) || passed == at + 1, "{format:?} at {at}");
        }
    }
}

#[test]
fn half_an_event_is_dropped_when_cut() {
    for (format, stream) in streams() {
        let ends = ends(&stream);
        for cut in (0..=stream.len()).filter(|cut| !stream[..*cut].ends_with(b"\n\r")) {
            let mut tap = Tap::new(format, ResponseFraming::Events, false);
            let passed: Vec<u8> =
                stream[..cut].chunks(7).flat_map(|piece| tap.push(Bytes::copy_from_slice(piece))).collect();
            let (half, _) = tap.finish();
            assert!(ends.contains(&passed.len()), "{format:?} at {cut}");
            assert_eq!([&passed[..], &half].concat(), stream[..cut], "{format:?} at {cut}");
        }
    }
}

#[test]
fn a_last_event_without_its_blank_line_is_the_rest() {
    for format in Format::ALL {
        let mut tap = Tap::new(format, ResponseFraming::Events, false);
        assert_eq!(tap.push(Bytes::from_static(b"data: 1\n\ndata: 2\n")), "data: 1\n\n");
        assert_eq!(tap.finish().0, "data: 2\n", "{format:?}");
    }
}

#[test]
fn comments_between_events_are_not_buffered() {
    for end in ["\n", "\r", "\r\n"] {
        for format in Format::ALL {
            let mut tap = Tap::new(format, ResponseFraming::Events, true);
            for (piece, passed) in [(": keep", ""), ("alive|", ": keepalive|"), (":|:", ":|"), ("|data: 1|: c|", ":|")]
            {
                assert_eq!(tap.push(piece.replace('|', end).into()), passed.replace('|', end), "{format:?} {end:?}");
            }
        }
    }
}

#[test]
fn an_event_over_the_maximum_is_forwarded_as_it_arrives() {
    for format in Format::ALL {
        let mut tap = Tap::new(format, ResponseFraming::Events, false);
        let part = "x".repeat(40 * 1024);
        assert_eq!(tap.push(format!("data: 1\n\ndata: {part}").into()), "data: 1\n\n");
        assert_eq!(tap.push(part.clone().into()).len(), "data: ".len() + 2 * part.len());
        assert_eq!(tap.push("x".into()), "x");
        assert_eq!(tap.push("\n\ndata: 2".into()), "\n\n", "{format:?}");
        assert_eq!(tap.finish().0, "data: 2");
    }
}

#[test]
fn an_event_is_buffered_up_to_its_exact_maximum() {
    let mut tap = Tap::new(Format::Messages, ResponseFraming::Events, false);
    let longest = format!("data: {}", "x".repeat(64 * 1024 - "data: ".len()));
    assert_eq!(tap.push(longest.clone().into()), "");
    assert_eq!(tap.push("x".into()), longest + "x");
}

#[test]
fn a_usage_chunk_over_the_bound_is_passed_and_read() {
    let mut tap = Tap::new(Format::Chat, ResponseFraming::Events, true);
    assert_eq!(tap.push(Bytes::from_static(b"data: 1\n\ndata: {\"choices\":[],")), "data: 1\n\n");
    let filler = Bytes::from(vec![b' '; 64 * 1024]);
    let out = tap.push(filler.clone());
    assert_eq!(out.len(), "data: {\"choices\":[],".len() + filler.len());
    let rest = Bytes::from_static(b"\"usage\":{\"prompt_tokens\":3}}\n\n");
    assert_eq!(tap.push(rest.clone()), rest);
    assert_eq!(tap.finish().1.usage.and_then(|usage| usage.input), Some(Tokens(3)));
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
        (chunk("\"error\""), false),
        ("data: {\"error\":{\"code\":1},\"choices\":[{\"finish_reason\":\"stop\"}]}\n\n".to_owned(), false),
        ("data: {\"error\":\"\",\"choices\":[{\"finish_reason\":\"stop\"}]}\n\n".to_owned(), true),
        (String::new(), false),
    ] {
        assert_eq!(chat(&stream).1.ended, ended, "{stream}");
    }
}

#[test]
fn a_cut_response_has_not_ended_and_its_reported_usage_is_read() {
    let whole = include_bytes!("../../tests/fixtures/chat.json");
    for cut in 0..whole.len() - 2 {
        assert_eq!(seen(Format::Chat, ResponseFraming::Json, &whole[..cut]), ResponseFacts::default(), "{cut}");
    }
    let start = br#"data: {"type":"message_start","message":{"usage":{"input_tokens":5,"output_tokens":1}}}"#;
    let reported = seen(Format::Messages, ResponseFraming::Events, start);
    assert_eq!((reported.usage.and_then(|usage| usage.input), reported.ended), (Some(Tokens(5)), false));
}

#[test]
fn other_bodies_report_nothing() {
    for body in
        ["", "<html><body>502, bad gateway</body></html>", "not found, sorry", "null", "7", "[]", "\u{1f}\u{8b}"]
    {
        let seen = seen(Format::Responses, ResponseFraming::Json, body.as_bytes());
        assert_eq!((seen.usage, seen.model, seen.id), (None, None, None), "{body}");
        assert_eq!(seen.ended, body == "[]", "{body}");
    }
}

#[test]
fn long_names_are_truncated_at_a_character() {
    let body = format!(r#"{{"model":"{}","id":"{}"}}"#, "i".repeat(201), "m\u{20ac}".repeat(60));
    let seen = seen(Format::Chat, ResponseFraming::Json, body.as_bytes());
    assert_eq!((seen.model, seen.id), (Some("i".repeat(200).into()), Some("m\u{20ac}".repeat(50).into())));
    let body = format!(r#"{{"id":"m{}"}}"#, "\u{20ac}".repeat(67));
    let seen = self::seen(Format::Chat, ResponseFraming::Json, body.as_bytes());
    assert_eq!(seen.id, Some(format!("m{}", "\u{20ac}".repeat(66)).into()));
}

#[test]
fn model_and_id_may_arrive_late_and_separately() {
    for parts in [[r#""id":"c""#, r#""id":"d","model":"m""#], [r#""model":"m""#, r#""model":"n","id":"c""#]] {
        let stream: String = parts.map(|part| format!("data: {{{part}}}\n\n")).concat();
        let seen = chat(&stream).1;
        assert_eq!((seen.model.as_deref(), seen.id.as_deref()), (Some("m"), Some("c")), "{stream}");
    }
}

/// Later chunks are read if they report something, and also if they only might.
#[test]
fn chunks_with_figures_are_read_in_any_layout() {
    const FIRST: &str = r#"data: {"id":"c","model":"m","choices":[{"finish_reason":null}],"usage":null}"#;
    for (chunk, input, ended) in [
        (r#"{"choices":[{"delta":{"content":"x"},"finish_reason":null}],"usage":null}"#, None, false),
        (r#"{"choices":[],"usage":null,"usage" : {"prompt_tokens":3}}"#, Some(3), false),
        (r#"{"choices":[],"us\u0061ge":{"prompt_tokens":3}}"#, Some(3), false),
        (r#"{"choices":[{"finish_reason": "stop"}]}"#, None, true),
        (r#"{"choices":[{"finish\u005freason":"stop"}]}"#, None, true),
        ("{\"choices\":[{\"finish_reason\":\"stop\"}]}\n\ndata: {\"choices\":[{\"finish_reason\":null}]}", None, false),
        (r#"{"choices":[{"delta":{"content":"\"usage\":{\"prompt_tokens\":3}"}}]}"#, None, false),
        (r#"{"choices":[{"delta":{"usage":{"prompt_tokens":3},"finish_reason":"stop"}}]}"#, None, false),
        (r#"{"choices":["usage",{"prompt_tokens":3}]}"#, None, false),
        ("[DONE]", None, true),
    ] {
        let seen = chat(&format!("{FIRST}\n\ndata: {chunk}\n\n")).1;
        assert_eq!((seen.usage.and_then(|usage| usage.input), seen.ended), (input.map(Tokens), ended), "{chunk}");
        assert_eq!((seen.model.as_deref(), seen.id.as_deref()), (Some("m"), Some("c")), "{chunk}");
    }
}

/// On a hostile stream a tap stores at most the contents of its bounded buffers.
#[test]
fn a_line_of_100_mb_stays_within_bounds() {
    let piece = Bytes::from(vec![b'x'; 1 << 20]);
    for (head, pieces) in
        [("data: {\"usage\":{\"a\":\"", 100), ("data: {\"", 10), ("data: ", 10), ("event: ", 10), ("", 10), (": ", 10)]
    {
        for (format, drop) in [(Format::Chat, true), (Format::Messages, false)] {
            let mut tap = Tap::new(format, ResponseFraming::Events, drop);
            let mut out = tap.push(Bytes::copy_from_slice(head.as_bytes())).len();
            for _ in 0..pieces {
                out += tap.push(piece.clone()).len();
                assert!(tap.buffered_bytes() <= 2 * VALUE_BYTES_MAX, "{head}");
            }
            let (rest, seen) = tap.finish();
            assert_eq!(out + rest.len(), head.len() + pieces * piece.len(), "{head}");
            assert_eq!(seen, ResponseFacts::default());
        }
    }
}

#[test]
fn an_event_of_many_usages_stays_within_bounds() {
    let usage = format!("\"usage\":\"{}\",", "x".repeat(60_000));
    let mut tap = Tap::new(Format::Chat, ResponseFraming::Events, true);
    tap.push(Bytes::from_static(b"data: {"));
    for _ in 0..100 {
        tap.push(Bytes::from(usage.clone()));
        assert!(tap.buffered_bytes() <= 6 * VALUE_BYTES_MAX);
    }
}

impl Tap {
    pub(super) fn buffered_bytes(&self) -> usize {
        let frames = match &self.frames {
            Frames::Events(events) => events.hold.buffered_bytes(),
            Frames::Array(array) => array.buffered_bytes(),
            Frames::Json | Frames::Opaque => 0,
        };
        self.reading.buffered_bytes() + frames
    }
}
