//! The keys of `routes[]` that select requests: paths, and conditions on headers and query parameters.

use super::forms::{FIELD_NAME_PATTERN, PATH};
use super::secret_values::SecretValues;
use crate::snapshot::{PathMatch, Pattern, Template};
use http::HeaderName;
use settings::field::{MapKeys, MapOf, OneOrMore, map_of, one_or_more, optional};
use settings::form::{Boolean, FormRefusal, Scalar, TextForm, accept, bad};
use settings::input::Input;
use settings::section;
use settings::section::setting::Value;
use settings::spec::Rule;

section! {
    PathInput {
        /// `/users` also matches `/users/1`.
        prefix: Option<Input<String>> = optional(PATH, "");
        /// A [regular expression](routing.md#regular-expressions) found in the path.
        regex: Option<Input<Pattern>> = optional(REGEX, "");
        rules: Rule::ExactlyOne(&["prefix", "regex"]);
    }
}

section! {
    /// A condition on a header or a query parameter.
    ConditionInput {
        /// Whether the header or parameter is present.
        present: Option<Input<bool>> = optional(Boolean, "");
        /// A regular expression found in the value.
        regex: Option<Input<Pattern>> = optional(REGEX, "");
        rules: Rule::ExactlyOne(&["present", "regex"]);
    }
}

/// Maximum number of hosts, and of paths, of a route.
pub(super) const MATCHES_MAX: usize = 32;
/// The field of `routes[].path`.
pub(super) const PATHS: OneOrMore<TextForm<PathMatch>, PathInput> =
    one_or_more(PATH_MATCH, "a path, {prefix: /users}, or a list of them", MATCHES_MAX);

/// Maximum number of conditions on headers, and on query parameters, of a route.
const CONDITIONS_MAX: usize = 16;

/// The field of `routes[].headers`.
pub(super) const HEADERS: SecretValues<MapOf<TextForm<String>, ConditionInput>> =
    SecretValues::of_headers(map_of(FIELD_TEXT, FIELD_NAMES, CONDITIONS_MAX));
/// The field of `routes[].query`.
pub(super) const QUERY: SecretValues<MapOf<TextForm<String>, ConditionInput>> =
    SecretValues::of_parameters(map_of(PARAMETER_TEXT, PARAMETER_NAMES, CONDITIONS_MAX));

const FIELD_NAMES: MapKeys = MapKeys {
    is_key: |name| name.len() <= 64 && HeaderName::from_bytes(name.as_bytes()).is_ok(),
    expected: "a field name of at most 64 bytes",
    pattern: FIELD_NAME_PATTERN,
};
/// Longest text that a value is compared with, in characters.
const TEXT_CHARS_MAX: usize = 1_024;
const FIELD_TEXT: TextForm<String> = TextForm {
    parse: |text| {
        // Whitespace around a received value is not part of it.
        let is_valid = text.trim_matches([' ', '\t']) == text && !text.chars().any(|c| c.is_control() && c != '\t');
        let expected = "a field value of at most 1,024 characters, without whitespace around it";
        accept(text, is_valid && text.chars().count() <= TEXT_CHARS_MAX, expected)
    },
    shown: |text| Value::text(text),
    cell: "text",
    pattern: r"^([^\x00-\x20\x7F-\x9F]([^\x00-\x08\x0A-\x1F\x7F-\x9F]{0,1022}[^\x00-\x20\x7F-\x9F])?)?$",
    scalar: Scalar::Any,
};

const PARAMETER_NAMES: MapKeys = MapKeys {
    is_key: is_parameter,
    expected: "a name of 1 to 128 characters, not encoded",
    pattern: r"^[\s\S]{1,128}$",
};
/// Whether a query parameter can have this name, which is not encoded.
pub(super) fn is_parameter(name: &str) -> bool {
    (1..=128).contains(&name.chars().count())
}

pub(super) const PARAMETER_TEXT: TextForm<String> = TextForm {
    parse: |text| {
        accept(text, text.chars().count() <= TEXT_CHARS_MAX, "a value of at most 1,024 characters, not encoded")
    },
    shown: |text| Value::text(text),
    cell: "text",
    pattern: r"^[\s\S]{0,1024}$",
    scalar: Scalar::Any,
};

pub(super) const REGEX: TextForm<Pattern> = TextForm {
    parse: |text| Pattern::parse(text).map_err(|error| FormRefusal::Bad(error.to_string())),
    shown: |pattern| Value::text(pattern),
    cell: "regular expression",
    pattern: r"^[\s\S]{1,1024}$",
    scalar: Scalar::Any,
};

/// Longest path of a route, in bytes.
const PATH_LEN_MAX: usize = 2_048;
/// An exact path, or one with parameters.
pub(super) const PATH_MATCH: TextForm<PathMatch> = TextForm {
    parse: |path| {
        if path.contains(['{', '}', '*']) {
            let is_sent = |octet: u8| octet.is_ascii_graphic() && !matches!(octet, b'?' | b'#');
            if path.len() > PATH_LEN_MAX || !path.bytes().all(is_sent) {
                return Err(bad("a path: /users, /users/{id}, /files/{*rest}, or {prefix: /users}"));
            }
            return Template::parse(path).map(PathMatch::Template).map_err(bad);
        }
        (PATH.parse)(path).map(PathMatch::Exact)
    },
    shown: |path| Value::text(path),
    cell: "path of at most 2,048 bytes",
    pattern: "^((/([!-\"$-)+->@-z|~]*|\\{[A-Za-z_][A-Za-z0-9_]{0,63}\\}))+(/\\{\\*[A-Za-z_][A-Za-z0-9_]{0,63}\\})?|/\\{\\*[A-Za-z_][A-Za-z0-9_]{0,63}\\})$",
    scalar: Scalar::Text,
};
