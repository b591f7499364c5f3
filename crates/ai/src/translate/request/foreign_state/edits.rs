//! Edits of lists and objects of which some contain state.

use memchr::memmem;

use super::super::json::{ListWriter, Node, Object, ObjectWriter, Outcome};
use crate::translate::capsule::CAPSULE_PREFIX;
use crate::translate::signature::SIGNATURE_PREFIX;

/// What becomes of an element of a list.
pub(super) enum ElementEdit {
    /// The element as it is.
    Same,
    /// Another value in its place.
    Changed(String),
    /// No element in its place.
    Removed,
}

pub(super) type Change = fn(&Node<'_>) -> Outcome<ElementEdit>;

/// Returns the list with changed elements; `None` if all are the same.
pub(super) fn elements(node: &Node<'_>, change: Change) -> Outcome<Option<String>> {
    if !has_state(node) || node.is_text() {
        return Ok(None);
    }
    let mut is_changed = false;
    let mut kept = String::new();
    let mut out = ListWriter::new(&mut kept);
    for element in node.list()? {
        match change(&element)? {
            ElementEdit::Same => out.push(element.raw.get()),
            ElementEdit::Changed(value) => {
                is_changed = true;
                out.push(&value);
            }
            ElementEdit::Removed => is_changed = true,
        }
    }
    out.end();
    Ok(is_changed.then_some(kept))
}

pub(super) fn has_state(node: &Node<'_>) -> bool {
    let json = node.raw.get().as_bytes();
    [CAPSULE_PREFIX, SIGNATURE_PREFIX].iter().any(|prefix| memmem::find(json, prefix.as_bytes()).is_some())
}

/// Returns the object with another value of one field.
pub(super) fn with(object: Object<'_>, name: &str, value: &str) -> String {
    let mut out = ObjectWriter::new();
    for (key, raw) in object.into_fields() {
        out.raw(&key, if key == name { value } else { raw.get() });
    }
    out.finish()
}
