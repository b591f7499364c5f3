//! The schema of a tool's arguments, which is that of an object.

use std::borrow::Cow;

use super::super::json::ObjectWriter;
use super::work::fields;

/// Returns a schema of arguments as Messages takes it: an object that names its type.
pub(in crate::translate::request) fn for_arguments(schema: Option<&str>) -> Cow<'_, str> {
    const EMPTY: &str = r#"{"type":"object","properties":{}}"#;
    let Some(schema) = schema else { return Cow::Borrowed(EMPTY) };
    let Some(fields) = serde_json::from_str(schema).ok().and_then(fields) else { return Cow::Borrowed(EMPTY) };
    if fields.iter().any(|(key, _)| key == "type") {
        return Cow::Borrowed(schema);
    }
    let mut out = ObjectWriter::of_type("object");
    for (key, value) in fields {
        out.raw(&key, value.get());
    }
    out.finish().into()
}
