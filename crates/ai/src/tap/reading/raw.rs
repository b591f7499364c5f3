//! Keeps the usage objects as the provider wrote them, so that a request can be priced again.

use std::sync::Arc;

use serde_json::value::RawValue;

/// Longest object that is kept, in bytes.
const OBJECT_BYTES_MAX: usize = 8 * 1024;

/// The last reported object and, for Anthropic's stream, the object at its start, as each lacks fields of the other.
#[derive(Debug, Default)]
pub(super) struct RawUsages {
    usage: RawObject,
    delta: RawObject,
}

/// One object, in a reused buffer: Gemini reports usage in every chunk.
#[derive(Debug, Default)]
struct RawObject {
    json: Vec<u8>,
    /// Whether a parser has accepted the object. Its text may still be invalid UTF-8.
    is_parsed: bool,
}

impl RawUsages {
    pub(super) fn keep(&mut self, usage: Option<&[u8]>, delta: Option<&[u8]>) {
        for (object, json) in [(&mut self.usage, usage), (&mut self.delta, delta)] {
            if let Some(json) = json.filter(|json| json.starts_with(b"{")) {
                object.put(json);
            }
        }
    }

    /// Notes that a parser has accepted the last usage object, so that it is not parsed again.
    pub(super) const fn note_parsed(&mut self) {
        self.usage.is_parsed = true;
    }

    /// Returns the object, or a list of both; `None` if none was reported, or one is too long or invalid JSON.
    pub(super) fn json(&self) -> Option<Arc<str>> {
        let both;
        let (json, is_parsed) = match (self.usage.json.as_slice(), self.delta.json.as_slice()) {
            ([], json) => (json, false),
            (json, []) => (json, self.usage.is_parsed),
            (usage, delta) => {
                both = [b"[", usage, b",", delta, b"]"].concat();
                (both.as_slice(), false)
            }
        };
        let json = std::str::from_utf8(json).ok().filter(|json| !json.is_empty())?;
        (is_parsed || serde_json::from_str::<&RawValue>(json).is_ok()).then(|| json.into())
    }

    #[cfg(test)]
    pub(super) fn buffered_bytes(&self) -> usize {
        self.usage.json.capacity() + self.delta.json.capacity()
    }
}

impl RawObject {
    fn put(&mut self, json: &[u8]) {
        self.json.clear();
        self.is_parsed = false;
        if json.len() <= OBJECT_BYTES_MAX {
            self.json.extend_from_slice(json);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(usage: &[&str], deltas: &[&str], expected: Option<&str>) {
        let mut usages = RawUsages::default();
        usage.iter().for_each(|json| usages.keep(Some(json.as_bytes()), None));
        deltas.iter().for_each(|json| usages.keep(None, Some(json.as_bytes())));
        assert_eq!(usages.json().as_deref(), expected, "{usage:?} {deltas:?}");
    }

    #[test]
    fn the_last_object_and_the_first_of_another_kind_are_stored() {
        check(&[], &[], None);
        check(&[r#"{"a":1}"#, r#"{"a": 2.50}"#, "null"], &[], Some(r#"{"a": 2.50}"#));
        check(&[r#"{"a":1}"#], &[r#"{"b":2}"#, r#"{"b":3}"#], Some(r#"[{"a":1},{"b":3}]"#));
        check(&[], &[r#"{"b":3}"#], Some(r#"{"b":3}"#));
    }

    #[test]
    fn objects_that_are_too_long_or_invalid_are_not_stored() {
        let longest = format!(r#"{{"a":"{}"}}"#, "x".repeat(OBJECT_BYTES_MAX - 8));
        check(&[&longest], &[], Some(&longest));
        check(&[r#"{"a":1}"#, &longest.replace("x\"", "xx\"")], &[], None);
        check(&["{a}"], &[], None);
    }

    #[test]
    fn an_object_that_is_already_parsed_is_stored_unless_its_text_is_invalid_or_another_one_follows() {
        let json = |text: &[u8], next: &[u8]| {
            let mut usages = RawUsages::default();
            usages.keep(Some(text), None);
            usages.note_parsed();
            usages.keep(Some(next), None);
            usages.json()
        };
        assert_eq!(json(br#"{"a":1}"#, b"null").as_deref(), Some(r#"{"a":1}"#));
        assert_eq!(json(b"{\"a\":\"\xff\"}", b"null"), None);
        assert_eq!(json(br#"{"a":1}"#, b"{a}"), None);
    }
}
