//! Log lines as flat JSON objects, in the form of `tracing_subscriber`'s JSON format.
//!
//! That format passes each fragment of a line through UTF-8 validation and two writers. These lines are built in one
//! string per thread, at a third of the instructions (`benches/lines.rs`).

mod timestamp;

use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::io::Write as _;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::Context;

/// Bytes that a thread keeps for its next line.
const KEPT_BYTES_MAX: usize = 16 << 10;

thread_local! {
    static LINE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Writes each event as one line to `W`. Spans are not written.
#[derive(Debug)]
pub(super) struct JsonLines<W>(pub(super) W);

impl<W, S> Layer<S> for JsonLines<W>
where
    W: for<'a> MakeWriter<'a> + 'static,
    S: Subscriber,
{
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let reuse = |line: &RefCell<String>| match line.try_borrow_mut() {
            Ok(mut line) => {
                self.write(event, &mut line);
                true
            }
            Err(_) => false,
        };
        // The string is in use if a value logs while it is formatted, and gone at the end of its thread.
        if !LINE.try_with(reuse).unwrap_or(false) {
            self.write(event, &mut String::new());
        }
    }
}

impl<W: for<'a> MakeWriter<'a>> JsonLines<W> {
    fn write(&self, event: &Event<'_>, line: &mut String) {
        line.clear();
        push_event(line, event);
        // The writer counts the lines that it drops.
        let _ = self.0.make_writer_for(event.metadata()).write_all(line.as_bytes());
        line.shrink_to(KEPT_BYTES_MAX);
    }
}

fn push_event(line: &mut String, event: &Event<'_>) {
    // Level and target of an event of the crate `log` are among its fields.
    let normalized = event.normalized_metadata();
    let metadata = normalized.as_ref().unwrap_or_else(|| event.metadata());
    line.push_str("{\"timestamp\":\"");
    timestamp::push_now(line);
    line.push_str("\",\"level\":\"");
    line.push_str(metadata.level().as_str());
    line.push('"');
    event.record(&mut Fields(line));
    line.push_str(",\"target\":");
    push_string(line, metadata.target());
    line.push_str("}\n");
}

/// Appends the fields of an event, each after a comma.
struct Fields<'a>(&'a mut String);

impl Fields<'_> {
    fn name(&mut self, field: &Field) {
        self.0.push(',');
        push_string(self.0, field.name());
        self.0.push(':');
    }

    /// Appends a value whose display is JSON.
    fn literal(&mut self, field: &Field, value: impl fmt::Display) {
        self.name(field);
        let _ = write!(self.0, "{value}");
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        // A value that JSON has no number for is `null`.
        self.literal(field, serde_json::to_string(&value).unwrap_or_default());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.literal(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.literal(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.literal(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.name(field);
        push_string(self.0, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.name(field);
        self.0.push('"');
        // A value that fails ends where it failed.
        let _ = write!(Escaped(self.0), "{value:?}");
        self.0.push('"');
    }
}

/// The inside of a JSON string.
struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        push_escaped(self.0, text);
        Ok(())
    }
}

fn push_string(line: &mut String, text: &str) {
    line.push('"');
    push_escaped(line, text);
    line.push('"');
}

fn push_escaped(line: &mut String, text: &str) {
    // Without an early end, several bytes are compared at once.
    if !text.bytes().fold(false, |found, byte| found | is_special(byte)) {
        line.push_str(text);
        return;
    }
    for part in text.split_inclusive(|char| u8::try_from(char).is_ok_and(is_special)) {
        let mut rest = part.chars();
        match rest.next_back().filter(|last| u8::try_from(*last).is_ok_and(is_special)) {
            Some(last) => {
                line.push_str(rest.as_str());
                push_special(line, last);
            }
            None => line.push_str(part),
        }
    }
}

const fn is_special(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

fn push_special(line: &mut String, char: char) {
    match char {
        '"' => line.push_str("\\\""),
        '\\' => line.push_str("\\\\"),
        '\u{8}' => line.push_str("\\b"),
        '\t' => line.push_str("\\t"),
        '\n' => line.push_str("\\n"),
        '\u{c}' => line.push_str("\\f"),
        '\r' => line.push_str("\\r"),
        control => {
            let _ = write!(line, "\\u{:04x}", u32::from(control));
        }
    }
}

#[cfg(test)]
mod tests;
