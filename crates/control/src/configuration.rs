//! Changes of the configuration while the process runs: from the file, from the admin API, and from the store.
//!
//! A configuration is compiled on a blocking thread and replaces the running one in one step, or is refused and changes
//! nothing. See `docs/live-configuration.md`.

mod awaited;
mod billing_role;
mod etcd;
mod key;
mod parts;
mod plans;
mod refusals;
mod result;
mod retired;
mod running;
mod sources;
mod start;
mod unstored;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use config::{
    Change, ConfigError, ConfigText, Environment, Flags, Live, LoadedConfig, RunningConfig, Snapshot, Sources,
};
use store::{Actor, ConfigurationSource, NewConfiguration, Store, StoredConfiguration};
use telemetry::Metrics;
use telemetry::metrics::ReloadLabels;
use uuid::Uuid;

use awaited::AwaitedFiles;
pub use billing_role::{BillingRole, DemoBilling};
pub use key::{ConfigurationKey, KeyFault, KeyReading, KeyStatus};
pub use parts::ConfiguratorParts;
pub use result::{ApplyError, ConfigurationResult};
use retired::RetiredSnapshots;
pub use running::{FileText, RunningText, digest};
pub use sources::ConfigSources;
pub use start::{StartedConfig, StoredConfigError, configuration_at_start};
use unstored::UnstoredParts;

/// The name of a text of the API in errors.
const POSTED: &str = "configuration";
/// Maximum number of changed keys that a log line names.
const LOGGED_KEYS_MAX: usize = 20;

/// Applies configurations, one at a time.
#[derive(Debug)]
pub struct Configurator {
    parts: ConfiguratorParts,
    /// Held during a change.
    changing: tokio::sync::Mutex<()>,
    running: Mutex<Arc<RunningText>>,
    awaited: AwaitedFiles,
    unstored: UnstoredParts,
    retired: RetiredSnapshots,
}

/// The event that causes a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReloadTrigger {
    /// The process received SIGHUP.
    Signal,
    /// A watched file has changed.
    Watch,
}

/// A configuration that was compiled and is not in force yet.
struct CompiledText {
    loaded: Box<LoadedConfig>,
    running: RunningText,
    changes: Vec<Change>,
    more: usize,
}

/// A text that is to be compiled.
#[derive(Clone)]
struct CandidateText {
    /// The name in errors.
    name: String,
    text: String,
    /// The configuration file over which it applies.
    file: FileText,
    /// The way in which the text was given.
    source: ConfigurationSource,
    /// For a text of the API or of etcd, the texts whose references it may keep; `None` if the text is the file's.
    accepted: Option<Vec<Arc<str>>>,
}

impl Configurator {
    /// Returns the configurator of a process in which `running` is in force.
    #[must_use]
    pub fn new(parts: ConfiguratorParts, running: RunningText) -> Self {
        let this = Self {
            running: Mutex::new(Arc::new(running)),
            parts,
            changing: tokio::sync::Mutex::default(),
            awaited: AwaitedFiles::default(),
            unstored: UnstoredParts::default(),
            retired: RetiredSnapshots::default(),
        };
        this.show(&this.running());
        this
    }

    /// Returns the configurator of a process without a configuration file, in which the defaults are in force: control on
    /// its own, in tests and measurements.
    ///
    /// # Errors
    /// The defaults are invalid.
    pub fn of_defaults(live: Arc<Live>, store: Store, metrics: Arc<Metrics>) -> Result<Self, ConfigError> {
        let variables = Environment::default();
        let clock = store.clock().clone();
        let loaded = config::load(Sources { file: None, environment: &variables, flags: Flags::default() })?;
        let running = RunningText::from_loaded(&loaded, String::new(), FileText::from_text(""), clock.now());
        let sources = ConfigSources { file: None, env_file: None, variables, flags: Flags::default() };
        let parts = ConfiguratorParts {
            live,
            store,
            node: Uuid::nil(),
            metrics,
            clock,
            sources,
            key: None,
            mock: None,
            billing: BillingRole::Elsewhere,
            is_without_proxy: true,
        };
        Ok(Self::new(parts, running))
    }

    /// Returns the configuration that is in force.
    #[must_use]
    pub fn running(&self) -> Arc<RunningText> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the key of etcd that has the configuration.
    #[must_use]
    pub const fn key(&self) -> Option<&ConfigurationKey> {
        self.parts.key.as_ref()
    }

