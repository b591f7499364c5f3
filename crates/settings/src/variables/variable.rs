//! The name and origin of an environment variable.

use std::fmt;
use std::sync::Arc;

/// A line of a `.env`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvLine {
    /// The file's name as it was given.
    pub file: Arc<str>,
    /// The number of the line, from 1.
    pub line: u32,
}

/// The name and origin of a variable. Errors refer to it by its `Display` text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// The name of the variable.
    pub name: String,
    /// Its line in a `.env`; `None` for a variable of the process.
    pub line: Option<EnvLine>,
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.line {
            None => write!(f, "the environment variable {}", self.name),
            Some(EnvLine { file, line }) => write!(f, "{file}:{line} ({})", self.name),
        }
    }
}
