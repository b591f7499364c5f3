//! The keys of `routes[].auth.from`.

use settings::field::{OneOrMore, optional_one_or_more, required};
use settings::form::{Scalar, TextForm, Words, accept};
use settings::input::Input;
use settings::section;
use settings::section::setting::Value;

/// The words of `from`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyPlaceWord {
    Header,
    Protocol,
}

const PLACES_MAX: usize = 3;
pub(super) const KEY_PLACES: OneOrMore<Words<KeyPlaceWord>, KeyPlaceInput> = optional_one_or_more(
    Words::new(&[("header", KeyPlaceWord::Header), ("protocol", KeyPlaceWord::Protocol)]),
    "at least one of `header`, `protocol` and {query: NAME}",
    PLACES_MAX,
    "`header`",
);

/// Maximum length of the name of a query parameter.
const PARAMETER_LEN_MAX: usize = 64;
const PARAMETER: TextForm<String> = TextForm {
    parse: |name| {
        let has_length = (1..=PARAMETER_LEN_MAX).contains(&name.len());
        let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
        accept(name, has_length && is_plain, "a name such as key or access_token")
    },
    shown: |name| Value::text(name),
    cell: "name",
    pattern: "^[A-Za-z0-9_.-]{1,64}$",
    scalar: Scalar::Any,
};

section! {
    KeyPlaceInput {
        /// The query parameter with the key.
        query: Option<Input<String>> = required(PARAMETER);
    }
}
