//! JSON documents with a line for each part, such as an operation or a setting: short files whose differences are readable.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// Writes a document whose values up to `depth` are on lines of their own; each deeper value is on the line of its part.
///
/// # Errors
/// The value has no form in JSON.
pub fn json_lines(document: &impl Serialize, depth: usize) -> serde_json::Result<String> {
    let mut text = Vec::new();
    let lines = Lines { depth, level: 0, is_empty: true };
    document.serialize(&mut Serializer::with_formatter(&mut text, lines))?;
    text.push(b'\n');
    Ok(String::from_utf8_lossy(&text).into_owned())
}

struct Lines {
    depth: usize,
    /// The number of open objects and arrays.
    level: usize,
    is_empty: bool,
}

impl Lines {
    fn open<W: ?Sized + Write>(&mut self, writer: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.level += 1;
        self.is_empty = true;
        writer.write_all(bracket)
    }

    fn close<W: ?Sized + Write>(&mut self, writer: &mut W, bracket: &[u8]) -> io::Result<()> {
        let has_lines = self.level <= self.depth && !self.is_empty;
        self.level -= 1;
        self.is_empty = false;
        if has_lines {
            self.line(writer)?;
        }
        writer.write_all(bracket)
    }

    fn item<W: ?Sized + Write>(&self, writer: &mut W, is_first: bool) -> io::Result<()> {
        let has_line = self.level <= self.depth;
        writer.write_all(match (is_first, has_line) {
            (true, _) => b"",
            (false, true) => b",",
            (false, false) => b", ",
        })?;
        if has_line { self.line(writer) } else { Ok(()) }
    }

    fn line<W: ?Sized + Write>(&self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b"\n")?;
        (0..self.level).try_for_each(|_| writer.write_all(b"  "))
    }
}

impl Formatter for Lines {
    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.open(writer, b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.close(writer, b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.item(writer, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.is_empty = false;
        Ok(())
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.open(writer, b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.close(writer, b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.item(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.is_empty = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn deeper_values_share_the_line_of_their_part() {
        let document = json!({"a": {"b": {"c": [1, 2], "d": {}}, "e": []}, "f": "x\ny", "g": {}});
        let text = json_lines(&document, 2).unwrap();
        let lines = [
            "{",
            "  \"a\": {",
            "    \"b\": {\"c\": [1, 2], \"d\": {}},",
            "    \"e\": []",
            "  },",
            "  \"f\": \"x\\ny\",",
            "  \"g\": {}",
            "}",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), lines);
        for depth in 0..5 {
            let read: serde_json::Value = serde_json::from_str(&json_lines(&document, depth).unwrap()).unwrap();
            assert_eq!(read, document, "{depth}");
        }
    }
}
