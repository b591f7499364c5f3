//! Findings of rules: the place, the problem, and the remedy.

use std::fmt;

/// A file, and a line in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FileLine<'a> {
    /// The path from the root, with slashes.
    pub(crate) path: &'a str,
    /// The number of the line from 1; 0 means the whole file.
    pub(crate) line: usize,
}

/// A violation of a rule.
#[derive(Debug)]
pub(crate) struct Finding {
    place: String,
    what: String,
    remedy: String,
}

impl FileLine<'_> {
    /// A finding at this place.
    pub(crate) fn fails(self, what: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding { place: self.to_string(), what: what.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for FileLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(self.path),
            line => write!(f, "{}:{line}", self.path),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.place, self.what, self.remedy)
    }
}

/// The findings as they are printed, for tests.
#[cfg(test)]
pub(crate) fn messages(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(ToString::to_string).collect()
}
