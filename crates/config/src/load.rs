//! From the file, the environment and the flags to a [`Snapshot`].

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::compile::compile;
use crate::error::{Code, ConfigError, Problem};
use crate::section::Reader;
use crate::snapshot::{LogFormat, Snapshot};
use crate::yaml;

/// Largest configuration file.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Where the configuration comes from.
#[derive(Clone)]
pub struct Sources<'a> {
    /// The file; without one the defaults hold.
    pub file: Option<&'a Path>,
    /// The environment: for `${…}`, and for the providers where the file has none.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// What the command line says; it wins over the file.
    pub flags: Flags,
}

/// Flags of `tollgate serve`. An absent one leaves the file's value.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--data`.
    pub data: Option<PathBuf>,
    /// `--listen`: the proxy's one address.
    pub listen: Option<SocketAddr>,
    /// `--addr`: the control listener's address.
    pub addr: Option<SocketAddr>,
    /// `--mock`: the mock instead of every provider.
    pub mock: bool,
    /// `--log`.
    pub log: Option<LogFormat>,
}

/// A checked configuration, and what its owner should be told.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub snapshot: Snapshot,
    /// In no order that means anything.
    pub notes: Vec<Note>,
}

/// Something that is no error, but perhaps a surprise. `Display` is a sentence for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A variable switched a provider on.
    ProviderFromEnvironment {
        /// The provider.
        provider: String,
        /// The variable.
        variable: &'static str,
    },
    /// A variable is set for a provider that this version does not know.
    ProviderNotYet {
        /// The variable.
        variable: &'static str,
    },
    /// A variable would set a key, in a version that reads it.
    VariableNotYet {
        /// The variable.
        variable: String,
    },
    /// A provider of the file has no credential and is off.
    ProviderOff {
        /// The provider.
        provider: String,
    },
    /// `--mock` keeps a provider off.
    ProviderMocked {
        /// The provider.
        provider: String,
    },
    /// An entry of `models` is left out, as its provider is off.
    ModelOff {
        /// The entry.
        model: String,
        /// Its provider.
        provider: String,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ProviderFromEnvironment { provider, variable } => {
                write!(f, "{variable} is set: the provider {provider} is on, its calls cost money")
            }
            Self::ProviderNotYet { variable } => {
                write!(f, "{variable} is set, but this version does not support its provider yet")
            }
            Self::VariableNotYet { variable } => {
                write!(
                    f,
                    "not yet: {variable} is ignored, as this version takes settings from the file and the flags only"
                )
            }
            Self::ProviderOff { provider } => write!(f, "the provider {provider} has no credential and is off"),
            Self::ProviderMocked { provider } => write!(f, "the mock is forced: the provider {provider} is off"),
            Self::ModelOff { model, provider } => {
                write!(f, "the model {model} is left out, as its provider {provider} is off")
            }
        }
    }
}

/// Reads, checks and compiles.
///
/// # Errors
/// [`ConfigError`] with every problem that could be found at once.
pub fn load(sources: Sources<'_>) -> Result<Loaded, ConfigError> {
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
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        return Err(format!("it is larger than {FILE_BYTES_MAX} bytes"));
    }
    String::from_utf8(bytes).map_err(|error| format!("byte {} is not UTF-8", error.utf8_error().valid_up_to()))
}

pub(crate) fn load_text(name: &str, source: &str, sources: Sources<'_>) -> Result<Loaded, ConfigError> {
    let Sources { env, flags, .. } = sources;
    // A byte order mark is no part of the first key.
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    let reader = Reader::new(name.to_owned(), source, env);
    let root = yaml::parse(source);
    let compiled = match &root {
        Ok(root) => compile(&reader, root, &flags),
        Err(broken) => {
            let problem = match &broken.duplicate_key {
                Some(key) => Problem::new(Code::Duplicate, broken.at, format!("the key `{key}` stands here twice")),
                None => Problem::new(Code::Yaml, broken.at, format!("this is no YAML: {}", broken.message)),
            };
            reader.report(problem);
            None
        }
    };
    let problems = reader.problems(root.as_ref().ok());
    match compiled {
        Some(loaded) if problems.is_empty() => Ok(loaded),
        _ => Err(ConfigError::of(problems)),
    }
}

#[cfg(test)]
mod tests;
