//! Decoders of the client's formats.

mod chat;
mod generate_content;
mod media;
mod messages;
mod responses;
mod thinking_budget;
mod tools;

use super::super::call::Call;
use super::json::{Object, Outcome, refused};
use super::notes::Notes;
use crate::format::Format;
pub(super) use thinking_budget::effort as effort_of_budget;

/// Reads the client's call.
pub(super) fn decode<'a>(from: Format, body: &'a [u8], notes: &mut Notes<'_>) -> Outcome<Call<'a>> {
    let body = Object::body(body)?;
    match from {
        Format::Chat => chat::decode(&body, notes),
        Format::Responses => responses::decode(&body, notes),
        Format::Messages => messages::decode(&body, notes),
        Format::GenerateContent => generate_content::decode(&body, notes),
        Format::Completions
        | Format::Embeddings
        | Format::EmbedContent
        | Format::Images
        | Format::Speech
        | Format::Transcription
        | Format::Moderations => Err(refused("model", "is not served in this format")),
    }
}
