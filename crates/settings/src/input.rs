//! ValueList of the configuration with their sources.

use crate::error::ValueOrigin;
use crate::variables::variable::Variable;

/// A value of the configuration, with its source.
#[derive(Debug, Clone)]
pub struct Input<T> {
    /// The value after its checks.
    pub value: T,
    /// The source of the value.
    pub source: ValueSource,
    /// Whether it came from a variable or a file: errors then do not repeat it.
    pub foreign: bool,
}

/// The source of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueSource {
    /// No source sets it.
    Default,
    /// This flag of the command line.
    Flag(&'static str),
    /// The file or the variable of a setting.
    At(ValueOrigin),
    /// Another variable, which is not a setting.
    Variable(Variable),
}

impl<T> Input<T> {
    /// Returns a value that no source sets.
    pub const fn default(value: T) -> Self {
        Self { value, source: ValueSource::Default, foreign: false }
    }

    /// Returns the value of a flag.
    pub const fn flag(value: T, flag: &'static str) -> Self {
        Self { value, source: ValueSource::Flag(flag), foreign: false }
    }

    /// Returns a value that follows from this one.
    pub fn derived<U>(&self, value: U) -> Input<U> {
        Input { value, source: self.source.clone(), foreign: self.foreign }
    }

    /// Returns the position in the file, or the variable of the setting.
    pub fn value_origin(&self) -> Option<ValueOrigin> {
        match self.source {
            ValueSource::At(at) => Some(at),
            ValueSource::Default | ValueSource::Flag(_) | ValueSource::Variable(_) => None,
        }
    }

    /// Replaces the value by that of a flag.
    pub fn set_flag(&mut self, value: Option<T>, flag: &'static str) {
        if let Some(value) = value {
            *self = Self::flag(value, flag);
        }
    }
}
