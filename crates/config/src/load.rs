//! Loads a [`Snapshot`] from the file, the environment and the flags.

use std::path::Path;

use crate::compile::{CompiledConfig, compile};
use crate::environment::Environment;
use crate::error::{Code, Concern, ConfigError, Problem};
use crate::file::read_bytes;
use crate::flags::Flags;
use crate::note::Note;
use crate::section::Reader;
use crate::settings::Setting;
use crate::snapshot::Snapshot;
use crate::{overlay, yaml};

/// The sources of the configuration.
#[derive(Clone)]
pub struct Sources<'a> {
    /// The file; without one the defaults apply.
    pub file: Option<&'a Path>,
    /// The environment: settings that override the file, the values of `${…}`, and credentials of providers if no
    /// provider is configured.
    pub environment: &'a Environment,
    /// The flags of the command line; they override the environment.
    pub flags: Flags,
}

/// A checked configuration, and notes for the operator.
#[derive(Debug, Clone)]
pub struct LoadedConfig {
    /// The snapshot of the configuration.
    pub snapshot: Snapshot,
    /// Notes for the operator, in no meaningful order.
    pub notes: Vec<Note>,
    /// The environment that the configuration was read with: it holds secrets that are not settings.
    pub environment: Environment,
    settings: Vec<Setting>,
    /// Problems of the certificates that a server needs.
    startup_problems: Vec<Problem>,
    failed_tests: Vec<Problem>,
}

/// Reads, checks and compiles a configuration.
///
/// # Errors
/// Returns a [`ConfigError`] with every problem that could be found at once.
pub fn load(sources: Sources<'_>) -> Result<LoadedConfig, ConfigError> {
    let Some(path) = sources.file else {
        return load_text("", "", sources);
    };
    let name = path.display().to_string();
    let source = read(path).map_err(|reason| {
        let mut problem = Problem::new(Code::File, None, format!("the configuration cannot be read: {reason}"));
        problem.file.clone_from(&name);
        ConfigError { problems: vec![problem], more: 0 }
    })?;
    load_text(&name, &source, sources)
}

fn read(path: &Path) -> Result<String, String> {
    let bytes = read_bytes(path)?;
    String::from_utf8(bytes).map_err(|error| format!("byte {} is not UTF-8", error.utf8_error().valid_up_to()))
}

pub(crate) fn load_text(name: &str, source: &str, sources: Sources<'_>) -> Result<LoadedConfig, ConfigError> {
    let Sources { environment, flags, .. } = sources;
    // A byte order mark is not a part of the first key.
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    let reader = Reader::new(name.to_owned(), source, environment);
    let mut root = yaml::parse(source);
    let mut notes = Vec::new();
    if let Ok(root) = &mut root {
        overlay::lay(&reader, root, environment, &mut notes);
    }
    let compiled = match &root {
        Ok(root) => compile(&reader, root, &flags, notes),
        Err(broken) => {
            reader.report(broken.problem());
            None
        }
    };
    let unknown: Vec<Note> = overlay::unknown(&reader, environment).collect();
    let problems = reader.problems(root.as_ref().ok());
    match compiled {
        Some(CompiledConfig { snapshot, settings, mut notes })
            if problems.iter().all(|problem| problem.concern != Concern::All) =>
        {
            notes.extend(unknown);
            let environment = environment.clone();
            let (failed_tests, startup_problems) =
                problems.into_iter().partition(|problem| problem.concern == Concern::Tests);
            Ok(LoadedConfig { snapshot, notes, environment, settings, startup_problems, failed_tests })
        }
        _ => Err(ConfigError::of(problems)),
    }
}

impl LoadedConfig {
    /// Returns the configuration for a server, whose certificates must be valid. Commands that change the store do not
    /// need this.
    ///
    /// # Errors
    /// Returns a [`ConfigError`] with every certificate that cannot be used.
    pub fn for_server(mut self) -> Result<Self, ConfigError> {
        match std::mem::take(&mut self.startup_problems) {
            problems if problems.is_empty() => Ok(self),
            problems => Err(ConfigError::of(problems)),
        }
    }

    /// Checks the results of `tests`.
    ///
    /// # Errors
    /// Returns a [`ConfigError`] with every expectation that is not met.
    pub fn tested(&self) -> Result<(), ConfigError> {
        if self.failed_tests.is_empty() { Ok(()) } else { Err(ConfigError::of(self.failed_tests.clone())) }
    }

    /// Returns every setting, in the order of their declarations.
    #[must_use]
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }
}

#[cfg(test)]
mod tests;
