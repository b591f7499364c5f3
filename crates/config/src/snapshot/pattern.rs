//! Regular expressions of the configuration.

use std::fmt;

use regex::bytes::{Captures, Regex, RegexBuilder};

/// Longest regular expression, in bytes.
const LEN_MAX: usize = 1_024;
/// Maximum size of a compiled regular expression, in bytes.
const COMPILED_BYTES_MAX: usize = 256 * 1024;
/// Maximum size of the states that a search caches per thread, in bytes.
const CACHE_BYTES_MAX: usize = 64 * 1024;

/// A regular expression. A search takes time that is linear in the text. Classes such as `\d` are those of ASCII.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

/// The reason why a text is not a [`Pattern`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// The text is empty or too long.
    #[error("a regular expression of 1 to 1,024 bytes")]
    Length,
    /// The compiled expression is too large.
    #[error("a regular expression with fewer repetitions: compiled, it exceeds 256 KiB")]
    Size,
    /// The syntax is invalid.
    #[error("a regular expression without look-around and back-references ({0})")]
    Syntax(String),
}

impl Pattern {
    /// Compiles a regular expression in the syntax of the crate `regex`.
    ///
    /// # Errors
    /// The syntax is invalid, or the expression is too large.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if !(1..=LEN_MAX).contains(&text.len()) {
            return Err(PatternError::Length);
        }
        let mut builder = RegexBuilder::new(text);
        builder.unicode(false).size_limit(COMPILED_BYTES_MAX).dfa_size_limit(CACHE_BYTES_MAX);
        builder.build().map(Self).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => PatternError::Size,
            // The last line has the reason; the lines before it repeat the expression.
            other @ (regex::Error::Syntax(_) | _) => {
                let text = other.to_string();
                let reason = text.lines().last().unwrap_or_default();
                PatternError::Syntax(reason.trim_start_matches("error: ").to_owned())
            }
        })
    }

    /// Returns the expression for letters in any case, or the same one if that would be too large.
    #[must_use]
    pub(crate) fn without_case(&self) -> Self {
        let mut builder = RegexBuilder::new(self.as_str());
        builder.unicode(false).size_limit(COMPILED_BYTES_MAX).dfa_size_limit(CACHE_BYTES_MAX).case_insensitive(true);
        builder.build().map_or_else(|_| self.clone(), Self)
    }

    /// Returns the text of the expression.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether the expression matches a part of `text`.
    #[must_use]
    pub fn is_match(&self, text: &[u8]) -> bool {
        self.0.is_match(text)
    }

    /// Returns the groups of the first match in `text`.
    #[must_use]
    pub fn captures<'t>(&self, text: &'t [u8]) -> Option<Captures<'t>> {
        self.0.captures(text)
    }

    /// Returns the group with this number in digits, if it exists.
    #[must_use]
    pub fn group(&self, number: &str) -> Option<usize> {
        number.parse().ok().filter(|number| *number < self.0.captures_len())
    }

    /// Returns a text with which each matching text begins, if the expression obviously requires one.
    #[must_use]
    pub fn literal_start(&self) -> Option<&str> {
        let rest = self.as_str().strip_prefix('^').filter(|rest| !rest.contains('|'))?;
        let len = rest.bytes().position(|octet| !is_literal(octet)).unwrap_or(rest.len());
        // A repetition follows the octet that it repeats.
        let is_repeated = matches!(rest.as_bytes().get(len), Some(b'?' | b'*' | b'+' | b'{'));
        rest.get(..if is_repeated { len.saturating_sub(1) } else { len })
    }
}

impl Pattern {
    /// Returns the only text that the expression matches, if it obviously matches one.
    #[must_use]
    pub fn only_match(&self) -> Option<&str> {
        let text = self.as_str().strip_prefix('^')?.strip_suffix('$')?;
        text.bytes().all(is_literal).then_some(text)
    }
}

/// Whether an octet of an expression matches itself. Some others do too, such as `.` after a backslash.
const fn is_literal(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'/' | b'-' | b'_' | b'%' | b'~')
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Pattern {}

impl std::hash::Hash for Pattern {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_bounded_in_size() {
        for text in ["", &"a".repeat(1_025)] {
            assert_eq!(Pattern::parse(text), Err(PatternError::Length));
        }
        for text in ["(a{1000}){1000}", "((a{100}){100}){100}"] {
            assert_eq!(Pattern::parse(text), Err(PatternError::Size), "{text}");
        }
        for text in ["(", "[z-a]", "(?=a)", r"(a)\1", "a**{"] {
            let Err(PatternError::Syntax(reason)) = Pattern::parse(text) else { panic!("{text}") };
            assert!(!reason.is_empty() && !reason.contains('\n'), "{reason}");
        }
    }

    #[test]
    fn a_search_takes_linear_time_in_a_text_that_makes_backtracking_explode() {
        let pattern = Pattern::parse("^/(a|a)*(a|aa)+$").unwrap();
        assert!(!pattern.is_match(format!("/{}b", "a".repeat(60_000)).as_bytes()));
    }

    #[test]
    fn the_start_that_an_expression_requires_is_known() {
        for (text, start) in [
            ("^/v[0-9]+/", Some("/v")),
            ("^/v1/", Some("/v1/")),
            ("^/v1?/", Some("/v")),
            ("^/ab*", Some("/a")),
            ("^api", Some("api")),
            ("^(?:/a)", Some("")),
            ("^/a|b", None),
            ("/a", None),
        ] {
            assert_eq!(Pattern::parse(text).unwrap().literal_start(), start, "{text}");
        }
    }
}
