//! Responses: decoders of the provider's format, encoders of the client's.

mod decode;
mod encode;
mod failure;

use bytes::Bytes;
use serde::de::IgnoredAny;

use super::context::ResponseContext;
use super::event::{Finish, NeutralEvent, ProviderFailure, StopCause};
use crate::format::Format;
use crate::sse::{Framer, Piece};
use crate::tap::ResponseFraming;
use decode::Decoder;
use encode::Encoder;

/// Longest body of a provider, or event of its stream, that is translated, in bytes.
const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Longest error body that is read, in bytes.
const ERROR_BYTES_MAX: usize = 1024 * 1024;
/// Longest part of an unknown stop reason that is kept, in bytes.
const STOP_BYTES_MAX: usize = 64;
/// The status of errors begins here.
const ERROR_STATUS_MIN: u16 = 400;

/// The identity of a translated response.
#[derive(Debug, Clone, Copy)]
pub struct ResponseIds<'a> {
    /// Tollgate's request id, from which ids of the response are made.
    pub request_id: &'a str,
    /// The time of the response, in seconds since 1970.
    pub unix_seconds: u64,
}

/// Translates one response. Any split of its bytes gives the same output.
#[derive(Debug)]
pub struct ResponseTranslator {
    input: Input,
    decoder: Decoder,
    encoder: Encoder,
    /// Whether the whole output is collected before its end, in part or as a whole.
    is_collected: bool,
    collected_bytes: usize,
    streamed: bool,
    has_ended: bool,
    unknown_stop: Option<String>,
}

/// The provider's bytes that are not translated yet.
#[derive(Debug)]
enum Input {
    /// A stream, and the data of its open event.
    Events(Framer, Vec<u8>),
    /// A whole body, so far.
    Body(Vec<u8>),
    /// The body of an error with this status, so far.
    Error(u16, Vec<u8>),
}

impl ResponseTranslator {
    /// Begins a response with this status of the provider; a status of 400 or above is an error body.
    #[must_use]
    pub fn new(context: ResponseContext, ids: ResponseIds<'_>, framing: ResponseFraming, status: u16) -> Self {
        let input = match framing {
            _ if status >= ERROR_STATUS_MIN => Input::Error(status, Vec::new()),
            ResponseFraming::Events => Input::Events(Framer::new(), Vec::new()),
            ResponseFraming::Json | ResponseFraming::Array => Input::Body(Vec::new()),
            ResponseFraming::Opaque => Input::Error(502, Vec::new()),
        };
        let streamed = context.streamed && !matches!(input, Input::Error(..));
        let ResponseIds { request_id, unix_seconds } = ids;
        Self {
            input,
            decoder: Decoder::new(context.provider, request_id),
            is_collected: !streamed || context.client == Format::Responses,
            encoder: Encoder::new(context, request_id, unix_seconds, streamed),
            collected_bytes: 0,
            streamed,
            has_ended: false,
            unknown_stop: None,
        }
    }

