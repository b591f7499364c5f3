//! The arguments of a tool's call.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::super::json::Writer;

/// Arguments as a JSON object. A model may have written something else, which is kept as text.
pub(super) fn object(arguments: &str) -> Cow<'_, str> {
    let trimmed = arguments.trim();
    if trimmed.is_empty() {
        return Cow::Borrowed("{}");
    }
    if trimmed.starts_with('{') && serde_json::from_str::<&RawValue>(trimmed).is_ok() {
        return Cow::Borrowed(trimmed);
    }
    Writer::new().text("_invalid", arguments).finish().into()
}

/// Arguments as text. No arguments are an empty object.
pub(super) fn text(arguments: &str) -> &str {
    if arguments.trim().is_empty() { "{}" } else { arguments }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_that_are_no_object_are_kept_as_text() {
        for (arguments, sent) in [
            ("", "{}"),
            (" {\"b\":1e400, \"a\":2} ", "{\"b\":1e400, \"a\":2}"),
            ("{\"a\":", r#"{"_invalid":"{\"a\":"}"#),
            ("[1]", r#"{"_invalid":"[1]"}"#),
        ] {
            assert_eq!(object(arguments), sent);
        }
        assert_eq!((text(" "), text("x")), ("{}", "x"));
    }
}
