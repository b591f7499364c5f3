//! State that Tollgate wrote into the signatures of Gemini's calls.

use super::super::json::{Node, ObjectWriter, Outcome};
use super::edits::{ElementEdit, elements, with};
use crate::translate::signature::SIGNATURE_PREFIX;

/// Replaces a signature that the client has lost (Google's documentation of thought signatures).
pub(in crate::translate::request) const NO_SIGNATURE: &str = "skip_thought_signature_validator";
const SIGNATURES: [&str; 2] = ["thoughtSignature", "thought_signature"];

/// Removes the state from a turn. `IS_REQUIRED` is whether the model refuses calls without a signature.
pub(super) fn content<const IS_REQUIRED: bool>(node: &Node<'_>) -> Outcome<ElementEdit> {
    let content = node.object()?;
    let changed = content.get("parts").map_or(Ok(None), |parts| elements(&parts, part::<IS_REQUIRED>))?;
    Ok(changed.map_or(ElementEdit::Same, |changed| ElementEdit::Changed(with(content, "parts", &changed))))
}

fn part<const IS_REQUIRED: bool>(node: &Node<'_>) -> Outcome<ElementEdit> {
    let part = node.object()?;
    let is_call = part.get("functionCall").or_else(|| part.get("function_call")).is_some();
    let mut out = ObjectWriter::new();
    let mut is_changed = false;
    for (key, raw) in part.into_fields() {
        let is_state = SIGNATURES.contains(&key.as_ref()) && raw.get().get(1..).is_some_and(is_capsule);
        is_changed |= is_state;
        if !is_state {
            out.raw(&key, raw.get());
        } else if is_call && IS_REQUIRED {
            out.text(&key, NO_SIGNATURE);
        }
    }
    Ok(if is_changed { ElementEdit::Changed(out.finish()) } else { ElementEdit::Same })
}

fn is_capsule(text: &str) -> bool {
    text.starts_with(SIGNATURE_PREFIX)
}
