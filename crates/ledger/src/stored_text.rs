//! The part of an external text that fits into a column.

pub(crate) mod refused_limits;
pub(crate) mod windows;

/// Maximum number of bytes of a name; clients also choose the length.
const NAME_BYTES_MAX: usize = 200;

/// Returns the part of an external text that is stored: at most 200 bytes, and nothing from a NUL on, which
/// PostgreSQL's text cannot represent.
pub(crate) fn clip(text: &str) -> &str {
    let text = if has_nul(text) { text.split('\0').next().unwrap_or_default() } else { text };
    text.get(..text.floor_char_boundary(NAME_BYTES_MAX)).unwrap_or_default()
}

/// Returns whether a text contains a NUL. A loop without an early end is vectorized, and external texts are short.
pub(crate) fn has_nul(text: &str) -> bool {
    text.bytes().fold(false, |found, byte| found | (byte == 0))
}
