//! Rows of raw usage: each has the usage objects of several requests, as providers reported them.
//!
//! The objects of a provider differ by their numbers only, mostly. Such an object is stored as its numbers and the place of
//! an earlier entry of the row: the texts would be a third of all that ingest writes.

use std::borrow::Cow;
use std::fmt::Write as _;

use uuid::Uuid;

use crate::ingest::aggregation::CountedEvent;
use crate::stored_text::has_nul;

/// Maximum size of the text of a row with several requests. PostgreSQL stores longer texts in another table.
const ROW_BYTES_MAX: usize = 1_900;
/// Maximum time between the first and the last request of a row, because retention deletes a row as one.
const ROW_MILLIS_MAX: u128 = 60_000;
/// Maximum number of remembered shapes. Each provider and kind of call has one or a few.
const SHAPES_MAX: usize = 16;

/// A row of `usage_raw`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RawUsageRow {
    /// Id of the row's first event, so that the row is as old as its requests.
    pub(crate) id: Uuid,
    /// JSON list with one entry per attempt: `{"event": "…", "attempt": 1, "usage": …}`, or `["…", 1, 0, 812, 154]` if the
    /// usage has the text of that of entry 0 of the list, except that its integers are 812 and 154.
    pub(crate) raw: String,
}

/// Returns the raw usage of events, which are in the order of their ids. All attempts of an event are in one row.
pub(crate) fn rows(events: &[CountedEvent<'_>]) -> Vec<RawUsageRow> {
    let mut rows: Vec<RawUsageRow> = Vec::new();
    let mut list = EntryList::default();
    let mut added = String::with_capacity(ROW_BYTES_MAX);
    for counted in events {
        let event = counted.event;
        let objects = || (1..).zip(&event.attempts).filter_map(|(no, of)| Some((no, of.raw_usage.as_deref()?)));
        if objects().next().is_none() {
            continue;
        }
        let id = event.id.0;
        added.clear();
        list.put(&mut added, id, objects());
        let fits = |row: &&mut RawUsageRow| {
            row.raw.len() + added.len() <= ROW_BYTES_MAX
                && unix_millis(id).saturating_sub(unix_millis(row.id)) <= ROW_MILLIS_MAX
        };
        match rows.last_mut().filter(fits) {
            Some(row) => {
                row.raw.pop();
                row.raw.push(',');
                row.raw.push_str(&added);
                row.raw.push(']');
            }
            None => {
                list.begin();
                added.clear();
                list.put(&mut added, id, objects());
                let mut raw = String::with_capacity((added.len() + "[]".len()).max(ROW_BYTES_MAX));
                raw.push('[');
                raw.push_str(&added);
                raw.push(']');
                rows.push(RawUsageRow { id, raw });
            }
        }
    }
    rows
}

/// The shapes of the entries of a row.
#[derive(Debug, Default)]
struct EntryList<'a> {
    /// The number of entries.
    entries: u32,
    shapes: Vec<Shape<'a>>,
    /// The integers of an object, each after a comma; kept for its memory.
    integers: String,
}

impl<'a> EntryList<'a> {
    /// Begins another row, in which no entry precedes.
    fn begin(&mut self) {
        self.entries = 0;
        self.shapes.iter_mut().for_each(|shape| shape.entry = None);
    }

    /// Adds the entries of an event, separated by commas.
    fn put(&mut self, list: &mut String, event: Uuid, objects: impl Iterator<Item = (u32, &'a str)>) {
        let mut buffer = Uuid::encode_buffer();
        let event = event.as_hyphenated().encode_lower(&mut buffer);
        for (no, usage) in objects {
            list.push_str(if list.is_empty() { "" } else { "," });
            match self.alike(usage) {
                Some(entry) => {
                    list.push_str("[\"");
                    list.push_str(event);
                    list.push_str("\",");
                    push_number(list, no);
                    list.push(',');
                    push_number(list, entry);
                    list.push_str(&self.integers);
                    list.push(']');
                }
                None => {
                    list.push_str("{\"event\":\"");
                    list.push_str(event);
                    list.push_str("\",\"attempt\":");
                    push_number(list, no);
                    list.push_str(",\"usage\":");
                    list.push_str(&without_nul(usage));
                    list.push('}');
                }
            }
            self.entries += 1;
        }
    }

    /// Returns the place of an entry with a usage object of the same shape, and collects the integers of this one.
    /// Otherwise, the next entry is the one for its shape.
    fn alike(&mut self, usage: &'a str) -> Option<u32> {
        let integers = &mut self.integers;
        if let Some(shape) = self.shapes.iter_mut().find(|shape| shape.has(usage, integers)) {
            let known = shape.entry;
            shape.entry.get_or_insert(self.entries);
            return known;
        }
        if self.shapes.len() < SHAPES_MAX && !has_nul(usage) {
            self.shapes.push(Shape { entry: Some(self.entries), ..Shape::from_usage(usage) });
        }
        None
    }
}

/// A usage object without its integers.
#[derive(Debug)]
struct Shape<'a> {
    /// The texts before, between and after the integers.
    texts: Vec<&'a str>,
    /// The place of an entry of the row with an object of the shape.
    entry: Option<u32>,
}

