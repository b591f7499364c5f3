//! The configurator of the process, and what calls it: SIGHUP and a job.

use std::sync::Arc;
use std::time::Duration;

use config::snapshot::Origin;
use control::configuration::{
    BillingRole, ConfigurationKey, Configurator, ConfiguratorParts, ReloadTrigger, RunningText,
};
use discovery::{FollowedKey, KeyFollower};
use jobs::Job as _;
use tokio::signal::unix::Signal;
use tokio::time::timeout;

use super::ServeOptions;
use super::configuration::{ConfigurationWatch, SPEC, node_of_configuration};
use super::configuration_key::{self, KeyFollowing};
use super::members;
use super::parts::{ServerContext, Services};

/// Maximum time for which a start waits for the first response of etcd. After that, the file is in force until then.
const SETTLED_WITHIN: Duration = Duration::from_secs(3);

/// Returns the configurator of the process.
pub(super) fn configurator(
    base: &ServerContext,
    running: RunningText,
    mock: Option<Origin>,
    billing: BillingRole,
    options: &ServeOptions,
) -> Arc<Configurator> {
    let parts = ConfiguratorParts {
        live: base.live.clone(),
        store: base.store.clone(),
        node: node_of_configuration(&base.live.load().process.data, &base.node),
        metrics: base.metrics.clone(),
        clock: base.clock.clone(),
        sources: options.sources.clone(),
        key: base.live.load().process.config_key.as_ref().map(|of| ConfigurationKey::new(of.key.clone())),
        mock,
        billing,
        is_without_proxy: !base.role.proxies(),
    };
    Arc::new(Configurator::new(parts, running))
}

impl Services {
    /// Records the configuration of the start, and starts the job that applies others.
    pub(super) async fn configuration(&mut self, base: &ServerContext, configurator: &Arc<Configurator>) {
        configurator.record_start().await;
        let live = base.live.clone();
        let metrics = base.metrics.clone();
        let revision = base.revision.clone();
        let watch = ConfigurationWatch::new(configurator.clone(), live, metrics, revision);
        self.jobs.add(SPEC, move || watch.clone());
        self.configuration_key(base, configurator).await;
    }

    /// Starts the job that follows the key of etcd with the configuration, and applies its value before requests are accepted.
    async fn configuration_key(&mut self, base: &ServerContext, configurator: &Arc<Configurator>) {
        let Some(of) = base.live.load().process.config_key.clone() else { return };
        let followed = FollowedKey { key: of.key.clone(), cluster: members::cluster(&of.etcd) };
        let follower = KeyFollower::start(followed, proxy::tls_config(), base.clock.clone());
        if timeout(SETTLED_WITHIN, follower.settled()).await.is_err() {
            tracing::warn!(key = &*of.key, "etcd has not responded yet; the configuration of the start is in force");
        }
        let mut following = KeyFollowing::new(configurator.clone(), base.metrics.clone(), follower, &of.key);
        // An error of the store is reported by the next run.
        let _ = following.run().await;
        self.jobs.add(configuration_key::SPEC, move || following.clone());
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
