//! Responses of providers, parsed while they are forwarded.

use access::Refusal;
use ai::tap::ResponseFraming;
use ai::{Format, FormatProblem, Reporter, ResponseFacts, Tap};
use bytes::Bytes;

use crate::random::{SeededRandom, hash};

/// The value of [`super::FuzzTarget::words`].
pub const WORDS: &[&str] = &[
    "chat events drop\n",
    "responses events\n",
    "messages events\n",
    "generate_content events\n",
    "generate_content body\n",
    "data: ",
    "data:",
    "event: message_delta\n",
    "event: message_start\n",
    "event: message_stop\n",
    "event: response.completed\n",
    "event: response.failed\n",
    "\n",
    "\r",
    "\r\n",
    "\n\n",
    "[DONE]",
    ": c\n",
    "\u{feff}",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "\\",
    "\\u0061",
    "\\ud83d",
    ",",
    ":",
    " ",
    "null",
    "\"usage\":",
    "\"us\\u0061ge\":",
    "\"usageMetadata\":",
    "\"promptTokenCount\":",
    "\"candidatesTokenCount\":",
    "\"thoughtsTokenCount\":",
    "\"cachedContentTokenCount\":",
    "\"totalTokenCount\":",
    "\"candidates\":[",
    "\"finishReason\":\"STOP\"",
    "\"modelVersion\":\"m\"",
    "\"responseId\":\"r\"",
    "\"prompt_tokens\":",
    "\"completion_tokens\":",
    "\"input_tokens\":",
    "\"output_tokens\":",
    "\"total_tokens\":",
    "\"prompt_tokens_details\":{",
    "\"cached_tokens\":",
    "\"audio_tokens\":",
    "\"reasoning_tokens\":",
    "\"cache_creation_input_tokens\":",
    "\"cache_read_input_tokens\":",
    "\"choices\":[]",
    "\"finish_reason\":\"stop\"",
    "\"type\":\"message_stop\"",
    "\"response\":{",
    "\"message\":{",
    "\"model\":\"m\"",
    "\"id\":\"i\"",
    "\"service_tier\":\"priority\"",
    "10000000000000000000",
    "-1",
    "1e400",
    "NaN",
];

/// The maximum of an unfinished event in memory.
const HELD_BYTES_MAX: usize = 64 * 1024;
/// The maximum length of names and ids.
const NAME_BYTES_MAX: usize = 200;
/// The maximum of one token class.
const TOKENS_MAX: u64 = 1 << 40;

/// The first line of the input: `FORMAT FRAMING [drop]`.
#[derive(Debug, Clone, Copy)]
struct TapCase {
    format: Format,
    framing: ResponseFraming,
    drop: bool,
}

impl TapCase {
    /// Unknown words select a format and a framing too, so that every input tests something.
    fn from_line(line: &[u8]) -> Self {
        let text = String::from_utf8_lossy(line);
        let mut words = text.split(' ');
        let mut random = SeededRandom::new(hash(line));
        let first = words.next().unwrap_or_default();
        let second = words.next().unwrap_or_default();
        let format = Format::ALL.into_iter().find(|format| format.name() == first);
        let framing = match second {
            "events" => ResponseFraming::Events,
            "json" => ResponseFraming::Json,
            "array" => ResponseFraming::Array,
            _ => *random.pick(&ResponseFraming::ALL),
        };
        Self { format: format.unwrap_or(*random.pick(&Format::ALL)), framing, drop: text.ends_with("drop") }
    }

    fn tap(self) -> Tap {
        Tap::new(self.format, self.framing, self.drop)
    }

    fn drops(self) -> bool {
        let chunks = matches!(self.format, Format::Chat | Format::Completions);
        self.drop && self.framing == ResponseFraming::Events && chunks
    }
}

/// Any split gives the same bytes and the same usage. The output equals the input without dropped events.
pub fn tap(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let line = &bytes[..end];
    let answer = bytes.get(end + 1..).unwrap_or_default();
    let case = TapCase::from_line(line);
    let whole = tapped(case, &[answer]);
    plausible(case, answer, &whole.0, &whole.1);
    let mut random = SeededRandom::from_bytes(bytes);
    let small = 1 + answer.len() / 4_000;
    for size_max in [small, 40, 400, 5_000, answer.len() / 2 + 1] {
        let pieces = random.cut(answer, size_max);
        assert_eq!(tapped(case, &pieces), whole, "{case:?} in pieces of up to {size_max}");
    }
    if answer.len() <= 600 {
        for at in 0..=answer.len() {
            let (head, tail) = answer.split_at(at);
            assert_eq!(tapped(case, &[head, tail]), whole, "{case:?} cut at {at}");
        }
    }
    if case.framing == ResponseFraming::Events {
        endings(case, answer, &whole.1);
    }
    aborted(case, answer, &mut random);
}

