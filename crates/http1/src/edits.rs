//! Changes to the fields of a head, applied when the head is written. The head itself stays as it was received.

use std::fmt;

use crate::field_writer::{InvalidPart, write_known_line, write_line};
use crate::fields::{Field, FieldSpans, Fields};
use crate::known_name::{KnownName, KnownNames, NameMatch};
use crate::limits::FIELDS_MAX;
use crate::octets::{is_field_value, is_token, trim};

/// Names without an id that one set of edits may remove or set. Each is compared with each field.
pub const EDITED_NAMES_MAX: usize = 64;

/// Fields of one connection, which a gateway does not pass on (RFC 9110, 7.6.1).
const HOP_BY_HOP: KnownNames = KnownNames::EMPTY
    .with(KnownName::Connection)
    .with(KnownName::Http2Settings)
    .with(KnownName::KeepAlive)
    .with(KnownName::ProxyAuthenticate)
    .with(KnownName::ProxyAuthorization)
    .with(KnownName::ProxyConnection)
    .with(KnownName::Te)
    .with(KnownName::Trailer)
    .with(KnownName::Upgrade);

/// Fields that the writer derives from the framing of the message that it writes.
const FRAMING: KnownNames = KnownNames::EMPTY.with(KnownName::ContentLength).with(KnownName::TransferEncoding);

/// The words of a set of field numbers.
const NUMBER_WORDS: usize = FIELDS_MAX.div_ceil(64);

/// Edits, which apply in order: names whose fields are removed, and fields that are added after those that remain.
///
/// Added fields are stored as they are written, so that applying edits copies bytes. Edits can be built once for a route,
/// and joined with those of a request by [`append_all`](Self::append_all).
///
/// Removing or setting a well-known name also removes its spelling with underscores: servers that convert names to
/// variables (RFC 3875, 4.1.18) read both as one. `Content-Length` and `Transfer-Encoding` cannot be edited: the writer
/// derives them from the framing.
#[derive(Clone)]
pub struct HeadEdits {
    /// Well-known names whose fields are not written.
    removed: KnownNames,
    /// The names that [`remove`](Self::remove) removed, also if they are kept since then.
    removed_explicitly: KnownNames,
    kept: KnownNames,
    /// Well-known names with added fields, also in a spelling with underscores.
    added: KnownNames,
    /// What else is removed. Most edits have none, so it is boxed: edits pass many functions.
    others: Option<Box<OtherRemovals>>,
    /// Whether other names have added fields without being removed before.
    has_appended_others: bool,
    /// The lines of added fields.
    lines: Vec<u8>,
}

/// Removed fields that are not known by a well-known name.
#[derive(Clone, Default)]
struct OtherRemovals {
    /// Names in lower case, each with a final LF.
    names: Vec<u8>,
    names_count: usize,
    /// The numbers of received fields, as bits.
    numbers: [u64; NUMBER_WORDS],
}

impl Default for HeadEdits {
    fn default() -> Self {
        Self::for_forwarding()
    }
}

/// Values may be credentials: only names are printed.
impl fmt::Debug for HeadEdits {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |name| String::from_utf8_lossy(name).into_owned();
        let is_removed = |name: &KnownName| self.removed.contains(*name) && !HOP_BY_HOP.contains(*name);
        let removed: Vec<_> = KnownName::ALL.iter().copied().filter(is_removed).collect();
        let names: Vec<_> = self.removed_names().map(text).collect();
        let added: Vec<_> = self.added().map(|field| text(field.name)).collect();
        let mut edits = formatter.debug_struct("HeadEdits");
        edits.field("removed", &removed).field("removed_names", &names).field("added", &added).finish_non_exhaustive()
    }
}

impl HeadEdits {
    /// Edits of a head that is passed on: the fields of the connection are removed. Fields that `Connection` names are
    /// removed in any case; a gateway that passes an upgrade on sets `Connection` and `Upgrade` again.
    #[must_use]
    pub const fn for_forwarding() -> Self {
        Self {
            removed: HOP_BY_HOP.union(FRAMING),
            removed_explicitly: KnownNames::EMPTY,
            kept: KnownNames::EMPTY,
            added: KnownNames::EMPTY,
            others: None,
            has_appended_others: false,
            lines: Vec::new(),
        }
    }

    /// Returns a copy with room for added lines of this many bytes, in the memory of [`into_memory`](Self::into_memory).
    #[must_use]
    pub fn clone_with_room(&self, bytes: usize, memory: Vec<u8>) -> Self {
        let mut lines = memory;
        lines.clear();
        lines.reserve(self.lines.len() + bytes);
        lines.extend_from_slice(&self.lines);
        Self { others: self.others.clone(), lines, ..*self }
    }

    /// Returns the memory of edits that are no longer needed, for other ones.
    #[must_use]
    pub fn into_memory(self) -> Vec<u8> {
        self.lines
    }

    /// Reserves room for added lines of this many bytes.
    pub fn reserve(&mut self, bytes: usize) {
        self.lines.reserve(bytes);
    }

