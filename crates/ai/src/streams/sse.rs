//! Server-sent events, framed in pieces (WHATWG HTML, 9.2.6): lines end in LF, CR LF or CR, an event ends in a blank
//! line.
//!
//! Lines are not buffered: `data` is returned as it arrives, and only the event's name is kept, up to its bound.

use memchr::{memchr2, memchr3};

use crate::short::Short;

/// Length of the longest relevant field name, `event`, after a byte order mark.
const FIELD_BYTES_MAX: usize = 8;
/// Longest event name that is kept, in bytes; a longer name belongs to no event that Tollgate reads.
const NAME_BYTES_MAX: usize = 64;
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The result of reading one part of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// The bytes contain nothing to report.
    None,
    /// A further part of the event's data. A line feed separates two `data` lines.
    Data(&'a [u8]),
    /// The event has ended.
    End,
    /// The line feed after a carriage return that ended the previous event.
    EndTail,
}

/// An event that lies whole in one piece, in the form that providers send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Event<'a> {
    /// The event's name; empty if it has none.
    pub(crate) name: &'a [u8],
    /// The value of its single `data` line.
    pub(crate) data: &'a [u8],
    /// The bytes after its blank line.
    pub(crate) rest: &'a [u8],
}

/// An incremental parser of server-sent events; see the module.
#[derive(Debug)]
pub(crate) struct Framer {
    state: FramerState,
    field: Short<FIELD_BYTES_MAX>,
    name: Short<NAME_BYTES_MAX>,
    data_lines: u64,
    /// Whether the event has a line other than a comment.
    open: bool,
    has_comment: bool,
    first_line: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FramerState {
    /// At the start of a line; the value says how the previous line ended.
    Start(LineEnd),
    /// In a field's name.
    Field,
    /// After the field's colon, before an optional space.
    Space(Field),
    /// In the field's value.
    Value(Field),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineEnd {
    Wholly,
    /// In CR, which a LF may follow.
    Cr,
    /// In CR, which a LF may follow, after a blank line.
    BlankCr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Data,
    Event,
    Comment,
    Other,
}

impl Framer {
    pub(crate) const fn new() -> Self {
        Self {
            state: FramerState::Start(LineEnd::Wholly),
            field: Short::new(),
            name: Short::new(),
            data_lines: 0,
            open: false,
            has_comment: false,
            first_line: true,
        }
    }

    /// Reads `bytes`, which are not empty: returns one piece and the remaining bytes.
    pub(crate) fn next<'a>(&mut self, bytes: &'a [u8]) -> (Piece<'a>, &'a [u8]) {
        match self.state {
            FramerState::Start(ended) => self.start(ended, bytes),
            FramerState::Field => self.field(bytes),
            FramerState::Space(field) => self.space(field, bytes),
            FramerState::Value(field) => self.value(field, bytes),
        }
    }

    /// Reads a whole event at the start of `bytes`; the framer must be [`Self::between`] two events. It accepts an
    /// optional `event` line, one `data` line and a blank line, each ending in LF or CR LF. For any other form it
    /// returns `None` and reads nothing.
    pub(crate) fn whole<'a>(&mut self, bytes: &'a [u8]) -> Option<Event<'a>> {
        let (name, bytes) = match bytes.strip_prefix(b"event:") {
            Some(line) => value(line)?,
            None => (&[][..], bytes),
        };
        let (data, rest) = value(bytes.strip_prefix(b"data:")?)?;
        let rest = behind_line(rest)?;
        self.state = FramerState::Start(LineEnd::Wholly);
        self.first_line = false;
        Some(Event { name, data, rest })
    }

    /// Whether no event is open: after a blank line and any whole comment lines that follow it, and at the start.
    pub(crate) const fn between(&self) -> bool {
        matches!(self.state, FramerState::Start(_)) && !self.open
    }

    /// Returns the event's name so far, empty if it has none; `None` if it is too long.
    pub(crate) fn name(&self) -> Option<&[u8]> {
        self.name.get()
    }

    /// Whether the event so far has data; only events with data are dispatched.
    pub(crate) const fn has_data(&self) -> bool {
        self.data_lines > 0
    }

    /// Whether a comment has arrived since the last event.
    pub(crate) const fn has_comment(&self) -> bool {
        self.has_comment
    }

    /// Resets the event. The caller calls it after each [`Piece::End`], once it has read name and data.
    pub(crate) const fn clear(&mut self) {
        self.name.clear();
        self.data_lines = 0;
        self.open = false;
        self.has_comment = false;
    }

    fn start<'a>(&mut self, ended: LineEnd, bytes: &'a [u8]) -> (Piece<'a>, &'a [u8]) {
        let (piece, next, rest) = match (bytes, ended) {
            ([b'\n', rest @ ..], LineEnd::Cr) => (Piece::None, FramerState::Start(LineEnd::Wholly), rest),
            ([b'\n', rest @ ..], LineEnd::BlankCr) => (Piece::EndTail, FramerState::Start(LineEnd::Wholly), rest),
            ([b'\n', rest @ ..], LineEnd::Wholly) => (Piece::End, FramerState::Start(LineEnd::Wholly), rest),
            ([b'\r', rest @ ..], _) => (Piece::End, FramerState::Start(LineEnd::BlankCr), rest),
            (rest, _) => (Piece::None, FramerState::Field, rest),
        };
        self.state = next;
        self.field.clear();
        (piece, rest)
    }

    fn field<'a>(&mut self, bytes: &'a [u8]) -> (Piece<'a>, &'a [u8]) {
        let Some(at) = memchr3(b':', b'\n', b'\r', bytes) else {
            self.field.add(bytes);
            return (Piece::None, &[]);
        };
        let (consumed, rest) = bytes.split_at(at);
        self.field.add(consumed);
        let field = self.which();
        self.first_line = false;
        match rest {
            [b':', rest @ ..] => {
                self.state = FramerState::Space(field);
                (Piece::None, rest)
            }
            // A line without a colon is a field without a value.
            rest => (self.begin(field), rest),
        }
    }

    fn which(&self) -> Field {
        let field = self.field.get().unwrap_or_default();
        let bare = if self.first_line { field.strip_prefix(BYTE_ORDER_MARK).unwrap_or(field) } else { field };
        match bare {
            b"data" => Field::Data,
            b"event" => Field::Event,
            b"" => Field::Comment,
            _ => Field::Other,
        }
    }

    fn space<'a>(&mut self, field: Field, bytes: &'a [u8]) -> (Piece<'a>, &'a [u8]) {
        (self.begin(field), bytes.strip_prefix(b" ").unwrap_or(bytes))
    }

    /// Starts to read a field's value.
    const fn begin(&mut self, field: Field) -> Piece<'static> {
        self.state = FramerState::Value(field);
        let is_comment = matches!(field, Field::Comment);
        self.open |= !is_comment;
        self.has_comment |= is_comment;
        match field {
            Field::Data => {
                self.data_lines = self.data_lines.saturating_add(1);
                if self.data_lines > 1 { Piece::Data(b"\n") } else { Piece::None }
            }
            Field::Event => {
                self.name.clear();
                Piece::None
            }
            Field::Comment | Field::Other => Piece::None,
        }
    }

    fn value<'a>(&mut self, field: Field, bytes: &'a [u8]) -> (Piece<'a>, &'a [u8]) {
        let (consumed, rest) = bytes.split_at(memchr2(b'\n', b'\r', bytes).unwrap_or(bytes.len()));
        let rest = match rest {
            [] => rest,
            [end, rest @ ..] => {
                self.state = FramerState::Start(if *end == b'\r' { LineEnd::Cr } else { LineEnd::Wholly });
                rest
            }
        };
        match field {
            Field::Data => (Piece::Data(consumed), rest),
            Field::Event => {
                self.name.add(consumed);
                (Piece::None, rest)
            }
            Field::Comment | Field::Other => (Piece::None, rest),
        }
    }
}

