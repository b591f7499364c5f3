//! Loads a [`Snapshot`] from the file, the environment and the flags.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use settings::environment::Environment;
use settings::error::{Code, Concern, ConfigError, Problem};
use settings::section::SettingsReader;
use settings::section::setting::Setting;
use settings::yaml::{self, Kind, YamlNode};

use crate::compile::{CompiledConfig, RunningTls, compile};
use crate::note::Note;
use crate::route_notes::of_routes;
use crate::running::{ConfigText, RunningConfig};
use crate::secrets::api_references::ApiRule;
use crate::secrets::literal_secrets::{self, LiteralSecrets};
use crate::snapshot::{Process, Snapshot};
use crate::sources::file::read_bytes;
use crate::sources::flags::Flags;
use crate::sources::{overlay, short_forms};

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
    /// The YAML that was read.
    pub text: Arc<str>,
    /// The files that values name.
    pub files: Vec<PathBuf>,
    /// Whether the text contains a secret in place of a reference to it.
    pub has_literal_secrets: bool,
    settings: Vec<Setting>,
    /// Problems of the certificates that a server needs.
    startup_problems: Vec<Problem>,
    failed_tests: Vec<Problem>,
    tests_count: usize,
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
    load_text(&name, &read_file(path)?, sources)
}

/// Reads, checks and compiles a text, which errors call `name`. Relative paths in it begin at the working folder.
///
/// # Errors
/// Returns a [`ConfigError`] with every problem that could be found at once.
pub fn load_written(name: &str, text: &str, sources: Sources<'_>) -> Result<LoadedConfig, ConfigError> {
    load_text(name, text, Sources { file: None, ..sources })
}

/// The keys of the file that commands on the store need.
const STORE_KEYS: [&str; 6] = ["brand", "data", "public_url", "retention", "spool", "store"];

/// Reads the settings that commands on the store need. The rest of the file is not read, so that a variable or a file that
/// only a server has may be missing.
///
/// # Errors
/// Returns a [`ConfigError`] with every problem of these settings.
pub fn load_for_store(sources: Sources<'_>) -> Result<Process, ConfigError> {
    let Sources { file, environment, flags } = sources;
    let (name, text) = match file {
        Some(path) => (path.display().to_string(), read_file(path)?),
        None => (String::new(), String::new()),
    };
    let source = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let reader = SettingsReader::new(name, source, environment).beside(file);
    let mut root = match yaml::parse(source) {
        Ok(root) => root,
        Err(broken) => {
            reader.report(broken.problem());
            return Err(ConfigError::from_problems(reader.problems(None)));
        }
    };
    reader.hide(&root, literal_secrets::of_text(source, &root).keys().map(String::as_str));
    overlay::lay(&reader, &mut root, environment, &mut Vec::new());
    if let Kind::Map(entries) = &mut root.kind {
        entries.retain(|(key, _)| STORE_KEYS.contains(&key.name.as_str()));
    }
    let compiled = compile(&reader, &root, &flags, Vec::new());
    let problems = reader.problems(Some(&root));
    let is_valid = problems.iter().all(|problem| problem.concern != Concern::All);
    let process = if is_valid { compiled.map(|compiled| compiled.snapshot.process) } else { None };
    process.ok_or_else(|| ConfigError::from_problems(problems))
}

/// Reads the text of a configuration file.
///
/// # Errors
/// Returns a [`ConfigError`] if the file cannot be read, is too large or is not UTF-8.
pub fn read_file(path: &Path) -> Result<String, ConfigError> {
    read(path).map_err(|reason| {
        let mut problem = Problem::new(Code::File, None, format!("the configuration cannot be read: {reason}"));
        problem.file = path.display().to_string();
        ConfigError::from_problems(vec![problem])
    })
}

fn read(path: &Path) -> Result<String, String> {
    let bytes = read_bytes(path)?;
    String::from_utf8(bytes).map_err(|error| format!("byte {} is not UTF-8", error.utf8_error().valid_up_to()))
}

pub(crate) fn load_text(name: &str, source: &str, sources: Sources<'_>) -> Result<LoadedConfig, ConfigError> {
    load_in_place_of(None, ConfigText { name, text: source, posted: None }, sources)
}

