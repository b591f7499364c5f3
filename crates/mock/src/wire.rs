//! An [`Answer`] in the shape of a format: whole, or event by event. The shapes are those that the official SDKs of OpenAI
//! (6.49.0), Anthropic (1.10.0) and Google (3.3) read, looked up in their types on 2026-11-20.

mod chat;
mod completions;
mod embeddings;
mod gemini;
mod images;
mod instant;
mod messages;
mod moderations;
mod responses;
mod speech;
pub(crate) mod transcription;

use std::vec::IntoIter;

use ai::{Endpoint, Format};
use hyper::body::Bytes;
use serde::Serialize;

pub(crate) use instant::instant;
pub(crate) use responses::failed as failed_response;

use crate::answer::Answer;
use crate::fault::Fault;
use crate::json::Json;
use crate::text::Cursor;

/// Stands in an event where a piece of the answer goes; see [`Template`].
const HOLE: &str = "@mock:piece@";

/// A body that is no stream, and its content type.
pub(crate) struct Whole {
    pub(crate) kind: &'static str,
    pub(crate) bytes: Bytes,
}

/// How events are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Server-sent events.
    Events,
    /// Google's other way: the elements of one JSON array.
    Array,
}

/// Where an event of a stream stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Opening,
    Piece,
    Closing,
}

/// The answer as one body.
pub(crate) fn whole(answer: &Answer) -> Whole {
    let json = match (answer.endpoint, answer.format()) {
        (Endpoint::CountTokens, _) => messages::count(answer),
        (Endpoint::GeminiCountTokens, _) => gemini::count(answer),
        (_, Format::Chat) => chat::whole(answer),
        (_, Format::Responses) => responses::whole(answer),
        (_, Format::Messages) => messages::whole(answer),
        (_, Format::GenerateContent) => gemini::whole(answer),
        (_, Format::Completions) => completions::whole(answer),
        (_, Format::Embeddings) => embeddings::openai(answer),
        (_, Format::EmbedContent) => embeddings::google(answer),
        (_, Format::Images) => images::whole(answer),
        (_, Format::Moderations) => moderations::whole(answer),
        (_, Format::Transcription) => return transcription::whole(answer),
        (_, Format::Speech) => return speech::whole(answer),
    };
    Whole { kind: JSON, bytes: bytes(&json) }
}

pub(crate) const JSON: &str = "application/json";

/// The bytes of a value.
pub(crate) fn bytes(json: &Json) -> Bytes {
    Bytes::copy_from_slice(json.get().as_bytes())
}

/// The answer as a stream: [`Script::next`] is one event after the other. Only what is next is held in memory.
pub(crate) struct Script {
    answer: Answer,
    framing: Framing,
    opening: IntoIter<Bytes>,
    /// `None`: the text is in the opening.
    piece: Option<Template>,
    at: Cursor,
    closing: Option<IntoIter<Bytes>>,
    events: u64,
}

impl Script {
    pub(crate) fn new(answer: Answer, framing: Framing) -> Self {
        let (opening, piece) = match answer.format() {
            Format::Chat => (chat::opening(&answer), Some(chat::piece(&answer))),
            Format::Responses => (responses::opening(&answer), Some(responses::piece(&answer))),
            Format::Messages => (messages::opening(&answer), Some(messages::piece(&answer))),
            Format::GenerateContent => (gemini::opening(&answer, framing), gemini::piece(&answer, framing)),
            Format::Completions => (Vec::new(), Some(completions::piece(&answer))),
            Format::Transcription => (Vec::new(), Some(transcription::piece())),
            Format::Images => (images::opening(&answer), None),
            Format::Speech => (speech::opening(&answer), Some(speech::piece(&answer))),
            // Never streamed.
            Format::Embeddings | Format::EmbedContent | Format::Moderations => (Vec::new(), None),
        };
        let (opening, piece) = (opening.into_iter(), piece.map(|piece| Template::new(&piece)));
        Self { answer, framing, opening, piece, at: Cursor::default(), closing: None, events: 0 }
    }

    pub(crate) const fn format(&self) -> Format {
        self.answer.format()
    }

    /// The next event, with what ends it; `None` after the last.
    pub(crate) fn next(&mut self) -> Option<(Stage, Bytes)> {
        let opening = self.opening.next().map(|event| (Stage::Opening, event));
        let event = opening.or_else(|| self.next_piece()).or_else(|| self.next_closing());
        let is_first = self.events == 0;
        self.events += 1;
        match (self.framing, event) {
            (Framing::Array, Some((stage, event))) => {
                let before: &[u8] = if is_first { b"[" } else { b",\r\n" };
                let after: &[u8] = if stage == Stage::Closing { b"]" } else { b"" };
                Some((stage, [before, &event, after].concat().into()))
            }
            (_, event) => event,
        }
    }

    /// What a provider ends a stream with that it cannot continue, after `sent` events.
    pub(crate) fn broken(&self, fault: &Fault, sent: u64) -> Vec<Bytes> {
        let events = fault.event(&self.answer, sent).into_iter();
        let framed = |(name, json): (Option<&str>, Json)| match (name, self.format()) {
            (Some(name), _) => named(name, &json),
            (None, Format::GenerateContent) if self.framing == Framing::Array => format!(",\r\n{json}]"),
            (None, Format::GenerateContent) => format!("data: {json}\r\n\r\n"),
            (None, _) => data(&json),
        };
        events.map(framed).map(Bytes::from).collect()
    }

    fn next_piece(&mut self) -> Option<(Stage, Bytes)> {
        let template = self.piece.as_ref()?;
        let piece = self.answer.content.text().next(&mut self.at)?;
        let numbers = match self.answer.format() {
            Format::GenerateContent => gemini::running(&self.answer, self.events + 1),
            _ => [self.events, 0],
        };
        Some((Stage::Piece, template.fill(piece, numbers)))
    }

    fn next_closing(&mut self) -> Option<(Stage, Bytes)> {
        let Self { answer, framing, closing, events, .. } = self;
        let closing = closing.get_or_insert_with(|| {
            let closing = match answer.format() {
                Format::Chat => chat::closing(answer),
                Format::Responses => responses::closing(answer, *events),
                Format::Messages => messages::closing(answer),
                Format::GenerateContent => gemini::closing(answer, *framing),
                Format::Completions => completions::closing(answer),
                Format::Transcription => transcription::closing(answer),
                Format::Images => images::closing(answer),
                Format::Speech => speech::closing(answer),
                Format::Embeddings | Format::EmbedContent | Format::Moderations => Vec::new(),
            };
            closing.into_iter()
        });
        closing.next().map(|event| (Stage::Closing, event))
    }
}

/// An event with up to three [`HOLE`]s, made once a stream: the piece, then two numbers (Responses: the event's, Gemini: the
/// tokens so far, of the output and of all).
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

    fn fill(&self, piece: &str, [first, second]: [u64; 2]) -> Bytes {
        let values = [serde_json::to_string(piece).unwrap_or_default(), first.to_string(), second.to_string()];
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
