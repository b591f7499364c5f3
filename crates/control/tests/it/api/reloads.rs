use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use config::{Environment, Flags, Live, Sources};
use control::configuration::{
    ApplyError, BillingRole, ConfigSources, ConfigurationKey, Configurator, ConfiguratorParts, FileText, KeyReading,
    ReloadTrigger, StoredConfigError, configuration_at_start,
};
use store::{Actor, ConfigurationSource, NewConfiguration};
use telemetry::Metrics;
use uuid::Uuid;

use crate::api::configuration::ROUTED;
use crate::world::World;

/// Returns a configurator whose file is at `path`.
async fn configurator_of(world: &World, path: &Path) -> Configurator {
    let variables = Environment::default();
    let flags = Flags::default();
    let loaded = config::load(Sources { file: Some(path), environment: &variables, flags: flags.clone() }).unwrap();
    let sources = ConfigSources { file: Some(path.to_owned()), env_file: None, variables, flags };
    let store = world.store.clone();
    let node = Uuid::from_u128(1);
    let started = configuration_at_start(&store, node, loaded, &sources).await.unwrap();
    let key = started.loaded.snapshot.process.config_key.as_ref().map(|of| ConfigurationKey::new(of.key.clone()));
    let parts = ConfiguratorParts {
        live: Arc::new(Live::new(Arc::new(started.loaded.snapshot))),
        clock: store.clock().clone(),
        store,
        node,
        metrics: Metrics::new(),
        sources,
        key,
        mock: None,
        billing: BillingRole::Elsewhere,
        is_without_proxy: true,
    };
    Configurator::new(parts, started.running)
}

/// Runs a statement that no crate contains.
pub(crate) async fn execute(world: &World, statement: &'static str) {
    let mut transaction = world.store.begin().await.unwrap();
    transaction.query(statement).run().await.unwrap();
    transaction.commit().await.unwrap();
}

#[tokio::test]
async fn what_the_store_did_not_take_of_a_file_is_stored_later() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tollgate.yaml");
    let write = |text: &str| std::fs::write(&path, text).unwrap();
    write("log: {level: info}");
    let configurator = configurator_of(&world, &path).await;
    configurator.apply(&Actor::COMMAND, ROUTED, None).await.unwrap();
    let run = async |statement| execute(&world, statement).await;
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
async fn a_file_that_is_stored_late_ends_no_configuration_that_was_applied_over_it() {
    const FIRST: &str = "log: {level: info}";
    const SECOND: &str = "log: {level: info} # second";
    const THIRD: &str = "log: {level: info} # third";
    for (way, files, is_applied) in [
        ("follow", &[SECOND][..], true),
        ("store_again", &[SECOND], true),
        ("reload", &[SECOND], true),
        ("store_again", &[SECOND, THIRD, SECOND], true),
        // The entry is over the first file, which another one has replaced since.
        ("store_again", &[SECOND, FIRST], false),
    ] {
        let world = World::start().await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tollgate.yaml");
        std::fs::write(&path, FIRST).unwrap();
        let configurator = configurator_of(&world, &path).await;
        if !is_applied {
            configurator.apply(&Actor::COMMAND, ROUTED, None).await.unwrap();
            world.clock.advance(Duration::from_secs(1));
        }
        execute(&world, "ALTER TABLE revision RENAME TO away").await;
        // The configuration over an earlier file is not read either.
        execute(&world, "ALTER TABLE configurations RENAME TO lost").await;
        for file in files {
            std::fs::write(&path, file).unwrap();
            configurator.reload(ReloadTrigger::Signal).await.unwrap();
            assert_eq!(configurator.running().stored, None, "{way} {file}");
        }
        execute(&world, "ALTER TABLE lost RENAME TO configurations").await;
        execute(&world, "ALTER TABLE away RENAME TO revision").await;
        let running = configurator.running();
        let expected = if is_applied {
            let source = ConfigurationSource::Api;
            let node = Uuid::from_u128(2);
            let file_digest = &*running.file.digest;
            let text = Some(ROUTED);
            let new = NewConfiguration { source, node, file_digest, digest: "d", text, is_change: true };
            Some(world.store.add_configuration(&Actor::COMMAND, new).await.unwrap().number)
        } else {
            None
        };
        match way {
            "follow" => configurator.follow().await.unwrap(),
            "reload" => drop(configurator.reload(ReloadTrigger::Signal).await.unwrap()),
            _ => configurator.store_again().await,
        }
        let stored = configurator.running().stored.as_ref().map(|stored| stored.number);
        assert_eq!(stored, expected, "{way} {files:?}");
        configurator.store_again().await;
        configurator.follow().await.unwrap();
        let stored = configurator.running().stored.as_ref().map(|stored| stored.number);
        assert_eq!(stored, expected, "{way} {files:?}: it stays");
        let newest = world.store.configurations().await.unwrap()[0].source;
        assert_eq!(newest == ConfigurationSource::File, !is_applied, "{way} {files:?}");
    }
}

