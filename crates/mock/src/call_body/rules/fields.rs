//! The fields of calls that rules read, and a broken rule.

use serde_json::Value;

/// A rule that a call breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BrokenRule {
    /// The field of the call.
    pub(crate) param: String,
    pub(crate) message: String,
}

impl BrokenRule {
    pub(super) fn new(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self { param: param.into(), message: message.into() }
    }
}

/// Returns the elements of a list; none of any other value.
pub(super) fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Returns the text of a field.
pub(super) fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name).and_then(Value::as_str)
}

/// Checks the number of texts that stop a response.
pub(super) fn stops(value: &Value, name: &str, max: usize) -> Result<(), BrokenRule> {
    let count = list(value, name).len();
    if count <= max {
        return Ok(());
    }
    Err(BrokenRule::new(
        name,
        format!("Invalid '{name}': array too long. Expected an array with maximum length {max}, but got {count}."),
    ))
}
