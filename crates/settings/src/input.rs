//! Values of the configuration with their sources.

use crate::error::At;
use crate::variable::Variable;

/// A value of the configuration, with its source.
#[derive(Debug, Clone)]
pub(crate) struct Input<T> {
    pub(crate) value: T,
    pub(crate) source: Source,
    /// Whether it came from a variable or a file: errors then do not repeat it.
    pub(crate) foreign: bool,
}

/// The source of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// No source sets it.
    Default,
    /// This flag of the command line.
    Flag(&'static str),
    /// The file or the variable of a setting.
    At(At),
    /// Another variable, which is not a setting.
    Variable(Variable),
}

impl<T> Input<T> {
    pub(crate) const fn default(value: T) -> Self {
        Self { value, source: Source::Default, foreign: false }
    }

    pub(crate) const fn flag(value: T, flag: &'static str) -> Self {
        Self { value, source: Source::Flag(flag), foreign: false }
    }

    /// Returns a value that follows from this one.
    pub(crate) fn derived<U>(&self, value: U) -> Input<U> {
        Input { value, source: self.source.clone(), foreign: self.foreign }
    }

    pub(crate) fn at(&self) -> Option<At> {
        match self.source {
            Source::At(at) => Some(at),
            Source::Default | Source::Flag(_) | Source::Variable(_) => None,
        }
    }

    /// Replaces the value by that of a flag.
    pub(crate) fn set_flag(&mut self, value: Option<T>, flag: &'static str) {
        if let Some(value) = value {
            *self = Self::flag(value, flag);
        }
    }
}
