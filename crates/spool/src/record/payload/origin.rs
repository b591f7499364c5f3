//! The origin of a request, in five fields with consecutive tags.

use std::sync::Arc;

use access::labels::is_label_text;
use access::{ClientProgram, LabelSet};
use meter::{CacheUse, RequestOrigin, SessionHash, ToolUse};

use super::wire::{Field, InvalidPayload, NoRoom, PayloadWriter};

/// The distance of each field's tag from the first.
const LABELS: u32 = 0;
const CLIENT: u32 = 1;
const TOOLS: u32 = 2;
const SESSION: u32 = 3;
const CACHE: u32 = 4;

/// Writes the fields of an origin under the tags from `first` on.
pub(super) fn write_origin(writer: &mut PayloadWriter<'_>, first: u32, origin: &RequestOrigin) -> Result<(), NoRoom> {
    let RequestOrigin { labels, client, tools, session, cache } = origin;
    writer.field(first + LABELS, labels_field(labels))?;
    writer.field(first + CLIENT, Some(client.number()).filter(|number| *number > 0))?;
    writer.field(first + TOOLS, Some(tools.number()).filter(|number| *number > 0))?;
    writer.field(first + SESSION, session.map(|session| session.0))?;
    writer.field(first + CACHE, Some(cache.number()).filter(|number| *number > 0))
}

/// Returns the value of the field of labels; `None` without labels.
pub(super) fn labels_field(labels: &LabelSet) -> Option<&str> {
    Some(labels.as_str()).filter(|text| !text.is_empty())
}

/// Reads a field of labels.
pub(super) fn labels(field: Field<'_>, text: impl FnOnce(&str) -> Arc<str>) -> Result<LabelSet, InvalidPayload> {
    let labels = field.value()?;
    if is_label_text(labels) { Ok(LabelSet::of_shared(text(labels))) } else { Err(InvalidPayload) }
}

/// Reads a field of an origin, if its tag is one of the five from `first` on.
pub(super) fn read_origin(
    origin: &mut RequestOrigin,
    first: u32,
    field: Field<'_>,
    text: impl FnOnce(&str) -> Arc<str>,
) -> Result<(), InvalidPayload> {
    match field.tag.checked_sub(first) {
        Some(LABELS) => origin.labels = self::labels(field, text)?,
        Some(CLIENT) => origin.client = ClientProgram::of_number(field.value()?),
        Some(TOOLS) => origin.tools = ToolUse::of_number(field.value()?),
        Some(CACHE) => origin.cache = CacheUse::of_number(field.value()?),
        Some(SESSION) => origin.session = Some(SessionHash(field.value()?)),
        // A field of a later minor version.
        Some(_) | None => {}
    }
    Ok(())
}
