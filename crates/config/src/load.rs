//! Loads a [`Snapshot`] from the file, the environment and the flags.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use access::Day;

use crate::compile::{CompiledConfig, compile};
use crate::environment::Environment;
use crate::error::{At, Code, ConfigError, Problem};
use crate::section::Reader;
use crate::settings::Setting;
use crate::snapshot::{LogFormat, Snapshot};
use crate::{overlay, yaml};

/// Largest configuration file, in bytes.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

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

/// Flags of `tollgate serve`. An absent flag keeps the value of the environment or the file.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--data`: the data folder.
    pub data: Option<PathBuf>,
    /// `--listen`: the proxy's only address.
    pub listen: Option<SocketAddr>,
    /// `--addr`: the control listener's address.
    pub addr: Option<SocketAddr>,
    /// `--mock`: the mock instead of every provider.
    pub mock: bool,
    /// `--log`: the format of logs.
    pub log: Option<LogFormat>,
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
}

/// A fact that is not an error but may surprise the operator. `Display` is a sentence for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A configuration file is in the working folder, but no flag names it.
    FileUnread {
        /// The name of the file.
        file: String,
    },
    /// A variable enabled a provider.
    ProviderFromEnvironment {
        /// The name of the provider.
        provider: String,
        /// The name of the variable.
        variable: &'static str,
    },
    /// A variable chooses another store than the file.
    StoreFromEnvironment {
        /// The name of the variable.
        variable: String,
    },
    /// A variable is named like a setting, but no such key exists.
    UnknownVariable {
        /// The name of the variable.
        variable: String,
        /// The setting that was probably meant.
        near: Option<String>,
    },
    /// A provider of the file has no credential and is off.
    ProviderOff {
        /// The name of the provider.
        provider: String,
    },
    /// `mock` or `--mock` disables a provider.
    ProviderMocked {
        /// The name of the provider.
        provider: String,
    },
    /// Users who sign up get a plan that the file does not define, so the store must have it already.
    SignupPlanElsewhere {
        /// The name of the plan.
        plan: String,
    },
    /// An entry of `models` is ignored, as its provider is off.
    ModelOff {
        /// The name of the entry.
        model: String,
        /// The name of its provider.
        provider: String,
    },
    /// The price file is older than the built-in table.
    PriceFileOlder {
        /// The file, with the line of its day.
        place: String,
        /// The day of the price file.
        as_of: String,
    },
    /// A row of the price file has no rates of long requests, but the built-in table has them for the model.
    LongUnknown {
        /// The file, with the line of the row.
        place: String,
        /// The model of the row.
        model: String,
        /// The cost of requests with more input tokens is unknown.
        above_tokens: u64,
    },
    /// Models have no price today, but a later one.
    PricesBegin {
        /// The name of the provider.
        provider: String,
        /// The first day that has a price.
        from: Day,
        /// The names of the models.
        models: Vec<String>,
    },
    /// Prices end, and no later prices are known.
    PricesEnd {
        /// The name of the provider.
        provider: String,
        /// The last day that has a price.
        until: Day,
        /// Whether that day is in the past.
        over: bool,
        /// The names of the models.
        models: Vec<String>,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FileUnread { file } => {
                write!(f, "{file} is in this folder and is not read: `--config {file}` uses it")
            }
            Self::ProviderFromEnvironment { provider, variable } => {
                write!(f, "{variable} is set: the provider {provider} is on, its calls cost money")
            }
            Self::StoreFromEnvironment { variable } => {
                write!(f, "{variable} is set: the store is the PostgreSQL that it names, and not the one of the file")
            }
            Self::UnknownVariable { variable, near } => {
                write!(f, "{variable} is set but matches no setting")?;
                near.as_ref().map_or(Ok(()), |near| write!(f, "; did you mean {near}?"))
            }
            Self::ProviderOff { provider } => write!(f, "the provider {provider} has no credential and is off"),
            Self::ProviderMocked { provider } => write!(f, "the mock is forced: the provider {provider} is off"),
            Self::SignupPlanElsewhere { plan } => {
                write!(f, "signup_plan is {plan}, which `plans` does not list: the store must have it at start")
            }
            Self::ModelOff { model, provider } => {
                write!(f, "the model {model} is left out, as its provider {provider} is off")
            }
            Self::PriceFileOlder { place, as_of } => write!(
                f,
                "{place}: the price file is of {as_of}, the built-in table of {}: models that both have keep the built-in prices",
                ai::price::AS_OF
            ),
            Self::LongUnknown { place, model, above_tokens } => write!(
                f,
                "{place}: the price of {model} has no `long`, which the built-in price has: requests of more than \
                 {above_tokens} tokens of input have an unknown cost"
            ),
            Self::PricesBegin { provider, from, models } => {
                let models = models.join(", ");
                write!(
                    f,
                    "prices of provider {provider} begin on {from}, before that day the cost is unknown: {models}; \
                     set the prices of today beside them"
                )
            }
            Self::PricesEnd { provider, until, over, models } => {
                let (ended, is) = if *over { ("ended", "is") } else { ("end", "will be") };
                let models = models.join(", ");
                write!(
                    f,
                    "prices of provider {provider} {ended} on {until}, after that day the cost {is} unknown: {models}; \
                     set later prices in `prices` or in a `prices_file`"
                )
            }
        }
    }
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

/// Reads a file of at most the size of a configuration file.
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        return Err(format!("it is larger than {FILE_BYTES_MAX} bytes"));
    }
    Ok(bytes)
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
            reader.report(unparsed(broken));
            None
        }
    };
    let unknown: Vec<Note> = overlay::unknown(&reader, environment).collect();
    let problems = reader.problems(root.as_ref().ok());
    match compiled {
        Some(CompiledConfig { snapshot, settings, mut notes }) if problems.is_empty() => {
            notes.extend(unknown);
            Ok(LoadedConfig { snapshot, notes, environment: environment.clone(), settings })
        }
        _ => Err(ConfigError::of(problems)),
    }
}

impl LoadedConfig {
    /// Returns every setting, in the order of their declarations.
    #[must_use]
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }
}

/// Returns the problem of a text that is not YAML.
pub(crate) fn unparsed(broken: &yaml::YamlError) -> Problem {
    let at = broken.at.map(At::File);
    match &broken.duplicate_key {
        Some(key) => Problem::new(Code::Duplicate, at, format!("the key `{key}` occurs twice")),
        None => Problem::new(Code::Yaml, at, format!("this is not YAML: {}", broken.message)),
    }
}

#[cfg(test)]
mod tests;
