use proptest::prelude::*;

use super::tests::{FIXTURES, tapped};
use super::*;

/// What a stream is made of, so that random ones come near to real ones.
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
    "\"id\":",
    "\u{e9}",
];

/// What the data of an event is made of: most of it near to what is read.
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
const NAMES: &[&str] = &["", "event: message_delta\n", "event: response.completed\n", "event: x\n", ": c\n"];
/// The values of whole chunks.
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
    "7",
];
const KEYS: &[&str] = &["usage", "choices", "model", "id", "us\\u0061ge", "finish_reason", "x", "type", "service_tier"];

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

fn check(format: Format, streamed: bool, bytes: &[u8], cuts: &[usize]) {
    for drop in [false, true] {
        let whole = tapped(Tap::new(format, streamed, drop), [bytes]);
        let mut rest = bytes;
        let mut pieces = Vec::new();
        for cut in cuts {
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        pieces.push(rest);
        let split = tapped(Tap::new(format, streamed, drop), pieces);
        assert_eq!(split, whole, "{format:?} {cuts:?}");
        let single = tapped(Tap::new(format, streamed, drop), bytes.chunks(1));
        assert_eq!(single, whole, "{format:?} byte by byte");
    }
}

#[test]
fn fixtures_cut_in_two_at_every_byte_give_the_same() {
    for (_, format, streamed, bytes) in FIXTURES {
        let text = std::str::from_utf8(bytes).unwrap();
        for end in ["\n", "\r\n"] {
            let bytes = text.replace('\n', end).into_bytes();
            for drop in [false, true] {
                let whole = tapped(Tap::new(*format, *streamed, drop), [&*bytes]);
                for cut in 0..=bytes.len() {
                    let (head, tail) = bytes.split_at(cut);
                    assert_eq!(tapped(Tap::new(*format, *streamed, drop), [head, tail]), whole, "{format:?} at {cut}");
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
        let (_, format, streamed, bytes) = FIXTURES[fixture];
        check(format, streamed, bytes, &cuts);
    }

    #[test]
    fn any_split_of_any_shreds_gives_the_same(
        shreds in prop::collection::vec(prop::sample::select(SHREDS), 0..60),
        cuts in prop::collection::vec(0_usize..20, 0..40),
        streamed in any::<bool>(),
    ) {
        for format in Format::ALL {
            check(format, streamed, shreds.concat().as_bytes(), &cuts);
        }
    }

    /// Events that come whole take another way than those that come in pieces.
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
            check(format, true, stream.as_bytes(), &cuts);
        }
    }

    #[test]
    fn any_bytes_pass_unchanged_without_a_usage_chunk(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        cuts in prop::collection::vec(0_usize..50, 0..20),
    ) {
        for format in Format::ALL {
            check(format, true, &bytes, &cuts);
            let (out, _) = tapped(Tap::new(format, true, true), bytes.chunks(7));
            prop_assert_eq!(&out, &bytes);
        }
    }
}