/// Reads, checks and compiles `text`, which replaces `running`.
pub(crate) fn load_in_place_of(
    running: Option<&RunningConfig<'_>>,
    ConfigText { name, text: source, posted }: ConfigText<'_>,
    sources: Sources<'_>,
) -> Result<LoadedConfig, ConfigError> {
    let Sources { file, environment, flags } = sources;
    // A byte order mark is not a part of the first key.
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    let reader = SettingsReader::new(name.to_owned(), source, environment).beside(file).of_api(posted.is_some());
    let mut reader = reader.carrying(RunningTls(running.map(RunningConfig::upstream_tls)));
    let mut root = yaml::parse(source);
    let mut notes = Vec::new();
    let mut secrets = LiteralSecrets::new();
    if let Ok(root) = &mut root {
        secrets = literal_secrets::of_text(source, root);
        reader.hide(root, secrets.keys().map(String::as_str));
        overlay::lay(&reader, root, environment, &mut notes);
        if let Some(accepted) = posted {
            let allowed = running.map(|running| running.snapshot.process.control.api_references.clone());
            let accepted: Vec<YamlNode> =
                accepted.iter().filter_map(|text| with_variables(text, environment)).collect();
            reader.bound(ApiRule::new(allowed.unwrap_or_default(), root, &accepted));
        }
        short_forms::expand(root);
    }
    let compiled = match &root {
        Ok(root) => compile(&reader, root, &flags, notes),
        Err(broken) => {
            reader.report(broken.problem());
            None
        }
    };
    let files = reader.files();
    let has_literal_secrets = match (&compiled, &root) {
        (Some(compiled), Ok(root)) => {
            if let Some(running) = running {
                running.check(&reader, root, compiled, posted.is_none());
            }
            let in_comments = literal_secrets::check_comments(&reader, source, posted.is_some());
            literal_secrets::check(&reader, root, &compiled.settings, secrets, posted.is_some()) || in_comments
        }
        _ => false,
    };
    let unknown: Vec<Note> = overlay::unknown(&reader, environment).collect();
    let problems = reader.problems(root.as_ref().ok());
    match compiled {
        Some(CompiledConfig { snapshot, settings, mut notes, tests_count })
            if problems.iter().all(|problem| problem.concern != Concern::All) =>
        {
            notes.extend(of_routes(&snapshot));
            notes.extend(unknown);
            let environment = environment.clone();
            let (failed_tests, startup_problems) =
                problems.into_iter().partition(|problem| problem.concern == Concern::Tests);
            Ok(LoadedConfig {
                snapshot,
                notes,
                environment,
                text: source.into(),
                files,
                has_literal_secrets,
                settings,
                startup_problems,
                failed_tests,
                tests_count,
            })
        }
        _ => Err(ConfigError { files, ..ConfigError::from_problems(problems) }),
    }
}

/// Returns the tree of a text with the settings from variables; `None` if it is not YAML.
fn with_variables(text: &str, environment: &Environment) -> Option<YamlNode> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut root = yaml::parse(text).ok()?;
    let reader = SettingsReader::new(String::new(), text, environment).of_api(true);
    overlay::lay(&reader, &mut root, environment, &mut Vec::new());
    Some(root)
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
            problems => Err(ConfigError { files: self.files, ..ConfigError::from_problems(problems) }),
        }
    }

    /// Returns the number of `tests`, if all pass.
    ///
    /// # Errors
    /// Returns a [`ConfigError`] with every expectation that is not met.
    pub fn tested(&self) -> Result<usize, ConfigError> {
        if self.failed_tests.is_empty() {
            Ok(self.tests_count)
        } else {
            Err(ConfigError::from_problems(self.failed_tests.clone()))
        }
    }

    /// Returns the number of entries of a list of the file, such as `models`: also of those that are off or that the mock
    /// serves.
    #[must_use]
    pub fn listed(&self, list: &str) -> usize {
        let root = yaml::parse(&self.text).ok();
        match root.as_ref().and_then(|root| root.find(list)).map(|node| &node.kind) {
            Some(Kind::List(entries)) => entries.len(),
            Some(Kind::Null | Kind::Scalar(_) | Kind::Map(_)) | None => 0,
        }
    }

    /// Returns every setting, in the order of their declarations.
    #[must_use]
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }
}

#[cfg(test)]
mod tests;