    /// Returns the media type of the response for the client.
    #[must_use]
    pub const fn content_type(&self) -> &'static str {
        if self.streamed { "text/event-stream" } else { "application/json" }
    }

    /// Translates a further piece of the provider's response.
    pub fn push(&mut self, piece: &[u8]) -> Bytes {
        let mut out = Vec::new();
        if self.has_ended {
            return Bytes::new();
        }
        match &mut self.input {
            Input::Events(..) => self.push_events(piece, &mut out),
            Input::Body(body) => {
                if body.len().saturating_add(piece.len()) > BODY_BYTES_MAX {
                    let failure = failure::unreadable("it is longer than 32 MiB");
                    self.write(vec![NeutralEvent::Failure(failure)], &mut out);
                } else {
                    body.extend_from_slice(piece);
                }
            }
            Input::Error(_, body) => {
                let room = ERROR_BYTES_MAX.saturating_sub(body.len());
                body.extend_from_slice(piece.get(..room).unwrap_or(piece));
            }
        }
        out.into()
    }

    /// Returns the end of the response. Without the provider's own end the response ends with an error of the client's format.
    pub fn end(&mut self) -> Bytes {
        let mut out = Vec::new();
        if self.has_ended {
            return Bytes::new();
        }
        let mut events = Vec::new();
        let result = match &mut self.input {
            Input::Events(framer, data) => {
                // Clients read a last event without a blank line. Half an event does not.
                let is_whole = framer.has_data() && !is_cut(data);
                let last = if is_whole { self.decoder.event(data, &mut events) } else { Ok(()) };
                let has_end = matches!(events.last(), Some(NeutralEvent::End(_)));
                last.and_then(|()| if has_end { Ok(()) } else { self.decoder.end(&mut events) })
            }
            Input::Body(body) if is_cut(body) => Err(failure::cut()),
            Input::Body(body) => self.decoder.body(body, &mut events),
            Input::Error(status, body) => Err(failure::of_body(*status, body)),
        };
        self.finish(result, events, &mut out);
        out.into()
    }

    /// Returns about how many bytes of the response are held: a whole body, the output that a last event repeats, parts of
    /// blocks that wait for another one.
    #[must_use]
    pub const fn held_bytes(&self) -> usize {
        let input = match &self.input {
            Input::Events(_, data) => data.capacity(),
            Input::Body(body) | Input::Error(_, body) => body.capacity(),
        };
        input.saturating_add(self.collected_bytes).saturating_add(self.decoder.held_bytes())
    }

    /// Returns the reason with which the provider ended the response, if Tollgate does not know it. It is at most 64 bytes long.
    #[must_use]
    pub fn unknown_stop(&self) -> Option<&str> {
        self.unknown_stop.as_deref()
    }

    fn push_events(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let mut rest = piece;
        while !rest.is_empty() && !self.has_ended {
            let Input::Events(framer, data) = &mut self.input else { return };
            let mut events = Vec::new();
            let result = if data.is_empty()
                && framer.between()
                && let Some(event) = framer.whole(rest)
            {
                rest = event.rest;
                framer.clear();
                self.decoder.event(event.data, &mut events)
            } else {
                let (piece, after) = framer.next(rest);
                rest = after;
                match piece {
                    Piece::None | Piece::EndTail => continue,
                    Piece::Data(more) if data.len().saturating_add(more.len()) > BODY_BYTES_MAX => {
                        Err(failure::unreadable("an event is longer than 32 MiB"))
                    }
                    Piece::Data(more) => {
                        data.extend_from_slice(more);
                        continue;
                    }
                    Piece::End => {
                        let (has_data, has_comment) = (framer.has_data(), framer.has_comment());
                        framer.clear();
                        let event = std::mem::take(data);
                        if has_data {
                            self.decoder.event(&event, &mut events)
                        } else {
                            events.extend(has_comment.then_some(NeutralEvent::Alive));
                            Ok(())
                        }
                    }
                }
            };
            self.finish(result, events, out);
        }
    }

    /// Writes the events of a step, and its error if any.
    fn finish(&mut self, result: Result<(), ProviderFailure>, mut events: Vec<NeutralEvent>, out: &mut Vec<u8>) {
        if let Err(failure) = result {
            events.push(NeutralEvent::Failure(failure));
        }
        self.write(events, out);
    }

    fn write(&mut self, events: Vec<NeutralEvent>, out: &mut Vec<u8>) {
        for event in events {
            if self.has_ended {
                return;
            }
            let mut event = event;
            if let NeutralEvent::Delta(text) = &event
                && self.is_collected
            {
                self.collected_bytes = self.collected_bytes.saturating_add(text.len());
                if self.collected_bytes > BODY_BYTES_MAX {
                    event = NeutralEvent::Failure(failure::unreadable("it is longer than 32 MiB"));
                }
            }
            if let NeutralEvent::End(Finish { stop: StopCause::Unknown(word), .. }) = &event {
                let word = word.get(..word.floor_char_boundary(STOP_BYTES_MAX)).unwrap_or_default();
                self.unknown_stop = Some(word.to_owned());
            }
            self.has_ended = matches!(event, NeutralEvent::End(_) | NeutralEvent::Failure(_));
            self.encoder.write(event, out);
        }
    }
}

/// Whether JSON lacks its end.
fn is_cut(json: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(json).is_err_and(|error| error.is_eof())
}

/// Returns the status for the client of an error with this status of the provider.
#[must_use]
pub const fn client_status(client: Format, status: u16) -> u16 {
    match (client, status) {
        // Anthropic's word for an overloaded provider, and OpenAI's.
        (Format::Messages, 503) => 529,
        (Format::Chat | Format::Responses, 529) => 503,
        _ => status,
    }
}

#[cfg(test)]
mod tests;
