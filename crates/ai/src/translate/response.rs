//! Responses: decoders of the provider's format, encoders of the client's.

mod decode;
mod encode;
mod failure;

use access::Refusal;
use bytes::Bytes;
use serde::de::IgnoredAny;

use super::context::ResponseContext;
use super::event::{Block, Finish, NeutralEvent, ProviderFailure, StopCause};
use crate::failures::account_error::ProviderAccount;
use crate::failures::failure::ProviderErrorKind;
use crate::format::Format;
use crate::streams::framing::ResponseFraming;
use crate::streams::sse::{Framer, Piece};
use crate::tap::BLANK_LINE;
use decode::Decoder;
use encode::{Encoder, RetryDelay};

/// Longest body of a provider, or event of its stream, that is translated, in bytes. It is read at once by the worker, which
/// serves nobody meanwhile.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Longest part of a call that a stream holds until it can be written, in bytes.
const HELD_BYTES_MAX: usize = 1024 * 1024;
/// Longest id, and longest name, of a call, in bytes. No provider has longer ones.
const ID_BYTES_MAX: usize = 1024;
const NAME_BYTES_MAX: usize = 256;
/// What a block takes beside its text, in bytes.
const BLOCK_BYTES: usize = 256;
/// Longest error body that is read, in bytes.
const ERROR_BYTES_MAX: usize = 1024 * 1024;
/// Longest part of an unknown stop reason that is kept, in bytes.
const STOP_BYTES_MAX: usize = 64;
/// The status of errors about the length of a call, in all formats.
const TOO_LONG_STATUS: u16 = 400;
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
    client: Format,
    /// Whether a stream is one JSON array.
    is_array: bool,
    account: ProviderAccount,
    failure: Option<ResponseFailure>,
}

/// The failure of a response, for a head that was not sent yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseFailure {
    /// The status for the client.
    pub status: u16,
    /// Whether the client should not repeat the call: the provider's account has no money left.
    pub is_lasting: bool,
    /// Why Tollgate reports it; `None` for an error of the provider.
    pub refusal: Option<Refusal>,
    /// The status of the provider's error about the operator's account, which the client does not see.
    pub hidden_status: Option<u16>,
    /// Whether the provider ended its response for the failure, without reporting an error.
    pub is_unfinished: bool,
}

