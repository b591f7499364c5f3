//! The example files of the repository as examples of the OpenAPI document.

use serde_json::Value;

const CLASSIFICATION: &str = include_str!("../../../../../examples/insights/classify_today.json");
const BRIEF: &str = include_str!("../../../../../examples/insights/brief_test.json");
const RUNTIME: &str = include_str!("../../../../../examples/insights/runtime.json");

/// Returns the content of an example file; null for another name.
pub(super) fn file(name: &str) -> Value {
    match name {
        insights::examples::CLASSIFICATION_FILE => parsed(CLASSIFICATION),
        "brief_test.json" => parsed(BRIEF),
        _ => Value::Null,
    }
}

/// Returns one response of the file with the other responses.
pub(super) fn runtime(name: &str) -> Value {
    parsed(RUNTIME).get_mut(name).map(Value::take).unwrap_or_default()
}

/// Tests read the files, so that they are always valid.
fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}
