use std::path::Path;
use std::sync::Arc;

use config::{Environment, Flags, Live, Sources};
use control::configuration::{
    ApplyError, ConfigSources, Configurator, ConfiguratorParts, ReloadTrigger, configuration_at_start,
};
use store::{Actor, ConfigurationSource};
use telemetry::Metrics;
use uuid::Uuid;

use crate::api::configuration::ROUTED;
use crate::world::World;

/// Returns a configurator whose file is at `path`.
async fn configurator_of(world: &World, path: &Path) -> Configurator {
    let (variables, flags) = (Environment::default(), Flags::default());
    let loaded = config::load(Sources { file: Some(path), environment: &variables, flags: flags.clone() }).unwrap();
    let sources = ConfigSources { file: Some(path.to_owned()), env_file: None, variables, flags };
    let (store, node) = (world.store.clone(), Uuid::from_u128(1));
    let started = configuration_at_start(&store, node, loaded, &sources).await.unwrap();
    let parts = ConfiguratorParts {
        live: Arc::new(Live::new(Arc::new(started.loaded.snapshot))),
        clock: store.clock().clone(),
        store,
        node,
        metrics: Metrics::new(),
        sources,
        key: None,
        mock: None,
        plan_prices: None,
        is_without_proxy: true,
    };
    Configurator::new(parts, started.running)
}

#[tokio::test]
async fn what_the_store_did_not_take_of_a_file_is_stored_later() {
    let (world, folder) = (World::start().await, tempfile::tempdir().unwrap());
    let path = folder.path().join("tollgate.yaml");
    let write = |text: &str| std::fs::write(&path, text).unwrap();
    write("log: {level: info}");
    let configurator = configurator_of(&world, &path).await;
    configurator.apply(&Actor::COMMAND, ROUTED, None).await.unwrap();
    let run = async |statement: &'static str| {
        let mut transaction = world.store.begin().await.unwrap();
        transaction.query(statement).run().await.unwrap();
        transaction.commit().await.unwrap();
    };
    let revision = world.store.revision().await.unwrap();
    run("ALTER TABLE revision RENAME TO away").await;
    write("budgets: {limits: [{dimension: global, money: 1 USD, per: day}]}");
    configurator.reload(ReloadTrigger::Signal).await.unwrap();
    configurator.store_again().await;
    run("ALTER TABLE away RENAME TO revision").await;
    assert_eq!(world.store.revision().await.unwrap(), revision);
    configurator.store_again().await;
    assert_eq!(world.store.revision().await.unwrap(), revision + 1);
    assert_eq!(world.store.configurations().await.unwrap()[0].source, ConfigurationSource::File);
    configurator.store_again().await;
    assert_eq!(world.store.revision().await.unwrap(), revision + 1);
    // The configuration of the API over the first file stays ended.
    write("log: {level: info}");
    configurator.reload(ReloadTrigger::Signal).await.unwrap();
    assert_eq!(configurator.running().stored, None);
}

#[tokio::test]
async fn a_file_that_was_emptied_changes_nothing() {
    let (world, folder) = (World::start().await, tempfile::tempdir().unwrap());
    let path = folder.path().join("tollgate.yaml");
    let write = |text: &str| std::fs::write(&path, text).unwrap();
    write("# nothing yet\n");
    let configurator = configurator_of(&world, &path).await;
    write("");
    configurator.reload(ReloadTrigger::Watch).await.unwrap();
    write(ROUTED);
    configurator.reload(ReloadTrigger::Watch).await.unwrap();
    let applied = configurator.running().digest.clone();
    for emptied in ["", " \n\t\n", "# routes: []\n---\n", "{}"] {
        write(emptied);
        for trigger in [ReloadTrigger::Signal, ReloadTrigger::Watch] {
            let refused = configurator.reload(trigger).await;
            assert!(matches!(refused, Err(ApplyError::FileEmptied)), "{emptied:?}: {refused:?}");
        }
        assert_eq!(configurator.running().digest, applied);
    }
    write("routes: []");
    configurator.reload(ReloadTrigger::Watch).await.unwrap();
}