    /// Returns the files whose changes apply without a signal: the configuration, the `.env`, and those that values
    /// name, also values of a refused configuration.
    #[must_use]
    pub fn watched(&self) -> Vec<PathBuf> {
        let running = self.running();
        let mut files = self.parts.sources.files();
        files.extend(running.files.iter().cloned());
        files.extend(self.awaited.get().into_iter().filter(|file| !running.files.contains(file)));
        files
    }

    /// Reads the file again, and applies it, or the stored configuration that is in force over it.
    ///
    /// # Errors
    /// The reason why the running configuration stays. It is logged, except for errors of the store after a watched change.
    pub async fn reload(&self, trigger: ReloadTrigger) -> Result<ConfigurationResult, ApplyError> {
        let _changing = self.changing.lock().await;
        let result = Box::pin(self.reload_locked()).await;
        self.awaited.note(&result);
        let is_repeated = trigger == ReloadTrigger::Watch && matches!(result, Err(ApplyError::Database(_)));
        if !is_repeated {
            self.report(&format!("{trigger:?}").to_lowercase(), &result);
        }
        result
    }

    async fn reload_locked(&self) -> Result<ConfigurationResult, ApplyError> {
        let running = self.running();
        let sources = self.parts.sources.clone();
        let read = move || sources.read().map(|text| (FileText::from_text(&text), text));
        let (mut file, text) = tokio::task::spawn_blocking(read).await??;
        if !file.has_key && running.file.has_key {
            return Err(ApplyError::FileEmptied);
        }
        file.started_with = running.file.started_with.clone();
        let name = self.parts.sources.name();
        let candidate =
            CandidateText { name, text, file: file.clone(), source: ConfigurationSource::File, accepted: None };
        if self.key().is_some() {
            // The next start has it, and the cluster of the key is that of the file.
            self.compile_only(candidate.clone()).await?;
        }
        // What the running file has ended must stay ended if this file is an earlier one.
        self.store_rest().await;
        if let Some(stored) = self.stored_over(&file.digest, &running).await {
            return self.apply_stored(stored, file).await;
        }
        if let Some(of_key) = self.key().and_then(ConfigurationKey::applied) {
            // Routes of the key must not vanish until the key is read again.
            return self.apply_key_over(&of_key, file, &running).await;
        }
        let compiled = self.compile(candidate).await?;
        self.refuse_unbilled(&compiled.loaded.snapshot).await?;
        let is_new = compiled.running.file.digest != running.file.digest || running.stored.is_some();
        let result = self.publish(compiled).await;
        if is_new {
            self.record_file().await;
        }
        Ok(result)
    }

    /// Applies the configuration of the API that another process has stored since, if it was applied over the file of
    /// this one. A job calls this after each change of the store's revision.
    ///
    /// # Errors
    /// The reason why the running configuration stays. It is logged.
    pub async fn follow(&self) -> Result<(), ApplyError> {
        let _changing = self.changing.lock().await;
        self.follow_locked().await
    }

    async fn follow_locked(&self) -> Result<(), ApplyError> {
        self.store_plans(&self.parts.live.load_full().traffic).await;
        self.store_rest().await;
        let running = self.running();
        let found = self.parts.store.configuration_over(&running.file.digest, self.parts.node).await?;
        let Some(stored) = found.filter(|found| running.known() < Some(found.number)) else { return Ok(()) };
        let number = stored.number;
        let result = self.apply_stored(stored, running.file.clone()).await;
        self.awaited.note(&result);
        self.report("store", &result);
        if result.is_err() {
            // The same configuration is not compiled again until the file changes.
            self.set(RunningText { refused: Some(number), ..(*running).clone() });
        }
        result.map(|_| ())
    }

    async fn apply_stored(
        &self,
        stored: StoredConfiguration,
        file: FileText,
    ) -> Result<ConfigurationResult, ApplyError> {
        let name = running::stored_name(&stored);
        let text = stored.text.clone().ok_or(ApplyError::NotStored)?;
        // Its references were accepted when it was applied.
        let accepted = Some(vec![text.as_str().into()]);
        let mut compiled = self.compile(CandidateText { name, text, file, source: stored.source, accepted }).await?;
        compiled.running.become_stored(stored);
        Ok(self.publish(compiled).await)
    }

    /// Checks a text of the API as [`apply`](Self::apply) does, and changes nothing. The audit log gets a line.
    ///
    /// # Errors
    /// The reason why the text would be refused.
    pub async fn validate(&self, by: &Actor, text: &str) -> Result<ConfigurationResult, ApplyError> {
        let compiled = self.compile(self.posted(text)).await;
        let is_valid = compiled.is_ok();
        self.parts.store.note_validation(by, self.parts.node, &digest(text), is_valid).await?;
        let compiled = compiled?;
        self.refuse_redirected(by, &compiled).await?;
        self.refuse_unbilled(&compiled.loaded.snapshot).await?;
        let CompiledText { changes, more, loaded, .. } = compiled;
        Ok(ConfigurationResult { changes, more, notes: loaded.notes.clone(), running: self.running() })
    }