    /// Returns the number of bytes of added lines that need no further memory.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.lines.capacity()
    }

    /// Forgets all edits and keeps the memory.
    pub fn clear(&mut self) {
        let mut lines = std::mem::take(&mut self.lines);
        lines.clear();
        *self = Self { lines, ..Self::for_forwarding() };
    }

    /// Removes every field of this name, received or added before.
    pub fn remove(&mut self, name: KnownName) {
        self.removed = self.removed.with(name);
        self.removed_explicitly = self.removed_explicitly.with(name);
        self.kept = self.kept.without(name);
        if self.added.contains(name) {
            self.drop_added(|added| NameMatch::from_name(added).known() == Some(name));
            self.added = self.added.without(name);
        }
    }

    /// Keeps a received field that would be removed, for example `Trailer`.
    pub fn keep(&mut self, name: KnownName) {
        if !FRAMING.contains(name) {
            self.removed = self.removed.without(name);
            self.kept = self.kept.with(name);
        }
    }

    /// Removes every field of this name in any case, received or added before.
    ///
    /// # Errors
    /// [`InvalidPart::Name`]: it is not a token. [`InvalidPart::TooMany`]: more than [`EDITED_NAMES_MAX`] names.
    pub fn remove_named(&mut self, name: &[u8]) -> Result<(), InvalidPart> {
        if let Some(known) = KnownName::find(name) {
            self.remove(known);
            return Ok(());
        }
        if !is_token(name) {
            return Err(InvalidPart::Name);
        }
        let is_removed = self.is_name_removed(name);
        if is_removed || self.has_appended_others {
            self.drop_added(|added| added.eq_ignore_ascii_case(name));
        }
        if is_removed {
            return Ok(());
        }
        let others = self.others.get_or_insert_default();
        if others.names_count >= EDITED_NAMES_MAX {
            return Err(InvalidPart::TooMany);
        }
        others.names_count += 1;
        others.names.extend(name.iter().map(u8::to_ascii_lowercase));
        others.names.push(b'\n');
        Ok(())
    }

    /// Removes every received field for which `is_removed` returns true. These edits then belong to this head: they cannot
    /// be applied to another one.
    pub fn remove_fields<'a>(&mut self, fields: Fields<'a>, mut is_removed: impl FnMut(Field<'a>) -> bool) {
        for (number, field) in fields.iter().enumerate() {
            if is_removed(field)
                && let Some(word) = self.others.get_or_insert_default().numbers.get_mut(number / 64)
            {
                *word |= 1 << (number % 64);
            }
        }
    }

    /// Replaces every field of this name, received or added before, by one.
    ///
    /// # Errors
    /// [`InvalidPart::Name`]: it is a framing field, or the prefix of several names. [`InvalidPart::Value`]: the value
    /// has a control octet other than a tab. Nothing is changed.
    pub fn set(&mut self, name: KnownName, value: &[u8]) -> Result<(), InvalidPart> {
        self.set_parts(name, &[value])
    }

    /// Replaces every field of this name, received or added before, by one whose value is given in parts, which are joined.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn set_parts(&mut self, name: KnownName, value: &[&[u8]]) -> Result<(), InvalidPart> {
        check_known(name, value)?;
        self.remove(name);
        self.add(name, value);
        Ok(())
    }

    /// Replaces every field of this name in any case, received or added before, by one.
    ///
    /// # Errors
    /// As [`set`](Self::set) and [`remove_named`](Self::remove_named).
    pub fn set_named(&mut self, name: &[u8], value: &[u8]) -> Result<(), InvalidPart> {
        check(name, value)?;
        self.remove_named(name)?;
        let appended_before = self.has_appended_others;
        self.append_named(name, value)?;
        self.has_appended_others = appended_before;
        Ok(())
    }

    /// Adds a field after those of the same name.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn append(&mut self, name: KnownName, value: &[u8]) -> Result<(), InvalidPart> {
        self.append_parts(name, &[value])
    }

    /// Adds a field whose value is given in parts, which are joined.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn append_parts(&mut self, name: KnownName, value: &[&[u8]]) -> Result<(), InvalidPart> {
        check_known(name, value)?;
        self.add(name, value);
        Ok(())
    }

    #[inline]
    fn add(&mut self, name: KnownName, value: &[&[u8]]) {
        self.added = self.added.with(name);
        write_known_line(&mut self.lines, name, value);
    }

    /// Adds a field after those of the same name.
    ///
    /// # Errors
    /// As [`set`](Self::set); [`InvalidPart::Name`] also if the name is not a token.
    pub fn append_named(&mut self, name: &[u8], value: &[u8]) -> Result<(), InvalidPart> {
        if let Some(known) = KnownName::find(name) {
            return self.append(known, value);
        }
        check(name, value)?;
        if let Some(known) = NameMatch::from_name(name).known() {
            self.added = self.added.with(known);
        }
        self.has_appended_others = true;
        write_line(&mut self.lines, name, value);
        Ok(())
    }

    /// Applies `other` after these edits.
    ///
    /// # Errors
    /// [`InvalidPart::TooMany`]: more than [`EDITED_NAMES_MAX`] names together.
    pub fn append_all(&mut self, other: &Self) -> Result<(), InvalidPart> {
        for name in other.removed_names() {
            self.remove_named(name)?;
        }
        if let Some(other) = &other.others {
            let others = self.others.get_or_insert_default();
            others.numbers.iter_mut().zip(other.numbers).for_each(|(word, other)| *word |= other);
        }
        let removed = other.removed_explicitly;
        if self.added.overlaps(removed) {
            self.drop_added(|added| NameMatch::from_name(added).known().is_some_and(|name| removed.contains(name)));
        }
        self.removed = self.removed.union(removed).except(other.kept);
        self.removed_explicitly = self.removed_explicitly.union(removed);
        self.kept = self.kept.except(removed).union(other.kept);
        self.added = self.added.except(removed).union(other.added);
        self.has_appended_others |= other.has_appended_others;
        self.lines.extend_from_slice(&other.lines);
        Ok(())
    }

    /// Drops the added fields with such a name.
    #[cold]
    fn drop_added(&mut self, is_dropped: impl Fn(&[u8]) -> bool) {
        let remains = |line: &&[u8]| !line.split(|octet| *octet == b':').next().is_some_and(&is_dropped);
        let lines = self.lines.split_inclusive(|octet| *octet == b'\n');
        self.lines = lines.filter(remains).flatten().copied().collect();
    }

    fn is_name_removed(&self, name: &[u8]) -> bool {
        self.removed_names().any(|removed| removed.eq_ignore_ascii_case(name))
    }

    fn removed_names(&self) -> impl Iterator<Item = &[u8]> {
        let names = self.others.as_ref().map_or(&[][..], |others| &others.names);
        names.split(|octet| *octet == b'\n').filter(|name| !name.is_empty())
    }

    /// The received fields that remain, in order: those that [`write_fields`](crate::write_fields) writes.
    pub fn kept<'a>(&self, fields: Fields<'a>) -> impl Iterator<Item = Field<'a>> + use<'a, '_> {
        let bytes = fields.bytes;
        let list = fields.table.list.iter().enumerate();
        list.filter(move |(number, field)| !self.removes(*number, field, bytes))
            .map(move |(_, field)| field.over(bytes))
    }

    /// The added fields, in order.
    pub fn added(&self) -> impl Iterator<Item = Field<'_>> {
        self.lines.split(|octet| *octet == b'\n').filter_map(|line| {
            let colon = memchr::memchr(b':', line)?;
            let name = line.get(..colon)?;
            let value = line.get(colon + 2..)?.strip_suffix(b"\r")?;
            Some(Field { name, value: trim(value), known: KnownName::find(name) })
        })
    }

    /// Whether a received field is not written.
    #[inline]
    pub(crate) fn removes(&self, number: usize, field: &FieldSpans, bytes: &[u8]) -> bool {
        let others = self.others.as_deref();
        if field.is_named_by_connection || others.is_some_and(|others| others.has_number(number)) {
            return true;
        }
        match field.known {
            NameMatch::Exact(known) | NameMatch::Lookalike(known) if self.removed.contains(known) => true,
            NameMatch::Exact(known) if known != KnownName::XForwardedOther => false,
            NameMatch::Exact(_) | NameMatch::Lookalike(_) | NameMatch::Unknown => {
                others.is_some() && self.is_name_removed(field.name(bytes))
            }
        }
    }

    /// The added field lines.
    pub(crate) fn lines(&self) -> &[u8] {
        &self.lines
    }
}

