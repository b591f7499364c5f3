//! Strings and keys, read in pieces.

use std::borrow::Cow;

use memchr::memchr2;
use serde::Deserialize;

use crate::short::Short;

/// Longest key that is compared, escapes unresolved; every key of a path is shorter.
const KEY_BYTES_MAX: usize = 128;

/// A key that is being read.
#[derive(Debug)]
pub(super) struct Key {
    raw: Short<KEY_BYTES_MAX>,
    escapes: bool,
}

impl Key {
    pub(super) const fn new() -> Self {
        Self { raw: Short::new(), escapes: false }
    }

    pub(super) const fn clear(&mut self) {
        self.raw.clear();
        self.escapes = false;
    }

    pub(super) fn add(&mut self, raw: &[u8], escapes: bool) {
        self.escapes |= escapes;
        self.raw.add(raw);
    }

    /// Whether the key equals `name`, however it is escaped.
    pub(super) fn is(&self, name: &str) -> bool {
        match self.raw.get() {
            None => false,
            Some(raw) if !self.escapes => raw == name.as_bytes(),
            Some(raw) => {
                let quoted = [b"\"", raw, b"\""].concat();
                serde_json::from_slice::<String>(&quoted).is_ok_and(|key| key == name)
            }
        }
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
pub(crate) struct Inside<'a> {
    /// The text up to the closing quote, without it; all bytes if the quote is missing.
    pub(crate) text: &'a [u8],
    /// The bytes after the closing quote; `None` if the quote is missing.
    pub(crate) rest: Option<&'a [u8]>,
    /// Whether the text has a backslash.
    pub(crate) escapes: bool,
    /// Whether the text ends in an escape whose next byte has not arrived.
    pub(crate) escaped: bool,
}

/// Looks for the end of a string; with `escaped`, the first byte belongs to an escape.
pub(crate) fn inside(escaped: bool, bytes: &[u8]) -> Inside<'_> {
    let mut from = usize::from(escaped);
    let mut escapes = escaped;
    while let Some(at) = bytes.get(from..).and_then(|rest| memchr2(b'"', b'\\', rest)).map(|next| from + next) {
        if let Some((text, [b'"', rest @ ..])) = bytes.split_at_checked(at) {
            return Inside { text, rest: Some(rest), escapes, escaped: false };
        }
        escapes = true;
        from = at + 2;
    }
    Inside { text: bytes, rest: None, escapes, escaped: from > bytes.len() }
}
