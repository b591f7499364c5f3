//! The configuration with which a process starts: the file, or the one of the API that was applied over it.

use std::sync::Arc;

use config::{ConfigError, ConfigText, LoadedConfig, RunningConfig, Sources};
use store::{ConfigurationSource, DatabaseError, Store, StoredConfiguration};
use thiserror::Error;
use uuid::Uuid;

use super::running::{self, FileText, RunningText};
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

/// Returns the configuration that is in force in a process whose file is `loaded`. A configuration of the API that became
/// invalid is an error: the file may serve what the API had closed.
///
/// # Errors
/// [`StoredConfigError`].
pub async fn configuration_at_start(
    store: &Store,
    node: Uuid,
    loaded: LoadedConfig,
    sources: &ConfigSources,
) -> Result<StartedConfig, StoredConfigError> {
    let mut file = FileText::from_text(&loaded.text);
    let now = store.clock().now();
    let of_etcd = loaded.settings().iter().filter(|setting| setting.key.starts_with("etcd."));
    file.started_with = of_etcd.cloned().collect();
    let mut refused = None;
    if let Some(stored) = store.configuration_over(&file.digest, node).await? {
        match over(&loaded, &stored, sources) {
            Ok(loaded) => {
                let mut running = RunningText::from_loaded(&loaded, running::stored_name(&stored), file, now);
                running.become_stored(stored);
                return Ok(StartedConfig { loaded, running });
            }
            // The key is read before requests are accepted, so a corrected value applies.
            Err(error)
                if stored.source == ConfigurationSource::Etcd && loaded.snapshot.process.config_key.is_some() =>
            {
                let number = stored.number;
                tracing::error!(number, %error, "the last value of the key in etcd cannot be used; the file is in force");
                refused = Some(number);
            }
            Err(error) => return Err(StoredConfigError::Invalid(error)),
        }
    }
    let running = RunningText { refused, ..RunningText::from_loaded(&loaded, sources.name(), file, now) };
    Ok(StartedConfig { loaded, running })
}

/// Compiles a stored configuration in place of the file's.
fn over(
    file: &LoadedConfig,
    stored: &StoredConfiguration,
    sources: &ConfigSources,
) -> Result<LoadedConfig, ConfigError> {
    let running = RunningConfig {
        settings: file.settings(),
        snapshot: &file.snapshot,
        has_mock: true,
        started_with: file.settings(),
    };
    let name = running::stored_name(stored);
    let text = stored.text.as_deref().unwrap_or_default();
    // Its references were accepted when it was applied.
    let accepted: [Arc<str>; 1] = [text.into()];
    let text = ConfigText { name: &name, text, posted: Some(&accepted) };
    let path = sources.file.as_deref();
    let flags = sources.flags.clone();
    config::reload(&running, text, Sources { file: path, environment: &file.environment, flags })
}
