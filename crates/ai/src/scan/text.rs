//! Strings and keys, read in pieces.

use std::borrow::Cow;

use memchr::memchr2;
use serde::Deserialize;

use crate::short::Short;

/// Longest key that is compared, escapes unresolved; every key of a path is shorter.
const KEY_BYTES_MAX: usize = 128;

/// The number of bytes of a string that are compared one by one.
const NEAR_BYTES: usize = 16;

/// A key that arrives in pieces.
#[derive(Debug)]
pub(super) struct Key {
    raw: Short<KEY_BYTES_MAX>,
    has_escapes: bool,
}

impl Key {
    pub(super) const fn new() -> Self {
        Self { raw: Short::new(), has_escapes: false }
    }

    pub(super) const fn clear(&mut self) {
        self.raw.clear();
        self.has_escapes = false;
    }

    pub(super) fn add(&mut self, raw: &[u8], has_escapes: bool) {
        self.has_escapes |= has_escapes;
        self.raw.add(raw);
    }

    /// Returns the text so far; `None` if it is longer than any key of a path.
    pub(super) fn text(&self) -> Option<KeyText<'_>> {
        self.raw.get().map(|raw| KeyText::new(raw, self.has_escapes))
    }
}

/// The text of a key as it is written.
#[derive(Debug)]
pub(super) struct KeyText<'a> {
    raw: &'a [u8],
    has_escapes: bool,
}

impl<'a> KeyText<'a> {
    pub(super) const fn new(raw: &'a [u8], has_escapes: bool) -> Self {
        Self { raw, has_escapes }
    }

    /// Whether the key equals `name`, however it is escaped.
    #[inline]
    pub(super) fn is(&self, name: &str) -> bool {
        if self.has_escapes { self.is_when_unescaped(name) } else { self.raw == name.as_bytes() }
    }

    #[cold]
    fn is_when_unescaped(&self, name: &str) -> bool {
        let quoted = || [b"\"", self.raw, b"\""].concat();
        self.raw.len() <= KEY_BYTES_MAX && serde_json::from_slice::<String>(&quoted()).is_ok_and(|key| key == name)
    }
}

/// The text of a string, copied only if it has escapes.
#[derive(Deserialize)]
pub(crate) struct BorrowedText<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

/// Returns the text of a string as it is written, without its quotes; `None` for any other value.
pub(crate) fn unquoted(json: &[u8]) -> Option<&[u8]> {
    json.strip_prefix(b"\"")?.strip_suffix(b"\"")
}

/// A part of the inside of a string.
#[derive(Debug)]
pub(crate) struct StringInside<'a> {
    /// The text up to the closing quote, without it; all bytes if the quote is missing.
    pub(crate) text: &'a [u8],
    /// The bytes after the closing quote; `None` if the quote is missing.
    pub(crate) rest: Option<&'a [u8]>,
    /// Whether the text has a backslash.
    pub(crate) escapes: bool,
    /// Whether the text ends in an escape whose next byte has not arrived.
    pub(crate) escaped: bool,
}

/// Returns the position of the first quote or backslash. Most keys and values are short: a few comparisons cost less than a call.
fn quote_or_backslash(bytes: &[u8]) -> Option<usize> {
    let (near, far) = bytes.split_at(bytes.len().min(NEAR_BYTES));
    let is_either = |byte: &u8| matches!(byte, b'"' | b'\\');
    near.iter().position(is_either).or_else(|| memchr2(b'"', b'\\', far).map(|at| near.len() + at))
}

/// Looks for the end of a string; with `escaped`, the first byte belongs to an escape.
pub(crate) fn inside(escaped: bool, bytes: &[u8]) -> StringInside<'_> {
    let mut from = usize::from(escaped);
    let mut escapes = escaped;
    while let Some(at) = bytes.get(from..).and_then(quote_or_backslash).map(|next| from + next) {
        if let Some((text, [b'"', rest @ ..])) = bytes.split_at_checked(at) {
            return StringInside { text, rest: Some(rest), escapes, escaped: false };
        }
        escapes = true;
        from = at + 2;
    }
    StringInside { text: bytes, rest: None, escapes, escaped: from > bytes.len() }
}
