//! Whether a response has begun with content. Until then it can be replaced by the response of another provider: its client
//! has received nothing.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::format::Format;
use crate::streams::framing::ResponseFraming;
use crate::streams::sse::{Framer, Piece};

/// Maximum size of an event or a body that is read. A longer one is content.
pub const OPENING_BYTES_MAX: usize = 256 * 1024;

/// What a response contains so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpeningState {
    /// Nothing, or events that precede any content.
    Opening,
    /// Text, reasoning, a call, or a regular end.
    Content,
    /// An error of the provider.
    Failed,
    /// The end of the stream, without any content.
    Ended,
}

/// Reads the beginning of a successful response.
#[derive(Debug)]
pub struct Opening {
    format: Format,
    framing: ResponseFraming,
    framer: Framer,
    data: Vec<u8>,
    state: OpeningState,
}

impl Opening {
    /// Creates a reader of a response in `format`, framed as [`ResponseFraming::from_content_type`] reports.
    #[must_use]
    pub const fn new(format: Format, framing: ResponseFraming) -> Self {
        Self { format, framing, framer: Framer::new(), data: Vec::new(), state: OpeningState::Opening }
    }

    /// Reads more bytes of the response.
    pub fn push(&mut self, bytes: &[u8]) -> OpeningState {
        if self.state != OpeningState::Opening {
            return self.state;
        }
        self.state = match self.framing {
            ResponseFraming::Events => self.events(bytes),
            ResponseFraming::Array => self.array(bytes),
            ResponseFraming::Json => self.keep(bytes),
            ResponseFraming::Opaque => OpeningState::Content,
        };
        self.state
    }

    /// The response has ended regularly. A stream without content is a failure.
    pub fn end(&mut self) -> OpeningState {
        if self.state == OpeningState::Opening {
            self.state = match self.framing {
                ResponseFraming::Json if is_error_body(&self.data) => OpeningState::Failed,
                ResponseFraming::Json => OpeningState::Content,
                ResponseFraming::Events | ResponseFraming::Array | ResponseFraming::Opaque => OpeningState::Failed,
            };
        }
        self.state
    }

    /// Returns the JSON of the error, as far as it was read.
    #[must_use]
    pub fn error(&self) -> &[u8] {
        &self.data
    }

    fn keep(&mut self, bytes: &[u8]) -> OpeningState {
        if self.data.len() + bytes.len() > OPENING_BYTES_MAX {
            return OpeningState::Content;
        }
        self.data.extend_from_slice(bytes);
        OpeningState::Opening
    }

    /// Reads Gemini's array, whose first element is an error or content.
    fn array(&mut self, bytes: &[u8]) -> OpeningState {
        const ERROR: &[u8] = b"\"error\"";
        if self.keep(bytes) == OpeningState::Content {
            return OpeningState::Content;
        }
        let after = |text: &'_ [u8], byte| text.trim_ascii_start().strip_prefix(&[byte]).map(<[u8]>::to_vec);
        let Some(inner) = after(&self.data, b'[').and_then(|inner| after(&inner, b'{')) else {
            return OpeningState::Opening;
        };
        let inner = inner.trim_ascii_start();
        if inner.starts_with(ERROR) {
            OpeningState::Failed
        } else if inner.len() < ERROR.len() {
            OpeningState::Opening
        } else {
            OpeningState::Content
        }
    }

    fn events(&mut self, bytes: &[u8]) -> OpeningState {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.framer.between()
                && let Some(event) = self.framer.whole(rest)
            {
                let state = of_event(self.format, event.name, event.data);
                if state != OpeningState::Opening {
                    self.data = event.data.to_vec();
                    return state;
                }
                rest = event.rest;
                continue;
            }
            let (piece, after) = self.framer.next(rest);
            rest = after;
            match piece {
                Piece::None | Piece::EndTail => {}
                Piece::Data(data) => {
                    if self.keep(data) == OpeningState::Content {
                        return OpeningState::Content;
                    }
                }
                Piece::End => {
                    let data = std::mem::take(&mut self.data);
                    let name = self.framer.name().unwrap_or_default();
                    let has_data = self.framer.has_data();
                    let state = if has_data { of_event(self.format, name, &data) } else { OpeningState::Opening };
                    self.framer.clear();
                    if state != OpeningState::Opening {
                        self.data = data;
                        return state;
                    }
                }
            }
        }
        OpeningState::Opening
    }
}

