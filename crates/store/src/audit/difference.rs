//! Old and new values of a change, as the details of its line in the audit log.

use serde::Serialize;
use serde_json::{Map, Value, json};

/// The member of the details that has the old values.
const BEFORE: &str = "before";

/// The fields that a change gives another value.
#[derive(Debug, Default)]
pub(crate) struct Difference {
    before: Map<String, Value>,
    after: Map<String, Value>,
}

impl Difference {
    /// Adds the field if its values differ.
    pub(crate) fn field<T: Serialize>(&mut self, name: &str, before: &T, after: &T) {
        let before = json!(before);
        let after = json!(after);
        if before != after {
            self.before.insert(name.to_owned(), before);
            self.after.insert(name.to_owned(), after);
        }
    }

    /// Adds a field whose values are not logged.
    pub(crate) fn unlogged(&mut self, name: &str) {
        self.after.insert(name.to_owned(), json!("changed"));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.after.is_empty()
    }

    /// Returns the new values by field, and the old ones in the member `before`.
    pub(crate) fn detail(self) -> Map<String, Value> {
        let Self { before, after: mut detail } = self;
        if !before.is_empty() {
            detail.insert(BEFORE.to_owned(), Value::Object(before));
        }
        detail
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_have_old_and_new_values_of_changed_fields_only() {
        let mut difference = Difference::default();
        difference.field("plan", &"free", &"free");
        assert!(difference.is_empty());
        difference.field("limit", &Some(5), &None);
        difference.unlogged("name");
        assert!(!difference.is_empty());
        let expected = json!({"limit": null, "name": "changed", "before": {"limit": 5}});
        assert_eq!(Value::Object(difference.detail()), expected);
        let mut unlogged = Difference::default();
        unlogged.unlogged("name");
        assert_eq!(Value::Object(unlogged.detail()), json!({"name": "changed"}));
    }
}
