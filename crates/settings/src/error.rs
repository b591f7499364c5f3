//! Problems of a configuration, and their positions.

use std::fmt;
use std::path::PathBuf;

use crate::excerpt::Line;
use crate::place::Place;
use crate::variables::variable::Variable;

/// Maximum number of problems that one error lists; further problems are counted.
pub const PROBLEMS_MAX: usize = 100;

/// The origin of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ValueOrigin {
    /// A position in the file.
    File(Place),
    /// The variable with this number in the `Reader`.
    Variable(usize),
}

impl ValueOrigin {
    /// Returns the position in the file.
    pub const fn place(self) -> Option<Place> {
        match self {
            Self::File(place) => Some(place),
            Self::Variable(_) => None,
        }
    }
}

/// The kinds of problems; a closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// A file cannot be read.
    File,
    /// A line of a `.env` is invalid.
    EnvFile,
    /// The file is not valid YAML.
    Yaml,
    /// A key that does not exist.
    UnknownKey,
    /// A key or value that this version does not support.
    NotYet,
    /// A value of the wrong type, such as a list in place of a mapping.
    WrongType,
    /// A value that its key does not accept.
    BadValue,
    /// A required key is missing.
    Missing,
    /// An environment variable that is not set or names an entry of a list, or an invalid `${…}`.
    Environment,
    /// A duplicate of an entry or value that must be unique.
    Duplicate,
    /// A name that refers to nothing.
    UnknownName,
    /// A route that matches no request, or only requests that another route takes first.
    Unreachable,
    /// A file is not signed by the configured key.
    Signature,
    /// A test of the file fails.
    Test,
    /// A reload would change a key whose change needs a restart.
    NeedsRestart,
    /// A text that is stored contains a secret in place of a reference to it.
    LiteralSecret,
    /// A text of the API refers to a file or a variable that the configuration file does not list for it.
    ForbiddenReference,
}

impl Code {
    /// Returns the code as it is printed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::EnvFile => "env_file",
            Self::Yaml => "yaml",
            Self::UnknownKey => "unknown_key",
            Self::NotYet => "not_yet",
            Self::WrongType => "wrong_type",
            Self::BadValue => "bad_value",
            Self::Missing => "missing",
            Self::Environment => "environment",
            Self::Duplicate => "duplicate",
            Self::UnknownName => "unknown_name",
            Self::Unreachable => "unreachable",
            Self::Signature => "signature",
            Self::Test => "test",
            Self::NeedsRestart => "needs_restart",
            Self::LiteralSecret => "literal_secret",
            Self::ForbiddenReference => "forbidden_reference",
        }
    }
}

/// One problem of the configuration. It repeats no secret.
#[derive(Debug, Clone)]
pub struct Problem {
    /// The kind of the problem.
    pub code: Code,
    /// A description of the problem, in one sentence.
    pub message: String,
    /// A description of valid input.
    pub expected: Option<String>,
    /// The name that was probably meant.
    pub near: Option<String>,
    /// The position in the file; `None` if no file is the cause.
    pub place: Option<Place>,
    /// The variable that caused the problem.
    pub variable: Option<Variable>,
    /// The other position of a duplicate.
    pub first: Option<Place>,
    /// The other variable of a duplicate.
    pub first_variable: Option<Variable>,
    /// The file's name as it was given; empty if no file is the cause.
    pub file: String,
    pub(crate) line: Option<Line>,
    /// The origin from which `place` and `variable` are set when the problem is reported.
    pub(crate) at: Option<ValueOrigin>,
    pub(crate) first_at: Option<ValueOrigin>,
    /// The users of the configuration that it concerns.
    pub concern: Concern,
}

/// The users of a configuration that a problem concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concern {
    /// The configuration is invalid.
    All,
    /// A server cannot start with it. Of the commands, only `tollgate check` reports it.
    Servers,
    /// A test fails; only `tollgate check` reports it.
    Tests,
}

impl Problem {
    /// Returns a problem of the value at this position.
    pub fn new(code: Code, at: impl Into<Option<ValueOrigin>>, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            expected: None,
            near: None,
            place: None,
            variable: None,
            first: None,
            first_variable: None,
            file: String::new(),
            line: None,
            at: at.into(),
            first_at: None,
            concern: Concern::All,
        }
    }

    /// Adds a description of valid input.
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// A server cannot start with this configuration ([`Concern::Servers`]).
    pub const fn of_startup(mut self) -> Self {
        self.concern = Concern::Servers;
        self
    }

    /// Only `tollgate check` reports the problem.
    pub const fn of_tests(mut self) -> Self {
        self.concern = Concern::Tests;
        self
    }

    /// Adds the name that was probably meant.
    pub fn near(mut self, near: Option<&str>) -> Self {
        self.near = near.map(str::to_owned);
        self
    }

    /// Adds the other position of a duplicate.
    pub fn first(mut self, first: Option<ValueOrigin>) -> Self {
        self.first_at = first;
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[{}]: {}", self.code.name(), self.message)?;
        let margin = self.place.map_or(1, |place| place.line.to_string().len());
        let blank = " ".repeat(margin);
        match (self.place, &self.variable) {
            (Some(place), _) => write!(f, "\n{blank}--> {}:{}:{}", self.file, place.line, place.column)?,
            (None, Some(variable)) => write!(f, "\n{blank}--> {variable}")?,
            (None, None) if self.file.is_empty() => {}
            (None, None) => write!(f, "\n{blank}--> {}", self.file)?,
        }
        let expected = self.expected.as_deref();
        match (self.place, &self.line) {
            (Some(place), Some(line)) => {
                let caret = " ".repeat(line.caret_offset) + &"^".repeat(line.caret_width);
                write!(f, "\n{blank} |\n{} | {}\n{blank} | {caret}", place.line, line.text)?;
                if let Some(expected) = expected {
                    write!(f, " expected {expected}")?;
                }
            }
            _ => {
                if let Some(expected) = expected {
                    write!(f, "\n{blank} = expected {expected}")?;
                }
            }
        }
        if let Some(first) = self.first {
            write!(f, "\n{blank} = the first is at {}:{}:{}", self.file, first.line, first.column)?;
        }
        if let Some(variable) = &self.first_variable {
            write!(f, "\n{blank} = the first is {variable}")?;
        }
        if let Some(near) = &self.near {
            write!(f, "\n{blank} = did you mean `{near}`?")?;
        }
        Ok(())
    }
}

/// All problems of a configuration, in the order of the file, variables last. `Display` prints each problem with its
/// line and a caret.
#[derive(Debug, Clone)]
pub struct ConfigError {
    /// At least one problem and at most [`PROBLEMS_MAX`].
    pub problems: Vec<Problem>,
    /// The number of further problems.
    pub more: usize,
    /// The files that values name, if they are known.
    pub files: Vec<PathBuf>,
}

impl ConfigError {
    /// Limits the number of `problems`, which must be in the order of the file.
    pub fn from_problems(mut problems: Vec<Problem>) -> Self {
        let more = problems.len().saturating_sub(PROBLEMS_MAX);
        problems.truncate(PROBLEMS_MAX);
        Self { problems, more, files: Vec::new() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            problem.fmt(f)?;
        }
        if self.more > 0 {
            write!(f, "\n\nand {} more", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
