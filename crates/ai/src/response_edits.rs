//! Edits of a response on its way to the client, value by value: all other bytes are forwarded as they are.
//!
//! The model gets the name that the client asked for, ids of objects are bound to their user, and values that the request
//! carried with a prefix become those of the client again. Any split of the bytes gives the same output. At most one
//! string of `HELD_BYTES_MAX` bytes is held.

mod json_editor;
mod output;
mod places;

use access::ObjectOwner;
use bytes::Bytes;

use crate::format::Format;
use crate::streams::framing::ResponseFraming;
use crate::streams::sse::{Framer, Piece};
use json_editor::JsonEditor;
use output::EditedOutput;
use places::Place;

/// The values that a response gets in place of those of the provider.
#[derive(Debug, Clone, Default)]
pub struct ResponseEdits {
    /// The model's name for the client, as a JSON string.
    model: Option<Box<str>>,
    /// The user that owns the ids.
    owner: Option<ObjectOwner>,
    restored: Vec<RestoredValue>,
}

/// A value of the request that the provider got in another form, and may repeat. Both are JSON strings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoredValue {
    /// The value as the provider got it.
    pub sent: String,
    /// The value as the client wrote it.
    pub original: String,
}

impl ResponseEdits {
    /// Writes the name that the client asked for wherever the response names its model.
    #[must_use]
    pub fn with_model(self, name: &str) -> Self {
        // Serializing a string cannot fail.
        Self { model: serde_json::to_string(name).ok().map(String::into_boxed_str), ..self }
    }

    /// Binds ids of objects to their user.
    #[must_use]
    pub fn with_owner(self, owner: ObjectOwner) -> Self {
        Self { owner: Some(owner), ..self }
    }

    /// Writes values of the request as the client wrote them.
    #[must_use]
    pub fn with_restored(self, restored: Vec<RestoredValue>) -> Self {
        Self { restored, ..self }
    }

    /// Whether nothing is edited.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.model.is_none() && self.owner.is_none() && self.restored.is_empty()
    }

    /// Whether only the name of the model is written, which an event has once.
    const fn is_model_only(&self) -> bool {
        self.owner.is_none() && self.restored.is_empty()
    }
}

/// Edits one response; see the module.
#[derive(Debug)]
pub(crate) struct ResponseEditor {
    format: Format,
    edits: ResponseEdits,
    json: JsonEditor,
    /// The framing of a stream of events; `None` for a body or an array.
    framer: Option<Framer>,
    output: EditedOutput,
}

impl ResponseEditor {
    /// Returns the editor of a response; `None` if its format or framing has nothing to edit.
    pub(crate) fn new(format: Format, framing: ResponseFraming, edits: ResponseEdits) -> Option<Self> {
        let place = Place::start(format, framing)?;
        let framer = (framing == ResponseFraming::Events).then(Framer::new);
        let json = JsonEditor::new(place, framing != ResponseFraming::Array);
        (!edits.is_empty()).then(|| Self { format, edits, json, framer, output: EditedOutput::default() })
    }

    /// Edits the next bytes: returns those to forward now.
    pub(crate) fn push(&mut self, bytes: Bytes) -> Bytes {
        if bytes.is_empty() {
            return bytes;
        }
        let Self { edits, json, framer, output, .. } = self;
        match framer {
            None => json.push(&bytes, 0..bytes.len(), edits, output),
            Some(_) => self.events(&bytes),
        }
        self.json.take(bytes, &mut self.output)
    }

    /// Returns the bytes that are still held.
    pub(crate) fn finish(&mut self) -> Bytes {
        self.json.release(&mut self.output);
        self.json.take(Bytes::new(), &mut self.output)
    }

    fn events(&mut self, bytes: &[u8]) {
        let Self { format, edits, json, framer: Some(framer), output } = self else { return };
        let mut rest = bytes;
        while !rest.is_empty() {
            let at = bytes.len() - rest.len();
            if framer.between()
                && let Some(event) = framer.whole(rest)
            {
                let behind = bytes.len() - event.rest.len();
                if places::may_have_edits(*format, event.name, edits) {
                    let line = bytes.get(at..behind).unwrap_or_default();
                    // The data are a part of the line: they begin behind its name.
                    let from = at + event.data.as_ptr().addr().saturating_sub(line.as_ptr().addr());
                    json.push(bytes, from..from + event.data.len(), edits, output);
                }
                json.reset(output);
                rest = event.rest;
                continue;
            }
            let (piece, after) = framer.next(rest);
            rest = after;
            match piece {
                // A line feed between two lines of data is not a part of the bytes.
                Piece::Data(b"\n") => json.release(output),
                Piece::Data(data) => {
                    let name = framer.name().unwrap_or(b"?");
                    if places::may_have_edits(*format, name, edits) {
                        json.push(bytes, at..at + data.len(), edits, output);
                    }
                }
                Piece::End => {
                    json.reset(output);
                    framer.clear();
                }
                Piece::None | Piece::EndTail => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
