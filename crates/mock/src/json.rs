//! JSON with its keys in the order of the providers' responses.

use serde::Serialize;
use serde_json::value::RawValue;

/// A serialized JSON value.
pub(crate) type Json = Box<RawValue>;

/// Builds the text of an object.
pub(crate) struct ObjectText(String);

impl ObjectText {
    pub(crate) fn new() -> Self {
        Self(String::from("{"))
    }

    pub(crate) fn field(&mut self, name: &'static str, value: &impl Serialize) {
        let value = serde_json::to_string(value).unwrap_or_else(|_| String::from("null"));
        let comma = if self.0.len() == 1 { "" } else { "," };
        self.0.push_str(comma);
        self.0.push('"');
        self.0.push_str(name);
        self.0.push_str("\":");
        self.0.push_str(&value);
    }

    pub(crate) fn end(mut self) -> Json {
        self.0.push('}');
        RawValue::from_string(self.0).unwrap_or_else(|_| RawValue::NULL.to_owned())
    }
}

/// `object! { "name": value, … ; "last": option }`: a value is anything that serializes, also another object. The field
/// after the semicolon is omitted if it is `None`.
macro_rules! object {
    ($($name:literal: $value:expr),* $(,)? $(; $last:literal: $option:expr)?) => {{
        #[allow(unused_mut, reason = "an object without fields")]
        let mut object = $crate::json::ObjectText::new();
        $(object.field($name, &$value);)*
        $(if let Some(value) = &$option { object.field($last, value); })?
        object.end()
    }};
}
pub(crate) use object;

/// `null`, for fields that the official types require and the mock does not fill.
pub(crate) const NULL: Option<()> = None;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_their_order_and_values_are_escaped() {
        let json = object! { "z": "a\"b", "a": [object! {}], "n": NULL };
        assert_eq!(json.get(), r#"{"z":"a\"b","a":[{}],"n":null}"#);
        assert_eq!(object! { "a": 1; "b": Some(2) }.get(), r#"{"a":1,"b":2}"#);
        assert_eq!(object! { "a": 1; "b": NULL }.get(), r#"{"a":1}"#);
    }
}
