//! The state of reasoning of OpenRouter and MiniMax: a list of objects, which the next call of the conversation has unchanged.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// Longest state of one block, in bytes. Longer ones do not fit into the client's field.
const BYTES_MAX: usize = 128 * 1024;
/// The fields of which a stream has the parts.
const PARTS: [&str; 2] = ["text", "summary"];

/// The objects that no block has yet.
#[derive(Debug, Default)]
pub(super) struct ReasoningDetails {
    list: Vec<String>,
    bytes: usize,
    /// Whether the objects were too long. Half a state is not sent.
    is_too_long: bool,
}

impl ReasoningDetails {
    /// Adds an object, or a further part of the last one.
    pub(super) fn add(&mut self, detail: &RawValue) {
        self.bytes = self.bytes.saturating_add(detail.get().len());
        if self.bytes > BYTES_MAX {
            self.list.clear();
            self.is_too_long = true;
        } else if !self.is_too_long {
            match self.list.last().and_then(|last| joined(last, detail.get())) {
                Some(joined) => _ = self.list.last_mut().map(|last| *last = joined),
                None => self.list.push(detail.get().to_owned()),
            }
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) const fn bytes(&self) -> usize {
        if self.is_too_long { 0 } else { self.bytes }
    }

    /// Takes the item of a capsule.
    pub(super) fn take(&mut self) -> Option<Box<RawValue>> {
        let Self { list, .. } = std::mem::take(self);
        if list.is_empty() {
            return None;
        }
        RawValue::from_string(format!(r#"{{"reasoning_details":[{}]}}"#, list.join(","))).ok()
    }
}

/// Returns both objects as one, if the second continues the text of the first.
fn joined(last: &str, next: &str) -> Option<String> {
    let object = |json: &str| serde_json::from_str::<Map<String, Value>>(json).ok();
    // An object of another kind is not parsed as a whole.
    let may_continue = |json: &str| PARTS.iter().any(|part| json.contains(&format!("\"reasoning.{part}\"")));
    if !may_continue(last) || !may_continue(next) {
        return None;
    }
    let mut last = object(last)?;
    let next = object(next)?;
    let is_same = |key: &str| last.get(key) == next.get(key);
    if !(is_same("type") && is_same("index") && next.contains_key("index")) {
        return None;
    }
    for (key, value) in next {
        match (last.get_mut(&key), value) {
            (_, Value::Null) => {}
            (Some(Value::String(text)), Value::String(more)) if PARTS.contains(&key.as_str()) => text.push_str(&more),
            (_, value) => _ = last.insert(key, value),
        }
    }
    serde_json::to_string(&last).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(details: &[&str]) -> Option<String> {
        let mut all = ReasoningDetails::default();
        details.iter().for_each(|detail| all.add(serde_json::from_str(detail).unwrap()));
        all.take().map(|item| item.get().to_owned())
    }

    #[test]
    fn parts_of_a_text_are_joined_and_other_objects_are_unchanged() {
        let encrypted = r#"{"type":"reasoning.encrypted", "id":"r1","data":"ENC==","index":0}"#;
        assert_eq!(taken(&[encrypted]), Some(format!(r#"{{"reasoning_details":[{encrypted}]}}"#)));
        let part = |text: &str, index: u8| format!(r#"{{"index":{index},"text":"{text}","type":"reasoning.text"}}"#);
        let signed = r#"{"index":0,"signature":"S","text":null,"type":"reasoning.text"}"#;
        let whole = r#"{"index":0,"signature":"S","text":"ab","type":"reasoning.text"}"#;
        let item = taken(&[&part("a", 0), &part("b", 0), signed, &part("c", 1), encrypted, encrypted]);
        assert_eq!(
            item,
            Some(format!(r#"{{"reasoning_details":[{whole},{},{encrypted},{encrypted}]}}"#, part("c", 1)))
        );
        assert_eq!(taken(&[]), None);
        assert_eq!(taken(&["1", "null"]), Some(r#"{"reasoning_details":[1,null]}"#.to_owned()));
    }

    #[test]
    fn a_state_that_is_too_long_is_left_out() {
        let long = format!(r#"{{"type":"reasoning.encrypted","data":"{}"}}"#, "x".repeat(BYTES_MAX));
        assert_eq!(taken(&[r#"{"a":1}"#, &long, r#"{"a":2}"#]), None);
    }
}
