//! Inputs that readers often misread: each variant in each format that can have it.

use access::Tokens;
use meter::{BilledQuantity, Source, Unit};

use super::*;

/// Returns a body of the format with this usage object.
fn body(format: Format, usage: &str) -> String {
    let key = match format.dialect() {
        crate::format::Dialect::Google => "usageMetadata",
        crate::format::Dialect::OpenAi | crate::format::Dialect::Anthropic => "usage",
    };
    format!("{{\"x\":1,\"{key}\":{usage}}}")
}

/// Returns the name of the format's input figure; `None` if it has no figures.
const fn input(format: Format) -> Option<&'static str> {
    match format {
        Format::Chat | Format::Completions | Format::Embeddings => Some("prompt_tokens"),
        Format::GenerateContent | Format::EmbedContent => Some("promptTokenCount"),
        Format::Responses | Format::Messages | Format::Images | Format::Transcription => Some("input_tokens"),
        // The whole response is audio.
        Format::Speech | Format::Moderations => None,
    }
}

fn reported(format: Format, framing: ResponseFraming, bytes: &[u8]) -> Option<u64> {
    seen(format, framing, bytes).usage.and_then(|usage| usage.input).map(|input| input.0)
}

#[test]
fn invalid_figures_are_unknown_in_every_format() {
    for format in Format::ALL {
        let Some(name) = input(format) else { continue };
        let usage = |figure: &str| body(format, &format!("{{\"{name}\":{figure}}}"));
        assert_eq!(reported(format, ResponseFraming::Json, usage("5").as_bytes()), Some(5), "{format:?}");
        for figure in [
            "-5",
            "10000000000000000000",
            "18446744073709551616",
            "1e400",
            "5.5",
            "NaN",
            "Infinity",
            "\"5\"",
            "null",
            "[5]",
            "{\"x\":5}",
            "5,\"input_tokens\":",
        ] {
            assert_eq!(reported(format, ResponseFraming::Json, usage(figure).as_bytes()), None, "{format:?} {figure}");
        }
        let twice = body(format, &format!("{{\"{name}\":5,\"{name}\":6}}"));
        assert_eq!(
            reported(format, ResponseFraming::Json, twice.as_bytes()),
            None,
            "{format:?}: who says two things says none"
        );
        let last = usage("5").replace("{\"x\":1,", "{\"usage\":{},\"usageMetadata\":{},");
        assert_eq!(
            reported(format, ResponseFraming::Json, last.as_bytes()),
            Some(5),
            "{format:?}: the last of two objects"
        );
    }
}

#[test]
fn deep_nesting_and_invalid_utf8_elsewhere_harm_nothing() {
    let open = "[{\"usage\":".repeat(50_000);
    let close = "}]".repeat(50_000);
    for format in Format::ALL {
        let Some(name) = input(format) else { continue };
        let usage = body(format, &format!("{{\"{name}\":5}}"));
        let deep = usage.replace("{\"x\":1,", &format!("{{\"x\":{open}1{close},"));
        assert_eq!(reported(format, ResponseFraming::Json, deep.as_bytes()), Some(5), "{format:?}");
        let mut odd = b"{\"x\":\"\xff\xc3\x28\xed\xa0\x80\",".to_vec();
        odd.extend_from_slice(usage.strip_prefix("{\"x\":1,").unwrap().as_bytes());
        assert_eq!(reported(format, ResponseFraming::Json, &odd), Some(5), "{format:?}");
    }
    // An error inside a value that is read affects only that value.
    let inside = b"{\"usage\":{\"prompt_tokens\":5,\"x\":\"\xff\"},\"model\":\"\xff\",\"id\":\"i\"}";
    let seen = seen(Format::Chat, ResponseFraming::Json, inside);
    let input = seen.usage.and_then(|usage| usage.input);
    assert_eq!((input, seen.model, seen.id.as_deref()), (Some(Tokens(5)), None, Some("i")));
}

#[test]
fn a_page_of_html_with_status_200_reports_nothing() {
    let page = "<!doctype html><html><body data-usage='{\"usage\":{\"input_tokens\":5}}'>[{}]</body></html>\n\n";
    for format in Format::ALL {
        for framing in ResponseFraming::ALL {
            let (out, seen) = tapped(Tap::new(format, framing, true), [page.as_bytes()]);
            let opaque = framing == ResponseFraming::Opaque;
            assert_eq!(
                (out, seen),
                (page.into(), ResponseFacts { ended: opaque, ..ResponseFacts::default() }),
                "{format:?} {framing:?}"
            );
        }
    }
}

#[test]
fn of_figures_that_go_backwards_the_last_count() {
    let google = |tokens: u32| format!("{{\"usageMetadata\":{{\"promptTokenCount\":{tokens}}}}}");
    let events = format!("data: {}\n\ndata: {}\n\n", google(9), google(4));
    assert_eq!(reported(Format::GenerateContent, ResponseFraming::Events, events.as_bytes()), Some(4));
    let silent = format!("{events}data: {{\"usageMetadata\":{{\"promptTokenCount\":-1}}}}\n\n");
    assert_eq!(reported(Format::GenerateContent, ResponseFraming::Events, silent.as_bytes()), Some(4));
    for (format, name) in [(Format::Speech, "speech.audio.done"), (Format::Transcription, "transcript.text.done")] {
        let event = |tokens: u32| format!("data: {{\"type\":\"{name}\",\"usage\":{{\"input_tokens\":{tokens}}}}}\n\n");
        assert_eq!(reported(format, ResponseFraming::Events, (event(9) + &event(4)).as_bytes()), Some(4), "{format:?}");
    }
}

