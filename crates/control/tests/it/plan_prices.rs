//! The prices of plans over a reload of the configuration.

use std::path::PathBuf;
use std::sync::Arc;

use access::{BillingInterval, Day, Money, PlanPrice};
use config::{Environment, Flags, Live, Sources};
use control::configuration::{
    BillingRole, ConfigSources, Configurator, ConfiguratorParts, DemoBilling, ReloadTrigger, StartedConfig,
    configuration_at_start,
};
use ledger::billing::plan_versions;
use telemetry::Metrics;
use tempfile::TempDir;
use uuid::Uuid;

use crate::world::World;

const BILLING: &str = "billing: {enabled: true}\n";

/// A configurator of a file whose first plans and prices are in the store, as after a start.
struct Selling {
    world: World,
    folder: TempDir,
    configurator: Configurator,
}

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("tollgate.yaml")
}

fn price(rupiah: i64) -> PlanPrice {
    let price = Money::rupiah(rupiah);
    PlanPrice { price, interval: BillingInterval::Month, trial_days: 0, charges: Vec::new() }
}

impl Selling {
    async fn begin(plans: &str, sold: &[(String, PlanPrice)], billing: BillingRole) -> Self {
        let world = World::start().await;
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(file(&folder), format!("{BILLING}plans: {plans}\n")).unwrap();
        let variables = Environment::default();
        let flags = Flags::default();
        let sources = ConfigSources { file: Some(file(&folder)), env_file: None, variables, flags };
        let of_file =
            Sources { file: sources.file.as_deref(), environment: &sources.variables, flags: sources.flags.clone() };
        let loaded = config::load(of_file).unwrap();
        let node = Uuid::nil();
        let started = configuration_at_start(&world.store, node, loaded, &sources).await.unwrap();
        let StartedConfig { loaded, running } = started;
        world.store.ensure_plans(&loaded.snapshot.traffic.plans).await.unwrap();
        plan_versions::apply(&world.store, sold).await.unwrap();
        let parts = ConfiguratorParts {
            live: Arc::new(Live::new(Arc::new(loaded.snapshot))),
            store: world.store.clone(),
            node,
            metrics: Metrics::new(),
            clock: world.clock.clone(),
            sources,
            key: None,
            mock: None,
            billing,
            is_without_proxy: true,
        };
        Self { world, folder, configurator: Configurator::new(parts, running) }
    }

    async fn reload(&self, plans: &str) {
        std::fs::write(file(&self.folder), format!("{BILLING}plans: {plans}\n")).unwrap();
        self.configurator.reload(ReloadTrigger::Signal).await.unwrap();
    }

    /// Returns the name, the version and the amount of each plan that is for sale.
    async fn for_sale(&self) -> Vec<(String, i64, i64)> {
        let versions = plan_versions::for_sale(&self.world.store).await.unwrap();
        versions.into_iter().map(|of| (of.name, of.version, of.price.price.amount)).collect()
    }
}

fn sold(name: &str, version: i64, rupiah: i64) -> (String, i64, i64) {
    (name.to_owned(), version, rupiah)
}

#[tokio::test]
async fn a_reload_changes_the_prices_that_are_for_sale() {
    let first = [("starter".to_owned(), price(0)), ("pro".to_owned(), price(150_000))];
    let plans = "[{name: starter, price: \"0 IDR\"}, {name: pro, price: \"150000 IDR\"}]";
    let selling = Selling::begin(plans, &first, BillingRole::Served).await;
    assert_eq!(selling.for_sale().await, [sold("pro", 1, 150_000), sold("starter", 1, 0)]);
    selling.reload("[{name: starter}, {name: pro, price: \"200000 IDR\"}, {name: team, price: \"9 IDR\"}]").await;
    assert_eq!(selling.for_sale().await, [sold("pro", 2, 200_000), sold("team", 1, 9)]);
    selling.reload("[{name: starter}, {name: pro}, {name: team}]").await;
    assert!(selling.for_sale().await.is_empty());
}

#[tokio::test]
async fn a_reload_keeps_the_prices_of_a_demo_and_those_that_another_process_sells() {
    let first = [("starter".to_owned(), price(0)), ("pro".to_owned(), price(150_000))];
    let plans = "[{name: starter}, {name: pro}]";
    let changed = "[{name: starter}, {name: pro}, {name: team}]";
    let demo = DemoBilling { prices: first.to_vec(), exchange: (Day(0), 16_500_000_000) };
    for billing in [BillingRole::Demo(demo), BillingRole::Elsewhere] {
        let selling = Selling::begin(plans, &first, billing).await;
        selling.reload(changed).await;
        assert_eq!(selling.for_sale().await, [sold("pro", 1, 150_000), sold("starter", 1, 0)]);
    }
}
