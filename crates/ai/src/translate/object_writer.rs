//! Writes JSON objects whose fields have an order, and which contain JSON that is not read.
//!
//! The messages of a call are written into the text of the whole call: a copy of each would need several times its memory.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::value::RawValue;

/// An object that is being written.
#[derive(Debug, Clone)]
pub(super) struct ObjectWriter(String);

impl ObjectWriter {
    /// Begins an object without fields.
    pub(super) fn new() -> Self {
        Self("{".to_owned())
    }

    /// Begins an object with a `type`.
    pub(super) fn of_type(name: &str) -> Self {
        Self::new().with("type", name)
    }

    /// Adds a field with this value.
    pub(super) fn with<T: Serialize + ?Sized>(self, name: &str, value: &T) -> Self {
        // Strings, numbers and raw JSON can always be written.
        let json = serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned());
        self.with_raw(name, &json)
    }

    /// Adds a field whose value is JSON.
    pub(super) fn with_raw(mut self, name: &str, json: &str) -> Self {
        self.raw(name, json);
        self
    }

    /// Adds a field whose value is JSON.
    pub(super) fn raw(&mut self, name: &str, json: &str) -> &mut Self {
        self.value(name).push_str(json);
        self
    }

    /// Adds a field with a string.
    pub(super) fn text(&mut self, name: &str, text: &str) -> &mut Self {
        push_quoted(self.value(name), text);
        self
    }

    /// Adds a field with a list, and returns the list.
    pub(super) fn list(&mut self, name: &str) -> ListWriter<'_> {
        ListWriter::new(self.value(name))
    }

    /// Adds a field before all others, whose value is JSON.
    pub(super) fn raw_first(&mut self, name: &str, json: &str) -> &mut Self {
        let Self(text) = self;
        let comma = if text.len() > 1 { "," } else { "" };
        let field = format!("{}:{json}{comma}", quoted(name));
        text.insert_str(1, &field);
        self
    }

    /// Begins a field, and returns the text behind which its value is written.
    fn value(&mut self, name: &str) -> &mut String {
        let Self(text) = self;
        if text.len() > 1 {
            text.push(',');
        }
        push_quoted(text, name);
        text.push(':');
        text
    }

    /// Adds a field with a boolean.
    pub(super) fn flag(&mut self, name: &str, flag: bool) -> &mut Self {
        self.raw(name, if flag { "true" } else { "false" })
    }

    /// Adds a field with a count.
    pub(super) fn count(&mut self, name: &str, count: u64) -> &mut Self {
        self.raw(name, &count.to_string())
    }

    /// Adds a number, if there is one.
    pub(super) fn number(&mut self, name: &str, number: Option<&RawValue>) -> &mut Self {
        match number {
            Some(number) => self.raw(name, number.get()),
            None => self,
        }
    }

    /// Returns the whole object.
    pub(super) fn finish(&mut self) -> String {
        Self(std::mem::take(&mut self.0)).end()
    }

    /// Returns the whole object.
    pub(super) fn end(self) -> String {
        self.0 + "}"
    }
}

/// A list that is being written into a text.
#[derive(Debug)]
pub(super) struct ListWriter<'o> {
    out: &'o mut String,
    is_empty: bool,
}

impl<'o> ListWriter<'o> {
    /// Begins a list at the end of a text.
    pub(super) fn new(out: &'o mut String) -> Self {
        out.push('[');
        Self { out, is_empty: true }
    }

    /// Adds a value that is JSON.
    pub(super) fn push(&mut self, json: &str) {
        self.value().push_str(json);
    }

    /// Adds values that are JSON.
    pub(super) fn extend<T: AsRef<str>>(&mut self, values: impl IntoIterator<Item = T>) {
        values.into_iter().for_each(|value| self.push(value.as_ref()));
    }

    /// Begins a value, and returns the text behind which it is written.
    pub(super) fn value(&mut self) -> &mut String {
        if !self.is_empty {
            self.out.push(',');
        }
        self.is_empty = false;
        self.out
    }

    /// Writes the end of the list.
    pub(super) fn end(self) {
        self.out.push(']');
    }
}

/// Objects with a role and a list of parts, of which two of one role that follow each other become one.
#[derive(Debug)]
pub(super) struct TurnWriter<'o> {
    turns: ListWriter<'o>,
    /// The field with the parts.
    field: &'static str,
    /// The role of the turn that has begun.
    role: Option<&'static str>,
}

