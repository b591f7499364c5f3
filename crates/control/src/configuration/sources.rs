//! The file, the environment and the flags from which a process reads its configuration.

use std::path::PathBuf;

use config::{ConfigError, Environment, Flags};

/// The sources of a process, for each reload.
#[derive(Debug, Clone)]
pub struct ConfigSources {
    /// The configuration file; without one the defaults apply.
    pub file: Option<PathBuf>,
    /// The `.env` that a flag names; `None` is `.env` in the working folder, if it exists.
    pub env_file: Option<PathBuf>,
    /// The variables of the process, without those of the `.env`.
    pub variables: Environment,
    /// The flags of the command line.
    pub flags: Flags,
}

impl ConfigSources {
    /// Returns the name of the file, as it was given.
    pub(super) fn name(&self) -> String {
        self.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default()
    }

    /// Returns the files of the configuration itself.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let env_file = self.env_file.clone().unwrap_or_else(|| PathBuf::from(".env"));
        self.file.iter().cloned().chain([env_file]).collect()
    }

    /// Reads the file; without one the text is empty. The function blocks.
    pub(super) fn read(&self) -> Result<String, ConfigError> {
        self.file.as_deref().map_or_else(|| Ok(String::new()), config::read_file)
    }

    /// Returns the variables with those of the `.env`, which is read again. The function blocks.
    pub(super) fn environment(&self) -> Result<Environment, ConfigError> {
        self.variables.clone().with_file(self.env_file.as_deref())
    }
}
