//! The lines of a form, and the error of a malformed one.

use memchr::memmem;

use crate::request::CallError;

/// Returns the line at `at` without its CR LF; `None` if no line ends within `max` bytes.
pub(super) fn line(body: &[u8], at: usize, max: usize) -> Option<&[u8]> {
    let rest = body.get(at..)?;
    let rest = rest.get(..max).unwrap_or(rest);
    rest.get(..memmem::find(rest, b"\r\n")?)
}

/// Returns the error of a form that is malformed at `offset`.
pub(super) const fn broken(offset: usize, reason: &'static str) -> CallError {
    CallError::Multipart { offset, reason }
}