impl ResponseFailure {
    /// Whether the provider has responded as its API does, with a response or with an error.
    #[must_use]
    pub const fn is_of_provider(&self) -> bool {
        self.hidden_status.is_some() || (self.refusal.is_none() && !self.is_unfinished)
    }
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
    /// Begins a response with this status of the provider; a status of 400 or above is an error body. The account is
    /// the user's own.
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
        let client = context.client;
        let is_array = context.is_array;
        Self {
            input,
            decoder: Decoder::new(context.provider, request_id),
            is_collected: !streamed || context.client == Format::Responses,
            encoder: Encoder::new(context, request_id, unix_seconds, streamed),
            collected_bytes: 0,
            streamed,
            has_ended: false,
            unknown_stop: None,
            client,
            is_array,
            account: ProviderAccount::Own,
            failure: None,
        }
    }

    /// Sets the account at the provider that the call uses.
    #[must_use]
    pub fn with_account(self, account: ProviderAccount) -> Self {
        Self { account, ..self }
    }

    /// Sets the seconds after which the provider may be called again, if it has sent any.
    #[must_use]
    pub const fn with_retry_after(mut self, seconds: Option<u64>) -> Self {
        self.encoder.set_retry_delay(RetryDelay(seconds));
        self
    }

    /// Whether the response has the time of its end, which [`Self::set_time`] sets.
    #[must_use]
    pub const fn has_end_time(&self) -> bool {
        self.encoder.has_end_time()
    }

    /// Sets the time, in seconds since 1970, before a piece or the end.
    pub fn set_time(&mut self, unix_seconds: u64) {
        self.encoder.set_time(unix_seconds);
    }

    /// Returns the media type of the response for the client. A stream that fails before its first byte becomes a body.
    #[must_use]
    pub const fn content_type(&self) -> &'static str {
        if self.streamed && !self.is_array { "text/event-stream" } else { "application/json" }
    }

    /// Whether the response is translated at its end, which decides its status: the client gets one body, or the provider did
    /// not respond with a stream.
    #[must_use]
    pub const fn waits_for_end(&self) -> bool {
        !self.streamed || matches!(self.input, Input::Body(_))
    }

    /// Whether the response for the client is complete: the provider has sent its format's last event.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.has_ended && self.failure.is_none()
    }

    /// Returns the items of a complete response of the Responses API, in JSON; `None` for any other response.
    #[must_use]
    pub fn made_items(&self) -> Option<&[String]> {
        if self.is_complete() { self.encoder.made_items() } else { None }
    }

    /// Returns the failure with which the response has ended, if any.
    #[must_use]
    pub const fn failure(&self) -> Option<ResponseFailure> {
        self.failure
    }

    /// Ends the response with an error of the gateway.
    pub fn fail(&mut self, refusal: Refusal, message: &str) -> Bytes {
        let mut out = Vec::new();
        // Nothing follows the end of a response.
        self.write(vec![NeutralEvent::Failure(failure::of_gateway(refusal, message))], &mut out);
        out.into()
    }

    /// Returns bytes that the client passes over, for a stream whose provider is silent; empty for any other response.
    pub fn keep_alive(&mut self) -> Bytes {
        let mut out = Vec::new();
        if self.has_ended || self.waits_for_end() {
            return Bytes::new();
        }
        if self.client == Format::GenerateContent {
            return Bytes::from_static(BLANK_LINE);
        }
        self.encoder.write(NeutralEvent::Alive, &mut out);
        out.into()
    }

    /// Drops the beginning of an event that the provider does not complete.
    pub fn drop_half_event(&mut self) {
        if let Input::Events(framer, data) = &mut self.input {
            (*framer, *data) = (Framer::new(), Vec::new());
        }
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
                    let failure = failure::unreadable("it is longer than 8 MiB");
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
            Input::Body(body) => match self.decoder.body(body, &mut events) {
                Err(_) if is_cut(body) => Err(failure::cut()),
                result => result,
            },
            Input::Error(status, body) => Err(failure::of_body(*status, body)),
        };
        self.finish(result, events, &mut out);
        out.into()
    }

    /// Returns about how many bytes of the response are held: a whole body, the output that a last event repeats, parts of
    /// blocks that wait for another one.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let input = match &self.input {
            Input::Events(_, data) => data.capacity(),
            Input::Body(body) | Input::Error(_, body) => body.capacity(),
        };
        let output = if self.is_collected { self.collected_bytes } else { self.encoder.held_bytes() };
        input.saturating_add(output).saturating_add(self.decoder.held_bytes())
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
                        Err(failure::unreadable("an event is longer than 8 MiB"))
                    }
                    Piece::Data(more) => {
                        data.extend_from_slice(more);
                        continue;
                    }
                    Piece::End => {
                        let has_data = framer.has_data();
                        let has_comment = framer.has_comment();
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
            self.collected_bytes = self.collected_bytes.saturating_add(kept_bytes(&event, self.is_collected));
            if self.collected_bytes > BODY_BYTES_MAX {
                event = NeutralEvent::Failure(failure::unreadable("it is longer than 8 MiB"));
            } else if has_long_name(&event) {
                event = NeutralEvent::Failure(failure::unreadable("a tool call has a name or an id that is too long"));
            }
            if let NeutralEvent::End(Finish { stop: StopCause::Unknown(word), .. }) = &event {
                let word = word.get(..word.floor_char_boundary(STOP_BYTES_MAX)).unwrap_or_default();
                self.unknown_stop = Some(word.to_owned());
            }
            self.write_one(event, out);
            if !self.is_collected && !self.has_ended && self.encoder.held_bytes() > HELD_BYTES_MAX {
                let failure = failure::unreadable("the input of a tool call is longer than 1 MiB");
                self.write_one(NeutralEvent::Failure(failure), out);
            }
        }
    }

    fn write_one(&mut self, mut event: NeutralEvent, out: &mut Vec<u8>) {
        if let NeutralEvent::Failure(failure) = &mut event {
            let hidden_status = failure::hide(failure, self.account);
            failure.status = failure_status(self.client, failure);
            let ProviderFailure { status, refusal, is_unfinished, .. } = *failure;
            let is_lasting = failure.kind == ProviderErrorKind::Quota;
            self.failure = Some(ResponseFailure { status, is_lasting, refusal, hidden_status, is_unfinished });
            if self.streamed && matches!(self.input, Input::Body(_)) {
                // The client has received nothing: an error with its status replaces the stream.
                self.streamed = false;
                self.encoder.becomes_whole();
                out.clear();
            }
        }
        self.has_ended = matches!(event, NeutralEvent::End(_) | NeutralEvent::Failure(_));
        self.encoder.write(event, out);
    }
}

