use control::configuration::{BillingRole, ConfigSources, ConfiguratorParts};

use super::*;

#[test]
fn a_price_that_is_removed_has_no_metric() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = Metrics::new();
    let file = folder.path().join("tollgate.yaml");
    let is_shown = |prices: &str| {
        std::fs::write(&file, format!("providers: [{{name: main, kind: openai, credential: k}}]\n{prices}")).unwrap();
        let environment = config::Environment::default();
        let flags = config::Flags::default();
        let sources = config::Sources { file: Some(&file), environment: &environment, flags };
        set_price_expiries(&config::load(sources).unwrap().snapshot, &metrics);
        metrics.encode().contains("{provider=\"main\",model=\"own\"}")
    };
    assert!(is_shown("prices: [{model: main/own, input: '1', output: '2', until: 2026-12-31}]\n"));
    assert!(!is_shown(""));
}

#[tokio::test]
async fn a_file_that_the_store_cannot_check_is_applied_once_the_store_responds() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tollgate.yaml");
    std::fs::write(&file, "log: {level: info}\n").unwrap();
    let variables = config::Environment::default();
    let flags = config::Flags::default();
    let sources = config::Sources { file: Some(&file), environment: &variables, flags: flags.clone() };
    let loaded = config::load(sources).unwrap();
    let data = folder.path();
    let clock = access::Clock::system();
    let store = Store::open(store::Options { url: None, data, migrate: true, clock: clock.clone() }).await.unwrap();
    store.ensure_plans(&[access::Plan::unlimited("own")]).await.unwrap();
    let sources = ConfigSources { file: Some(file.clone()), env_file: None, variables, flags };
    let started = configuration_at_start(&store, Uuid::nil(), loaded, &sources).await.unwrap();
    let live = Arc::new(Live::new(Arc::new(started.loaded.snapshot)));
    let metrics = Metrics::new();
    let parts = ConfiguratorParts {
        live: live.clone(),
        store: store.clone(),
        node: Uuid::nil(),
        metrics: metrics.clone(),
        clock,
        sources,
        key: None,
        mock: None,
        billing: BillingRole::Elsewhere,
        is_without_proxy: true,
    };
    let configurator = Arc::new(Configurator::new(parts, started.running));
    let mut watch = ConfigurationWatch::new(configurator, live.clone(), metrics, Arc::new(Revision::default()));
    let execute = async |statement| {
        let mut transaction = store.begin().await.unwrap();
        transaction.query(statement).run().await.unwrap();
        transaction.commit().await.unwrap();
    };
    watch.watch().await.unwrap();
    // Whether the plan exists is in the store.
    std::fs::write(&file, "log: {level: info}\nsignup: open\nsignup_plan: own\n").unwrap();
    execute("ALTER TABLE plans RENAME TO away").await;
    // The first look only finds the change.
    watch.watch().await.unwrap();
    for _ in 0..2 {
        assert!(watch.watch().await.is_err());
    }
    assert_eq!(live.load().traffic.signup.plan, "starter");
    execute("ALTER TABLE away RENAME TO plans").await;
    watch.watch().await.unwrap();
    assert_eq!(live.load().traffic.signup.plan, "own");
}

#[test]
fn a_swapped_link_of_a_folder_changes_the_file_below_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for version in ["v1", "v2"] {
        std::fs::create_dir(at(version)).unwrap();
        std::fs::write(at(version).join("tollgate.yaml"), "same").unwrap();
    }
    std::os::unix::fs::symlink("v1", at("..data")).unwrap();
    std::os::unix::fs::symlink("..data/tollgate.yaml", at("tollgate.yaml")).unwrap();
    let first = WatchedFile::from_path(&at("tollgate.yaml"));
    assert_eq!(WatchedFile::from_path(&at("tollgate.yaml")), first);
    std::os::unix::fs::symlink("v2", at("next")).unwrap();
    std::fs::rename(at("next"), at("..data")).unwrap();
    let second = WatchedFile::from_path(&at("tollgate.yaml"));
    assert_ne!(second, first);
    std::fs::remove_file(at("v2").join("tollgate.yaml")).unwrap();
    assert_eq!(WatchedFile::from_path(&at("tollgate.yaml")).content, None);
}
