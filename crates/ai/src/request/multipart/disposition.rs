//! Reads the head of a part, which names its field.

use std::ops::Range;

use super::lines::{broken, line};
use crate::request::CallError;

/// Reads the head at `at`: returns the position of the field's name and the offset of the content.
pub(super) fn read(body: &[u8], at: usize, bytes_max: usize) -> Result<(Range<usize>, usize), CallError> {
    let mut name = None;
    let mut from = at;
    loop {
        let left = bytes_max.saturating_sub(from - at);
        let line =
            line(body, from, left).ok_or_else(|| broken(from, "the head of a part does not end, or is too long"))?;
        let next = from + line.len() + 2;
        if line.is_empty() {
            let name = name.ok_or_else(|| broken(at, "a part has no `content-disposition`"))?;
            return Ok((name, next));
        }
        let (header, value) = header(line).ok_or_else(|| broken(from, "a line of a part's head is not a header"))?;
        if header.eq_ignore_ascii_case(b"content-disposition") {
            let field = field(value).ok_or_else(|| broken(from, "a `content-disposition` does not name one field"))?;
            // The name is a part of the line, which is a part of the body.
            let start = from + (field.as_ptr().addr() - line.as_ptr().addr());
            if name.replace(start..start + field.len()).is_some() {
                return Err(broken(from, "a part has two `content-disposition` headers"));
            }
        }
        let plain = |value: &[u8]| [&b"7bit"[..], b"8bit", b"binary"].iter().any(|it| value.eq_ignore_ascii_case(it));
        if header.eq_ignore_ascii_case(b"content-transfer-encoding") && !plain(value) {
            return Err(broken(from, "a part has an unsupported `content-transfer-encoding`"));
        }
        from = next;
    }
}

/// Splits a header into name and value; `None` for a folded line, or one with a control character other than a tab.
fn header(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, value) = line.split_at_checked(memchr::memchr(b':', line)?)?;
    let is_text = |byte: &u8| !byte.is_ascii_control() || *byte == b'\t';
    let fits = !name.is_empty() && name.iter().copied().all(is_token) && value.iter().all(is_text);
    fits.then(|| (name, value.get(1..).unwrap_or_default().trim_ascii()))
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Returns the single `name` parameter of a `form-data` header.
fn field(value: &[u8]) -> Option<&[u8]> {
    let (kind, mut rest) = value.split_at(memchr::memchr(b';', value).unwrap_or(value.len()));
    if !kind.trim_ascii().eq_ignore_ascii_case(b"form-data") {
        return None;
    }
    let mut found = None;
    while !rest.is_empty() {
        let parameter = rest.strip_prefix(b";")?.trim_ascii_start();
        if parameter.is_empty() {
            break;
        }
        let (name, value) = parameter.split_at_checked(memchr::memchr(b'=', parameter)?)?;
        let (value, after) = text(value.get(1..)?.trim_ascii_start())?;
        let name = name.trim_ascii();
        // A reader that splits `;;name=x` at its semicolons finds a name where this one does not.
        if name.is_empty() || !name.iter().copied().all(is_token) {
            return None;
        }
        // RFC 7578, 4.2, forbids the extended forms (`name*`, `name*0`); a reader that accepts them finds another name.
        let is_name = name.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"name"));
        if is_name && name.get(4) == Some(&b'*') {
            return None;
        }
        // Some readers drop a backslash, and then find another name.
        if is_name && name.len() == 4 && (value.contains(&b'\\') || found.replace(value).is_some()) {
            return None;
        }
        rest = after.trim_ascii_start();
    }
    found
}

/// Returns a parameter's value, quoted or not, and the remaining text. A quote after a backslash ends the value for
/// some readers and not for others, so it is refused.
fn text(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let Some(quoted) = value.strip_prefix(b"\"") else {
        let (text, rest) = value.split_at(memchr::memchr(b';', value).unwrap_or(value.len()));
        let text = text.trim_ascii_end();
        let is_plain = text.iter().all(|byte| is_token(*byte) || !byte.is_ascii());
        return is_plain.then_some((text, rest));
    };
    let (text, rest) = quoted.split_at_checked(memchr::memchr(b'"', quoted)?)?;
    (text.last() != Some(&b'\\')).then_some((text, rest.get(1..)?))
}
