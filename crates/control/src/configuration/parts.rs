//! The parts that a configurator uses.

use std::sync::Arc;

use access::Clock;
use config::Live;
use config::snapshot::Origin;
use store::Store;
use telemetry::Metrics;
use uuid::Uuid;

use super::billing_role::BillingRole;
use super::key::ConfigurationKey;
use super::sources::ConfigSources;

/// The parts that a configurator uses.
#[derive(Debug)]
pub struct ConfiguratorParts {
    /// The configuration in force.
    pub live: Arc<Live>,
    /// The store with the configurations of the API.
    pub store: Store,
    /// The id of this node.
    pub node: Uuid,
    /// The metrics of the process.
    pub metrics: Arc<Metrics>,
    /// The source of the time.
    pub clock: Clock,
    /// The file, the environment and the flags of the process.
    pub sources: ConfigSources,
    /// The key of etcd with the configuration; `None` if the file or the API has it.
    pub key: Option<ConfigurationKey>,
    /// The address of the mock; `None` if it does not run.
    pub mock: Option<Origin>,
    /// What this process has to do with billing.
    pub billing: BillingRole,
    /// Whether a configuration may use the mock although it does not run, because this process has no proxy.
    pub is_without_proxy: bool,
}
