//! Writes JSON objects whose fields have an order, and which contain JSON that is not read.

use serde::Serialize;
use serde_json::value::RawValue;

/// An object that is being written.
#[derive(Debug)]
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
        let Self(text) = self;
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(&quoted(name));
        text.push(':');
        text.push_str(json);
        self
    }

    /// Adds a field with a string.
    pub(super) fn text(&mut self, name: &str, text: &str) -> &mut Self {
        self.raw(name, &quoted(text))
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
}
