//! Rows of raw usage: each has the usage objects of several requests, as providers reported them.

use std::borrow::Cow;
use std::fmt::Write as _;

use uuid::Uuid;
use uuid::fmt::Hyphenated;

use crate::ingest::aggregation::CountedEvent;
use crate::stored_text::has_nul;

/// Maximum size of the text of a row with several requests. PostgreSQL stores longer texts in another table.
const ROW_BYTES_MAX: usize = 1_900;
/// Maximum time between the first and the last request of a row, because retention deletes a row as one.
const ROW_MILLIS_MAX: u128 = 60_000;
/// Size of an entry without the usage object.
const ENTRY_BYTES: usize = r#"{"event":"","attempt":10,"usage":},"#.len() + Hyphenated::LENGTH;

/// A row of `usage_raw`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RawUsageRow {
    /// Id of the row's first event, so that the row is as old as its requests.
    pub(crate) id: Uuid,
    /// JSON list with one entry per attempt: `{"event": "…", "attempt": 1, "usage": …}`.
    pub(crate) raw: String,
}

/// Returns the raw usage of events, which are in the order of their ids. All attempts of an event are in one row.
pub(crate) fn rows(events: &[CountedEvent<'_>]) -> Vec<RawUsageRow> {
    let mut rows: Vec<RawUsageRow> = Vec::new();
    for counted in events {
        let event = counted.event;
        let objects = || (1..).zip(&event.attempts).filter_map(|(no, of)| Some((no, of.raw_usage.as_deref()?)));
        let bytes: usize = objects().map(|(_, usage): (u32, &str)| ENTRY_BYTES + usage.len()).sum();
        if bytes == 0 {
            continue;
        }
        let id = event.id.0;
        let fits = |row: &&mut RawUsageRow| {
            row.raw.len() + bytes <= ROW_BYTES_MAX
                && unix_millis(id).saturating_sub(unix_millis(row.id)) <= ROW_MILLIS_MAX
        };
        match rows.last_mut().filter(fits) {
            Some(row) => put(&mut row.raw, id, objects()),
            None => {
                let mut raw = String::with_capacity(bytes.max(ROW_BYTES_MAX));
                raw.push_str("[]");
                put(&mut raw, id, objects());
                rows.push(RawUsageRow { id, raw });
            }
        }
    }
    rows
}

/// Adds the usage objects of an event to a list.
fn put<'a>(list: &mut String, event: Uuid, objects: impl Iterator<Item = (u32, &'a str)>) {
    list.pop();
    let mut buffer = Uuid::encode_buffer();
    let event = event.as_hyphenated().encode_lower(&mut buffer);
    for (no, usage) in objects {
        list.push_str(if list.len() > 1 { ",{\"event\":\"" } else { "{\"event\":\"" });
        list.push_str(event);
        // Writing to a string cannot fail.
        let _ = write!(list, "\",\"attempt\":{no},\"usage\":");
        list.push_str(&without_nul(usage));
        list.push('}');
    }
    list.push(']');
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
            let entries: Vec<Value> = serde_json::from_str(&row.raw).unwrap();
            assert_eq!(entries[0]["event"], row.id.to_string());
            assert!(row.raw.len() <= ROW_BYTES_MAX || entries.iter().all(|one| one["event"] == entries[0]["event"]));
            sizes.push(entries.len());
            for entry in entries {
                let key = (entry["event"].as_str().unwrap().to_owned(), entry["attempt"].as_u64().unwrap());
                assert_eq!(expected.remove(&key), Some(entry["usage"].to_string()));
            }
        }
        assert_eq!(expected, HashMap::new());
        sizes
    }

    #[test]
    fn rows_have_the_usage_of_several_requests_up_to_a_size() {
        let long = format!("{{\"n\":\"{}\"}}", "x".repeat(800));
        assert_eq!(check(&[]), [0; 0]);
        assert_eq!(check(&[event(0, &[]), event(1, &[None])]), [0; 0]);
        assert_eq!(check(&[event(0, &[Some("{}")]), event(1, &[None, Some("[1]")]), event(2, &[Some("{}")])]), [3]);
        let all: Vec<UsageEvent> = (0..5).map(|millis| event(millis, &[Some(&long)])).collect();
        assert_eq!(check(&all), [2, 2, 1]);
    }

    #[test]
    fn the_attempts_of_a_request_are_in_one_row() {
        let long = format!("{{\"n\":\"{}\"}}", "x".repeat(1_500));
        assert_eq!(
            check(&[event(0, &[Some("1")]), event(1, &[Some(&long), Some(&long)]), event(2, &[Some("2")])]),
            [1, 2, 1]
        );
    }

    #[test]
    fn requests_of_different_minutes_are_in_different_rows() {
        assert_eq!(check(&[0, 60_000, 60_001].map(|millis| event(millis, &[Some("{}")]))), [2, 1]);
    }
}
