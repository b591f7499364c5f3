//! From the file, the environment and the flags to a [`Snapshot`].

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use access::Day;

use crate::compile::compile;
use crate::environment::Environment;
use crate::error::{At, Code, ConfigError, Problem};
use crate::section::Reader;
use crate::settings::given::Given;
use crate::snapshot::{LogFormat, Snapshot};
use crate::{overlay, yaml};

/// Largest configuration file.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Where the configuration comes from.
#[derive(Clone)]
pub struct Sources<'a> {
    /// The file; without one the defaults hold.
    pub file: Option<&'a Path>,
    /// The environment: settings that win over the file, what `${…}` names, and keys of providers where there are none else.
    pub environment: &'a Environment,
    /// What the command line says; it wins over the environment.
    pub flags: Flags,
}

/// Flags of `tollgate serve`. An absent one leaves the value of the environment or the file.
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
    /// The environment that it was read with: secrets that are no setting stand in it.
    pub environment: Environment,
    pub(crate) given: Given,
}

/// Something that is no error, but perhaps a surprise. `Display` is a sentence for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A configuration file is in the working folder, but no flag names it.
    FileUnread {
        /// The file.
        file: String,
    },
    /// A variable switched a provider on.
    ProviderFromEnvironment {
        /// The provider.
        provider: String,
        /// The variable.
        variable: &'static str,
    },
    /// A variable chooses another store than the file.
    StoreFromEnvironment {
        /// The variable.
        variable: String,
    },
    /// A variable is named like a setting, and there is no such key.
    UnknownVariable {
        /// The variable.
        variable: String,
        /// What was perhaps meant.
        near: Option<String>,
    },
    /// A provider of the file has no credential and is off.
    ProviderOff {
        /// The provider.
        provider: String,
    },
    /// `mock` or `--mock` keeps a provider off.
    ProviderMocked {
        /// The provider.
        provider: String,
    },
    /// Who signs up gets a plan that the store must have already.
    SignupPlanElsewhere {
        /// The plan.
        plan: String,
    },
    /// An entry of `models` is left out, as its provider is off.
    ModelOff {
        /// The entry.
        model: String,
        /// Its provider.
        provider: String,
    },
    /// The price file is older than the built-in table.
    PriceFileOlder {
        /// The file, with the line of its day.
        place: String,
        /// Its day.
        as_of: String,
    },
    /// A row of the price file has no rates of long requests, which the built-in table has for the model.
    LongUnknown {
        /// The file, with the line of the row.
        place: String,
        /// The row's model.
        model: String,
        /// Requests of more input have an unknown cost.
        above_tokens: u64,
    },
    /// Models have no price today and one later.
    PricesBegin {
        /// The provider.
        provider: String,
        /// The first day that has a price.
        from: Day,
        /// The models.
        models: Vec<String>,
    },
    /// Prices end, and no later ones are known.
    PricesEnd {
        /// The provider.
        provider: String,
        /// The last day that has a price.
        until: Day,
        /// Whether that day is over.
        over: bool,
        /// The models.
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
                write!(f, "{variable} is set, and sets nothing: there is no such key")?;
                near.as_ref().map_or(Ok(()), |near| write!(f, "; did you mean {near}?"))
            }
            Self::ProviderOff { provider } => write!(f, "the provider {provider} has no credential and is off"),
            Self::ProviderMocked { provider } => write!(f, "the mock is forced: the provider {provider} is off"),
            Self::SignupPlanElsewhere { plan } => {
                write!(f, "signup_plan is {plan}, which is none of `plans`: the store must have it at start")
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
    let bytes = read_bytes(path)?;
    String::from_utf8(bytes).map_err(|error| format!("byte {} is not UTF-8", error.utf8_error().valid_up_to()))
}

/// The bytes of a file that is no larger than a configuration may be.
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        return Err(format!("it is larger than {FILE_BYTES_MAX} bytes"));
    }
    Ok(bytes)
}

pub(crate) fn load_text(name: &str, source: &str, sources: Sources<'_>) -> Result<Loaded, ConfigError> {
    let Sources { environment, flags, .. } = sources;
    // A byte order mark is no part of the first key.
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
    let given = match &root {
        Ok(root) if !reader.has_problems() => Given::in_tree(&reader, root, &flags, is_mock_forced(compiled.as_ref())),
        Ok(_) | Err(_) => Given::default(),
    };
    let unknown: Vec<Note> = overlay::unknown(&reader, environment).collect();
    let problems = reader.problems(root.as_ref().ok());
    match compiled {
        Some((snapshot, mut notes)) if problems.is_empty() => {
            notes.extend(unknown);
            Ok(Loaded { snapshot, notes, environment: environment.clone(), given })
        }
        _ => Err(ConfigError::of(problems)),
    }
}

fn is_mock_forced(compiled: Option<&(Snapshot, Vec<Note>)>) -> bool {
    compiled.is_some_and(|(snapshot, _)| snapshot.mock.forced)
}

/// The problem of a text that is no YAML.
pub(crate) fn unparsed(broken: &yaml::Broken) -> Problem {
    let at = broken.at.map(At::File);
    match &broken.duplicate_key {
        Some(key) => Problem::new(Code::Duplicate, at, format!("the key `{key}` stands here twice")),
        None => Problem::new(Code::Yaml, at, format!("this is no YAML: {}", broken.message)),
    }
}

#[cfg(test)]
mod tests;
