use proptest::prelude::*;

use super::tests::{FIXTURES, tapped};
use super::*;
use crate::error::Reporter;

/// Parts of a stream, so that random streams resemble real ones.
const SHREDS: &[&str] = &[
    "data: ",
    "data:",
    "event: message_delta",
    "event: message_stop",
    "event: response.completed",
    "\n",
    "\r",
    "\r\n",
    "\n\n",
    "[DONE]",
    ": c",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "\\",
    ",",
    ":",
    " ",
    "null",
    "\"usage\":{\"prompt_tokens\":3,\"output_tokens\":4}",
    "\"us\\u0061ge\":",
    "\"choices\":[]",
    "\"choices\":[{\"finish_reason\":\"stop\"}]",
    "{\"choices\":[],\"usage\":{}}",
    "\"type\":\"message_stop\"",
    "{\"type\":\"response.failed\",\"response\":{\"usage\":{\"input_tokens\":1}}}",
    "\"model\":\"m\"",
    "\"service_tier\":\"priority\"",
    "\"service_tier\":\"default\"",
    "\"usageMetadata\":{\"promptTokenCount\":3}",
    "\"candidates\":[{\"finishReason\":\"STOP\"}]",
    "\"type\":\"transcript.text.done\",\"usage\":{\"input_tokens\":2}",
    "\"data\":[{},{}]",
    "\"results\":[]",
    "\"duration\":1.5",
    "event: speech.audio.done",
    "[{},",
    "\"id\":",
    "\u{e9}",
];

/// Parts of an event's data: most resemble data that is read.
const DATA: &[&str] = &[
    "{",
    "}",
    "\"choices\":[",
    "]",
    "\"usage\"",
    "\"us\\u0061ge\"",
    "\"finish_reason\"",
    "\"model\"",
    "\"id\"",
    "\"type\"",
    "\"response\":{",
    "\"message\":{",
    ":",
    " ",
    ",",
    "null",
    "{\"prompt_tokens\":3,\"output_tokens\":4}",
    "\"stop\"",
    "\"service_tier\"",
    "\"priority\"",
    "\"default\"",
    "\"message_stop\"",
    "\"response.failed\"",
    "\"x\"",
    "\\",
    "\"",
    "[DONE]",
];
const NAMES: &[&str] = &[
    "",
    "event: message_delta\n",
    "event: response.completed\n",
    "event: image_edit.completed\n",
    "event: x\n",
    ": c\n",
];
/// Values of whole chunks, for random events.
const VALUES: &[&str] = &[
    "null",
    "{}",
    "{\"prompt_tokens\":3}",
    "\"stop\"",
    "\"auto\"",
    "\"flex\"",
    "\"\\\"usage\\\":{}\"",
    "[]",
    "[{\"finish_reason\":\"stop\"}]",
    "{\"promptTokenCount\":3}",
    "{\"input_tokens\":3,\"output_tokens\":4}",
    "\"speech.audio.done\"",
    "7",
];
const KEYS: &[&str] = &[
    "usage",
    "choices",
    "model",
    "id",
    "us\\u0061ge",
    "finish_reason",
    "x",
    "type",
    "service_tier",
    "usageMetadata",
    "candidates",
];

fn object(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<_> = pairs.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
    format!("{{{}}}", pairs.join(","))
}

fn data() -> impl Strategy<Value = String> {
    let pair = (prop::sample::select(KEYS), prop::sample::select(VALUES));
    prop_oneof![
        prop::collection::vec(prop::sample::select(DATA), 0..12).prop_map(|parts| parts.concat()),
        prop::collection::vec(pair, 0..4).prop_map(|pairs| object(&pairs)),
    ]
}

