//! The positions at which each format states the values that determine a bound.

mod google;
mod messages;
mod object;
mod openai;

use super::{Blob, Reader, Spot, Value};
use crate::bound::Reference;
use crate::bound::names::Name;
use crate::format::Format;

/// Reads the start of the body, at its brace.
pub(super) fn begins(reader: &mut Reader, at: usize, body: &[u8]) {
    let put = match reader.extent.format {
        Format::Chat => "\"max_completion_tokens\":",
        Format::Completions => "\"max_tokens\":",
        Format::Responses => "\"max_output_tokens\":",
        Format::GenerateContent => "\"generationConfig\":{\"maxOutputTokens\":",
        Format::Messages
        | Format::Embeddings
        | Format::EmbedContent
        | Format::Images
        | Format::Speech
        | Format::Transcription
        | Format::Moderations => return,
    };
    reader.extent.limit.least = if reader.extent.format == Format::Responses { openai::RESPONSES_LEAST } else { 1 };
    let behind = if reader.extent.format == Format::GenerateContent { "}," } else { "," };
    if !object::is_empty(body, at) {
        reader.extent.limit.room = Some((at + 1..at + 1, put, behind));
    }
}

/// Reads the start of an object or list. Returns whether its contents are read: input and output of the client's own
/// tools have no meaning for a provider.
pub(super) fn opens(reader: &mut Reader, spot: &Spot<'_>, body: &[u8]) -> bool {
    let Spot { path, name, .. } = *spot;
    if matches!(name, Name::Parameters | Name::InputSchema | Name::Schema) {
        return false;
    }
    if path.is_empty() && matches!(name, Name::Tools | Name::Functions) {
        reader.extent.tools = true;
    }
    match reader.extent.format {
        Format::Chat | Format::Completions => openai::chat_opens(reader, path, name),
        Format::Responses => openai::responses_opens(reader, path, name),
        Format::Messages => return messages::opens(reader, path, name),
        Format::GenerateContent | Format::EmbedContent => return google::opens(reader, spot, body),
        Format::Embeddings | Format::Images | Format::Speech | Format::Transcription | Format::Moderations => {
            return false;
        }
    }
    true
}

/// Reads a string, a number or another word.
pub(super) fn value(reader: &mut Reader, spot: &Spot<'_>, value: Value<'_>) {
    if let [Name::Models] = spot.path
        && let Name::Element = spot.name
        && let Value::Text(name) = value
    {
        reader.extent.add_model(&name.resolved());
    }
    match reader.extent.format {
        Format::Chat | Format::Completions => openai::chat(reader, spot, value),
        Format::Responses => openai::responses(reader, spot, value),
        Format::Messages => messages::value(reader, spot, value),
        Format::GenerateContent | Format::EmbedContent => google::value(reader, spot, value),
        Format::Images => {
            if spot.path.is_empty() && spot.name == Name::N {
                reader.choices(value);
            }
        }
        Format::Embeddings | Format::Speech | Format::Transcription | Format::Moderations => {}
    }
}

/// Reads the end of an image or a file inside the body.
pub(super) fn closes_blob(reader: &mut Reader, blob: Blob) {
    match blob.referred {
        Some(Reference::Url) => reader.add_url(),
        Some(reference) => reader.refer(reference),
        None => {}
    }
    let is_image = blob.image && blob.encoded && !blob.plain && !blob.other;
    if is_image {
        reader.add_image(blob.data_bytes);
    } else if blob.recorded {
        reader.add_recording(Reference::Document, blob.data_bytes);
    } else if blob.other || (blob.encoded && !blob.plain) {
        reader.add_document(blob.data_bytes);
    }
}
