//! The environment that the configuration reads: the process's variables, and as fallbacks those of a `.env`. Child
//! processes do not inherit the latter.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use access::Secret;

use crate::error::{Code, ConfigError, Problem};
use crate::variables::env_file;
use crate::variables::variable::{EnvLine, Variable};

/// The file that is read if none is named.
const ENV_FILE: &str = ".env";
/// Largest `.env`, in bytes.
const ENV_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Variables by name. `Debug` does not print their values.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, VariableValue>);

/// The value of one variable.
#[derive(Clone)]
struct VariableValue {
    /// `None` if the value is not UTF-8.
    value: Option<String>,
    /// The line of the variable in a `.env`.
    line: Option<EnvLine>,
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Environment {
    /// Returns the variables of a process: `std::env::vars_os()`. A name that is not UTF-8 is ignored.
    pub fn new(process: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let set = |(name, value): (OsString, OsString)| {
            Some((name.into_string().ok()?, VariableValue { value: value.into_string().ok(), line: None }))
        };
        Self(process.into_iter().filter_map(set).collect())
    }

    /// Returns an environment of exactly these variables.
    #[must_use]
    pub fn from_variables<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self::new(variables.into_iter().map(|(name, value)| (name.into(), value.into())))
    }

    /// Adds the variables of a `.env` that the environment does not have: `file`, or `.env` in the working directory if
    /// that file exists.
    ///
    /// # Errors
    /// Returns a [`ConfigError`] if the file cannot be read or a line is invalid.
    pub fn with_file(mut self, file: Option<&Path>) -> Result<Self, ConfigError> {
        let path = file.unwrap_or(Path::new(ENV_FILE));
        let name: Arc<str> = path.display().to_string().into();
        let text = match read(path) {
            Ok(text) => text,
            // A folder with this name holds a Python environment.
            Err(EnvFileError::Io(error)) if file.is_none() && is_absent(&error) => return Ok(self),
            Err(error) => {
                let problem = Problem::new(Code::File, None, format!("the variables cannot be read: {error}"));
                return Err(ConfigError::from_problems(vec![Problem { file: name.to_string(), ..problem }]));
            }
        };
        let entries = env_file::parse(&text).map_err(|broken| {
            let problem = Problem::new(Code::EnvFile, None, broken.message).expected(broken.expected);
            let place = Some(broken.place);
            let first = broken.first;
            ConfigError::from_problems(vec![Problem { file: name.to_string(), place, first, ..problem }])
        })?;
        for entry in entries {
            let line = Some(EnvLine { file: name.clone(), line: entry.line });
            self.0.entry(entry.name).or_insert(VariableValue { value: Some(entry.value), line });
        }
        Ok(self)
    }

    /// Returns the value of a variable; it may be empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.value.as_deref()
    }

    /// Returns the value of a variable that holds a secret; `None` if it is empty.
    #[must_use]
    pub fn secret(&self, name: &str) -> Option<Secret> {
        self.get(name).filter(|value| !value.is_empty()).map(|value| Secret::new(value.to_owned()))
    }

    /// Returns the name and origin of a variable that is set.
    pub fn variable(&self, name: &str) -> Option<Variable> {
        let set = self.0.get(name)?;
        Some(Variable { name: name.to_owned(), line: set.line.clone() })
    }

    /// Returns the names that begin with `prefix`, in order, with their values (`None`: not UTF-8).
    pub fn beginning<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
        let from = self.0.range(prefix.to_owned()..);
        let named = from.take_while(move |(name, _)| name.starts_with(prefix));
        named.map(|(name, set)| (name.as_str(), set.value.as_deref()))
    }
}

/// The reason why a file was not read.
enum EnvFileError {
    Io(io::Error),
    TooLarge,
    NotUtf8 { line: usize },
}

impl fmt::Display for EnvFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::TooLarge => write!(f, "the file is larger than {ENV_FILE_BYTES_MAX} bytes"),
            Self::NotUtf8 { line } => write!(f, "line {line} is not UTF-8"),
        }
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::IsADirectory)
}

fn read(path: &Path) -> Result<String, EnvFileError> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(EnvFileError::Io)?;
    file.take(ENV_FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(EnvFileError::Io)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > ENV_FILE_BYTES_MAX {
        return Err(EnvFileError::TooLarge);
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        EnvFileError::NotUtf8 { line: before.iter().filter(|byte| **byte == b'\n').count() + 1 }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &[u8]) -> Result<Environment, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vars.env");
        std::fs::write(&path, text).unwrap();
        let process = Environment::from_variables([("A", "process"), ("EMPTY", "")]);
        let folder = folder.path().display().to_string();
        process.with_file(Some(&path)).map_err(|error| error.to_string().replace(&folder, "DIR"))
    }

    #[test]
    fn the_process_wins_over_the_file() {
        let environment = with(b"A=file\nEMPTY=file\nB='two\nlines'\nC=\n").unwrap();
        assert_eq!(
            ["A", "B", "EMPTY", "D"].map(|name| environment.get(name)),
            [Some("process"), Some("two\nlines"), Some(""), None]
        );
        assert!(environment.secret("C").is_none() && environment.secret("B").is_some());
        let of = |name| environment.variable(name).unwrap().to_string().rsplit('/').next().unwrap().to_owned();
        assert_eq!((of("A"), of("C")), ("the environment variable A".to_owned(), "vars.env:5 (C)".to_owned()));
        assert_eq!(format!("{environment:?}"), r#"{"A", "B", "C", "EMPTY"}"#);
    }

    #[test]
    fn a_broken_file_says_where_and_shows_no_value() {
        assert_eq!(
            with(b"A=1\nB=\"S3CRET\n").unwrap_err(),
            "error[env_file]: a quote is not closed\n --> DIR/vars.env:2:3\n  = expected the same quote at its end"
        );
        assert_eq!(
            with(b"A=1\nA=S3CRET\n").unwrap_err(),
            "error[env_file]: a name occurs twice\n --> DIR/vars.env:2:1\n  = expected one line for each name\n  = the first \
             is at DIR/vars.env:1:1"
        );
        let unread = |text: &[u8]| with(text).unwrap_err();
        assert_eq!(
            unread(b"A=1\n\nB=\xff"),
            "error[file]: the variables cannot be read: line 3 is not UTF-8\n --> DIR/vars.env"
        );
        assert!(unread(&vec![b'#'; 1024 * 1024 + 1]).contains("larger"));
    }

    #[test]
    fn a_file_that_was_named_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().join("none"), folder.path().to_owned()] {
            let error = Environment::default().with_file(Some(&path)).unwrap_err().to_string();
            assert!(error.starts_with("error[file]: the variables cannot be read: "), "{error}");
        }
        assert!(Environment::default().with_file(None).is_ok(), "nobody named it, and it is not there");
    }
}
