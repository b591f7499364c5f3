//! Heads, written into a buffer: lines, and the received fields with [`HeadEdits`] applied.
//!
//! Nothing that is written can end a line early: every part is checked.

use crate::edits::HeadEdits;
use crate::field_writer::{InvalidPart, write_decimal, write_line};
use crate::fields::{Fields, Span};
use crate::framing::{AnnouncedContent, Version};
use crate::octets::{is_field_value, is_token, is_visible};

/// The response that asks a client for the content that it announced (RFC 9110, 15.2.1).
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Writes the request line of an HTTP/1.1 request. The target is given in parts, which are joined.
///
/// # Errors
/// [`InvalidPart::Method`] or [`InvalidPart::Target`]; `out` is as before.
pub fn write_request_line(out: &mut Vec<u8>, method: &[u8], target: &[&[u8]]) -> Result<(), InvalidPart> {
    if !is_token(method) {
        return Err(InvalidPart::Method);
    }
    if target.iter().all(|part| part.is_empty()) || !target.iter().all(|part| is_visible(part)) {
        return Err(InvalidPart::Target);
    }
    out.extend_from_slice(method);
    out.push(b' ');
    for part in target {
        out.extend_from_slice(part);
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
    Ok(())
}

/// Writes the status line of an HTTP/1.1 response, also to an HTTP/1.0 client (RFC 9110, 6.2).
///
/// # Errors
/// [`InvalidPart::Status`] or [`InvalidPart::Reason`]; `out` is as before.
pub fn write_status_line(out: &mut Vec<u8>, status: u16, reason: &[u8]) -> Result<(), InvalidPart> {
    if status == 200 && reason == b"OK" {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        return Ok(());
    }
    if !(100..=999).contains(&status) {
        return Err(InvalidPart::Status);
    }
    if !is_field_value(reason) {
        return Err(InvalidPart::Reason);
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    write_decimal(out, u64::from(status));
    out.push(b' ');
    out.extend_from_slice(reason);
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// Writes the fields of a head that is passed on, the added ones, the framing fields, and the empty line.
///
/// Neighbouring fields that remain are copied together. A line with unusual whitespace is written anew, so that no
/// recipient has to interpret it. The framing fields are always written anew from `announced`: that of the received head
/// if the content passes unchanged.
pub fn write_fields(out: &mut Vec<u8>, fields: Fields<'_>, edits: &HeadEdits, announced: AnnouncedContent) {
    write_edited_fields(out, fields, edits);
    write_framing(out, announced);
}

/// Writes the fields of a head that is passed on, and the added ones. Further fields may follow before the framing fields.
pub fn write_edited_fields(out: &mut Vec<u8>, fields: Fields<'_>, edits: &HeadEdits) {
    let bytes = fields.bytes;
    let mut run: Option<Span> = None;
    for (number, field) in fields.table.list.iter().enumerate() {
        let is_removed = edits.removes(number, field, bytes);
        if !is_removed && field.is_plain {
            run = Some(run.map_or(field.line, |run| Span { start: run.start, end: field.line.end }));
            continue;
        }
        if let Some(run) = run.take() {
            out.extend_from_slice(run.slice(bytes));
        }
        if !is_removed {
            write_line(out, field.name(bytes), field.value.slice(bytes));
        }
    }
    if let Some(run) = run {
        out.extend_from_slice(run.slice(bytes));
    }
    out.extend_from_slice(edits.lines());
}

/// Writes the added fields of a head without received ones. Further fields may follow before the framing fields.
pub fn write_added_fields(out: &mut Vec<u8>, edits: &HeadEdits) {
    out.extend_from_slice(edits.lines());
}

/// Writes the framing fields and the empty line.
pub fn write_framing(out: &mut Vec<u8>, announced: AnnouncedContent) {
    match announced {
        AnnouncedContent::Nothing => {}
        AnnouncedContent::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        AnnouncedContent::Length(bytes) => {
            out.extend_from_slice(b"content-length: ");
            write_decimal(out, bytes);
            out.extend_from_slice(b"\r\n");
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// The `Connection` option that reports to a client of this version whether the connection persists, if it is necessary
/// (RFC 9112, 9.3 and 9.6).
#[must_use]
pub const fn persistence_option(client: Version, persists: bool) -> Option<&'static [u8]> {
    match (client, persists) {
        (Version::Http11, false) => Some(b"close"),
        (Version::Http10, true) => Some(b"keep-alive"),
        (Version::Http11, true) | (Version::Http10, false) => None,
    }
}

#[cfg(test)]
mod tests;
