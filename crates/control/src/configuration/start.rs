//! The configuration with which a process starts: the file, or the one of the API that was applied over it.

use access::Clock;
use config::{ConfigError, ConfigText, Environment, Flags, LoadedConfig, RunningConfig, Sources};
use store::{DatabaseError, Store, StoredConfiguration};
use thiserror::Error;
use uuid::Uuid;

use super::running::{self, RunningText, digest};

/// The configuration of a start.
#[derive(Debug)]
pub struct StartedConfig {
    /// The compiled configuration.
    pub loaded: LoadedConfig,
    /// Its text.
    pub running: RunningText,
}

/// The reason why the stored configuration cannot be used.
#[derive(Debug, Error)]
pub enum StoredConfigError {
    /// The stored configuration is invalid in this process.
    #[error("{0}")]
    Invalid(ConfigError),
    /// An error of the store.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Returns the configuration that is in force in a process whose file is `loaded` under this name.
///
/// # Errors
/// [`StoredConfigError`].
pub async fn configuration_at_start(
    store: &Store,
    node: Uuid,
    (loaded, name): (LoadedConfig, String),
    flags: &Flags,
    clock: &Clock,
) -> Result<StartedConfig, StoredConfigError> {
    let file_digest = digest(&loaded.text);
    if let Some(stored) = store.configuration_over(&file_digest, node).await? {
        let environment = loaded.environment.clone();
        let loaded = over(&loaded, &stored, &environment, flags).map_err(StoredConfigError::Invalid)?;
        let mut running = RunningText::of(&loaded, running::stored_name(&stored), file_digest, clock.now());
        running.become_stored(stored);
        return Ok(StartedConfig { loaded, running });
    }
    let running = RunningText::of(&loaded, name, file_digest, clock.now());
    Ok(StartedConfig { loaded, running })
}

/// Compiles a stored configuration in place of the file's.
fn over(
    file: &LoadedConfig,
    stored: &StoredConfiguration,
    environment: &Environment,
    flags: &Flags,
) -> Result<LoadedConfig, ConfigError> {
    let running = RunningConfig { settings: file.settings(), snapshot: &file.snapshot, has_mock: true };
    let (name, text) = (running::stored_name(stored), stored.text.as_deref().unwrap_or_default());
    let text = ConfigText { name: &name, text, posted: None };
    config::reload(&running, text, Sources { file: None, environment, flags: flags.clone() })
}
