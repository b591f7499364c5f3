//! The configuration with which a process starts: the file, or the one of the API that was applied over it.

use config::{ConfigError, ConfigText, Flags, LoadedConfig, RunningConfig, Sources};
use store::{DatabaseError, Store, StoredConfiguration};
use thiserror::Error;
use uuid::Uuid;

use super::running::{self, RunningText, digest};
use super::sources::ConfigSources;

/// The configuration of a start.
#[derive(Debug)]
pub struct StartedConfig {
    /// The configuration after it was compiled.
    pub loaded: LoadedConfig,
    /// The text of the configuration.
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

/// Returns the configuration that is in force in a process whose file is `loaded`.
///
/// # Errors
/// [`StoredConfigError`].
pub async fn configuration_at_start(
    store: &Store,
    node: Uuid,
    loaded: LoadedConfig,
    sources: &ConfigSources,
) -> Result<StartedConfig, StoredConfigError> {
    let (file_digest, now) = (digest(&loaded.text), store.clock().now());
    if let Some(stored) = store.configuration_over(&file_digest, node).await? {
        let loaded = over(&loaded, &stored, &sources.flags).map_err(StoredConfigError::Invalid)?;
        let mut running = RunningText::of(&loaded, running::stored_name(&stored), file_digest, now);
        running.become_stored(stored);
        return Ok(StartedConfig { loaded, running });
    }
    let running = RunningText::of(&loaded, sources.name(), file_digest, now);
    Ok(StartedConfig { loaded, running })
}

/// Compiles a stored configuration in place of the file's.
fn over(file: &LoadedConfig, stored: &StoredConfiguration, flags: &Flags) -> Result<LoadedConfig, ConfigError> {
    let running = RunningConfig { settings: file.settings(), snapshot: &file.snapshot, has_mock: true };
    let (name, text) = (running::stored_name(stored), stored.text.as_deref().unwrap_or_default());
    let text = ConfigText { name: &name, text, posted: None };
    config::reload(&running, text, Sources { file: None, environment: &file.environment, flags: flags.clone() })
}
