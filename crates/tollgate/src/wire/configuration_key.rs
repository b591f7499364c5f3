//! The job that follows the key of etcd with the configuration.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use control::configuration::{ApplyError, ConfigurationKey, Configurator, KeyFault, KeyReading, KeyStatus};
use discovery::{KeyContent, KeyFollower, KeyState};
use jobs::{Job, JobError, JobSpec, NextRun};
use telemetry::Metrics;
use telemetry::metrics::SourceLabels;

/// Applies the value of the key, at most once a second.
pub(super) const SPEC: JobSpec = JobSpec::every("configuration_key", Duration::from_secs(1));

/// The job over the key.
#[derive(Clone)]
pub(super) struct KeyFollowing {
    configurator: Arc<Configurator>,
    metrics: Arc<Metrics>,
    labels: SourceLabels,
    follower: Arc<Mutex<KeyFollower>>,
    /// The reading that was applied or refused last, and the digests of the configuration and the file in force since then.
    judged: Option<(KeyReading, [String; 2])>,
    /// The state that the log and the metrics show.
    shown: KeyState,
}

impl KeyFollowing {
    /// Returns the job that passes what `follower` reads of the key `name` to `configurator`.
    pub(super) fn new(
        configurator: Arc<Configurator>,
        metrics: Arc<Metrics>,
        follower: KeyFollower,
        name: &str,
    ) -> Self {
        let labels = SourceLabels { source: format!("etcd {name}").as_str().into() };
        let follower = Arc::new(Mutex::new(follower));
        Self { configurator, metrics, labels, follower, judged: None, shown: KeyState::default() }
    }

    /// Applies the value, unless it was refused beside the same configuration.
    async fn apply(&mut self, key: &ConfigurationKey, reading: KeyReading) -> Result<(), JobError> {
        if self.judged.as_ref() == Some(&(reading.clone(), self.in_force())) {
            return Ok(());
        }
        let result = self.configurator.apply_key(&reading).await;
        let refused: Option<Arc<str>> = match result {
            Ok(()) => None,
            Err(ApplyError::Database(error)) => return Err(error.into()),
            // The refusal has been logged.
            Err(error) => Some(error.to_string().into()),
        };
        self.metrics.configuration.source_refused.set(i64::from(refused.is_some()));
        key.set_status(KeyStatus { refused, ..key.status() });
        self.judged = Some((reading, self.in_force()));
        Ok(())
    }

    /// Returns the digests of the configuration and of the file in force.
    fn in_force(&self) -> [String; 2] {
        let running = self.configurator.running();
        [running.digest.clone(), running.file.digest.clone()]
    }

    /// Logs the begin and the end of an outage, and sets the metrics.
    fn report(&mut self, key: &ConfigurationKey, state: &KeyState) {
        match (&state.error, &self.shown.error) {
            (Some(error), None) => {
                let (key, cause) = (&*key.name, &**error);
                tracing::warn!(key, cause, "etcd cannot be read; the last configuration stays in force");
            }
            (None, Some(_)) => tracing::info!(key = &*key.name, "etcd responds again"),
            (Some(_), Some(_)) | (None, None) => {}
        }
        let sources = &self.metrics.sources;
        let failures = state.failures.saturating_sub(self.shown.failures);
        sources.failures.get_or_create(&self.labels).inc_by(failures);
        if let Some(at) = state.responded_at {
            let at = i64::try_from(at.unix_seconds()).unwrap_or(i64::MAX);
            sources.last_success.get_or_create(&self.labels).set(at);
        }
        let revision = state.content.is_some().then_some(state.revision);
        let (responded_at, unreachable) = (state.responded_at, state.error.clone());
        key.set_status(KeyStatus { revision, responded_at, unreachable, ..key.status() });
        self.shown = state.clone();
    }
}

impl Job for KeyFollowing {
    async fn run(&mut self) -> Result<NextRun, JobError> {
        let configurator = self.configurator.clone();
        let Some(key) = configurator.key() else { return Ok(NextRun::Period) };
        let state = self.follower.lock().unwrap_or_else(PoisonError::into_inner).state();
        self.report(key, &state);
        // While etcd cannot be read, a changed file may be in force.
        if let (Some(content), None) = (state.content, state.error) {
            self.apply(key, KeyReading { text: text(content), revision: state.revision }).await?;
        }
        Ok(NextRun::Period)
    }
}

fn text(content: KeyContent) -> Result<Arc<str>, KeyFault> {
    match content {
        KeyContent::Text(text) => Ok(text),
        KeyContent::Missing => Err(KeyFault::Missing),
        KeyContent::Empty => Err(KeyFault::Empty),
        KeyContent::TooLarge { bytes } => Err(KeyFault::TooLarge { bytes }),
        KeyContent::NotText => Err(KeyFault::NotText),
    }
}
