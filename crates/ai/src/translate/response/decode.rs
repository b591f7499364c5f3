//! Decoders: the provider's bytes become neutral events.

mod chat;
mod generate_content;
mod messages;
mod order;
mod part;
mod responses;
mod usage;

use super::failure;
use crate::format::Format;
use crate::translate::event::{NeutralEvent, ProviderFailure};
use chat::ChatDecoder;
use generate_content::GenerateContentDecoder;
use messages::MessagesDecoder;
use part::DONE;
use responses::ResponsesDecoder;

/// A decoder of the provider's format. After an error, or [`NeutralEvent::End`], it is not used any more.
#[derive(Debug)]
pub(super) struct Decoder(FormatDecoder);

#[derive(Debug)]
enum FormatDecoder {
    Chat(ChatDecoder),
    Responses(ResponsesDecoder),
    Messages(Box<MessagesDecoder>),
    GenerateContent(Box<GenerateContentDecoder>),
}

impl Decoder {
    /// Creates a decoder; for a format that is not translated, it is the one of Chat. `request_id` is Tollgate's.
    pub(super) fn new(format: Format, request_id: &str) -> Self {
        match format {
            Format::Messages => Self(FormatDecoder::Messages(Box::default())),
            Format::Responses => Self(FormatDecoder::Responses(ResponsesDecoder::default())),
            Format::GenerateContent => {
                Self(FormatDecoder::GenerateContent(Box::new(GenerateContentDecoder::new(request_id))))
            }
            Format::Chat
            | Format::Completions
            | Format::Embeddings
            | Format::EmbedContent
            | Format::Images
            | Format::Speech
            | Format::Transcription
            | Format::Moderations => Self(FormatDecoder::Chat(ChatDecoder::default())),
        }
    }

    /// Reads the data of an event of a stream.
    pub(super) fn event(&mut self, data: &[u8], out: &mut Vec<NeutralEvent>) -> Result<(), ProviderFailure> {
        match &mut self.0 {
            FormatDecoder::Chat(decoder) => decoder.event(data, out),
            FormatDecoder::Responses(_) | FormatDecoder::Messages(_) | FormatDecoder::GenerateContent(_)
                if data.trim_ascii() == DONE =>
            {
                Ok(())
            }
            FormatDecoder::Responses(decoder) => decoder.event(data, out),
            FormatDecoder::Messages(decoder) => decoder.event(data, out),
            FormatDecoder::GenerateContent(decoder) => decoder.event(data, out),
        }
    }

    /// Reads a whole body.
    pub(super) fn body(&mut self, body: &[u8], out: &mut Vec<NeutralEvent>) -> Result<(), ProviderFailure> {
        match &mut self.0 {
            FormatDecoder::Chat(decoder) => decoder.body(body, out),
            FormatDecoder::Responses(decoder) => decoder.body(body, out),
            FormatDecoder::Messages(decoder) => decoder.body(body, out),
            FormatDecoder::GenerateContent(decoder) => decoder.body(body, out),
        }
    }

    /// Reads the end of a stream that had no last event.
    pub(super) fn end(&mut self, out: &mut Vec<NeutralEvent>) -> Result<(), ProviderFailure> {
        match &mut self.0 {
            FormatDecoder::Chat(decoder) => decoder.end(out),
            FormatDecoder::GenerateContent(decoder) => decoder.end(out),
            FormatDecoder::Responses(_) | FormatDecoder::Messages(_) => Err(failure::cut()),
        }
    }

    /// Returns how many bytes are held until the open block is complete.
    pub(super) fn held_bytes(&self) -> usize {
        match &self.0 {
            FormatDecoder::Chat(decoder) => decoder.held_bytes(),
            FormatDecoder::Responses(decoder) => decoder.held_bytes(),
            FormatDecoder::Messages(decoder) => decoder.held_bytes(),
            FormatDecoder::GenerateContent(_) => 0,
        }
    }
}
