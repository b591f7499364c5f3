//! Encoders of the provider's formats.

mod chat;
mod generate_content;
mod messages;
mod parts;
mod responses;
mod thinking;

pub(super) use self::generate_content::level as thinking_level;
pub(super) use self::parts::{differs, in_tags};
pub(super) use self::thinking::budget as thinking_budget;
use super::super::call::Call;
use super::json::{Outcome, refused};
use super::models::is_openai;
use super::notes::Notes;
use crate::format::Format;

/// Writes the provider's body.
pub(super) fn encode(call: &mut Call<'_>, notes: &mut Notes<'_>) -> Outcome<String> {
    if notes.to == Format::Chat && !is_openai(notes.options) {
        parts::merge_users(&mut call.messages, notes)?;
    }
    match notes.to {
        Format::Chat => chat::encode(call, notes),
        Format::Responses => responses::encode(call, notes),
        Format::Messages => messages::encode(call, notes),
        Format::GenerateContent => generate_content::encode(call, notes),
        Format::Completions
        | Format::Embeddings
        | Format::EmbedContent
        | Format::Images
        | Format::Speech
        | Format::Transcription
        | Format::Moderations => Err(refused("model", "is served in a format into which calls are not translated")),
    }
}