impl<'a> Shape<'a> {
    fn from_usage(usage: &'a str) -> Self {
        let mut texts = Vec::new();
        let mut text = usage;
        let mut at = 0;
        let mut in_string = false;
        while let Some((byte, rest)) = text.get(at..).and_then(|rest| Some((rest.bytes().next()?, rest))) {
            at += match byte {
                b'0'..=b'9' | b'-' if !in_string => {
                    // A fraction or an exponent belongs to the texts.
                    let is_part = |byte: u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
                    let number_bytes = rest.bytes().take_while(|byte| is_part(*byte)).count();
                    let integer = leading_integer(rest);
                    if let Some((_, later)) = integer.filter(|(integer, _)| integer.len() == number_bytes) {
                        texts.extend(text.get(..at));
                        (text, at) = (later, 0);
                        continue;
                    }
                    number_bytes
                }
                b'\\' if in_string => "\\\"".len(),
                b'"' => {
                    in_string = !in_string;
                    1
                }
                _ => rest.chars().next().map_or(1, char::len_utf8),
            };
        }
        texts.push(text);
        Self { texts, entry: None }
    }

    /// Returns whether `usage` has the shape, and replaces `integers` by its integers.
    fn has(&self, usage: &str, integers: &mut String) -> bool {
        let Some((first, others)) = self.texts.split_first() else { return false };
        let Some(mut rest) = usage.strip_prefix(first) else { return false };
        integers.clear();
        for text in others {
            let Some((integer, later)) = leading_integer(rest) else { return false };
            let Some(later) = later.strip_prefix(text) else { return false };
            integers.push(',');
            integers.push_str(integer);
            rest = later;
        }
        rest.is_empty()
    }
}

/// Divides a text after the integer at its begin; `None` without an integer that JSON permits.
fn leading_integer(text: &str) -> Option<(&str, &str)> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let count = digits.bytes().take_while(u8::is_ascii_digit).count();
    if count == 0 || (count > 1 && digits.starts_with('0')) {
        return None;
    }
    text.split_at_checked(text.len() - digits.len() + count)
}

fn push_number(list: &mut String, number: impl Into<u64>) {
    let number: u64 = number.into();
    match u32::try_from(number).ok().and_then(|number| char::from_digit(number, 10)) {
        Some(digit) => list.push(digit),
        // Writing to a string cannot fail.
        None => _ = write!(list, "{number}"),
    }
}

/// Returns the time in a UUIDv7 (RFC 9562, 5.7).
const fn unix_millis(id: Uuid) -> u128 {
    id.as_u128() >> 80
}

