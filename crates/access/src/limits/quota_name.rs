//! The name that an operator gives to a quota of a plan, such as `session`.

use std::fmt;

use arrayvec::ArrayString;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A name of 1 to 32 of `a-z`, `0-9`, `-`, `_` and `.`; the first is a letter or a digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuotaName(ArrayString<{ QuotaName::LEN_MAX }>);

impl QuotaName {
    /// Maximum length in bytes.
    pub const LEN_MAX: usize = 32;
    /// The form of a name as a regular expression.
    pub const PATTERN: &str = "^[a-z0-9][a-z0-9._-]{0,31}$";

    /// Parses a name; `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let begins = text.bytes().next().is_some_and(is_plain);
        let is_name = begins && text.bytes().all(|byte| is_plain(byte) || matches!(byte, b'-' | b'_' | b'.'));
        if is_name { ArrayString::from(text).ok().map(Self) } else { None }
    }

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for QuotaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for QuotaName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for QuotaName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom(format_args!("`{text}` is no name of a quota")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        for name in ["session", "5h", "a", "week-2.b_c", &"a".repeat(32)] {
            assert_eq!(QuotaName::parse(name).unwrap().as_str(), name);
        }
        for text in ["", "Session", "-a", "a b", "a\"", "é", "a/b", &"a".repeat(33)] {
            assert_eq!(QuotaName::parse(text), None, "{text}");
        }
    }
}
