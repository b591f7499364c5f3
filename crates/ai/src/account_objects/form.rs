//! Fields of a form that name objects of an account, or that the account keeps. Forms write an inner field as
//! `metadata[key]`, or as JSON.

use std::ops::Range;

use access::ObjectOwner;
use serde::de::IgnoredAny;

use super::names::{self, ObjectReference};
use super::{ForeignObject, OwnedFields, reader};
use crate::format::Format;
use crate::request::FormPart;

/// The field with free text, which is never JSON.
const PROMPT: &str = "prompt";

/// Returns the edits of a form with these parts.
pub(super) fn read(
    format: Format,
    body: &[u8],
    parts: &[FormPart],
    owner: &ObjectOwner,
) -> Result<OwnedFields, ForeignObject> {
    let mut owned = OwnedFields::default();
    for part in parts {
        let Some(name) = body.get(part.name.clone()).and_then(|name| std::str::from_utf8(name).ok()) else { continue };
        let Some(content) = body.get(part.content.clone()).filter(|content| !content.is_empty()) else { continue };
        let path: Vec<&str> = name.split(['[', ']']).filter(|segment| !segment.is_empty()).collect();
        let field = Field { format, owner, path: &path, at: part.content.clone(), content };
        field.read(&mut owned)?;
    }
    Ok(owned)
}

/// A field with content.
struct Field<'a> {
    format: Format,
    owner: &'a ObjectOwner,
    /// The name of the field and those of the fields within it.
    path: &'a [&'a str],
    at: Range<usize>,
    content: &'a [u8],
}

impl Field<'_> {
    fn read(self, owned: &mut OwnedFields) -> Result<(), ForeignObject> {
        if let Some(source) = self.path.iter().find_map(|key| names::of_source(key)) {
            return Err(ForeignObject::new(source.param, source.noun, &self.path.join(".")));
        }
        let Some((key, holder)) = self.key() else { return Ok(()) };
        let value = String::from_utf8_lossy(self.content);
        if let Some(bytes_max) = self.kept_bytes_max() {
            owned.write_text(self.at, &value, &self.owner.value(&value, bytes_max));
            return Ok(());
        }
        if key != PROMPT && is_compound(self.content) {
            let inner = reader::read_value(self.format, key, self.content, self.owner)?;
            let start = self.at.start;
            let edits = inner.edits.into_iter();
            owned.edits.extend(edits.map(|(at, text)| (at.start + start..at.end + start, text)));
            owned.restored.extend(inner.restored);
            return Ok(());
        }
        let Some(reference) = reference(key, holder, &value) else { return Ok(()) };
        if let Some(bare) = reference.resolved(&value, self.owner)? {
            owned.edits.push((self.at, bare.to_owned()));
        }
        Ok(())
    }

    /// Returns the innermost name that is no position in a list, and the one before it.
    fn key(&self) -> Option<(&str, Option<&str>)> {
        let is_name = |segment: &&&str| !segment.bytes().all(|byte| byte.is_ascii_digit());
        let mut names = self.path.iter().rev().filter(is_name);
        Some((names.next()?, names.next().copied()))
    }

    /// Returns the longest value that a provider accepts in a field that it keeps for the whole account.
    fn kept_bytes_max(&self) -> Option<usize> {
        match self.path {
            ["user" | "safety_identifier" | "prompt_cache_key"] => Some(names::KEY_BYTES_MAX),
            ["metadata", _, ..] => Some(names::METADATA_BYTES_MAX),
            _ => None,
        }
    }
}

/// Returns what a text names.
fn reference(key: &str, holder: Option<&str>, value: &str) -> Option<ObjectReference> {
    match key {
        "skill_id" => names::of_skill(value),
        "id" => holder.and_then(names::of_named),
        _ => names::of_string(key).or_else(|| names::of_address(key, value)),
    }
}

/// Whether a content is an object or a list of JSON.
fn is_compound(content: &[u8]) -> bool {
    matches!(content.trim_ascii_start().first(), Some(b'{' | b'['))
        && serde_json::from_slice::<IgnoredAny>(content).is_ok()
}
