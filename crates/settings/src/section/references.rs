//! Files and variables to which values of a configuration refer.

use std::path::{Path, PathBuf};

use super::SettingsReader;
use crate::error::{Code, Problem, ValueOrigin};
use crate::substitute::{VariableLookup, split_reference, variables};

/// A rule for the references of a text: which files and variables its values may name.
pub trait ReferenceRule {
    /// Returns the problem of a single value at `key` that may not have its references; relative paths begin at `folder`.
    fn check_text(&self, at: ValueOrigin, key: &str, text: &str, folder: &Path) -> Option<Problem>;

    /// Returns the problem of a value at `key` that may not name this file by its path.
    fn check_file(&self, at: ValueOrigin, key: &str, path: &Path) -> Option<Problem>;

    /// Whether the rule does not apply to the value at `key`.
    fn is_accepted(&self, at: ValueOrigin, key: &str) -> bool;
}

impl SettingsReader<'_> {
    /// Returns the reader of a text whose relative paths begin at the folder of `file`.
    pub fn beside(self, file: Option<&Path>) -> Self {
        Self { folder: file.and_then(Path::parent).map(Path::to_owned).unwrap_or_default(), ..self }
    }

    /// Returns the reader of a text whose sender must not see lines of other files, if it is one of the API.
    pub fn of_api(self, is_of_api: bool) -> Self {
        Self { is_of_api, ..self }
    }

    /// Bounds the references of the text.
    pub fn bound(&mut self, rule: impl ReferenceRule + 'static) {
        self.rule = Some(Box::new(rule));
    }

    /// Whether the text is one of the API, whose sender must not see lines of other files.
    pub fn is_of_api(&self) -> bool {
        self.is_of_api
    }

    /// Whether the value at `key` may permit what only the operator may.
    pub fn may_allow(&self, at: ValueOrigin, key: &str) -> bool {
        self.rule.as_ref().is_none_or(|rule| rule.is_accepted(at, key))
    }

    /// Returns the folder at which relative paths begin.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether the value at this position refers to variables or a file.
    pub fn is_reference(&self, at: ValueOrigin) -> bool {
        self.references.borrow().contains(&at)
    }

    /// Returns the path of a file that the value of `key` names, relative to the folder of the configuration file; `None` if
    /// the API may not name it, which is reported.
    pub fn file_path(&self, at: ValueOrigin, key: &str, path: &Path) -> Option<PathBuf> {
        let path = self.folder.join(path);
        match self.rule.as_ref().and_then(|rule| rule.check_file(at, key, &path)) {
            None => Some(path),
            Some(refused) => {
                if refused.code == Code::File {
                    self.uses_file(&path);
                }
                self.report(refused);
                None
            }
        }
    }

    /// Records a file that a value names.
    pub fn uses_file(&self, path: &Path) {
        self.files.borrow_mut().insert(path.to_owned());
    }

    /// Returns the files that values name.
    pub fn files(&self) -> Vec<PathBuf> {
        self.files.borrow().iter().cloned().collect()
    }

    /// Records the references of the value at `at`. `env` returns the variables that it may have; a single value of a
    /// variable has none.
    pub(super) fn record_references(&self, at: ValueOrigin, text: &str, env: Option<VariableLookup<'_>>) {
        let file = text.strip_prefix("file:");
        let path = file.and_then(|path| match env {
            Some(env) => variables(path, env).ok().map(|path| path.text),
            None => Some(path.to_owned()),
        });
        if let Some(path) = path {
            self.uses_file(&self.folder.join(path));
        }
        if file.is_some() || (split_reference(text).is_some() && env.is_some()) {
            self.references.borrow_mut().insert(at);
        }
    }
}
