//! The bounds of Gemini's bodies, in both spellings that proto JSON allows.

use super::object::is_empty;
use crate::bound::Reference;
use crate::bound::names::Name::{self, *};
use crate::bound::reader::{Reader, Spot, Tool, Value};

pub(super) fn opens(reader: &mut Reader, spot: &Spot<'_>, body: &[u8]) -> bool {
    let Spot { path, name, .. } = *spot;
    let at = spot.at.start;
    match (path, name) {
        // The input and output of a client's tool.
        (_, Args | Response) => return false,
        ([], GenerationConfig) => {
            let behind = if is_empty(body, at) { "" } else { "," };
            reader.extent.limit.room = Some((at + 1..at + 1, "\"maxOutputTokens\":", behind));
        }
        ([GenerationConfig], SpeechConfig) => reader.extent.makes_audio = true,
        (_, InlineData) => reader.begin_blob(),
        ([Tools], Element | FunctionDeclarations) | ([Tools, Element], FunctionDeclarations) => {}
        ([Tools] | [Tools, Element], _) => {
            let searches = name == GoogleSearch;
            let maps = name == GoogleMaps;
            reader.serves(Tool { searches, maps, ..Tool::default() });
        }
        _ => {}
    }
    true
}

pub(super) fn value(reader: &mut Reader, spot: &Spot<'_>, value: Value<'_>) {
    let Spot { path, name, .. } = *spot;
    match (path, name) {
        ([GenerationConfig], MaxOutputTokens) => reader.limit(value, spot),
        ([], GenerationConfig) => {
            reader.extent.limit.room = Some((spot.at.clone(), "{\"maxOutputTokens\":", "}"));
        }
        ([GenerationConfig, Modalities], Element) => {
            reader.extent.makes_audio |= value.says(&["AUDIO", "audio", "Audio"]);
        }
        ([GenerationConfig], CandidateCount) => reader.choices(value),
        ([], ServiceTier) => reader.tier(value),
        ([], CachedContent) if value.is_text() => reader.refer(Reference::CachedContent),
        ([.., FileData], FileUri) => reader.add_url(),
        ([.., InlineData], _) => inline(reader, name, value),
        _ => {}
    }
}

fn inline(reader: &mut Reader, name: Name, value: Value<'_>) {
    let Some(blob) = reader.blob() else { return };
    match (name, value) {
        (MediaType, Value::Text(media)) => {
            let media = media.resolved();
            blob.image |= media.starts_with("image/");
            blob.other |= !media.starts_with("image/") && !media.starts_with("text/plain");
            blob.recorded |= media.starts_with("audio/") || media.starts_with("video/");
            blob.plain |= media.starts_with("text/plain");
        }
        (Data, Value::Text(data)) => {
            blob.data_bytes = data.bytes();
            blob.encoded = true;
        }
        _ => {}
    }
}