impl<'o> TurnWriter<'o> {
    /// Begins the turns in a list; `field` is the one with their parts.
    pub(super) const fn new(turns: ListWriter<'o>, field: &'static str) -> Self {
        Self { turns, field, role: None }
    }

    /// Returns the role of the last turn; `None` without turns.
    pub(super) const fn role(&self) -> Option<&'static str> {
        self.role
    }

    /// Adds a part that is JSON.
    pub(super) fn add(&mut self, role: &'static str, part: &str) {
        if self.role == Some(role) {
            self.turns.out.push(',');
        } else {
            self.end_turn();
            self.role = Some(role);
            let out = self.turns.value();
            // Writing to a string cannot fail.
            let _ = write!(out, "{{\"role\":\"{role}\",\"{}\":[", self.field);
        }
        self.turns.out.push_str(part);
    }

    fn end_turn(&mut self) {
        if self.role.is_some() {
            self.turns.out.push_str("]}");
        }
    }

    /// Writes the end of the last turn and of the list.
    pub(super) fn end(mut self) {
        self.end_turn();
        self.turns.end();
    }
}

/// A list of values that are JSON.
pub(super) fn list<T: AsRef<str>>(values: &[T]) -> String {
    let mut text = "[".to_owned();
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        text.push_str(value.as_ref());
    }
    text.push(']');
    text
}

/// Adds a string as JSON, as [`quoted`] returns it.
pub(super) fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(text.get(plain..at).unwrap_or_default());
        plain = at + 1;
        let letter = match byte {
            b'"' | b'\\' => char::from(byte),
            0x08 => 'b',
            b'\t' => 't',
            b'\n' => 'n',
            0x0c => 'f',
            b'\r' => 'r',
            _ => 'u',
        };
        out.push('\\');
        out.push(letter);
        if letter == 'u' {
            // Writing to a string cannot fail.
            let _ = write!(out, "{byte:04x}");
        }
    }
    out.push_str(text.get(plain..).unwrap_or_default());
    out.push('"');
}

/// A string as JSON.
pub(super) fn quoted(text: &str) -> String {
    // Serializing a string cannot fail.
    serde_json::to_string(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_order_and_raw_values_their_bytes() {
        let object = ObjectWriter::of_type("x\"").with("n", &None::<u8>).with_raw("a", "[1.50, 2]").with("b", &7).end();
        assert_eq!(object, r#"{"type":"x\"","n":null,"a":[1.50, 2],"b":7}"#);
        let mut object = ObjectWriter::new();
        object.text("a\"", "b").flag("c", true).number("d", None).count("e", 1);
        assert_eq!(object.finish(), r#"{"a\"":"b","c":true,"e":1}"#);
        assert_eq!((ObjectWriter::new().end(), list::<&str>(&[])), ("{}".to_owned(), "[]".to_owned()));
        assert_eq!(list(&["1", "2"]), "[1,2]");
    }

    #[test]
    fn lists_and_turns_are_written_into_the_text_of_their_object() {
        let mut object = ObjectWriter::new();
        let mut list = object.list("l");
        list.push("1");
        list.extend(["2", "3"]);
        list.end();
        let mut turns = TurnWriter::new(object.list("t"), "parts");
        assert_eq!(turns.role(), None);
        for (role, part) in [("user", "1"), ("user", "2"), ("model", "3"), ("user", "4")] {
            turns.add(role, part);
        }
        assert_eq!(turns.role(), Some("user"));
        turns.end();
        TurnWriter::new(object.list("n"), "parts").end();
        let turns = r#"[{"role":"user","parts":[1,2]},{"role":"model","parts":[3]},{"role":"user","parts":[4]}]"#;
        assert_eq!(object.raw_first("a", "0").finish(), format!(r#"{{"a":0,"l":[1,2,3],"t":{turns},"n":[]}}"#));
        assert_eq!(ObjectWriter::new().raw_first("a", "0").finish(), r#"{"a":0}"#);
    }

    #[test]
    fn a_string_is_written_as_serde_writes_it() {
        let all: String = (0..0x300).filter_map(char::from_u32).chain("\u{1f600}\"a".chars()).collect();
        for text in ["", "plain", "\u{e9}\\", &all] {
            let mut out = String::new();
            push_quoted(&mut out, text);
            assert_eq!(out, quoted(text));
        }
    }
}
