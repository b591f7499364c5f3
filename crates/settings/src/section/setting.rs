//! Lists the effective settings: each with its value, as in the snapshot, and its source. Secrets are masked.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::time::Duration;

use access::Secret;
use serde::{Serialize, Serializer};

use crate::error::ValueOrigin;
use crate::input::ValueSource;
use crate::place::Place;
use crate::section::SettingsReader;
use crate::spelling::unit;
use crate::variables::variable::Variable;

/// One effective setting with its source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Its full name: `control.listen`, `plans[0].name`.
    pub key: String,
    /// The value that is in effect.
    pub value: Value,
    /// The source of the value.
    #[serde(serialize_with = "source")]
    pub from: SettingOrigin,
    /// Whether the value comes from a variable or a file to which the setting refers.
    #[serde(skip)]
    pub is_reference: bool,
}

impl Setting {
    /// Returns the setting with a mask in place of the value of a reference.
    #[must_use]
    pub fn without_reference(&self) -> Self {
        let value = if self.is_reference { Value::text(MASK) } else { self.value.clone() };
        Self { value, ..self.clone() }
    }

    /// Returns the value if it is a text that a file, a variable or a flag sets.
    #[must_use]
    pub fn given_text(&self) -> Option<&str> {
        let Value::Text(text) = &self.value else { return None };
        (self.from != SettingOrigin::Default).then_some(text.as_str())
    }
}

/// A setting's value in a form that can be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// No value: no limit applies, the object does not exist, or the program chooses.
    None(()),
    /// A text, or a value written as text: durations, sizes, addresses, money.
    Text(String),
    /// A number, always a whole one.
    Number(u64),
    /// The value `true` or `false`.
    Boolean(bool),
    /// A list without entries.
    Empty([(); 0]),
    /// A secret that is set.
    #[serde(serialize_with = "mask")]
    Secret(SecretDigest),
}

/// A digest of a secret, with which two configurations of one process are compared. Its key is random and never leaves
/// the process, so that the digest reveals nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SecretDigest(u64);

impl SecretDigest {
    fn from_secret(secret: &Secret) -> Self {
        static KEY: OnceLock<RandomState> = OnceLock::new();
        Self(KEY.get_or_init(RandomState::new).hash_one(secret.expose()))
    }
}

impl fmt::Debug for SecretDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// The source of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingOrigin {
    /// A flag of the command line.
    Flag(&'static str),
    /// A variable of the process, or of a `.env`.
    Variable(Variable),
    /// A line of the configuration file.
    File {
        /// The file's name as it was given.
        file: String,
        /// The number of the line, from 1.
        line: u32,
    },
    /// The default value: no source sets it.
    Default,
}

/// The text that is shown in place of a secret.
/// The text in place of a value that may be a secret.
pub const MASK: &str = "***";

fn mask<S: Serializer>(_: &SecretDigest, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(MASK)
}

fn source<S: Serializer>(from: &SettingOrigin, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(from)
}

impl SettingOrigin {
    /// Returns the kind in one word: `flag`, `environment`, `env_file`, `file` or `default`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Flag(_) => "flag",
            Self::Variable(Variable { line: None, .. }) => "environment",
            Self::Variable(Variable { line: Some(_), .. }) => "env_file",
            Self::File { .. } => "file",
            Self::Default => "default",
        }
    }
}

impl fmt::Display for SettingOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "flag {flag}"),
            Self::Variable(Variable { name, line: None }) => write!(f, "environment {name}"),
            Self::Variable(Variable { name, line: Some(line) }) => write!(f, "{}:{} {name}", line.file, line.line),
            Self::File { file, line } => write!(f, "{file}:{line}"),
            Self::Default => f.write_str("default"),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None(()) => f.write_str("-"),
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => number.fmt(f),
            Self::Boolean(boolean) => boolean.fmt(f),
            Self::Empty(_) => f.write_str("[]"),
            Self::Secret(_) => f.write_str(MASK),
        }
    }
}

impl Value {
    /// Returns a value that is written as this text.
    pub fn text(text: impl fmt::Display) -> Self {
        Self::Text(text.to_string())
    }

    /// Returns the digest of a secret.
    pub fn secret(secret: &Secret) -> Self {
        Self::Secret(SecretDigest::from_secret(secret))
    }

    /// Returns a duration in its largest exact unit.
    pub fn duration(duration: Duration) -> Self {
        Self::Text(unit::written_duration(duration))
    }

    /// Returns a size in its largest exact unit.
    pub fn size(bytes: u64) -> Self {
        Self::Text(unit::written_size(bytes))
    }
}

/// The settings that were listed so far.
pub struct Listing<'a> {
    reader: &'a SettingsReader<'a>,
    /// The settings, in the order of their declarations.
    pub settings: Vec<Setting>,
}

impl<'a> Listing<'a> {
    /// Returns an empty listing.
    pub const fn new(reader: &'a SettingsReader<'a>) -> Self {
        Self { reader, settings: Vec::new() }
    }

    /// Adds a setting with the source of its value.
    pub fn put(&mut self, key: &str, value: Value, source: &ValueSource) {
        let from = match source {
            ValueSource::Default => SettingOrigin::Default,
            ValueSource::Flag(flag) => SettingOrigin::Flag(flag),
            ValueSource::Variable(variable) => SettingOrigin::Variable(variable.clone()),
            ValueSource::At(ValueOrigin::File(Place { line, .. })) => {
                SettingOrigin::File { file: self.reader.file().to_owned(), line: *line }
            }
            ValueSource::At(at) => self.reader.variable_at(*at).map_or(SettingOrigin::Default, SettingOrigin::Variable),
        };
        let is_reference = matches!(source, ValueSource::At(at) if self.reader.is_reference(*at));
        self.settings.push(Setting { key: key.to_owned(), value, from, is_reference });
    }
}
