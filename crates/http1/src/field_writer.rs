//! One field line, written into a buffer, with its parts checked.

use thiserror::Error;

use crate::known_name::KnownName;
use crate::octets::{is_field_value, is_token};

/// A part of a head that cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidPart {
    /// A method that is not a token.
    #[error("the method is not a token")]
    Method,
    /// A target that is empty or has an octet that is not visible ASCII.
    #[error("the request target is empty or has an octet that is not visible ASCII")]
    Target,
    /// A status that is not from 100 to 999.
    #[error("the status is not from 100 to 999")]
    Status,
    /// A reason with a control octet.
    #[error("the reason has a control octet")]
    Reason,
    /// A field name that is not a token, or may not be written here.
    #[error("the field name is not a token, or not allowed here")]
    Name,
    /// A field value with a control octet.
    #[error("the field value has a control octet")]
    Value,
    /// Too many names in one set of edits.
    #[error("the edits have too many names")]
    TooMany,
}

/// Writes one field line.
///
/// # Errors
/// [`InvalidPart::Name`] or [`InvalidPart::Value`]; `out` is as before.
pub fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) -> Result<(), InvalidPart> {
    if !is_token(name) {
        return Err(InvalidPart::Name);
    }
    if !is_field_value(value) {
        return Err(InvalidPart::Value);
    }
    write_line(out, name, value);
    Ok(())
}

pub(crate) fn write_line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Writes the line of a well-known field whose value is given in parts.
#[inline]
pub(crate) fn write_known_line(out: &mut Vec<u8>, name: KnownName, value: &[&[u8]]) {
    out.extend_from_slice(name.line_start());
    for part in value {
        out.extend_from_slice(part);
    }
    out.extend_from_slice(b"\r\n");
}

pub(crate) fn write_decimal(out: &mut Vec<u8>, number: u64) {
    let mut digits = [b'0'; 20];
    let mut left = number;
    let mut len = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(left % 10).unwrap_or(0);
        left /= 10;
        len += 1;
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len() - len..).unwrap_or_default());
}
