//! References of a request to objects in the operator's account at a provider: stored responses, files, containers. The
//! provider would resolve them with the operator's credential, whoever made them.
//!
//! An id is accepted if it is [bound](access::ObjectOwner) to the user, and gets the provider's own form again. Objects
//! that no served call can make, such as vector stores and cached contents, are refused. Values that providers keep for
//! the whole account, such as cache keys, get the user's prefix.

mod form;
mod input_item;
mod names;
mod needles;
mod reader;

use std::ops::Range;

use access::{IdOwner, ObjectOwner};

use crate::format::Format;
pub use crate::request::OwnedFields;
use crate::request::RequestFields;
use crate::response_edits::RestoredValue;
use names::ObjectReference;

/// Longest id that an error shows, in bytes.
const SHOWN_BYTES_MAX: usize = 100;

/// A reference to an object that is not the user's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignObject {
    /// The field of the request.
    pub param: &'static str,
    /// The id as the client wrote it, at most 100 bytes.
    pub id: String,
    /// The wording of the object in an error, with a capital letter.
    pub noun: &'static str,
}

impl ForeignObject {
    fn new(param: &'static str, noun: &'static str, id: &str) -> Self {
        let id = id.get(..id.floor_char_boundary(SHOWN_BYTES_MAX)).unwrap_or_default().to_owned();
        Self { param, id, noun }
    }

    /// Returns the message for the client. OpenAI's clients know its beginning.
    #[must_use]
    pub fn message(&self) -> String {
        let Self { id, noun, .. } = self;
        format!(
            "{noun} with id '{id}' not found. With the gateway's account you can name only objects that your own calls have \
             made: send the content itself, or add your own credential of the provider"
        )
    }
}

/// Reads a body of `format`, JSON or a form, which was parsed before and whose fields are `fields`: returns the edits that
/// make it one of its user.
///
/// # Errors
/// The body refers to an object that is not bound to the user.
pub fn owned(
    format: Format,
    body: &[u8],
    fields: &RequestFields,
    owner: &ObjectOwner,
) -> Result<OwnedFields, ForeignObject> {
    if body.trim_ascii_start().first() != Some(&b'{') {
        return form::read(format, body, &fields.form, owner);
    }
    if needles::may_refer(format, body) {
        return reader::read(format, body, owner);
    }
    let mut owned = OwnedFields::default();
    if let Some(at) = fields.session.clone() {
        owned.write_value(format, body, at, owner);
    }
    Ok(owned)
}

/// Whether calls may make objects that later calls name. It may be wrong for a body that makes none.
#[must_use]
pub fn may_make_objects(format: Format, body: &[u8]) -> bool {
    match format {
        Format::Responses => !needles::is_unstored(body) || needles::has_container(body),
        Format::Messages => needles::has_container(body),
        Format::Chat => needles::has_audio(body),
        Format::GenerateContent
        | Format::Completions
        | Format::Embeddings
        | Format::EmbedContent
        | Format::Images
        | Format::Speech
        | Format::Transcription
        | Format::Moderations => false,
    }
}

impl ObjectReference {
    /// Returns the provider's own form of an id; `None` if the id remains.
    fn resolved<'a>(self, id: &'a str, owner: &ObjectOwner) -> Result<Option<&'a str>, ForeignObject> {
        let Self { noun, param, may_be_owned } = self;
        match owner.owner_of(id) {
            IdOwner::User(bare) if may_be_owned => Ok(Some(bare)),
            // The request for approval is in the same input, or in a previous response, which is checked.
            IdOwner::Unknown if param == "approval_request_id" => Ok(None),
            IdOwner::User(_) | IdOwner::Other | IdOwner::Unknown => Err(ForeignObject::new(param, noun, id)),
        }
    }
}

impl OwnedFields {
    /// Whether the call is sent as it is.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// Writes the value at this range with the user's prefix.
    fn write_value(&mut self, format: Format, body: &[u8], at: Range<usize>, owner: &ObjectOwner) {
        let Some(written) = body.get(at.clone()) else { return };
        let Ok(value) = serde_json::from_slice::<String>(written) else { return };
        if value.is_empty() {
            return;
        }
        let bytes_max = if format == Format::Messages { names::USER_ID_BYTES_MAX } else { names::KEY_BYTES_MAX };
        self.write(body, at, &owner.value(&value, bytes_max));
    }

    /// Replaces the string at this range. A response may repeat it.
    fn write(&mut self, body: &[u8], at: Range<usize>, value: &str) {
        // Serializing a string cannot fail.
        let sent = serde_json::to_string(value).unwrap_or_default();
        let original = body.get(at.clone()).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default();
        self.restored.push(RestoredValue { sent: sent.clone(), original: original.to_owned() });
        self.edits.push((at, sent));
    }

    /// Replaces the text at this range of a form. A response may repeat it, as JSON.
    fn write_text(&mut self, at: Range<usize>, original: &str, value: &str) {
        let [sent, original] = [value, original].map(|text| serde_json::to_string(text).unwrap_or_default());
        self.restored.push(RestoredValue { sent, original });
        self.edits.push((at, value.to_owned()));
    }

    /// Replaces an id that is bound to the user by that of the provider.
    fn unbind(&mut self, at: Range<usize>, id: &str) {
        self.edits.push((at, serde_json::to_string(id).unwrap_or_default()));
    }
}

#[cfg(test)]
mod tests;
