//! An [`Answer`] in the shape of a format: whole, or event by event. The shapes are those that the official SDKs of OpenAI
//! (6.49.0) and Anthropic (1.10.0) read, looked up in their types on 2026-11-20.

mod chat;
pub(crate) mod messages;
mod responses;

use std::vec::IntoIter;

use ai::Format;
use hyper::body::Bytes;
use serde::Serialize;

use crate::answer::Answer;
use crate::json::Json;
use crate::text::Cursor;

/// Stands in an event where a piece of the answer goes; see [`Template`].
const HOLE: &str = "@mock:piece@";

/// The answer as one JSON body.
pub(crate) fn whole(format: Format, answer: &Answer) -> Bytes {
    let json = match format {
        Format::Chat => chat::whole(answer),
        Format::Responses => responses::whole(answer),
        Format::Messages => messages::whole(answer),
    };
    bytes(&json)
}

/// The fixed answer of the model `instant`: 300 to 500 bytes, made beforehand.
pub(crate) const fn instant(format: Format) -> Bytes {
    Bytes::from_static(match format {
        Format::Chat => INSTANT_CHAT.as_bytes(),
        Format::Responses => INSTANT_RESPONSE.as_bytes(),
        Format::Messages => INSTANT_MESSAGE.as_bytes(),
    })
}

const INSTANT_CHAT: &str = concat!(
    r#"{"id":"chatcmpl-instant","object":"chat.completion","created":1767225600,"model":"instant","choices":[{"index":0,"#,
    r#""message":{"role":"assistant","content":"Hello.","refusal":null},"logprobs":null,"finish_reason":"stop"}],"#,
    r#""usage":{"prompt_tokens":256,"completion_tokens":2,"total_tokens":258,"#,
    r#""prompt_tokens_details":{"cached_tokens":64},"completion_tokens_details":{"reasoning_tokens":1}}}"#
);
const INSTANT_RESPONSE: &str = concat!(
    r#"{"id":"resp_instant","object":"response","created_at":1767225600,"status":"completed","error":null,"#,
    r#""model":"instant","output":[{"id":"msg_instant","type":"message","status":"completed","content":[{"#,
    r#""type":"output_text","annotations":[],"text":"Hello."}],"role":"assistant"}],"usage":{"input_tokens":256,"#,
    r#""input_tokens_details":{"cached_tokens":64},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":1},"#,
    r#""total_tokens":258}}"#
);
const INSTANT_MESSAGE: &str = concat!(
    r#"{"id":"msg_instant","type":"message","role":"assistant","model":"instant","#,
    r#""content":[{"type":"text","text":"Hello."}],"stop_reason":"end_turn","stop_sequence":null,"#,
    r#""usage":{"input_tokens":192,"cache_creation_input_tokens":0,"cache_read_input_tokens":64,"output_tokens":2,"#,
    r#""output_tokens_details":{"thinking_tokens":1},"service_tier":"standard"}}"#
);

/// The bytes of a value.
pub(crate) fn bytes(json: &Json) -> Bytes {
    Bytes::copy_from_slice(json.get().as_bytes())
}

/// The answer as a stream: [`Script::next`] is one event after the other. Only what is next is held in memory.
pub(crate) struct Script {
    format: Format,
    answer: Answer,
    opening: IntoIter<Bytes>,
    piece: Template,
    at: Cursor,
    closing: Option<IntoIter<Bytes>>,
    events: u64,
}

impl Script {
    pub(crate) fn new(format: Format, answer: Answer) -> Self {
        let (opening, piece) = match format {
            Format::Chat => (chat::opening(&answer), chat::piece(&answer)),
            Format::Responses => (responses::opening(&answer), responses::piece(&answer)),
            Format::Messages => (messages::opening(&answer), messages::piece(&answer)),
        };
        let (opening, piece) = (opening.into_iter(), Template::new(&piece));
        Self { format, answer, opening, piece, at: Cursor::default(), closing: None, events: 0 }
    }

    /// The next event, with the blank line that ends it; `None` after the last.
    pub(crate) fn next(&mut self) -> Option<Bytes> {
        let event = self.opening.next().or_else(|| self.next_piece()).or_else(|| self.next_closing());
        self.events += 1;
        event
    }

    fn next_piece(&mut self) -> Option<Bytes> {
        let piece = self.answer.content.text().next(&mut self.at)?;
        Some(self.piece.fill(piece, self.events))
    }

    fn next_closing(&mut self) -> Option<Bytes> {
        let Self { format, answer, closing, events, .. } = self;
        let closing = closing.get_or_insert_with(|| {
            let closing = match format {
                Format::Chat => chat::closing(answer),
                Format::Responses => responses::closing(answer, *events),
                Format::Messages => messages::closing(answer),
            };
            closing.into_iter()
        });
        closing.next()
    }
}

/// An event with one or two [`HOLE`]s, made once a stream: the piece, then (Responses) the event's number.
struct Template {
    head: String,
    tails: Vec<String>,
}

impl Template {
    fn new(event: &str) -> Self {
        let hole = format!("\"{HOLE}\"");
        let mut parts = event.split(&hole).map(str::to_owned);
        Self { head: parts.next().unwrap_or_default(), tails: parts.collect() }
    }

    fn fill(&self, piece: &str, number: u64) -> Bytes {
        let values = [serde_json::to_string(piece).unwrap_or_default(), number.to_string()];
        let mut event = self.head.clone();
        for (value, tail) in values.iter().zip(&self.tails) {
            event.push_str(value);
            event.push_str(tail);
        }
        Bytes::from(event)
    }
}

/// `data: …`, as chat completions stream.
fn data(json: &Json) -> String {
    format!("data: {json}\n\n")
}

/// `event: …` and `data: …`, as Responses and Messages stream.
fn named(name: &str, json: &Json) -> String {
    format!("event: {name}\ndata: {json}\n\n")
}

/// `prefix` and the answer's id, as the providers write ids.
fn id(prefix: &'static str, answer: &Answer) -> impl Serialize + use<> {
    format!("{prefix}{}", answer.id)
}