/// Returns a field's value, after its colon, if the line ends in LF or CR LF, and the bytes after the line.
fn value(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (line, rest) = bytes.split_at_checked(memchr2(b'\n', b'\r', bytes)?)?;
    Some((line.strip_prefix(b" ").unwrap_or(line), behind_line(rest)?))
}

/// Returns the bytes after a line's end.
fn behind_line(bytes: &[u8]) -> Option<&[u8]> {
    bytes.strip_prefix(b"\n").or_else(|| bytes.strip_prefix(b"\r\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns events as `name|data`, framed from pieces of `size` bytes.
    fn framed(stream: &[u8], size: usize) -> Vec<String> {
        let mut framer = Framer::new();
        let mut events = Vec::new();
        let mut data = Vec::new();
        for mut bytes in stream.chunks(size) {
            while !bytes.is_empty() {
                let (piece, rest) = framer.next(bytes);
                bytes = rest;
                match piece {
                    Piece::Data(more) => data.extend_from_slice(more),
                    Piece::End if framer.has_data() => {
                        let name = String::from_utf8_lossy(framer.name().unwrap_or(b"(long)")).into_owned();
                        events.push(format!("{name}|{}", String::from_utf8_lossy(&data)));
                        data.clear();
                        framer.clear();
                    }
                    Piece::End => framer.clear(),
                    Piece::None | Piece::EndTail => {}
                }
            }
        }
        events
    }

    fn check(stream: &str, events: &[&str]) {
        for size in 1..=stream.len() {
            assert_eq!(framed(stream.as_bytes(), size), events, "{stream:?} in pieces of {size}");
        }
    }

    #[test]
    fn lines_end_in_lf_cr_lf_or_cr() {
        for end in ["\n", "\r\n", "\r"] {
            check(&"event: a\ndata: 1\n\ndata: 2\n\n".replace('\n', end), &["a|1", "|2"]);
        }
        check("data: 1\r\n\ndata: 2\n\r\ndata: 3\r\r", &["|1", "|2", "|3"]);
    }

    #[test]
    fn data_lines_are_joined_and_one_space_is_dropped() {
        check("data: 1\ndata:  2\ndata:3\ndata\ndata:\n\n", &["|1\n 2\n3\n\n"]);
    }

    #[test]
    fn comments_other_fields_and_events_without_data_are_passed_over() {
        check(": keepalive\n\n:\n\nid: 1\nretry: 5\ndata2: x\ndat: y\nevent: none\n\ndata: 1\n: in\n\n", &["|1"]);
    }

    #[test]
    fn the_last_name_counts_and_a_long_one_is_no_name() {
        check("event: a\nevent: b\ndata: 1\n\n", &["b|1"]);
        check(&format!("event: {}\ndata: 1\n\n", "x".repeat(65)), &["(long)|1"]);
    }

    #[test]
    fn a_byte_order_mark_is_dropped_at_the_start_only() {
        check("\u{feff}data: 1\n\n\u{feff}data: 2\n\n", &["|1"]);
    }

    /// Returns the offsets at which the framer is between two events.
    fn between(stream: &str) -> Vec<usize> {
        let mut framer = Framer::new();
        let mut bytes = stream.as_bytes();
        let mut at = Vec::new();
        while !bytes.is_empty() {
            let (piece, rest) = framer.next(bytes);
            if piece == Piece::End {
                framer.clear();
            }
            if framer.between() && rest.len() < bytes.len() {
                at.push(stream.len() - rest.len());
            }
            bytes = rest;
        }
        at
    }

    #[test]
    fn between_two_events_are_blank_lines_and_comments() {
        assert_eq!(between("data: 1\n\n\nid: 2\n: c\n\n: c\n:\ndata"), [9, 10, 21, 25, 27]);
        assert_eq!(between("\u{feff}: c\r\n\r\ndata:1\r\r\n"), [7, 8, 9, 10, 18, 19]);
    }

    #[test]
    fn a_whole_event_is_read_as_it_is_line_by_line() {
        for (stream, name, data) in [
            ("data: 1\n\n", "", "1"),
            ("event: a\ndata: 1\n\n", "a", "1"),
            ("event: \ndata:  1: 2\n\n", "", " 1: 2"),
            ("event: a\r\ndata: 1\r\n\r\n", "a", "1"),
            ("data: 1\r\n\n", "", "1"),
            ("data: 1\n\r\n", "", "1"),
        ] {
            let mut framer = Framer::new();
            let event = framer.whole(stream.as_bytes()).unwrap();
            assert_eq!(event, Event { name: name.as_bytes(), data: data.as_bytes(), rest: b"" });
            assert!(framer.between() && !framer.has_data());
            check(stream, &[&format!("{name}|{data}")]);
        }
    }

    #[test]
    fn incomplete_events_are_not_changed() {
        for stream in [
            "",
            "data: 1",
            "data: 1\n",
            "data: 1\ndata: 2\n\n",
            "data: 1\r\n\r",
            "data: 1\r\r\n",
            "data: 1\r\r",
            "data: 1\n\r",
            "event: a\n\n",
            "event: a\revent: b\ndata: 1\n\n",
            "event: a\ndata: 1\nid: 1\n\n",
            ": c\ndata: 1\n\n",
            "\u{feff}data: 1\n\n",
        ] {
            let mut framer = Framer::new();
            assert_eq!(framer.whole(stream.as_bytes()), None, "{stream:?}");
            assert_eq!((framer.state, framer.first_line), (FramerState::Start(LineEnd::Wholly), true));
        }
    }
}
