//! Files and variables to which values of a configuration refer.

use std::path::{Path, PathBuf};

use super::Reader;
use crate::api_references::ApiRule;
use crate::error::At;

impl Reader<'_> {
    /// Returns the reader of a text whose relative paths begin at the folder of `file`.
    pub(crate) fn beside(self, file: Option<&Path>) -> Self {
        Self { folder: file.and_then(Path::parent).map(Path::to_owned).unwrap_or_default(), ..self }
    }

    /// Returns the reader of a text whose sender must not see lines of other files, if it is one of the API.
    pub(crate) fn of_api(self, is_of_api: bool) -> Self {
        Self { is_of_api, ..self }
    }

    /// Bounds the references of a text of the API.
    pub(crate) fn bound(&mut self, rule: ApiRule) {
        self.api = Some(rule);
    }

    /// Whether the text is one of the API, whose sender must not see lines of other files.
    pub(crate) fn is_of_api(&self) -> bool {
        self.is_of_api
    }

    /// Whether the value at `key` may permit what only the operator may.
    pub(crate) fn may_allow(&self, at: At, key: &str) -> bool {
        self.api.as_ref().is_none_or(|rule| rule.is_accepted(at, key))
    }

    /// Returns the folder at which relative paths begin.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether the value at this position refers to variables or a file.
    pub(crate) fn is_reference(&self, at: At) -> bool {
        self.references.borrow().contains(&at)
    }

    /// Returns the path of a file that the value of `key` names, relative to the folder of the configuration file; `None` if
    /// the API may not name it, which is reported.
    pub(crate) fn file_path(&self, at: At, key: &str, path: &Path) -> Option<PathBuf> {
        let path = self.folder.join(path);
        match self.api.as_ref().map(|rule| rule.check_file(at, key, &path)) {
            None | Some(Ok(())) => Some(path),
            Some(Err(refusal)) => {
                self.report(refusal.problem(at, key));
                None
            }
        }
    }

    /// Records a file that a value names.
    pub(crate) fn uses_file(&self, path: &Path) {
        self.files.borrow_mut().insert(path.to_owned());
    }

    /// Returns the files that values name.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        self.files.borrow().iter().cloned().collect()
    }

    /// Records the references of the value at `at`. A single value of a variable has no variables.
    pub(super) fn record_references(&self, at: At, text: &str, is_single: bool) {
        let file = text.strip_prefix("file:");
        if let Some(path) = file.filter(|path| !path.contains("${")) {
            self.uses_file(&self.folder.join(path));
        }
        if file.is_some() || (text.contains("${") && !is_single) {
            self.references.borrow_mut().insert(at);
        }
    }
}