#[tokio::test]
async fn a_file_below_a_key_of_etcd_is_checked_and_keeps_its_cluster() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tollgate.yaml");
    let write = |text: &str| std::fs::write(&path, text).unwrap();
    let file = "etcd: {urls: ['https://a.internal:2379']}\nconfig: {etcd: /tollgate/config}\n";
    write(file);
    let configurator = configurator_of(&world, &path).await;
    let of_key = file.replace("a.internal", "members.internal") + ROUTED;
    let reading = KeyReading { text: Ok(of_key.as_str().into()), revision: 1 };
    configurator.apply_key(&reading).await.unwrap();
    for (changed, code) in [
        (file.replace("a.internal", "b.internal"), "needs_restart"),
        (file.replace("a.internal", "members.internal"), "needs_restart"),
        (file.to_owned() + "rutes: []\n", "unknown_key"),
    ] {
        write(&changed);
        let refused = configurator.reload(ReloadTrigger::Signal).await.unwrap_err().to_string();
        assert!(refused.contains(code), "{refused}");
    }
    write(&(file.to_owned() + "# changed\n"));
    configurator.reload(ReloadTrigger::Signal).await.unwrap();
    let running = configurator.running();
    assert_eq!(running.digest, control::configuration::digest(&of_key));
    assert_eq!(running.file.digest, control::configuration::digest(&(file.to_owned() + "# changed\n")));
    write(&file.replace("a.internal", "b.internal"));
    let refused = configurator.reload(ReloadTrigger::Signal).await.unwrap_err().to_string();
    assert!(refused.contains("needs_restart"), "{refused}");
}

#[tokio::test]
async fn a_file_that_was_emptied_changes_nothing() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tollgate.yaml");
    let write = |text: &str| std::fs::write(&path, text).unwrap();
    write("# nothing yet\n");
    let configurator = configurator_of(&world, &path).await;
    write("");
    configurator.reload(ReloadTrigger::Watch).await.unwrap();
    write(ROUTED);
    configurator.reload(ReloadTrigger::Watch).await.unwrap();
    let applied = configurator.running().digest.clone();
    for emptied in ["", " \n\t\n", "# routes: []\n---\n", "{}", "--- { } # {routes: []}\n"] {
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

#[tokio::test]
async fn a_start_leaves_out_an_invalid_value_of_etcd_and_refuses_an_invalid_configuration_of_the_api() {
    let folder = tempfile::tempdir().unwrap();
    let node = Uuid::from_u128(1);
    let path = folder.path().join("tollgate.yaml");
    let add = async |world: &World, by: &Actor, file: &str| {
        std::fs::write(&path, file).unwrap();
        // An earlier version accepted it.
        let text = Some("routes: [{path: /a/../b, respond: {}}]\n");
        let source = ConfigurationSource::Api;
        let file_digest = &*FileText::from_text(file).digest;
        let new = NewConfiguration { source, node, file_digest, digest: "d", text, is_change: true };
        world.store.add_configuration(by, new).await.unwrap()
    };
    let world = World::start().await;
    let file = "etcd: {urls: ['https://a.internal:2379']}\nconfig: {etcd: /tollgate/config}\n";
    // The author makes it a value of etcd.
    let of_etcd = add(&world, &Actor::SYSTEM, file).await;
    let configurator = configurator_of(&world, &path).await;
    configurator.record_start().await;
    let running = configurator.running();
    assert_eq!((running.stored.clone(), &running.digest), (None, &running.file.digest));
    let stored = world.store.configuration_over(&running.file.digest, node).await.unwrap();
    assert_eq!(stored.map(|stored| stored.number), Some(of_etcd.number), "it is not ended by the start");

    let world = World::start().await;
    add(&world, &Actor::COMMAND, "log: {level: info}\n").await;
    let variables = Environment::default();
    let flags = Flags::default();
    let loaded = config::load(Sources { file: Some(&path), environment: &variables, flags: flags.clone() }).unwrap();
    let sources = ConfigSources { file: Some(path.clone()), env_file: None, variables, flags };
    let refused = configuration_at_start(&world.store, node, loaded, &sources).await;
    assert!(matches!(refused, Err(StoredConfigError::Invalid(_))), "{refused:?}");
}