impl OtherRemovals {
    fn has_number(&self, number: usize) -> bool {
        self.numbers.get(number / 64).is_some_and(|word| word & (1 << (number % 64)) != 0)
    }
}

/// Whether a well-known field can be added. Its name is a token.
fn check_known(name: KnownName, value: &[&[u8]]) -> Result<(), InvalidPart> {
    if FRAMING.contains(name) || name == KnownName::XForwardedOther {
        return Err(InvalidPart::Name);
    }
    if value.iter().all(|part| is_field_value(part)) { Ok(()) } else { Err(InvalidPart::Value) }
}

/// Whether a field can be added: its parts are valid, and it is not one that the writer derives.
fn check(name: &[u8], value: &[u8]) -> Result<(), InvalidPart> {
    check_name(name)?;
    if is_field_value(value) { Ok(()) } else { Err(InvalidPart::Value) }
}

fn check_name(name: &[u8]) -> Result<(), InvalidPart> {
    let is_derived = NameMatch::from_name(name).known().is_some_and(|known| FRAMING.contains(known));
    // The text of a prefix is no name; other names that begin with it are.
    if is_derived || !is_token(name) || name.eq_ignore_ascii_case(KnownName::XForwardedOther.as_str().as_bytes()) {
        return Err(InvalidPart::Name);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