    /// Applies a text of the API: stores it, so that every process with the same file applies it, and replaces the
    /// running configuration. Unless `over` is `None`, it must be the digest of the running configuration, and no other
    /// process may have stored a later one.
    ///
    /// # Errors
    /// The reason why the running configuration stays. It is logged.
    pub async fn apply(&self, by: &Actor, text: &str, over: Option<&str>) -> Result<ConfigurationResult, ApplyError> {
        self.refuse_followed()?;
        let _changing = self.changing.lock().await;
        let result = self.apply_locked(by, self.posted(text), over).await;
        self.report("api", &result);
        result
    }

    /// Applies the text of an earlier configuration, as [`apply`](Self::apply) does.
    ///
    /// # Errors
    /// The reason why the running configuration stays. It is logged.
    pub async fn roll_back(&self, by: &Actor, to: Uuid, over: Option<&str>) -> Result<ConfigurationResult, ApplyError> {
        self.refuse_followed()?;
        let _changing = self.changing.lock().await;
        let result = async {
            let stored = self.parts.store.find_configuration(to).await?.ok_or(ApplyError::Unknown)?;
            let text = stored.text.ok_or(ApplyError::NotStored)?;
            let mut candidate = self.posted(&text);
            if stored.source == ConfigurationSource::File {
                // The operator wrote all of it.
                candidate.accepted = Some(vec![text.into()]);
            }
            self.apply_locked(by, candidate, over).await
        };
        let result = result.await;
        self.report("rollback", &result);
        result
    }

    async fn apply_locked(
        &self,
        by: &Actor,
        candidate: CandidateText,
        over: Option<&str>,
    ) -> Result<ConfigurationResult, ApplyError> {
        if over.is_some_and(|over| over != self.running().digest) {
            return Err(ApplyError::Changed);
        }
        let text = candidate.text.clone();
        let source = candidate.source;
        let mut compiled = match self.compile(candidate).await {
            Err(ApplyError::Invalid(error)) => {
                self.parts.store.note_validation(by, self.parts.node, &digest(&text), false).await?;
                return Err(error.into());
            }
            compiled => compiled?,
        };
        self.refuse_redirected(by, &compiled).await?;
        self.refuse_unbilled(&compiled.loaded.snapshot).await?;
        let new = NewConfiguration {
            source,
            node: self.parts.node,
            file_digest: &compiled.running.file.digest,
            digest: &compiled.running.digest,
            text: Some(&text),
            is_change: true,
        };
        let store = &self.parts.store;
        let stored = if over.is_some() {
            store.add_configuration_over(by, new, self.running().known()).await?
        } else {
            store.add_configuration(by, new).await?
        };
        compiled.running.become_stored(stored);
        Ok(self.publish(compiled).await)
    }

    fn posted(&self, text: &str) -> CandidateText {
        let running = self.running();
        let accepted = Some(vec![running.text.clone(), running.file.text.clone()]);
        let file = running.file.clone();
        CandidateText {
            name: POSTED.to_owned(),
            text: text.to_owned(),
            file,
            source: ConfigurationSource::Api,
            accepted,
        }
    }

    /// Refuses a change by the API of a configuration that is in a key of etcd, which would replace it again.
    fn refuse_followed(&self) -> Result<(), ApplyError> {
        self.key().map_or(Ok(()), |key| Err(ApplyError::Followed { key: key.name.clone() }))
    }

    /// Whether the file is the one that was read last.
    pub async fn has_read_file(&self) -> bool {
        let sources = self.parts.sources.clone();
        let text = tokio::task::spawn_blocking(move || sources.read()).await;
        matches!(text, Ok(Ok(text)) if digest(&text) == self.running().file.digest)
    }

    /// Frees replaced snapshots that no request uses any more.
    pub async fn free_retired(&self) {
        self.retired.free().await;
    }

    /// Returns the configuration of the API that is in force over the file. While the store is unavailable, that is the
    /// running one if the file has not changed.
    async fn stored_over(&self, file_digest: &str, running: &RunningText) -> Option<StoredConfiguration> {
        match self.parts.store.configuration_over(file_digest, self.parts.node).await {
            Ok(stored) => stored,
            Err(error) => {
                tracing::warn!(%error, "stored configurations cannot be read");
                if running.file.digest == file_digest { running.stored.clone() } else { None }
            }
        }
    }