/// Other fields beside images are read; the image data is skipped.
#[test]
fn images_without_figures_are_counted_within_bounds() {
    let created = |quantity| Usage {
        billed: Some(BilledQuantity { unit: Unit::Image, quantity }),
        ..Usage::empty(Source::Counted)
    };
    for (body, usage) in [
        (r#"{"data":[{"url":"a"},{"url":"b"},{"url":"c"}]}"#, Some(created(3))),
        (r#"{"data":[{"url":"a"}],"usage":null}"#, Some(created(1))),
        (r#"{"data":[{"url":"a"}],"usage":{"input_tokens":-1}}"#, Some(created(1))),
        (r#"{"data":[]}"#, None),
        (r#"{"data":{"url":"a"}}"#, None),
        (r#"{"error":{"data":[1]}}"#, None),
        (r#"{"data":[{"url":"a"}"#, None),
    ] {
        assert_eq!(seen(Format::Images, ResponseFraming::Json, body.as_bytes()).usage, usage, "{body}");
    }
    let mut tap = Tap::new(Format::Images, ResponseFraming::Json, false);
    let picture = Bytes::from(vec![b'A'; 1 << 20]);
    for piece in ["{\"data\":[{\"b64_json\":\"", "\"},{\"b64_json\":\"", "\"}]}"] {
        tap.push(Bytes::from(piece));
        for _ in 0..if piece.ends_with('}') { 0 } else { 20 } {
            tap.push(picture.clone());
            assert_eq!(tap.buffered_bytes(), 0);
        }
    }
    assert_eq!(tap.finish().1.usage, Some(created(2)));
    let event = |name: &str, rest: &str| format!("event: {name}\ndata: {{\"type\":\"{name}\"{rest}}}\n\n");
    let plain = event("image_edit.completed", "");
    let stream = event("image_edit.partial_image", "") + &plain + &plain;
    assert_eq!(seen(Format::Images, ResponseFraming::Events, stream.as_bytes()).usage, Some(created(2)));
    let figures = event("image_edit.completed", ",\"usage\":{\"input_tokens\":5}");
    assert_eq!(reported(Format::Images, ResponseFraming::Events, (figures + &plain).as_bytes()), Some(5));
}

#[test]
fn a_moderation_uses_nothing_and_its_error_reports_nothing() {
    let usage = |body: &str| seen(Format::Moderations, ResponseFraming::Json, body.as_bytes()).usage;
    assert_eq!(usage(r#"{"results":[{"flagged":false}]}"#), Some(Usage::empty(Source::Reported)));
    for body in [r#"{"error":{"message":"no"}}"#, r#"{"results":{}}"#, r#"{"results":[{}"#, ""] {
        assert_eq!(usage(body), None, "{body}");
    }
}

#[test]
fn an_event_without_end_stays_within_bounds_in_every_format() {
    let piece = Bytes::from(vec![b'{'; 1 << 16]);
    for format in Format::ALL {
        for (framing, head) in
            [(ResponseFraming::Events, "data: {\"usage\":"), (ResponseFraming::Array, "[{\"usageMetadata\":")]
        {
            let mut tap = Tap::new(format, framing, true);
            let mut out = tap.push(Bytes::from(head)).len();
            for _ in 0..64 {
                out += tap.push(piece.clone()).len();
                assert!(tap.buffered_bytes() <= 4 * VALUE_BYTES_MAX, "{format:?} {framing:?}");
            }
            let (rest, seen) = tap.finish();
            assert_eq!(
                (out + rest.len(), seen),
                (head.len() + 64 * piece.len(), ResponseFacts::default()),
                "{format:?}"
            );
        }
    }
}

#[test]
fn gemini_ends_with_a_reason_and_a_blocked_prompt_is_one() {
    for (chunk, ended) in [
        (r#"{"candidates":[{"finishReason":"STOP"}]}"#, true),
        (r#"{"candidates":[{"index":0},{"finishReason":"MAX_TOKENS"}]}"#, true),
        (r#"{"promptFeedback":{"blockReason":"OTHER"}}"#, true),
        (r#"{"candidates":[{"finishReason":null}]}"#, false),
        (r#"{"candidates":[{"content":{"finishReason":"STOP"}}]}"#, false),
        (r#"{"finishReason":"STOP","error":{"code":503}}"#, false),
        ("[DONE]", false),
    ] {
        let stream = format!("data: {{}}\n\ndata: {chunk}\n\ndata: {{\"usageMetadata\":{{}}}}\n\n");
        assert_eq!(seen(Format::GenerateContent, ResponseFraming::Events, stream.as_bytes()).ended, ended, "{chunk}");
    }
}
