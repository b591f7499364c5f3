//! A [`MockResponse`] in each format, as one body or as events. The official SDKs of OpenAI (6.49.0), Anthropic
//! (1.10.0) and Google (3.3) define the formats; their types were read on 2026-11-20.

mod chat;
mod completions;
mod embeddings;
mod event;
mod failure;
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

pub(crate) use event::bytes;
pub(crate) use instant::instant;

use crate::content::text::TextCursor;
use crate::error::MockError;
use crate::json::Json;
use crate::response::MockResponse;
use event::{data, named};

/// The placeholder in an event for a piece of the response; see [`Template`].
const HOLE: &str = "@mock:piece@";

/// An unstreamed body and its content type.
pub(crate) struct WholeBody {
    pub(crate) kind: &'static str,
    pub(crate) bytes: Bytes,
}

/// The way in which the events of a stream are separated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamFraming {
    /// The stream consists of server-sent events.
    Events,
    /// The stream is one JSON array (Google only).
    Array,
}

/// The position of an event within its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamStage {
    Opening,
    Piece,
    Closing,
}

/// The response as one body.
pub(crate) fn whole(response: &MockResponse) -> WholeBody {
    let json = match (response.endpoint, response.format()) {
        (Endpoint::CountTokens, _) => messages::count(response),
        (Endpoint::InputTokens, _) => responses::count(response),
        (Endpoint::Compact, _) => responses::compacted(response),
        (Endpoint::GeminiCountTokens, _) => gemini::count(response),
        (_, Format::Chat) => chat::whole(response),
        (_, Format::Responses) => responses::whole(response),
        (_, Format::Messages) => messages::whole(response),
        (_, Format::GenerateContent) => gemini::whole(response),
        (_, Format::Completions) => completions::whole(response),
        (_, Format::Embeddings) => embeddings::openai(response),
        (_, Format::EmbedContent) => embeddings::google(response),
        (_, Format::Images) => images::whole(response),
        (_, Format::Moderations) => moderations::whole(response),
        (_, Format::Transcription) => return transcription::whole(response),
        (_, Format::Speech) => return speech::whole(response),
    };
    WholeBody { kind: JSON, bytes: bytes(&json) }
}

pub(crate) const JSON: &str = "application/json";

/// The response as a stream. Only the next event is in memory.
pub(crate) struct EventSequence {
    response: MockResponse,
    framing: StreamFraming,
    opening: IntoIter<Bytes>,
    /// `None` if the opening contains the text.
    piece: Option<Template>,
    at: TextCursor,
    closing: Option<IntoIter<Bytes>>,
    events: u64,
}

impl EventSequence {
    pub(crate) fn new(response: MockResponse, framing: StreamFraming) -> Self {
        let (opening, piece) = match response.format() {
            Format::Chat => (chat::opening(&response), Some(chat::piece(&response))),
            Format::Responses => (responses::opening(&response), Some(responses::piece(&response))),
            Format::Messages => (messages::opening(&response), Some(messages::piece(&response))),
            Format::GenerateContent => (gemini::opening(&response, framing), gemini::piece(&response, framing)),
            Format::Completions => (Vec::new(), Some(completions::piece(&response))),
            Format::Transcription => (Vec::new(), Some(transcription::piece())),
            Format::Images => (images::opening(&response), None),
            Format::Speech => (speech::opening(&response), Some(speech::piece(&response))),
            // These formats have no streams.
            Format::Embeddings | Format::EmbedContent | Format::Moderations => (Vec::new(), None),
        };
        let opening = opening.into_iter();
        let piece = piece.map(|piece| Template::new(&piece));
        Self { response, framing, opening, piece, at: TextCursor::default(), closing: None, events: 0 }
    }

    pub(crate) const fn format(&self) -> Format {
        self.response.format()
    }

    /// The next event with its terminator; `None` after the last.
    pub(crate) fn next(&mut self) -> Option<(StreamStage, Bytes)> {
        let opening = self.opening.next().map(|event| (StreamStage::Opening, event));
        let event = opening.or_else(|| self.next_piece()).or_else(|| self.next_closing());
        let is_first = self.events == 0;
        self.events += 1;
        match (self.framing, event) {
            (StreamFraming::Array, Some((stage, event))) => {
                let before: &[u8] = if is_first { b"[" } else { b",\r\n" };
                let after: &[u8] = if stage == StreamStage::Closing { b"]" } else { b"" };
                Some((stage, [before, &event, after].concat().into()))
            }
            (_, event) => event,
        }
    }

    /// The events with which a provider aborts a stream after `sent` events.
    pub(crate) fn broken(&self, error: &MockError, sent: u64) -> Vec<Bytes> {
        let events = error.event(&self.response, sent).into_iter();
        let framed = |(name, json): (Option<&str>, Json)| match (name, self.format()) {
            (Some(name), _) => named(name, &json),
            (None, Format::GenerateContent) if self.framing == StreamFraming::Array => format!(",\r\n{json}]"),
            (None, Format::GenerateContent) => format!("data: {json}\r\n\r\n"),
            (None, _) => data(&json),
        };
        events.map(framed).map(Bytes::from).collect()
    }

    fn next_piece(&mut self) -> Option<(StreamStage, Bytes)> {
        let template = self.piece.as_ref()?;
        let piece = self.response.content.text().next(&mut self.at)?;
        let numbers = match self.response.format() {
            Format::GenerateContent => gemini::running(&self.response, self.events + 1),
            _ => [self.events, 0],
        };
        Some((StreamStage::Piece, template.fill(piece, numbers)))
    }

    fn next_closing(&mut self) -> Option<(StreamStage, Bytes)> {
        let Self { response, framing, closing, events, .. } = self;
        let closing = closing.get_or_insert_with(|| {
            let closing = match response.format() {
                Format::Chat => chat::closing(response),
                Format::Responses => responses::closing(response, *events),
                Format::Messages => messages::closing(response),
                Format::GenerateContent => gemini::closing(response, *framing),
                Format::Completions => completions::closing(response),
                Format::Transcription => transcription::closing(response),
                Format::Images => images::closing(response),
                Format::Speech => speech::closing(response),
                Format::Embeddings | Format::EmbedContent | Format::Moderations => Vec::new(),
            };
            closing.into_iter()
        });
        closing.next().map(|event| (StreamStage::Closing, event))
    }
}

/// An event with up to three placeholders, built once per stream: the piece, then two numbers. In Responses, the first
/// is the event's number; in Gemini, they are the output tokens and all tokens so far.
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