fn check(format: Format, framing: ResponseFraming, bytes: &[u8], cuts: &[usize]) {
    for drop in [false, true] {
        let whole = tapped(Tap::new(format, framing, drop), [bytes]);
        let mut rest = bytes;
        let mut pieces = Vec::new();
        for cut in cuts {
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        pieces.push(rest);
        let split = tapped(Tap::new(format, framing, drop), pieces);
        assert_eq!(split, whole, "{format:?} {cuts:?}");
        let single = tapped(Tap::new(format, framing, drop), bytes.chunks(1));
        assert_eq!(single, whole, "{format:?} byte by byte");
    }
}

#[test]
fn fixtures_cut_in_two_at_every_byte_give_the_same() {
    for (_, format, framing, bytes) in FIXTURES {
        let text = std::str::from_utf8(bytes).unwrap();
        for end in ["\n", "\r\n"] {
            let bytes = text.replace('\n', end).into_bytes();
            for drop in [false, true] {
                let whole = tapped(Tap::new(*format, *framing, drop), [&*bytes]);
                for cut in 0..=bytes.len() {
                    let (head, tail) = bytes.split_at(cut);
                    assert_eq!(tapped(Tap::new(*format, *framing, drop), [head, tail]), whole, "{format:?} at {cut}");
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn any_split_of_any_fixture_gives_the_same(
        fixture in 0..FIXTURES.len(),
        cuts in prop::collection::vec(0_usize..300, 0..40),
    ) {
        let (_, format, framing, bytes) = FIXTURES[fixture];
        check(format, framing, bytes, &cuts);
    }

    #[test]
    fn any_split_of_any_shreds_gives_the_same(
        shreds in prop::collection::vec(prop::sample::select(SHREDS), 0..60),
        cuts in prop::collection::vec(0_usize..20, 0..40),
        framing in prop::sample::select(&ResponseFraming::ALL[..]),
    ) {
        for format in Format::ALL {
            check(format, framing, shreds.concat().as_bytes(), &cuts);
        }
    }

    /// Events in one piece are read by other code than events in several pieces.
    #[test]
    fn any_split_of_any_events_gives_the_same(
        events in prop::collection::vec((prop::sample::select(NAMES), data()), 1..6),
        cuts in prop::collection::vec(0_usize..80, 0..10),
    ) {
        for format in Format::ALL {
            let mut stream = String::from("data: {\"id\":\"i\",\"model\":\"m\",\"choices\":[{}]}\n\n");
            for (name, data) in &events {
                stream += &format!("{name}data: {data}\n\n");
            }
            check(format, ResponseFraming::Events, stream.as_bytes(), &cuts);
        }
    }

    /// The same for elements; also, an abort leaves valid JSON if the received bytes are a prefix of valid JSON.
    #[test]
    fn any_split_of_any_array_gives_the_same_and_any_cut_of_it_is_json(
        elements in prop::collection::vec(prop::collection::vec((prop::sample::select(KEYS), prop::sample::select(VALUES)), 0..4), 0..5),
        separator in prop::sample::select(&[",", "\n,\r\n", " , "][..]),
        cuts in prop::collection::vec(0_usize..40, 0..10),
        at in any::<prop::sample::Index>(),
    ) {
        let elements: Vec<_> = elements.iter().map(|pairs| object(pairs)).collect();
        let stream = format!(" [{}]\n", elements.join(separator));
        check(Format::GenerateContent, ResponseFraming::Array, stream.as_bytes(), &cuts);
        let mut tap = Tap::new(Format::GenerateContent, ResponseFraming::Array, false);
        let cut = at.index(stream.len());
        let passed: Vec<u8> =
            stream.as_bytes()[..cut].chunks(3).flat_map(|piece| tap.push(Bytes::copy_from_slice(piece))).collect();
        let problem = FormatProblem::new(access::Refusal::Draining, "m", Reporter { domain: "d", request_id: "r" });
        let (last, _) = tap.cut(&problem);
        let value: serde_json::Value = serde_json::from_slice(&[&passed[..], &last].concat()).unwrap();
        prop_assert!(value.is_array());
    }

    #[test]
    fn any_bytes_pass_unchanged_without_a_usage_chunk(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        cuts in prop::collection::vec(0_usize..50, 0..20),
        framing in prop::sample::select(&ResponseFraming::ALL[..]),
    ) {
        for format in Format::ALL {
            check(format, framing, &bytes, &cuts);
            let (out, _) = tapped(Tap::new(format, framing, true), bytes.chunks(7));
            prop_assert_eq!(&out, &bytes);
        }
    }
}
