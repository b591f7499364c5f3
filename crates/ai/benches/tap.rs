//! Measures the time of a tap per event of a stream: `cargo bench -p ai`, or a single one with `-- chat`.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a benchmark measures time and prints it")]

use std::hint::black_box;
use std::time::Instant;

use ai::{Format, ResponseFraming, Tap};
use bytes::Bytes;

/// Number of events in a measured stream.
const EVENTS: u32 = 200_000;

const CHAT: &str = concat!(
    r#"data: {"id":"chatcmpl-B9MBs8","object":"chat.completion.chunk","created":1760000000,"model":"gpt-5-mini","#,
    r#""choices":[{"index":0,"delta":{"content":" and"},"logprobs":null,"finish_reason":null}],"usage":null}"#,
    "\n\n",
);
const RESPONSES: &str = concat!(
    "event: response.output_text.delta\n",
    r#"data: {"type":"response.output_text.delta","sequence_number":7,"item_id":"msg_67c9fdcf37fc8190ba82116e33f","#,
    r#""output_index":0,"content_index":0,"delta":" and","logprobs":[]}"#,
    "\n\n",
);
const MESSAGES: &str = concat!(
    "event: content_block_delta\n",
    r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" and so it goes on, a line "#,
    r#"of \"some\" words"}}"#,
    "\n\n",
);
const GENERATE_CONTENT: &str = concat!(
    r#"data: {"candidates":[{"content":{"parts":[{"text":" and so it goes on"}],"role":"model"},"index":0}],"#,
    r#""usageMetadata":{"promptTokenCount":100,"candidatesTokenCount":9,"totalTokenCount":129,"thoughtsTokenCount":20,"#,
    r#""promptTokensDetails":[{"modality":"TEXT","tokenCount":100}]},"modelVersion":"gemini-2.5-flash","#,
    r#""responseId":"kQf8aOjL"}"#,
    "\r\n\r\n",
);
const SPEECH: &str = concat!(
    r#"data: {"type":"speech.audio.delta","audio":"//PExAB8AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#,
    "\n\n",
);

fn main() {
    let asked: Vec<_> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    // `cargo test --benches` only checks that the benchmark runs.
    let events = if std::env::args().any(|word| word == "--bench") { EVENTS } else { 10 };
    for (format, event) in [
        (Format::Chat, CHAT),
        (Format::Responses, RESPONSES),
        (Format::Messages, MESSAGES),
        (Format::GenerateContent, GENERATE_CONTENT),
        (Format::Speech, SPEECH),
    ] {
        for (way, at) in [("whole", event.len()), ("in two", event.len() / 2)] {
            let name = format!("{} {way}", format.name());
            if asked.is_empty() || asked.contains(&name) {
                let ns = measure(format, event, at, events) / u128::from(events);
                println!("{name}: {ns} ns an event of {} bytes", event.len());
            }
        }
    }
}

/// Measures a stream of `events`, each pushed in two parts split at `at`; returns nanoseconds.
fn measure(format: Format, event: &str, at: usize, events: u32) -> u128 {
    let event = Bytes::copy_from_slice(event.as_bytes());
    let head = event.slice(..at);
    let tail = event.slice(at..);
    let mut tap = Tap::new(format, ResponseFraming::Events, format == Format::Chat);
    let begun = Instant::now();
    for _ in 0..events {
        for piece in [&head, &tail] {
            if !piece.is_empty() {
                black_box(tap.push(black_box(piece.clone())));
            }
        }
    }
    let taken = begun.elapsed().as_nanos();
    black_box(tap.finish());
    taken
}
