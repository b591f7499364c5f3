//! The job that follows the key of etcd with the configuration.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use control::configuration::{ApplyError, ConfigurationKey, Configurator, KeyFault, KeyReading, KeyStatus};
use discovery::{KeyContent, KeyFollower, KeyState};
use jobs::{Job, JobError, JobSpec, NextRun};
use store::ConfigurationSource;
use telemetry::Metrics;
use telemetry::metrics::SourceLabels;
use tokio::time::Instant;

use super::configuration::WatchedFile;

/// Applies the value of the key, at most once a second.
pub(super) const SPEC: JobSpec = JobSpec::every("configuration_key", Duration::from_secs(1));

/// The time for which a value that another node has applied stays in force beside an unchanged reading of this node, whose
/// connection may be silent.
const OTHERS_STAY: Duration = Duration::from_secs(60);

/// A reading that was applied or refused.
#[derive(Clone)]
struct JudgedReading {
    reading: KeyReading,
    /// The digests of the configuration and the file in force since then.
    in_force: [String; 2],
    /// The time since which another value of the key is in force.
    differs_since: Option<Instant>,
}

impl JudgedReading {
    /// Whether the configuration in force stays: nothing has changed, or another node may have read a later value.
    fn stays(&mut self, reading: &KeyReading, in_force: &[String; 2], is_of_key: bool, now: Instant) -> bool {
        if self.reading != *reading || self.in_force == *in_force {
            self.differs_since = None;
            return self.reading == *reading;
        }
        let is_of_another_node = is_of_key && self.in_force[1] == in_force[1];
        is_of_another_node && now.duration_since(*self.differs_since.get_or_insert(now)) < OTHERS_STAY
    }
}

/// The job over the key.
#[derive(Clone)]
pub(super) struct KeyFollowing {
    configurator: Arc<Configurator>,
    metrics: Arc<Metrics>,
    labels: SourceLabels,
    follower: Arc<Mutex<KeyFollower>>,
    /// The reading that was applied or refused last.
    judged: Option<JudgedReading>,
    /// The files that the refused value names, as they were before: a change of one may make it valid.
    awaited: Vec<(PathBuf, WatchedFile)>,
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
        let judged = None;
        let awaited = Vec::new();
        let shown = KeyState::default();
        Self { configurator, metrics, labels, follower, judged, awaited, shown }
    }

    /// Applies the value, unless it was refused beside the same configuration and the same files.
    async fn apply(&mut self, key: &ConfigurationKey, reading: KeyReading) -> Result<(), JobError> {
        let in_force = self.in_force();
        let is_of_key = self.is_of_key();
        let named: Vec<_> = self.awaited.iter().map(|(file, _)| file.clone()).collect();
        let found = if named.is_empty() { Vec::new() } else { WatchedFile::all(named).await? };
        let has_changed_file = found.iter().ne(self.awaited.iter().map(|(_, known)| known));
        let stays = |judged: &mut JudgedReading| judged.stays(&reading, &in_force, is_of_key, Instant::now());
        if !has_changed_file && self.judged.as_mut().is_some_and(stays) {
            return Ok(());
        }
        let result = self.configurator.apply_key(&reading).await;
        let named = if let Err(ApplyError::Invalid(error)) = &result { error.files.clone() } else { Vec::new() };
        let refused: Option<Arc<str>> = match result {
            Ok(()) => None,
            Err(ApplyError::Database(error)) => return Err(error.into()),
            // The refusal has been logged.
            Err(error) => Some(error.to_string().into()),
        };
        self.awaited = awaited(named, &self.awaited, &found);
        self.metrics.configuration.source_refused.set(i64::from(refused.is_some()));
        key.set_status(KeyStatus { refused, ..key.status() });
        self.judged = Some(JudgedReading { reading, in_force: self.in_force(), differs_since: None });
        Ok(())
    }

    /// Whether a value of the key is in force, which this or another node has stored.
    fn is_of_key(&self) -> bool {
        self.configurator.running().stored.as_ref().is_some_and(|stored| stored.source == ConfigurationSource::Etcd)
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
                let key = &*key.name;
                let cause = &**error;
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
        let responded_at = state.responded_at;
        let unreachable = state.error.clone();
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
        if let Some(content) = state.content
            && let None = state.error
        {
            self.apply(key, KeyReading { text: text(content), revision: state.revision }).await?;
        }
        Ok(NextRun::Period)
    }
}

/// Returns the files that a refused value names with their states before it was read, which `found` contains for the files that
/// `before` names. The others may have appeared since, so they count as missing: one that exists gives the value a second try.
fn awaited(
    named: Vec<PathBuf>,
    before: &[(PathBuf, WatchedFile)],
    found: &[WatchedFile],
) -> Vec<(PathBuf, WatchedFile)> {
    let state = |file: &PathBuf| {
        let known = before.iter().zip(found).find(|((known, _), _)| known == file);
        known.map_or_else(|| WatchedFile::missing(file.clone()), |(_, state)| state.clone())
    };
    named.into_iter().map(|file| (file.clone(), state(&file))).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_appears_while_its_value_is_refused_gives_it_a_second_try_and_no_third() {
        let folder = tempfile::tempdir().unwrap();
        let early = folder.path().join("early");
        let absent = folder.path().join("absent");
        std::fs::write(&early, "x").unwrap();
        let named = vec![early, absent];
        let found = || async { WatchedFile::all(named.clone()).await.unwrap() };
        let has_changed = |awaited: &[(PathBuf, WatchedFile)], found: &[WatchedFile]| {
            let known = awaited.iter().map(|(_, known)| known);
            known.zip(found).map(|(known, found)| known != found).collect::<Vec<_>>()
        };
        let first = awaited(named.clone(), &[], &[]);
        let now = found().await;
        assert_eq!(has_changed(&first, &now), [true, false]);
        let second = awaited(named.clone(), &first, &now);
        assert_eq!(has_changed(&second, &found().await), [false, false]);
    }

    #[test]
    fn a_later_value_of_another_node_stays_for_a_minute() {
        let reading = |text: &str, revision| KeyReading { text: Ok(text.into()), revision };
        let in_force = |digest: &str, file: &str| [digest.to_owned(), file.to_owned()];
        let mut judged = JudgedReading { reading: reading("a", 1), in_force: in_force("a", "f"), differs_since: None };
        let begin = Instant::now();
        let minute = OTHERS_STAY;
        for (value, now_in_force, is_of_key, after, stays) in [
            (reading("a", 1), in_force("a", "f"), true, Duration::ZERO, true),
            (reading("a", 1), in_force("b", "f"), true, minute, true),
            (reading("a", 1), in_force("b", "f"), true, minute * 2 - Duration::from_millis(1), true),
            (reading("a", 1), in_force("b", "f"), true, minute * 2, false),
            // A changed file, or a configuration of another source, is replaced at once.
            (reading("a", 1), in_force("b", "g"), true, minute * 2, false),
            (reading("a", 1), in_force("b", "f"), false, minute, false),
            (reading("b", 2), in_force("b", "f"), true, minute, false),
            (reading("a", 1), in_force("b", "f"), true, minute * 9, true),
        ] {
            assert_eq!(
                judged.stays(&value, &now_in_force, is_of_key, begin + after),
                stays,
                "{now_in_force:?} {after:?}"
            );
        }
    }
}