/// Returns a text as PostgreSQL can store it.
fn without_nul(text: &str) -> Cow<'_, str> {
    if has_nul(text) { Cow::Owned(text.replace('\0', "")) } else { Cow::Borrowed(text) }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use access::{Clock, Ids, RequestId, Timestamp};
    use meter::{Attempt, UsageEvent};
    use serde_json::Value;
    use serde_json::value::RawValue;

    use super::*;
    use crate::ingest::names::{BatchNames, Names};
    use crate::{fixture, usage_fixture};

    const NOW: Timestamp = Timestamp(1_800_000_000_000_000);

    /// Returns an event that began `millis` after [`NOW`], with an attempt per usage object.
    fn event(millis: u64, usages: &[Option<&str>]) -> UsageEvent {
        let at = Timestamp(NOW.0 + millis * 1_000);
        let id = RequestId(Ids::new(Clock::manual(at)).next_uuid());
        let attempt = |usage: &Option<&str>| Attempt { raw_usage: usage.map(Arc::from), ..usage_fixture::attempt(1) };
        UsageEvent { attempts: usages.iter().map(attempt).collect(), ..fixture::event(id, None, at) }
    }

    /// Checks that the rows of events have each object once, and returns the number of events in each row.
    fn check(events: &[UsageEvent]) -> Vec<usize> {
        let names = Names::default();
        let mut names = BatchNames::new(&names);
        let counted: Vec<_> = events.iter().map(|event| CountedEvent::new(event, &mut names)).collect();
        let mut expected = HashMap::new();
        for event in events {
            for (no, attempt) in (1_u64..).zip(&event.attempts) {
                let usage = attempt.raw_usage.as_deref().map(|usage| usage.replace('\0', ""));
                expected.extend(usage.map(|usage| ((event.id.0.to_string(), no), usage)));
            }
        }
        let mut sizes = Vec::new();
        for row in rows(&counted) {
            let entries = read(&row.raw);
            assert_eq!(entries[0].0, row.id.to_string());
            assert!(row.raw.len() <= ROW_BYTES_MAX || entries.iter().all(|one| one.0 == entries[0].0));
            sizes.push(entries.len());
            for (event, attempt, usage) in entries {
                assert_eq!(expected.remove(&(event, attempt)), Some(usage));
            }
        }
        assert_eq!(expected, HashMap::new());
        sizes
    }

    /// Reads the entries of a row: event, attempt and usage, as text.
    fn read(raw: &str) -> Vec<(String, u64, String)> {
        let entries: Vec<Box<RawValue>> = serde_json::from_str(raw).unwrap();
        let mut usages: Vec<String> = Vec::new();
        let read = entries.into_iter().map(|entry| {
            let of: Value = serde_json::from_str(entry.get()).unwrap();
            let (event, attempt, usage) = if let Value::Array(like) = of {
                let usage = &usages[usize::try_from(like[2].as_u64().unwrap()).unwrap()];
                (like[0].clone(), like[1].clone(), with_integers(usage, &like[3..]))
            } else {
                let (_, usage) = entry.get().split_once("\"usage\":").unwrap();
                (of["event"].clone(), of["attempt"].clone(), usage.strip_suffix('}').unwrap().to_owned())
            };
            usages.push(usage.clone());
            (event.as_str().unwrap().to_owned(), attempt.as_u64().unwrap(), usage)
        });
        read.collect()
    }

    /// Replaces the integers of a text outside its strings.
    fn with_integers(text: &str, integers: &[Value]) -> String {
        let mut written = String::new();
        let mut integers = integers.iter();
        for (nth, part) in text.split('"').enumerate() {
            written.push_str(if nth == 0 { "" } else { "\"" });
            if nth % 2 == 1 {
                written.push_str(part);
                continue;
            }
            for word in part.split_inclusive(|end: char| ",:[]{} ".contains(end)) {
                let number = word.trim_end_matches(|end: char| ",:[]{} ".contains(end));
                match number.parse::<i128>() {
                    Ok(_) => written.push_str(&word.replace(number, &integers.next().unwrap().to_string())),
                    Err(_) => written.push_str(word),
                }
            }
        }
        assert_eq!(integers.next(), None);
        written
    }

    #[test]
    fn usage_that_differs_by_integers_is_stored_as_these() {
        let first = r#"{"a 1":10,"b":[0,-7],"c":{"d":1.5,"e":null}}"#;
        let alike = r#"{"a 1":812,"b":[3,0],"c":{"d":1.5,"e":null}}"#;
        let others = [
            r#"{"a 1":10,"b":[0,-7],"c":{"d":1.6,"e":null}}"#,
            r#"{"a 2":10,"b":[0,-7],"c":{"d":1.5,"e":null}}"#,
            r#"{"a 1":10,"b":[0],"c":{"d":1.5,"e":null}}"#,
            r#"{"a 1":1e2,"b":[0,-7],"c":{"d":1.5,"e":null}}"#,
            r#"{"a 1":10,"b":[0,-7],"c":{"d":1.5,"e":null}} "#,
            "{}",
        ];
        let usages = [first, others[0], alike, others[1], first, others[2], others[3], others[4], others[5], "{}"];
        let events: Vec<UsageEvent> = (0..).zip(usages).map(|(at, usage)| event(at, &[Some(usage)])).collect();
        assert_eq!(check(&events), [10]);
        let names = Names::default();
        let mut names = BatchNames::new(&names);
        let counted: Vec<_> = events.iter().map(|event| CountedEvent::new(event, &mut names)).collect();
        let raw = rows(&counted)[0].raw.clone();
        for (nth, like) in [(2, ",1,0,812,3,0]"), (4, ",1,0,10,0,-7]"), (9, ",1,8]")] {
            let entry = format!("[\"{}\"{like}", events[nth].id);
            assert!(raw.contains(&entry), "{entry} in {raw}");
        }
        assert_eq!(raw.matches("\"usage\"").count(), 7);
    }

    #[test]
    fn rows_have_the_usage_of_several_requests_up_to_a_size() {
        let long = |no: u64| format!("{{\"n\":\"{}{no}\"}}", "x".repeat(800));
        assert_eq!(check(&[]), [0; 0]);
        assert_eq!(check(&[event(0, &[]), event(1, &[None])]), [0; 0]);
        assert_eq!(check(&[event(0, &[Some("{}")]), event(1, &[None, Some("[1]")]), event(2, &[Some("{}")])]), [3]);
        let all: Vec<UsageEvent> = (0..5).map(|millis| event(millis, &[Some(&long(millis))])).collect();
        assert_eq!(check(&all), [2, 2, 1]);
    }

    #[test]
    fn the_attempts_of_a_request_are_in_one_row() {
        let [long, other] = ["x", "y"].map(|text| format!("{{\"n\":\"{}\"}}", text.repeat(1_500)));
        let events = [event(0, &[Some("1")]), event(1, &[Some(&long), Some(&other)]), event(2, &[Some("2")])];
        assert_eq!(check(&events), [1, 2, 1]);
    }

    #[test]
    fn requests_of_different_minutes_are_in_different_rows() {
        assert_eq!(check(&[0, 60_000, 60_001].map(|millis| event(millis, &[Some("{}")]))), [2, 1]);
    }
}
