//! Writes JSON objects whose fields have an order, and which contain JSON that is not read.

use serde::Serialize;

pub(super) use crate::translate::json_list::list;

/// An object that is being written.
#[derive(Debug)]
pub(super) struct ObjectWriter(String);

impl ObjectWriter {
    /// Begins an object without fields.
    pub(super) fn new() -> Self {
        Self("{".to_owned())
    }

    /// Begins an object with a `type`.
    pub(super) fn of(kind: &str) -> Self {
        Self::new().with("type", kind)
    }

    /// Adds a field with this value.
    pub(super) fn with<T: Serialize + ?Sized>(self, key: &str, value: &T) -> Self {
        // Strings, numbers and raw JSON can always be written.
        let json = serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned());
        self.raw(key, &json)
    }

    /// Adds a field whose value is JSON.
    pub(super) fn raw(mut self, key: &str, json: &str) -> Self {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push('"');
        self.0.push_str(key);
        self.0.push_str("\":");
        self.0.push_str(json);
        self
    }

    /// Returns the whole object.
    pub(super) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// Adds an event to a stream.
pub(super) fn put(out: &mut Vec<u8>, name: Option<&str>, json: &str) {
    if let Some(name) = name {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(json.as_bytes());
    out.extend_from_slice(b"\n\n");
}

/// Adds a comment, which clients ignore, to a stream.
pub(super) fn put_comment(streamed: bool, out: &mut Vec<u8>) {
    if streamed {
        out.extend_from_slice(b": keepalive\n\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_order_and_raw_values_their_bytes() {
        let object = ObjectWriter::of("x\"").with("n", &None::<u8>).raw("a", "[1.50, 2]").with("b", &7).end();
        assert_eq!(object, r#"{"type":"x\"","n":null,"a":[1.50, 2],"b":7}"#);
        assert_eq!((ObjectWriter::new().end(), list::<&str>(&[])), ("{}".to_owned(), "[]".to_owned()));
        assert_eq!(list(&["1", "2"]), "[1,2]");
    }
}
