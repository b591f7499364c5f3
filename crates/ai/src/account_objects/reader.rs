//! Reads the references of a body token by token.

use std::borrow::Cow;
use std::ops::Range;

use access::ObjectOwner;

use super::input_item::InputItem;
use super::names::{self, ObjectReference};
use super::{ForeignObject, OwnedFields};
use crate::bound::walk::{Token, Walk};
use crate::format::Format;

/// The reader of one body.
struct Reader<'a> {
    format: Format,
    body: &'a [u8],
    owner: &'a ObjectOwner,
    levels: Vec<Level<'a>>,
    owned: OwnedFields,
}

/// An open object or list. A list has the key of its elements.
struct Level<'a> {
    key: Cow<'a, str>,
    is_list: bool,
    item: Option<Box<InputItem>>,
}

/// Returns the edits of a body.
pub(super) fn read(format: Format, body: &[u8], owner: &ObjectOwner) -> Result<OwnedFields, ForeignObject> {
    Reader { format, body, owner, levels: Vec::new(), owned: OwnedFields::default() }.walk(Cow::Borrowed(""))
}

/// Returns the edits of a value that a body without JSON has behind this key.
pub(super) fn read_value(
    format: Format,
    key: &str,
    value: &[u8],
    owner: &ObjectOwner,
) -> Result<OwnedFields, ForeignObject> {
    let body = Level { key: Cow::Borrowed(""), is_list: false, item: None };
    let reader = Reader { format, body: value, owner, levels: vec![body], owned: OwnedFields::default() };
    reader.walk(Cow::Borrowed(key))
}

impl<'a> Reader<'a> {
    /// Reads the body. The first value is behind `key`.
    fn walk(mut self, mut key: Cow<'a, str>) -> Result<OwnedFields, ForeignObject> {
        let mut walk = Walk::new(self.body);
        while let Some(token) = walk.next() {
            match token {
                Token::Key(text) => key = text.resolved(),
                Token::Open { list, .. } => {
                    let is_element = self.levels.last().is_some_and(|level| level.is_list);
                    let key = self.key(std::mem::take(&mut key));
                    if !is_element && names::is_of_tool(&key, list) {
                        walk.pass_over(list);
                    } else {
                        self.open(key, list)?;
                    }
                }
                Token::Close => self.close()?,
                Token::String(text, at) => {
                    let key = self.key(std::mem::take(&mut key));
                    self.string(&key, at, &text.resolved())?;
                }
                Token::Word(..) => key = Cow::Borrowed(""),
            }
        }
        Ok(self.owned)
    }

    /// Returns the key of a value: that of its list, if it is an element.
    fn key(&self, key: Cow<'a, str>) -> Cow<'a, str> {
        match self.levels.last() {
            Some(level) if level.is_list => level.key.clone(),
            Some(_) | None => key,
        }
    }

    fn open(&mut self, key: Cow<'a, str>, is_list: bool) -> Result<(), ForeignObject> {
        if let Some(source) = names::of_source(&key) {
            return Err(ForeignObject::new(source.param, source.noun, &key));
        }
        let item = (!is_list && self.is_input()).then(Box::default);
        // The content of an item is more than a reference.
        if let [.., holder, list] = self.levels.as_mut_slice()
            && list.is_list
            && list.key == "content"
            && let Some(item) = &mut holder.item
        {
            item.has_content = true;
        }
        self.levels.push(Level { key, is_list, item });
        Ok(())
    }

    /// Whether the open list is the input of the Responses API.
    fn is_input(&self) -> bool {
        let [root, input] = self.levels.as_slice() else { return false };
        self.format == Format::Responses && !root.is_list && input.is_list && input.key == "input"
    }

    fn close(&mut self) -> Result<(), ForeignObject> {
        match self.levels.pop().and_then(|level| level.item) {
            Some(item) => item.end(self.owner, &mut self.owned),
            None => Ok(()),
        }
    }

    fn string(&mut self, key: &str, at: Range<usize>, value: &str) -> Result<(), ForeignObject> {
        if value.is_empty() || self.is_kept_by_account(key, &at, value) {
            return Ok(());
        }
        if let Some(level) = self.levels.last_mut()
            && let Some(item) = &mut level.item
        {
            item.note(key, &at, value);
            if key == "id" {
                return Ok(());
            }
        }
        match self.reference(key, value) {
            Some(reference) => self.check(reference, at, value),
            None => Ok(()),
        }
    }

    /// Writes a value that the provider keeps for the whole account. Returns whether it is one.
    fn is_kept_by_account(&mut self, key: &str, at: &Range<usize>, value: &str) -> bool {
        let depth = self.levels.len();
        let is_key = depth == 1 && matches!(key, "user" | "safety_identifier" | "prompt_cache_key");
        let is_metadata = depth == 2
            && self.levels.last().is_some_and(|level| level.key == "metadata" && !level.is_list)
            && !matches!(self.format, Format::GenerateContent | Format::EmbedContent);
        let of_metadata =
            if self.format == Format::Messages { names::USER_ID_BYTES_MAX } else { names::METADATA_BYTES_MAX };
        let bytes_max = if is_key { names::KEY_BYTES_MAX } else { of_metadata };
        if is_key || is_metadata {
            self.owned.write(self.body, at.clone(), &self.owner.value(value, bytes_max));
        }
        is_key || is_metadata
    }

    /// Returns what a string names.
    fn reference(&self, key: &str, value: &str) -> Option<ObjectReference> {
        let level = self.levels.last()?;
        let is_of_level = || match level.key.as_ref() {
            // An assistant's message names its audio, and a request its form.
            "audio" => self.format == Format::Chat,
            "prompt" | "conversation" => self.format == Format::Responses && self.levels.len() == 2,
            _ => true,
        };
        if key == "id" && !level.is_list {
            return if is_of_level() { names::of_named(&level.key) } else { None };
        }
        match key {
            "skill_id" => names::of_skill(value),
            // Strings in place of objects.
            "conversation" if self.format == Format::Responses && self.levels.len() == 1 => names::of_named(key),
            "container" if matches!(self.format, Format::Responses | Format::Messages) => names::of_named(key),
            _ => names::of_string(key).or_else(|| names::of_address(key, value)),
        }
    }

    /// Checks a reference, whose id becomes that of the provider.
    fn check(&mut self, reference: ObjectReference, at: Range<usize>, id: &str) -> Result<(), ForeignObject> {
        if let Some(bare) = reference.resolved(id, self.owner)? {
            self.owned.unbind(at, bare);
        }
        Ok(())
    }
}