/// Returns about how many bytes of an event are kept until the response ends. The texts of a stream are, if its last event
/// repeats them.
fn kept_bytes(event: &NeutralEvent, is_collected: bool) -> usize {
    match event {
        NeutralEvent::Delta(text) if is_collected => text.len(),
        NeutralEvent::Image(image) if is_collected => image.data.len(),
        NeutralEvent::Open(Block::Call { id, name }) => id.len().saturating_add(name.len()).saturating_add(BLOCK_BYTES),
        NeutralEvent::Open(_) if is_collected => BLOCK_BYTES,
        NeutralEvent::Close(Some(state)) => state.get().len(),
        NeutralEvent::Start
        | NeutralEvent::Alive
        | NeutralEvent::Open(_)
        | NeutralEvent::Delta(_)
        | NeutralEvent::Image(_)
        | NeutralEvent::Close(None)
        | NeutralEvent::End(_)
        | NeutralEvent::Failure(_) => 0,
    }
}

fn has_long_name(event: &NeutralEvent) -> bool {
    matches!(event, NeutralEvent::Open(Block::Call { id, name }) if id.len() > ID_BYTES_MAX || name.len() > NAME_BYTES_MAX)
}

/// Whether a whole body is a response or an error in this format of a provider. One that the provider could not finish is
/// neither: another provider may respond.
#[must_use]
pub fn is_response(format: Format, body: &[u8]) -> bool {
    let result = Decoder::new(format, "").body(body, &mut Vec::new());
    result.map_or_else(|failure| failure.refusal.is_none() && !failure.is_unfinished, |()| true)
}

/// Implements the function [`crate::translate::context_error`].
pub(super) fn context_error(format: Format, status: u16, body: &[u8], request_id: &str) -> Option<Bytes> {
    let failure = failure::of_body(status, body);
    if failure.kind != ProviderErrorKind::Context {
        return None;
    }
    let failure = ProviderFailure { status: TOO_LONG_STATUS, ..failure };
    encode::context_error(format, &failure, request_id).map(Bytes::from)
}

/// Whether JSON lacks its end.
fn is_cut(json: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(json).is_err_and(|error| error.is_eof())
}

/// Returns the status for the client of a response that has failed.
const fn failure_status(client: Format, failure: &ProviderFailure) -> u16 {
    match (failure.kind, client) {
        // Clients of Messages repeat calls after 429, which never succeed here. Anthropic has 400, OpenAI 429.
        (ProviderErrorKind::Quota, Format::Messages) => 400,
        (ProviderErrorKind::Quota, _) => 429,
        (ProviderErrorKind::Context, _) => TOO_LONG_STATUS,
        _ if failure.status < ERROR_STATUS_MIN => 502,
        _ => client_status(client, failure.status),
    }
}

/// Returns the status for the client of an error with this status of the provider.
#[must_use]
pub const fn client_status(client: Format, status: u16) -> u16 {
    match (client, status) {
        // Anthropic's word for an overloaded provider, and OpenAI's.
        (Format::Messages, 503) => 529,
        (Format::Chat | Format::Responses | Format::GenerateContent, 529) => 503,
        _ => status,
    }
}

#[cfg(test)]
mod tests;
