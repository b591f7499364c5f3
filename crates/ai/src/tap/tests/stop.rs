use access::Tokens;

use super::*;

const EVENTS: usize = 1_000;

/// Returns the begin of a stream, and an event of its text.
fn long(format: Format) -> (String, String) {
    let named = |name: &str, data: &str| format!("event: {name}\ndata: {{\"type\":\"{name}\",{data}}}\n\n");
    match format {
        Format::Chat => {
            let chunk =
                |delta| format!("data: {{\"id\":\"c\",\"model\":\"m\",\"choices\":[{{\"delta\":{delta}}}]}}\n\n");
            (chunk("{\"role\":\"assistant\"}"), chunk("{\"content\":\"a\"}"))
        }
        Format::Completions => {
            let chunk =
                "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"text\":\"a\",\"finish_reason\":null}]}\n\n";
            (String::new(), chunk.to_owned())
        }
        Format::Responses => (
            named("response.created", "\"response\":{\"id\":\"r\",\"model\":\"m\"}"),
            named("response.output_text.delta", "\"delta\":\"a\""),
        ),
        Format::Messages => {
            let start =
                "\"message\":{\"id\":\"g\",\"model\":\"m\",\"usage\":{\"input_tokens\":11,\"output_tokens\":1}}";
            let block = named("content_block_start", "\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}");
            let delta = named("content_block_delta", "\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}");
            (named("message_start", start) + &block, delta)
        }
        Format::GenerateContent
        | Format::Embeddings
        | Format::EmbedContent
        | Format::Images
        | Format::Speech
        | Format::Transcription
        | Format::Moderations => panic!("{format:?}"),
    }
}

fn pushed(tap: &mut Tap, text: &str) -> String {
    // Pushed in pieces, so that some events are split.
    text.as_bytes().chunks(100).flat_map(|piece| tap.push(Bytes::copy_from_slice(piece))).map(char::from).collect()
}

#[test]
fn events_of_text_count_as_tokens_before_usage_is_reported() {
    for format in [Format::Chat, Format::Completions, Format::Responses, Format::Messages] {
        let (begin, event) = long(format);
        let mut tap = Tap::new(format, ResponseFraming::Events, false);
        pushed(&mut tap, &begin);
        let mut news = 0;
        for n in 0..EVENTS {
            let before = tap.news();
            pushed(&mut tap, &event);
            news += u32::from(tap.news() != before);
            let (usage, _) = tap.used().unwrap();
            assert!(usage.output.unwrap_or_default() <= Tokens(n as u64 + 1), "{format:?}: {usage:?} after {n}");
        }
        assert_eq!(news, 3, "{format:?}: once for each 256 of {EVENTS}");
        let (usage, _) = tap.used().unwrap();
        assert!((740..=760).contains(&usage.output.unwrap().0), "{format:?}: {usage:?}");
    }
}

#[test]
fn reported_usage_counts_at_once_and_an_ended_stream_has_no_further_usage() {
    let mut tap = Tap::new(Format::GenerateContent, ResponseFraming::Events, false);
    for tokens in [3, 30] {
        let usage = format!("{{\"promptTokenCount\":5,\"candidatesTokenCount\":{tokens}}}");
        let before = tap.news();
        pushed(&mut tap, &format!("data: {{\"candidates\":[{{\"index\":0}}],\"usageMetadata\":{usage}}}\n\n"));
        assert_ne!(tap.news(), before);
        assert_eq!(tap.used().unwrap().0.total(), Tokens(tokens + 5));
    }
    pushed(&mut tap, "data: {\"candidates\":[{\"finishReason\":\"STOP\"}]}\n\n");
    assert_eq!(tap.used(), None);
}

/// A second tap reads the forwarded part and the added end as a complete response.
#[test]
fn a_stopped_stream_is_complete_and_reports_that_it_was_too_long() {
    let mut printed = String::new();
    for format in [Format::Chat, Format::Completions, Format::Responses, Format::Messages] {
        let (begin, event) = long(format);
        let mut tap = Tap::new(format, ResponseFraming::Events, false);
        let mut passed = pushed(&mut tap, &(begin + &event.repeat(EVENTS)));
        // Half an event more, which no client receives.
        passed += &pushed(&mut tap, &event[..event.len() / 2]);
        let (last, before) = tap.stop();
        assert!(!before.ended);
        let last = String::from_utf8(last.to_vec()).unwrap();
        printed += &format!("{format:?}\n{last}");
        let seen = seen(format, ResponseFraming::Events, (passed + &last).as_bytes());
        assert!(seen.ended, "{format:?}: {seen:?}");
    }
    let element =
        "{\"candidates\":[{\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":5,\"candidatesTokenCount\":9}}";
    for (framing, text) in [
        (ResponseFraming::Events, format!("data: {element}\n\n")),
        (ResponseFraming::Array, format!("[{element},{element}")),
    ] {
        let mut tap = Tap::new(Format::GenerateContent, framing, false);
        let passed = pushed(&mut tap, &text);
        let (last, _) = tap.stop();
        let last = String::from_utf8(last.to_vec()).unwrap();
        printed += &format!("{framing:?}\n{last}\n");
        let seen = seen(Format::GenerateContent, framing, (passed + &last).as_bytes());
        assert!(seen.ended && seen.usage.unwrap().total() == Tokens(14), "{framing:?}: {seen:?}");
    }
    insta::assert_snapshot!("stopped", printed);
}