fn tapped(case: TapCase, pieces: &[&[u8]]) -> (Vec<u8>, ResponseFacts) {
    let mut tap = case.tap();
    let mut given = 0;
    let mut out = Vec::new();
    for piece in pieces {
        given += piece.len();
        let passed = tap.push(Bytes::copy_from_slice(piece));
        out.extend_from_slice(&passed);
        assert!(out.len() <= given, "the output is longer than the input");
        if !case.drops() {
            assert!(given - out.len() <= HELD_BYTES_MAX, "{} bytes are buffered", given - out.len());
        }
        if matches!(case.framing, ResponseFraming::Json | ResponseFraming::Opaque) {
            assert_eq!(out.len(), given, "a body is delayed");
        }
    }
    let (rest, seen) = tap.finish();
    assert!(rest.len() <= HELD_BYTES_MAX);
    out.extend_from_slice(&rest);
    (out, seen)
}

fn plausible(case: TapCase, answer: &[u8], out: &[u8], seen: &ResponseFacts) {
    if case.drops() {
        let mut rest = answer.iter();
        assert!(out.iter().all(|byte| rest.any(|other| other == byte)), "the output has bytes that the input lacks");
    } else {
        assert!(out == answer, "bytes changed in transit");
    }
    for name in [&seen.model, &seen.id].into_iter().flatten() {
        assert!((1..=NAME_BYTES_MAX).contains(&name.len()), "{name:?}");
    }
    assert!(seen.usage.is_some() || seen.terms.is_none());
    if let Some(usage) = &seen.usage {
        let reported = usage.classes();
        // The sum of a message and its compactions.
        assert!(reported.iter().flatten().all(|tokens| tokens.0 <= 64 * TOKENS_MAX), "{usage:?}");
    }
}

/// Line ends and comments between events do not change the usage.
fn endings(case: TapCase, answer: &[u8], seen: &ResponseFacts) {
    if answer.contains(&b'\r') || answer.len() > 20_000 || std::str::from_utf8(answer).is_err() {
        return;
    }
    let text = String::from_utf8_lossy(answer);
    for end in ["\r\n", "\r"] {
        let other = text.replace('\n', end).into_bytes();
        let (out, read) = tapped(case, &[&other]);
        assert_eq!(&read, seen, "{case:?} with lines that end in {end:?}");
        assert!(out.len() <= other.len());
    }
    if !text.starts_with('\u{feff}') {
        let commented = format!(": keepalive\n\n{text}");
        let (out, read) = tapped(case, &[commented.as_bytes()]);
        assert_eq!(&read, seen, "{case:?} after a comment");
        assert!(out.starts_with(b": keepalive\n\n"));
    }
}

/// An aborted response ends such that its client can parse it and recognizes the abort.
fn aborted(case: TapCase, answer: &[u8], random: &mut SeededRandom) {
    const REPORTER: Reporter<'static> = Reporter { domain: "d", request_id: "r" };
    const PROBLEM: FormatProblem<'static> =
        FormatProblem::new(Refusal::UpstreamReset, "the upstream aborted", REPORTER);
    let (before, _) = answer.split_at(random.below(answer.len() + 1));
    let mut tap = case.tap();
    let mut out = tap.push(Bytes::copy_from_slice(before)).to_vec();
    let passing = before.len() > HELD_BYTES_MAX;
    let (last, seen) = tap.cut(&PROBLEM);
    out.extend_from_slice(&last);
    match case.framing {
        ResponseFraming::Json | ResponseFraming::Opaque => assert!(last.is_empty()),
        ResponseFraming::Events => {
            let text = String::from_utf8_lossy(&out).replace("\r\n", "\n").replace('\r', "\n");
            // An unfinished last event is not an event, but Google's SDK reads an error there.
            let (whole, rest) = text.rsplit_once("\n\n").unwrap_or_default();
            let last = whole.rsplit("\n\n").next().unwrap_or_default();
            assert!(last.contains(PROBLEM.message), "{case:?}: {text:?}");
            let is_bare = serde_json::from_str::<serde_json::Map<_, _>>(rest).is_ok();
            assert!(rest.is_empty() || is_bare, "{case:?}: {rest:?}");
        }
        ResponseFraming::Array => {
            // A body that is not an array is not changed.
            let is_array = serde_json::from_slice::<Vec<serde_json::Map<_, _>>>(answer).is_ok();
            let list = serde_json::from_slice::<Vec<serde_json::Value>>(&out);
            assert!(!is_array || passing || list.is_ok(), "{case:?}: {:?}", String::from_utf8_lossy(&out));
            assert!(!is_array || passing || last.is_empty() || !seen.ended);
        }
    }
}
