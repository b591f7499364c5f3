//! The values that edits change. A value that no edit names stays a part of the text.

use std::borrow::Cow;

use crate::json_error::JsonError;
use crate::room::Room;
use crate::scan::{Scanner, unescaped};

/// A value of a text that was checked.
#[derive(Debug, Clone)]
pub(crate) enum Value<'a> {
    /// The value as it was received, or as an edit has it.
    Text(&'a str),
    Object(Vec<Member<'a>>),
    List(Vec<Value<'a>>),
}

/// A name with its value.
#[derive(Debug, Clone)]
pub(crate) struct Member<'a> {
    pub(crate) name: Cow<'a, str>,
    /// The name as it was received, with quotes; `None` for a name of an edit.
    written: Option<&'a str>,
    pub(crate) value: Value<'a>,
}

impl<'a> Member<'a> {
    /// Returns a member that an edit adds.
    pub(crate) fn added(name: &'a str, value: Value<'a>) -> Self {
        Self { name: Cow::Borrowed(name), written: None, value }
    }
}

impl<'a> Value<'a> {
    /// Reads one level: an object or a list becomes its values.
    pub(crate) fn open(&mut self, room: &mut Room<'_>) -> Result<(), JsonError> {
        let Value::Text(text) = *self else { return Ok(()) };
        let mut scanner = Scanner::new(text);
        if scanner.take(b'{') {
            *self = Value::Object(members(&mut scanner, room)?);
        } else if scanner.take(b'[') {
            *self = Value::List(elements(&mut scanner, room)?);
        }
        Ok(())
    }

    /// Adds the value to a text.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => out.extend_from_slice(text.as_bytes()),
            Self::Object(members) => {
                out.push(b'{');
                for (nth, Member { name, written, value }) in members.iter().enumerate() {
                    if nth > 0 {
                        out.push(b',');
                    }
                    match written {
                        Some(written) => out.extend_from_slice(written.as_bytes()),
                        None => write_string(out, name),
                    }
                    out.push(b':');
                    value.write(out);
                }
                out.push(b'}');
            }
            Self::List(elements) => {
                out.push(b'[');
                for (nth, element) in elements.iter().enumerate() {
                    if nth > 0 {
                        out.push(b',');
                    }
                    element.write(out);
                }
                out.push(b']');
            }
        }
    }
}

fn members<'a>(scanner: &mut Scanner<'a>, room: &mut Room<'_>) -> Result<Vec<Member<'a>>, JsonError> {
    let mut members = Vec::new();
    scanner.space();
    while !scanner.take(b'}') {
        scanner.take(b',');
        scanner.space();
        let written = scanner.string()?;
        scanner.colon()?;
        let value = Value::Text(scanner.checked_value()?);
        room.take(size_of::<Member<'_>>())?;
        members.push(Member { name: unescaped(written), written: Some(written), value });
        scanner.space();
    }
    Ok(members)
}

fn elements<'a>(scanner: &mut Scanner<'a>, room: &mut Room<'_>) -> Result<Vec<Value<'a>>, JsonError> {
    let mut elements = Vec::new();
    scanner.space();
    while !scanner.take(b']') {
        scanner.take(b',');
        scanner.space();
        room.take(size_of::<Value<'_>>())?;
        elements.push(Value::Text(scanner.checked_value()?));
        scanner.space();
    }
    Ok(elements)
}

/// Adds a string with quotes and escapes.
fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for char in text.chars() {
        match char {
            '"' | '\\' => out.extend(['\\', char].map(|char| u8::try_from(char).unwrap_or(b'?'))),
            '\0'..='\u{1f}' => out.extend_from_slice(format!("\\u{:04x}", u32::from(char)).as_bytes()),
            _ => out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}