/// The parts of a JSON event that tell content from an opening.
#[derive(Debug, Deserialize)]
struct EventParts<'a> {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(borrow, default)]
    object: Option<&'a RawValue>,
    #[serde(rename = "promptFeedback", borrow, default)]
    feedback: Option<&'a RawValue>,
    #[serde(borrow, default)]
    candidates: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(default)]
    choices: Option<Vec<ChoiceParts>>,
}

#[derive(Debug, Deserialize)]
struct ChoiceParts {
    #[serde(default)]
    delta: Option<Value>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    finish_reason: Option<Value>,
}

/// The last event of a chat stream.
const DONE: &[u8] = b"[DONE]";

/// Whether the value of `object` is that of an error, which vLLM and servers like it write into a stream.
pub(crate) fn is_error_object(object: Option<&RawValue>) -> bool {
    object.is_some_and(|object| object.get() == "\"error\"")
}

fn of_event(format: Format, name: &[u8], data: &[u8]) -> OpeningState {
    if data.trim_ascii() == DONE {
        return OpeningState::Ended;
    }
    let parts = serde_json::from_slice::<EventParts<'_>>(data);
    let kind = || parts.as_ref().ok().and_then(|parts| parts.kind.clone());
    let name = if name.is_empty() { kind().unwrap_or_default() } else { String::from_utf8_lossy(name).into_owned() };
    if matches!(&*name, "error" | "response.failed") {
        return OpeningState::Failed;
    }
    match format {
        Format::Messages => match &*name {
            "content_block_delta" | "content_block_stop" | "message_delta" | "message_stop" => OpeningState::Content,
            // Also events that no version of the API has.
            _ => OpeningState::Opening,
        },
        Format::Responses => match &*name {
            "keepalive"
            | "response.created"
            | "response.in_progress"
            | "response.queued"
            | "response.output_item.added"
            | "response.content_part.added"
            | "response.reasoning_summary_part.added" => OpeningState::Opening,
            name if name.starts_with("response.") => OpeningState::Content,
            _ => OpeningState::Opening,
        },
        Format::GenerateContent => match parts {
            Ok(EventParts { error: Some(error), .. }) if is_error(error) => OpeningState::Failed,
            Ok(EventParts { candidates: None, feedback: None, .. }) => OpeningState::Opening,
            Ok(_) | Err(_) => OpeningState::Content,
        },
        Format::Chat
        | Format::Completions
        | Format::Embeddings
        | Format::Moderations
        | Format::EmbedContent
        | Format::Images
        | Format::Speech
        | Format::Transcription => {
            let Ok(EventParts { error, choices, object, .. }) = parts else { return OpeningState::Content };
            let has_error = error.is_some_and(is_error) || (choices.is_none() && is_error_object(object));
            // OpenRouter reports an error beside an empty delta that has finished.
            let has_content = |choice: &ChoiceParts| has_text(choice) || (!has_error && has_finished(choice));
            match choices {
                Some(choices) if choices.iter().any(has_content) => OpeningState::Content,
                Some(_) | None if has_error => OpeningState::Failed,
                Some(_) => OpeningState::Opening,
                None if matches!(format, Format::Chat | Format::Completions) => OpeningState::Opening,
                None => OpeningState::Content,
            }
        }
    }
}

/// Whether the value of `error` is one: without an error, providers leave it out or write `null`, `false` or an empty text.
pub(crate) fn is_error(value: &RawValue) -> bool {
    value.get() != "\"\"" && value.get().starts_with(['{', '"'])
}

/// Whether a choice of a chunk has text, or anything but its role.
fn has_text(choice: &ChoiceParts) -> bool {
    let of_delta = |delta: &Value| {
        delta.as_object().is_some_and(|fields| fields.iter().any(|(key, value)| key != "role" && is_something(value)))
    };
    choice.text.as_ref().is_some_and(|text| !text.is_empty()) || choice.delta.as_ref().is_some_and(of_delta)
}