    async fn compile(&self, candidate: CandidateText) -> Result<CompiledText, ApplyError> {
        let compiled = self.compile_only(candidate).await?;
        self.refuse_exposed_demo_keys(&compiled.loaded.snapshot).await?;
        self.refuse_lost_signup_plan(&compiled.loaded.snapshot).await?;
        self.refuse_lost_fallback_plan(&compiled.loaded.snapshot).await?;
        Ok(compiled)
    }

    /// Compiles a text, without a comparison with the store.
    async fn compile_only(&self, candidate: CandidateText) -> Result<CompiledText, ApplyError> {
        let running = self.running();
        let snapshot = self.parts.live.load_full();
        let sources = self.parts.sources.clone();
        let now = self.parts.clock.now();
        let has_mock = self.parts.mock.is_some() || self.parts.is_without_proxy;
        let compile = move || -> Result<CompiledText, ConfigError> {
            let CandidateText { name, text, file, accepted, .. } = candidate;
            let environment = sources.environment()?;
            let started_with = &*file.started_with;
            let loaded = config::reload(
                &RunningConfig { settings: &running.settings, snapshot: &snapshot, has_mock, started_with },
                ConfigText { name: &name, text: &text, posted: accepted.as_deref() },
                Sources { file: sources.file.as_deref(), environment: &environment, flags: sources.flags.clone() },
            )?;
            let (changes, more) = config::changes(&running.settings, loaded.settings());
            let running = RunningText::from_loaded(&loaded, name, file, now);
            Ok(CompiledText { loaded: Box::new(loaded), running, changes, more })
        };
        Ok(tokio::task::spawn_blocking(compile).await??)
    }

    /// Replaces the snapshot. The new one keeps the running process's settings, which are equal or known only since the
    /// start, such as a port that the system chose.
    async fn publish(&self, compiled: CompiledText) -> ConfigurationResult {
        let CompiledText { loaded, running, changes, more } = compiled;
        let LoadedConfig { snapshot, notes, .. } = *loaded;
        let old = self.parts.live.load_full();
        let Snapshot { file, mut traffic, .. } = snapshot;
        if traffic.mock.on
            && let Some(origin) = &self.parts.mock
        {
            traffic = traffic.with_mock(origin.clone());
        }
        self.parts.billing.complete(&mut traffic);
        let new = Arc::new(Snapshot { file, process: old.process.clone(), traffic });
        // The list of changes may be cut.
        let may_differ = |section: &str| more > 0 || changes.iter().any(|change| change.key.starts_with(section));
        // The prices are stored while billing is on.
        self.unstored.note(may_differ("plans") || may_differ("billing"), may_differ("budgets"));
        self.parts.live.store(new.clone());
        // No await separates the snapshot from its text: a client that disconnects drops this future.
        let running = self.set(running);
        self.retired.add(old).await;
        self.store_plans(&new.traffic).await;
        if let Err(error) = self.raise_revision().await {
            tracing::warn!(%error, "new budgets do not apply to keys in use yet");
        }
        ConfigurationResult { changes, more, notes, running }
    }

    fn set(&self, running: RunningText) -> Arc<RunningText> {
        let running = Arc::new(running);
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = running.clone();
        self.show(&running);
        running
    }

    /// Sets the metrics of the running configuration.
    fn show(&self, running: &RunningText) {
        let metrics = &self.parts.metrics.configuration;
        metrics.last_success.set(i64::try_from(running.applied_at.unix_seconds()).unwrap_or(i64::MAX));
        metrics.hash.set(running.hash());
    }

    /// Counts and logs a result.
    fn report(&self, trigger: &str, result: &Result<ConfigurationResult, ApplyError>) {
        let label = if result.is_ok() { "applied" } else { "refused" };
        self.parts.metrics.configuration.reloads.get_or_create(&ReloadLabels { result: label }).inc();
        match result {
            Ok(ConfigurationResult { changes, more, notes, running }) => {
                let keys: Vec<&str> = changes.iter().take(LOGGED_KEYS_MAX).map(|change| change.key.as_str()).collect();
                let changed = changes.len() + more;
                tracing::info!(trigger, changed, ?keys, from = running.name, digest = %running.digest, "the configuration was applied");
                notes.iter().for_each(|note| tracing::warn!("{note}"));
            }
            Err(error) => {
                tracing::error!(trigger, %error, "the configuration was refused; the running one stays in force");
            }
        }
    }
}
