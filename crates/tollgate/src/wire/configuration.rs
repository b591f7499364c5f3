//! Reloads of the configuration: SIGHUP, the watch of the file, and configurations that other processes have stored.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use access::Revision;
use ai::price::Expiry;
use config::{Live, LoadedConfig, Snapshot};
use control::configuration::{
    ApplyError, Configurator, ReloadTrigger, StartedConfig, StoredConfigError, configuration_at_start,
};
use jobs::{Job, JobError, JobSpec, NextRun};
use store::{Node, PlanDifference, Store};
use telemetry::Metrics;
use telemetry::metrics::ModelLabels;
use uuid::Uuid;

use super::ServeOptions;
use crate::failure::{self, StartFault};

/// Watches the file, and applies configurations that other processes have stored.
pub(super) const SPEC: JobSpec = JobSpec::every("configuration", Duration::from_secs(1));

/// Returns the configuration with which the process starts.
pub(super) async fn in_force(node: &Node, file: LoadedConfig, options: &ServeOptions) -> anyhow::Result<StartedConfig> {
    let process = file.snapshot.process.clone();
    let store = node.store();
    let of = node_of_configuration(&process.data, node);
    let started = configuration_at_start(store, of, file, &options.sources).await;
    let started = started.map_err(|error| match error {
        StoredConfigError::Invalid(error) => StartFault::stored_config(options.sources.file.as_deref(), error),
        StoredConfigError::Database(error) => failure::of_store(&process, error),
    })?;
    if let Some(stored) = &started.running.stored {
        tracing::info!(number = stored.number, "a stored configuration is in force in place of the file");
    }
    Ok(started)
}

/// Returns the node id under which configurations of this data folder are stored: that of the folder's first process. A
/// successor in an upgrade in place is another node.
pub(super) fn node_of_configuration(data: &Path, node: &Node) -> Uuid {
    Node::id_in(data).unwrap_or_else(|| node.id())
}

/// Adds the missing plans of a stored configuration to the store, and returns those that differ; without a stored
/// configuration, `of_file`.
pub(super) async fn of_start(
    store: &Store,
    started: &StartedConfig,
    of_file: Vec<PlanDifference>,
) -> anyhow::Result<Vec<PlanDifference>> {
    if started.running.stored.is_none() {
        return Ok(of_file);
    }
    let snapshot = &started.loaded.snapshot;
    let differences = store.ensure_plans(&snapshot.traffic.plans).await;
    Ok(differences.map_err(|error| failure::of_store(&snapshot.process, error))?)
}

/// Sets the metrics for the ends of prices, which do not depend on requests, and removes those of other prices.
pub(crate) fn set_price_expiries(snapshot: &Snapshot, metrics: &Metrics) {
    let mut ends = BTreeMap::new();
    for (provider, Expiry { until, model }) in snapshot.traffic.price_expiries() {
        let labels = ModelLabels { provider: (&provider.name).into(), model: model.as_str().into() };
        ends.insert(labels, i64::try_from(until.next().start().unix_seconds()).unwrap_or(i64::MAX));
    }
    metrics.proxy.prices_expiring.retain(|labels| ends.contains_key(labels));
    for (labels, end) in ends {
        metrics.proxy.prices_expiring.get_or_create(&labels).set(end);
    }
}

/// The job that watches the files and the store.
#[derive(Debug, Clone)]
pub(super) struct ConfigurationWatch {
    configurator: Arc<Configurator>,
    live: Arc<Live>,
    metrics: Arc<Metrics>,
    revision: Arc<Revision>,
    /// The snapshot whose prices the metrics show.
    shown: Arc<Snapshot>,
    /// The revision up to which stored configurations were read.
    followed: Option<u64>,
    /// The files of the last reload; `None` before the first look.
    applied: Option<Vec<WatchedFile>>,
    /// The files of the last look, if they differ: they are read once a second look finds them unchanged.
    pending: Option<Vec<WatchedFile>>,
}

/// The identity of a file's content. A change of a symbolic link on its path changes the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WatchedFile {
    target: PathBuf,
    /// Device, inode, size, and the times of change of content and of inode in nanoseconds; `None` if it is missing.
    content: Option<[i128; 5]>,
}

impl WatchedFile {
    /// Returns the identity of each file's content now.
    pub(super) async fn all(files: Vec<PathBuf>) -> Result<Vec<Self>, JobError> {
        let look = move || files.iter().map(|file| Self::from_path(file)).collect();
        Ok(tokio::task::spawn_blocking(look).await?)
    }

    /// Returns the identity of a file that is missing.
    pub(super) const fn missing(file: PathBuf) -> Self {
        Self { target: file, content: None }
    }

    fn from_path(path: &Path) -> Self {
        let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let time = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        let content = std::fs::metadata(&target).ok().map(|found| {
            let modified = time(found.mtime(), found.mtime_nsec());
            let changed = time(found.ctime(), found.ctime_nsec());
            [found.dev().into(), found.ino().into(), found.size().into(), modified, changed]
        });
        Self { target, content }
    }
}

impl ConfigurationWatch {
    /// Returns the job, which has looked at no file yet.
    pub(super) fn new(
        configurator: Arc<Configurator>,
        live: Arc<Live>,
        metrics: Arc<Metrics>,
        revision: Arc<Revision>,
    ) -> Self {
        let shown = live.load_full();
        Self { configurator, live, metrics, revision, shown, followed: None, applied: None, pending: None }
    }

    async fn watch(&mut self) -> Result<(), JobError> {
        let found = WatchedFile::all(self.configurator.watched()).await?;
        if self.applied.is_none() && self.configurator.has_read_file().await {
            self.applied = Some(found);
            return Ok(());
        }
        if self.applied.as_ref() == Some(&found) {
            self.pending = None;
            return Ok(());
        }
        if self.pending.as_ref() != Some(&found) {
            self.pending = Some(found);
            return Ok(());
        }
        let named = self.configurator.watched();
        // Any other result has been logged. The files still count as new, so that the next run applies them.
        if let Err(ApplyError::Database(error)) = self.configurator.reload(ReloadTrigger::Watch).await {
            return Err(error.into());
        }
        let is_same = named == self.configurator.watched();
        self.pending = None;
        // Other files may be watched from now on; the file itself was read just now.
        self.applied = is_same.then_some(found);
        Ok(())
    }
}

impl Job for ConfigurationWatch {
    async fn run(&mut self) -> Result<NextRun, JobError> {
        self.watch().await?;
        let revision = self.revision.get();
        if self.followed != Some(revision) {
            // A refusal has been logged, and an error of the store is repeated with the next run.
            if !matches!(self.configurator.follow().await, Err(ApplyError::Database(_))) {
                self.followed = Some(revision);
            }
        }
        let current = self.live.load_full();
        if !Arc::ptr_eq(&current, &self.shown) {
            set_price_expiries(&current, &self.metrics);
            self.shown = current;
        }
        self.configurator.store_again().await;
        self.configurator.free_retired().await;
        Ok(NextRun::Period)
    }
}

#[cfg(test)]
mod tests;
