//! What a rule found: where, what, and what to do.

use std::fmt;

/// A place in a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FileLine<'a> {
    /// From the root, with slashes.
    pub(crate) path: &'a str,
    /// From 1; 0 is the file as a whole.
    pub(crate) line: usize,
}

/// A rule that is broken, or soon will be.
#[derive(Debug)]
pub(crate) struct Finding {
    place: String,
    what: String,
    remedy: String,
    fails: bool,
}

impl FileLine<'_> {
    /// A broken rule.
    pub(crate) fn fails(self, what: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding { place: self.to_string(), what: what.into(), remedy: remedy.into(), fails: true }
    }

    /// A rule that will be broken if this goes on.
    pub(crate) fn warns(self, what: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding { fails: false, ..self.fails(what, remedy) }
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

impl Finding {
    /// Whether tidy fails by it.
    pub(crate) const fn fails(&self) -> bool {
        self.fails
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = if self.fails { "" } else { "warning: " };
        write!(f, "{}: {level}{}; {}", self.place, self.what, self.remedy)
    }
}

/// What a rule says in its tests: each finding as it is printed.
#[cfg(test)]
pub(crate) fn messages(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(ToString::to_string).collect()
}
