//! The keys that change JSON bodies.

use super::secret_values::SecretValues;
use json_edits::Pointer;
use serde_json::{Value as Json, json};
use settings::field::{Map, ValueList, list};
use settings::form::{Scalar, TextForm, accept, bad};
use settings::input::Input;
use settings::section;
use settings::section::setting::Value;
use settings::spec::Rule;

/// Maximum number of entries of each list.
pub(crate) const EDITS_MAX: usize = 64;
/// Longest value that a route sets, in bytes.
const VALUE_LEN_MAX: usize = 4_096;

section! {
    BodyInput {
        /// [JSON Pointers](routing.md#json-bodies) with new values.
        set: Vec<(String, Input<String>)> =
            SecretValues::of_body(Map::new(VALUE, is_pointer, POINTER_EXPECTED, POINTER_PATTERN));
        /// JSON Pointers to removed values.
        remove: ValueList<Pointer> = list(POINTER, EDITS_MAX, "none");
        /// JSON Pointers to moved values.
        rename: Vec<(String, Input<Pointer>)> = Map::new(POINTER, is_pointer, POINTER_EXPECTED, POINTER_PATTERN);
        rules: Rule::Values(counts);
    }
}

/// The bound [`EDITS_MAX`] of mappings.
fn counts() -> Json {
    json!({"properties": {"set": {"maxProperties": EDITS_MAX}, "rename": {"maxProperties": EDITS_MAX}}})
}

const POINTER_EXPECTED: &str =
    "a JSON Pointer of at most 1,024 bytes and 32 names: /a/b, with ~1 for a slash and ~0 for a tilde";
const POINTER_PATTERN: &str = "^(/([^~/]|~[01])*){1,32}$";
const POINTER: TextForm<Pointer> = TextForm {
    parse: |text| Pointer::parse(text).map_err(bad),
    shown: |pointer| Value::text(pointer),
    cell: "JSON Pointer",
    pattern: POINTER_PATTERN,
    scalar: Scalar::Text,
};

fn is_pointer(text: &str) -> bool {
    Pointer::parse(text).is_ok()
}

const VALUE: TextForm<String> = TextForm {
    parse: |text| accept(text, text.len() <= VALUE_LEN_MAX, "JSON or text of at most 4,096 bytes"),
    shown: |text| Value::text(text),
    cell: "JSON or text",
    pattern: "",
    scalar: Scalar::Any,
};
