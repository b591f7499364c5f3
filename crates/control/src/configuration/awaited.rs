//! The files that a refused configuration names: a change of one of them may make it valid.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::result::{ApplyError, ConfigurationResult};

/// The files that the last refused configuration names; none after one was applied.
#[derive(Debug, Default)]
pub(super) struct AwaitedFiles(Mutex<Vec<PathBuf>>);

impl AwaitedFiles {
    /// Returns the files of the last refused configuration.
    pub(super) fn get(&self) -> Vec<PathBuf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records the files that a refused configuration names.
    pub(super) fn note(&self, result: &Result<ConfigurationResult, ApplyError>) {
        let files = if let Err(ApplyError::Invalid(error)) = result { error.files.clone() } else { Vec::new() };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = files;
    }
}
