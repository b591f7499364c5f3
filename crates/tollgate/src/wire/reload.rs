//! The configurator of the process, and what calls it: SIGHUP and a job.

use std::sync::Arc;

use config::snapshot::Origin;
use control::configuration::{Configurator, ConfiguratorParts, ReloadTrigger, RunningText};
use tokio::signal::unix::Signal;

use super::ServeOptions;
use super::configuration::{ConfigurationWatch, SPEC};
use super::parts::{ServerContext, Services};

/// Returns the configurator of the process.
pub(super) fn configurator(
    base: &ServerContext,
    running: RunningText,
    mock: Option<Origin>,
    options: &ServeOptions,
) -> Arc<Configurator> {
    let parts = ConfiguratorParts {
        live: base.live.clone(),
        store: base.store.clone(),
        node: base.node.id(),
        metrics: base.metrics.clone(),
        clock: base.clock.clone(),
        sources: options.sources.clone(),
        mock,
        is_without_proxy: !base.role.proxies(),
    };
    Arc::new(Configurator::new(parts, running))
}

impl Services {
    /// Records the configuration of the start, and starts the job that applies others.
    pub(super) async fn configuration(&mut self, base: &ServerContext, configurator: &Arc<Configurator>) {
        configurator.record_start().await;
        let (live, metrics, revision) = (base.live.clone(), base.metrics.clone(), base.revision.clone());
        let watch = ConfigurationWatch::new(configurator.clone(), live, metrics, revision);
        self.jobs.add(SPEC, move || watch.clone());
    }

    /// Reloads the configuration for each SIGHUP. Signals that arrive during a reload cause one more.
    pub(super) fn reload_on(&mut self, mut hang_up: Signal, configurator: Arc<Configurator>) {
        let stopped = self.stopped();
        self.spawn(async move {
            let reload = async {
                while hang_up.recv().await.is_some() {
                    // The result has been logged.
                    let _ = configurator.reload(ReloadTrigger::Signal).await;
                }
            };
            tokio::select! { () = reload => {}, () = stopped => {} }
        });
    }
}
