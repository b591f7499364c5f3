//! The form in which paths are compared.

use std::borrow::Cow;

/// Decodes the escapes of letters, digits, `-`, `.`, `_` and `~`: backends read both spellings as one path (RFC 3986,
/// 6.2.2.2), so both need the same route.
#[must_use]
pub fn normalized(path: &str) -> Cow<'_, str> {
    let Some(first) = path.bytes().position(|octet| octet == b'%') else { return Cow::Borrowed(path) };
    let before = path.get(..first).unwrap_or_default();
    let mut written = before.to_owned();
    let mut rest = path.get(before.len()..).unwrap_or_default();
    while let Some(octet) = rest.chars().next() {
        let escape = rest.strip_prefix('%').and_then(|escape| escape.get(..2));
        let decoded = escape.and_then(|escape| u8::from_str_radix(escape, 16).ok()).map(char::from);
        let is_unreserved =
            |decoded: &char| decoded.is_ascii_alphanumeric() || matches!(decoded, '-' | '.' | '_' | '~');
        let (next, len) = decoded.filter(is_unreserved).map_or((octet, octet.len_utf8()), |decoded| (decoded, 3));
        written.push(next);
        rest = rest.get(len..).unwrap_or_default();
    }
    Cow::Owned(written)
}
