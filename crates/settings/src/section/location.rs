//! The names and keys of one mapping.

use super::{Location, SettingsReader, one_of};
use crate::error::{Code, Problem, ValueOrigin};
use crate::place::Place;
use crate::spec::SectionSpec;
use crate::suggestion::near::near;

impl Location {
    /// Returns the location of an entry that no source sets.
    pub fn unset(path: String, spec: &'static SectionSpec) -> Self {
        Self { at: ValueOrigin::File(Place::START), path, spec, given: None, unknown: Vec::new() }
    }

    /// Returns the full name of `key`.
    pub fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Whether the mapping exists.
    pub fn is_given(&self) -> bool {
        self.given.is_some()
    }

    /// Whether `key` has a value; it may be invalid.
    pub fn has(&self, key: &str) -> bool {
        self.given.iter().flatten().any(|given| given == key)
    }

    /// Reports that one of the `keys` is required, unless a reported unknown key was probably meant for it. Nothing is
    /// required of an absent mapping.
    pub fn missing(&self, reader: &SettingsReader<'_>, keys: &[&str]) {
        let was_meant = self.unknown.iter().any(|unknown| near(unknown, keys.iter().copied()).is_some());
        if !self.is_given() || was_meant {
            return;
        }
        let keys = one_of(keys.iter().copied());
        let subject = if self.path.is_empty() { "the file".to_owned() } else { format!("`{}`", self.path) };
        let message = format!("{subject} needs {keys}");
        reader.report(Problem::new(Code::Missing, self.at, message).expected(format!("{keys} here")));
    }
}
