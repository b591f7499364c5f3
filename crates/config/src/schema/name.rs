//! The names of entries.

use settings::form::{Scalar, TextForm, accept};
use settings::section::setting::Value;

/// Longest name of a provider, an upstream, a plan, a route or a listener.
const NAME_LEN_MAX: usize = 64;

/// Whether `name` can be written in logs, metrics and headers without quotes: a-z, 0-9, `-`, `_` and `.`, upper case
/// too.
pub(super) fn is_name(name: &str) -> bool {
    (1..=NAME_LEN_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// A description of the names that [`is_name`] accepts.
pub(super) const NAME_EXPECTED: &str = "1 to 64 letters, digits, `-`, `_` and `.`";
/// The form of these names.
pub(super) const NAME: TextForm<String> = TextForm {
    parse: |name| accept(name, is_name(name), NAME_EXPECTED),
    shown: |name| Value::text(name),
    cell: "name",
    pattern: "^[A-Za-z0-9._-]{1,64}$",
    scalar: Scalar::Any,
};