/// Whether a choice of a chunk is its last one.
fn has_finished(choice: &ChoiceParts) -> bool {
    choice.finish_reason.as_ref().is_some_and(is_something)
}

/// Whether a value is neither null nor empty.
fn is_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

/// Whether a whole JSON body reports an error.
fn is_error_body(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow, default)]
        error: Option<&'a RawValue>,
    }
    // Most responses do not have the name, and are not parsed.
    static NAME: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"error\""));
    if NAME.find(body).is_none() {
        return false;
    }
    serde_json::from_slice::<Body<'_>>(body).is_ok_and(|body| body.error.is_some_and(is_error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the state after each of these pieces, whole and byte by byte.
    fn check(format: Format, framing: ResponseFraming, pieces: &[(&str, OpeningState)]) {
        let mut whole = Opening::new(format, framing);
        let mut torn = Opening::new(format, framing);
        for (piece, expected) in pieces {
            assert_eq!(whole.push(piece.as_bytes()), *expected, "{format:?} {piece}");
            let last = piece.bytes().map(|byte| torn.push(&[byte])).last();
            assert_eq!(last.unwrap(), *expected, "{format:?} {piece}");
        }
    }

    #[test]
    fn a_provider_that_pings_for_ever_never_begins_with_content_and_nothing_of_it_is_kept() {
        for (format, ping) in [
            (Format::Messages, "event: ping\ndata: {\"type\":\"ping\"}\n\n"),
            (Format::Responses, "event: keepalive\ndata: {\"type\":\"keepalive\"}\n\n"),
            (Format::Chat, ": OPENROUTER PROCESSING\n\n"),
            (Format::GenerateContent, "\r\n"),
        ] {
            let mut opening = Opening::new(format, ResponseFraming::Events);
            for piece in [ping, &ping.repeat(1_000)].into_iter().cycle().take(100) {
                assert_eq!(opening.push(piece.as_bytes()), OpeningState::Opening, "{format:?}");
            }
            assert!(opening.error().is_empty(), "{format:?}");
        }
    }

    #[test]
    fn a_first_event_of_ten_megabytes_is_content_of_which_a_part_is_kept() {
        let piece = "x".repeat(64 * 1024);
        for format in [Format::Messages, Format::Responses, Format::Chat, Format::GenerateContent] {
            let mut opening = Opening::new(format, ResponseFraming::Events);
            opening.push(b"data: {\"type\":\"message_start\",\"text\":\"");
            let states: Vec<OpeningState> = (0..160).map(|_| opening.push(piece.as_bytes())).collect();
            assert_eq!(states.last(), Some(&OpeningState::Content), "{format:?}");
            assert!(opening.error().len() <= OPENING_BYTES_MAX, "{format:?}");
        }
    }

    #[test]
    fn opening_events_precede_content_in_each_format() {
        use OpeningState::{Content, Failed, Opening};
        let events = ResponseFraming::Events;
        check(
            Format::Messages,
            events,
            &[
                ("event: message_start\ndata: {\"type\":\"message_start\",\"message\":{}}\n\n", Opening),
                ("event: ping\ndata: {\"type\":\"ping\"}\n\n: comment\n\n", Opening),
                ("event: content_block_start\ndata: {\"type\":\"content_block_start\"}\n\n", Opening),
                ("event: content_block_delta\ndata: {\"type\":\"content_block_delta\"}\n\n", Content),
                ("event: error\ndata: {}\n\n", Content),
            ],
        );
        check(
            Format::Messages,
            events,
            &[
                ("event: message_start\ndata: {}\n\n", Opening),
                ("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n", Failed),
            ],
        );
        check(
            Format::Responses,
            events,
            &[
                ("event: response.created\ndata: {\"type\":\"response.created\"}\n\n", Opening),
                ("data: {\"type\":\"response.in_progress\"}\n\n", Opening),
                ("event: keepalive\ndata: {\"type\":\"keepalive\",\"sequence_number\":2}\n\n", Opening),
                ("event: response.failed\ndata: {\"type\":\"response.failed\"}\n\n", Failed),
            ],
        );
        check(Format::Responses, events, &[("data: {\"type\":\"response.output_text.delta\"}\n\n", Content)]);
        check(
            Format::Chat,
            events,
            &[
                ("data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n", Opening),
                ("data: {\"choices\":[]}\r\n\r\n", Opening),
                ("data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\n", Content),
            ],
        );
        for (event, expected) in [
            ("{\"choices\":[{\"delta\":{\"tool_calls\":[{}]}}]}", Content),
            ("{\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}", Content),
            ("{\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}", Content),
            ("{\"choices\":[{\"text\":\"a\"}]}", Content),
            ("{\"error\":{\"message\":\"x\"}}", Failed),
            (
                "{\"error\":{\"code\":\"server_error\",\"message\":\"x\"},\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"},\
                 \"finish_reason\":\"error\"}]}",
                Failed,
            ),
            ("{\"error\":null,\"choices\":[{\"delta\":{}}]}", Opening),
            ("{\"error\":\"\",\"choices\":[{\"delta\":{}}]}", Opening),
            ("{\"error\":false,\"choices\":[{\"delta\":{\"content\":\"a\"}}]}", Content),
            ("{\"error\":{\"message\":\"x\"},\"choices\":[{\"delta\":{\"content\":\"a\"}}]}", Content),
        ] {
            check(Format::Chat, events, &[(&format!("data: {event}\n\n"), expected)]);
        }
        check(Format::GenerateContent, events, &[("data: {\"candidates\":[]}\n\n", Content)]);
        check(
            Format::GenerateContent,
            ResponseFraming::Array,
            &[("[", Opening), ("{\n \"err", Opening), ("or\": {}", Failed)],
        );
        check(Format::GenerateContent, ResponseFraming::Array, &[("[{\"candidates\"", Content)]);
        check(Format::Speech, ResponseFraming::Opaque, &[("\u{1}", Content)]);
    }

    #[test]
    fn unknown_events_are_no_content_and_an_end_without_content_is_known() {
        use OpeningState::{Content, Ended, Failed, Opening};
        let events = ResponseFraming::Events;
        for (event, expected) in [
            ("[DONE]", Ended),
            (" [DONE] ", Ended),
            ("{\"foo\":1}", Opening),
            ("no JSON", Content),
            ("{\"object\":\"error\",\"message\":\"boom\",\"code\":500}", Failed),
        ] {
            check(Format::Chat, events, &[(&format!("data: {event}\n\n"), expected)]);
        }
        check(Format::GenerateContent, events, &[("data: {\"foo\":1}\n\n", Opening)]);
        check(Format::GenerateContent, events, &[("data: {\"error\":{\"code\":500}}\n\n", Failed)]);
        check(Format::Messages, events, &[("data: {\"foo\":1}\n\ndata: [DONE]\n\n", Ended)]);
        check(
            Format::Responses,
            events,
            &[("data: {\"foo\":1}\n\ndata: {\"type\":\"response.completed\"}\n\n", Content)],
        );
    }

    #[test]
    fn a_body_is_judged_at_its_end() {
        for (body, expected) in [
            ("{\"id\":\"a\",\"error\":null}", OpeningState::Content),
            ("{\"error\":{\"type\":\"server_error\"}}", OpeningState::Failed),
            ("{\"type\":\"error\",\"error\":{}}", OpeningState::Failed),
            ("no JSON", OpeningState::Content),
        ] {
            let mut opening = Opening::new(Format::Chat, ResponseFraming::Json);
            assert_eq!(opening.push(body.as_bytes()), OpeningState::Opening);
            assert_eq!(opening.end(), expected, "{body}");
        }
        let mut long = Opening::new(Format::Chat, ResponseFraming::Json);
        assert_eq!(long.push(&vec![b' '; OPENING_BYTES_MAX + 1]), OpeningState::Content);
        let mut endless = Opening::new(Format::Chat, ResponseFraming::Events);
        assert_eq!(endless.push(b"data: "), OpeningState::Opening);
        assert_eq!(endless.push(&vec![b'x'; OPENING_BYTES_MAX + 1]), OpeningState::Content);
        assert_eq!(Opening::new(Format::Chat, ResponseFraming::Events).end(), OpeningState::Failed);
    }
}
