//! The arguments of a tool's call, in both directions.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::object_writer::ObjectWriter;

/// Arguments as a JSON object. A model may have written something else, which is kept as text.
pub(super) fn object(arguments: &str) -> Cow<'_, str> {
    let trimmed = arguments.trim();
    if is_none(trimmed) {
        return Cow::Borrowed("{}");
    }
    if trimmed.starts_with('{') && serde_json::from_str::<&RawValue>(trimmed).is_ok() {
        return Cow::Borrowed(trimmed);
    }
    ObjectWriter::new().text("_invalid", arguments).finish().into()
}

/// Arguments as text. No arguments are an empty object.
pub(super) fn text(arguments: &str) -> &str {
    if is_none(arguments.trim()) { "{}" } else { arguments }
}

/// Whether the arguments are missing. Some servers write `null` for a tool without parameters.
fn is_none(arguments: &str) -> bool {
    matches!(arguments, "" | "null")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_that_are_no_object_are_kept_as_text() {
        for (arguments, sent) in [
            ("", "{}"),
            (" null", "{}"),
            (" {\"b\":1e400, \"a\":2} ", "{\"b\":1e400, \"a\":2}"),
            ("{\"a\":", r#"{"_invalid":"{\"a\":"}"#),
            ("[1]", r#"{"_invalid":"[1]"}"#),
        ] {
            assert_eq!(object(arguments), sent);
        }
        assert_eq!((text(" "), text("null"), text("x")), ("{}", "{}", "x"));
    }
}
