//! The parts of a server, each built from earlier ones.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ::billing::LiveBooks;
use access::credentials::basic::PasswordChecks;
use access::credentials::issuer::IssuerRegistry;
use access::credentials::token::Signer;
use access::exchange::redis_key::RedisKeys;
use access::exchange::subject_budgets::SubjectBudgets;
use access::{Clock, Directory, Revision, Secret, Timestamp, UpstreamCredentials};
use anyhow::Context;
use cluster::last_use::{self, LastUseWriter};
use cluster::leases::cleanup::{self, LeaseCleanup};
use cluster::revision::{self, RevisionPoll};
use cluster::shared_credentials::{self, SharedCredentialRead};
use cluster::windows::Windows;
use cluster::{Cluster, Counting, DecryptedCredentials};
use config::snapshot::{Origin, Scheme};
use config::{Live, Snapshot};
use control::configuration::Configurator;
use control::{CachePurges, Passwords, ServedApi};
use discovery::{FetchedSource, Fetcher, HealthChecks, IssuerKeyRefresh, Observation};
use jobs::Runner;
use ledger::ingest::{Ingest, ReaderSlot};
use ledger::retention::RetentionJob;
use ledger::{IngestStats, Ledger, RetentionStats};
use meter::Meter;
use meter::lease::LeaseQueue;
use meter::limiter::sharing::LimitSharing;
use proxy::{
    AccessTokens, Backends, Capacity, Conversations, ProviderLists, ResponseMemories, Shared, UnauthenticatedClients,
    WorkerResources,
};
use spool::{BacklogCounter, Reader, Writer};
use store::{Node, Store};
use telemetry::logs::DroppedLines;
use telemetry::{BackendBoard, LiveState, Metrics, metrics};
use tls::{AsyncListener, ListenerTls};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::backend_health;
use super::certificates::{self, CertificateReload};
use super::clock_leaps::{self, ClockWatch};
use super::disks::{self, DiskWatch};
use super::jobs::{self as specs, MeterSweep};
use super::readiness::{self, Readiness};
use crate::cli::Role;
use crate::secrets::AdmittedVault;

/// Maximum number of keys, over all workers, that wait for a look-up in the store, and of those in Redis.
const LOOKUPS_MAX: usize = 1024;
/// Maximum number of passwords of the proxy's clients, over all workers, that wait for their verification.
const PASSWORDS_MAX: usize = 64;
/// Maximum time for which the end of tasks, of control and of jobs is awaited.
const STOP_WITHIN: Duration = Duration::from_secs(6);
/// Maximum time for which the last run of ingest is awaited.
const INGEST_STOP_WITHIN: Duration = Duration::from_secs(60);

/// The listener of the admin API.
pub(crate) struct ControlListener {
    pub(crate) listener: AsyncListener,
    pub(crate) tls: Option<Arc<ListenerTls>>,
    /// The example files that the insights endpoints respond with.
    pub(crate) examples: Option<insights::Examples>,
    /// Subscriptions and invoices, while billing is on.
    pub(crate) books: LiveBooks,
}

/// The values from which many parts are built.
pub(crate) struct ServerContext {
    pub(crate) role: Role,
    pub(crate) live: Arc<Live>,
    /// The meter; `None` in a process without a proxy.
    pub(crate) meter: Option<Arc<Meter>>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) live_state: Arc<LiveState>,
    pub(crate) board: Arc<BackendBoard>,
    pub(crate) purges: Arc<CachePurges>,
    pub(crate) revision: Arc<Revision>,
    pub(crate) clock: Clock,
    pub(crate) store: Store,
    pub(crate) node: Node,
    pub(crate) windows: Windows,
    /// The keys that issuers of access tokens publish. They survive a change of the configuration.
    pub(crate) issuers: Arc<IssuerRegistry>,
    /// The shared credentials of the vault, for headers of routes.
    pub(crate) upstream_credentials: Arc<UpstreamCredentials>,
    pub(crate) keys: AdmittedVault,
    /// The pool that hashes passwords.
    pub(crate) passwords: Passwords,
    /// The signing secret of access tokens; `None` in a process without an admin API.
    pub(crate) signing: Option<Secret>,
}

/// Returns the origin of a server on this machine.
pub(crate) fn origin(address: SocketAddr) -> Origin {
    Origin {
        scheme: Scheme::Http,
        host: address.ip().to_string(),
        port: address.port(),
        authority: address.to_string(),
        path: String::new(),
        allow_link_local: true,
    }
}

/// The queues to the tasks that check credentials for the proxy.
pub(crate) struct CredentialChecks {
    pub(crate) passwords: PasswordChecks,
    /// The look-ups of keys in Redis; `None` without Redis.
    pub(crate) redis_keys: Option<RedisKeys>,
}

/// The counters of requests and amounts that nodes share.
pub(crate) struct SharedCounters {
    pub(crate) unauthenticated: UnauthenticatedClients,
    pub(crate) sharing: Option<LimitSharing>,
    pub(crate) leases: Option<LeaseQueue>,
    /// The subjects whose counters begin; `None` if leases begin them.
    pub(crate) subject_budgets: Option<SubjectBudgets>,
}

/// The queues to the tasks that read the store for the proxy.
pub(crate) struct StoreQueues {
    pub(crate) keys: Directory,
    pub(crate) subject_budgets: Option<SubjectBudgets>,
}

/// Returns the state that the workers share.
pub(crate) fn shared(
    base: &ServerContext,
    meter: Arc<Meter>,
    counters: SharedCounters,
    checks: CredentialChecks,
    responses: ResponseMemories,
) -> Arc<Shared> {
    let snapshot = base.live.load();
    let SharedCounters { unauthenticated, sharing, leases, subject_budgets } = counters;
    Arc::new(Shared {
        live: base.live.clone(),
        meter,
        metrics: base.metrics.clone(),
        clock: base.clock.clone(),
        capacity: Capacity::new(
            snapshot.process.connections,
            snapshot.process.in_flight_max,
            snapshot.traffic.sizes.buffered_bytes_max,
        ),
        backends: Arc::new(Backends::new(base.metrics.clone())),
        issuers: base.issuers.clone(),
        upstream_credentials: base.upstream_credentials.clone(),
        password_checks: Some(checks.passwords),
        redis_keys: checks.redis_keys,
        subject_budgets,
        tls: proxy::tls_config(),
        shutdown: proxy::Shutdown::default(),
        unauthenticated,
        sharing,
        leases,
        responses,
        access_tokens: AccessTokens::default(),
        conversations: Conversations::default(),
        provider_lists: ProviderLists::default(),
        object_keys: Arc::new(base.keys.vault.object_keys()),
    })
}

/// Returns the separate state of each worker.
pub(crate) fn lanes(writers: Vec<Writer>, keys: &Directory) -> Vec<WorkerResources> {
    writers.into_iter().map(|spool| WorkerResources { directory: keys.another(), spool }).collect()
}

/// Copies the number of lost log lines at each scrape.
pub(crate) fn watch_log(base: &ServerContext, dropped: DroppedLines) {
    base.metrics.on_scrape(Box::new(move |all| metrics::set_total(&all.log.lines_dropped, dropped.lines())));
}

/// Copies the age of the master key and the number of failed decryptions at each scrape.
fn watch_vault(base: &ServerContext, decrypted_credentials: Arc<DecryptedCredentials>) {
    let clock = base.clock.clone();
    let since = base.keys.admitted.map(|admitted| admitted.since);
    base.metrics.on_scrape(Box::new(move |all| {
        if let Some(since) = since {
            let age_seconds = clock.now().unix_seconds().saturating_sub(since.unix_seconds());
            all.vault.key_age_seconds.set(i64::try_from(age_seconds).unwrap_or(i64::MAX));
        }
        metrics::set_total(&all.vault.undecryptable, decrypted_credentials.failures());
    }));
}

fn watch_ingest(base: &ServerContext, level: BacklogCounter, stats: Arc<IngestStats>) {
    let clock = base.clock.clone();
    base.metrics.on_scrape(Box::new(move |all| {
        let age_seconds = match stats.oldest_micros.load(Ordering::Relaxed) {
            0 => 0,
            oldest => clock.now().unix_seconds().saturating_sub(Timestamp(oldest).unix_seconds()),
        };
        all.spool.oldest_seconds.set(i64::try_from(age_seconds).unwrap_or(i64::MAX));
        let (records, bytes) = level.unreleased();
        for (gauge, waiting) in [(&all.spool.records, records), (&all.spool.bytes, bytes)] {
            gauge.set(i64::try_from(waiting).unwrap_or(i64::MAX));
        }
        all.spool.ingest_lag_seconds.set(Duration::from_micros(stats.lag_micros.load(Ordering::Relaxed)).as_secs_f64());
        metrics::set_total(&all.spool.ingested_total, stats.events.load(Ordering::Relaxed));
        metrics::set_total(&all.spool.ingest_errors, stats.failures.load(Ordering::Relaxed));
    }));
}

/// Jobs, and tasks that answer requests, on the multi-thread runtime. They end when this value is dropped.
#[derive(Debug)]
pub(crate) struct Services {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
    stop_control: watch::Sender<bool>,
    pub(super) jobs: Runner,
    /// The runner of ingest, which may take longer to stop, and the place of the spool's reader.
    ingest: Option<(Runner, ReaderSlot)>,
}

impl Services {
    /// Returns services without tasks; `jobs` is an empty runner.
    pub(crate) fn new(jobs: Runner) -> Self {
        let stop = watch::Sender::default();
        let stop_control = watch::Sender::default();
        Self { tasks: JoinSet::new(), stop, stop_control, jobs, ingest: None }
    }

    /// Starts the mock provider on a free loopback port.
    pub(crate) async fn mock(&mut self) -> anyhow::Result<SocketAddr> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("the mock provider cannot listen")?;
        let address = listener.local_addr()?;
        let stopped = self.stopped();
        self.tasks.spawn(async move { mock::serve(listener, stopped).await });
        Ok(address)
    }

    /// Starts the tasks of the store, and returns the queues to them.
    pub(crate) async fn start(
        &mut self,
        base: &ServerContext,
        backlog: Option<BacklogCounter>,
    ) -> anyhow::Result<StoreQueues> {
        base.revision.confirm(base.store.revision().await?, base.clock.mono());
        base.live_state.set_directory(true);
        let (keys, lookups) = mpsc::channel(LOOKUPS_MAX);
        let decrypted_credentials = Arc::new(DecryptedCredentials::new(base.keys.vault.clone(), base.revision.clone()));
        watch_vault(base, decrypted_credentials.clone());
        if base.meter.is_some() {
            let credentials = base.upstream_credentials.clone();
            let read = SharedCredentialRead::new(base.store.clone(), decrypted_credentials.clone(), credentials);
            read.read().await?;
            self.jobs.add(shared_credentials::SPEC, move || read.clone());
        }
        let live = base.live.clone();
        let counts = base.meter.clone().filter(|meter| !meter.is_leased()).map(|meter| (meter, base.node.clone()));
        let counts_here = counts.is_some();
        let counting =
            Arc::new(Counting::new(counts, move |caller| live.load().traffic.budgets.for_caller(caller).collect()));
        let answering = cluster::directory::serve(
            base.store.clone(),
            decrypted_credentials,
            counting.clone(),
            lookups,
            self.stopped(),
        );
        self.tasks.spawn(answering);
        let subject_budgets = counts_here.then(|| {
            let (sender, queue) = mpsc::channel(LOOKUPS_MAX);
            self.spawn(cluster::subject_budgets::serve(base.store.clone(), counting, queue, self.stopped()));
            SubjectBudgets::new(sender)
        });
        self.background(base, backlog);
        self.retention(base).await;
        self.limits(base);
        let stale_for = base.live.load().process.store.stale_for;
        let keys = Directory::new(keys, base.revision.clone(), base.clock.clone(), stale_for);
        base.store.last_use().follow(keys.clients());
        Ok(StoreQueues { keys, subject_budgets })
    }

    /// Starts the jobs that keep the state of this node.
    fn background(&mut self, base: &ServerContext, backlog: Option<BacklogCounter>) {
        let revision = RevisionPoll::new(base.store.clone(), base.revision.clone(), base.clock.clone());
        self.jobs.add(revision::SPEC, move || revision.clone());
        let last_use = LastUseWriter::new(base.store.clone());
        self.jobs.add(last_use::SPEC, move || last_use.clone());
        let live_state = base.live_state.clone();
        let live = base.live.clone();
        let revision = base.revision.clone();
        let clock = base.clock.clone();
        let windows = base.windows.clone();
        let readiness = Readiness { live_state, live, revision, clock, windows, backlog, beaten_at: None };
        self.jobs.add(readiness::SPEC, move || readiness.clone());
        let clock = ClockWatch::new(base.clock.clone(), base.metrics.clone());
        self.jobs.add(clock_leaps::SPEC, move || clock.clone());
        let disks = DiskWatch::new(base.live.load().process.data.clone(), base.metrics.clone());
        self.jobs.add(disks::SPEC, move || disks.clone());
        if let Some(meter) = base.meter.clone() {
            let sweep = MeterSweep { meter, clock: base.clock.clone() };
            self.jobs.add(specs::METER_SWEEP, move || sweep.clone());
        }
        if base.store.is_shared() {
            let cleanup = LeaseCleanup::new(Cluster::new(base.store.clone()));
            self.jobs.add(cleanup::SPEC, move || cleanup.clone());
        }
    }

    /// Starts the ingest of the spool into the store.
    pub(crate) fn ingest(&mut self, base: &ServerContext, reader: Reader, stats: Arc<IngestStats>) {
        watch_ingest(base, reader.backlog_counter(), stats.clone());
        let node = base.node.clone();
        let slot = ReaderSlot::new(reader);
        let mut ingesting = self.jobs.beside();
        let kept = slot.clone();
        ingesting.add(ledger::ingest::SPEC, move || Ingest::new(node.clone(), slot.clone(), stats.clone()));
        self.ingest = Some((ingesting, kept));
    }

    /// Starts the job that fetches the keys of issuers. The start does not wait for it.
    pub(crate) fn issuer_keys(&mut self, base: &ServerContext) {
        let fetcher = Fetcher::new(&proxy::tls_config());
        let observation = Observation { metrics: base.metrics.clone(), clock: base.clock.clone() };
        let registry = base.issuers.clone();
        let live = base.live.clone();
        self.jobs.add(discovery::SPEC, move || {
            let live = live.clone();
            let sources = Arc::new(move || key_sources(&live.load()));
            IssuerKeyRefresh::new(registry.clone(), sources, fetcher.clone(), observation.clone())
        });
    }

    /// Starts the health checks of backends.
    pub(crate) fn backend_health(&mut self, base: &ServerContext, shared: &Shared) {
        let targets = backend_health::targets(base.live.clone(), shared.backends.clone());
        let tls = shared.tls.clone();
        self.jobs.add(discovery::health::SPEC, move || HealthChecks::new(targets.clone(), tls.clone()));
    }

    /// Starts the tasks that check credentials for the proxy.
    pub(crate) fn credential_checks(&mut self, base: &ServerContext) -> CredentialChecks {
        let (sender, queue) = mpsc::channel(PASSWORDS_MAX);
        self.spawn(base.passwords.clone().serve(queue, self.stopped()));
        let redis_keys = base.windows.has_redis().then(|| {
            let (sender, queue) = mpsc::channel(LOOKUPS_MAX);
            self.spawn(cluster::windows::keys::serve(base.windows.clone(), queue, self.stopped()));
            RedisKeys::new(sender)
        });
        CredentialChecks { passwords: PasswordChecks::new(sender), redis_keys }
    }

    /// Starts the deletion of expired usage.
    async fn retention(&mut self, base: &ServerContext) {
        let stats = Arc::new(RetentionStats::default());
        let live = base.live.clone();
        let counted = stats.clone();
        base.metrics.on_scrape(Box::new(move |all| {
            metrics::set_total(&all.store.expired_rows, counted.rows.load(Ordering::Relaxed));
        }));
        let keep = move || {
            let config::snapshot::Retention { events, raw_usage } = live.load().process.retention;
            ledger::retention::RetentionTimes { events, raw_usage }
        };
        let retention = RetentionJob::new(base.store.clone(), keep, stats).await;
        self.jobs.add(ledger::retention::SPEC, move || retention.clone());
    }

    /// Starts the reload of certificates, of which a new configuration may have more.
    pub(crate) fn certificates(&mut self, base: &ServerContext, listeners: Vec<Arc<ListenerTls>>) {
        let live = base.live.clone();
        let metrics = base.metrics.clone();
        let clock = base.clock.clone();
        let reload = CertificateReload { listeners: listeners.into(), live, metrics, clock };
        reload.show();
        self.jobs.add(certificates::SPEC, move || reload.clone());
    }

    /// Starts the admin API.
    pub(crate) fn control(
        &mut self,
        base: &ServerContext,
        listener: ControlListener,
        keys: Directory,
        configurator: Arc<Configurator>,
    ) -> anyhow::Result<()> {
        let ControlListener { listener, tls, examples, books } = listener;
        // All nodes of a store have the same prefix, and no other brand uses it as the issuer.
        let issuer = base.live.load().process.brand.key_prefix.clone();
        let state = control::State {
            store: base.store.clone(),
            ledger: Ledger::new(base.store.clone()),
            meter: base.meter.clone(),
            serves: if base.role == Role::Proxy { ServedApi::Probes } else { ServedApi::Api },
            directory: Arc::new(keys),
            metrics: base.metrics.clone(),
            live_state: base.live_state.clone(),
            board: base.board.clone(),
            purges: base.purges.clone(),
            clock: base.clock.clone(),
            version: env!("CARGO_PKG_VERSION"),
            dashboard: dashboard::Files::embedded(),
            live: base.live.clone(),
            configurator,
            windows: base.windows.clone(),
            vault: base.keys.vault.clone(),
            passwords: base.passwords.clone(),
            signer: base.signing.as_ref().map(|secret| Signer::new(secret, &issuer)).transpose()?,
            examples,
            limits: limits(&base.live.load().process.control),
            tls,
            billing: books,
        };
        let stopped = ended(&self.stop_control);
        self.tasks.spawn(async move {
            if let Err(error) = control::serve(listener, state, stopped).await {
                tracing::error!(%error, "the admin API could not start; restart this process");
            }
        });
        Ok(())
    }

    /// Ends every job and task, and returns the reader of the spool, so that remaining records can be ingested.
    pub(crate) async fn stop(self) -> Option<Reader> {
        let Self { mut tasks, stop, stop_control, jobs, ingest } = self;
        stop.send_replace(true);
        stop_control.send_replace(true);
        // Control finishes its requests within its own time limit; dropping the set aborts the rest.
        let ended = async { while tasks.join_next().await.is_some() {} };
        let reader = async {
            let (ingesting, slot) = ingest?;
            ingesting.stop(INGEST_STOP_WITHIN).await;
            slot.take()
        };
        let (reader, (), _) = tokio::join!(reader, jobs.stop(STOP_WITHIN), tokio::time::timeout(STOP_WITHIN, ended));
        reader
    }

    /// Starts a task that ends by itself when the services stop.
    pub(super) fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    pub(super) fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        ended(&self.stop)
    }

    /// Ends the admin API, and nothing else.
    pub(super) fn stop_control(&self) {
        self.stop_control.send_replace(true);
    }
}

/// Waits until `stop` is true.
fn ended(stop: &watch::Sender<bool>) -> impl Future<Output = ()> + Send + 'static {
    let mut stopped = stop.subscribe();
    async move {
        // An error means that the services were dropped, and this task with them.
        let _ = stopped.wait_for(|stop| *stop).await;
    }
}

/// Returns the limits on connections and requests of control.
fn limits(control: &config::snapshot::Control) -> control::ServerLimits {
    let number = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    control::ServerLimits {
        connections_max: number(control.connections.max),
        connections_per_address_max: number(control.connections.per_address),
        call: control.call_timeout,
        ..control::ServerLimits::default()
    }
}

/// Returns the sources of the keys of issuers.
fn key_sources(snapshot: &Snapshot) -> Vec<FetchedSource> {
    let issuers = snapshot.traffic.issuers.iter();
    issuers.map(|issuer| FetchedSource { source: issuer.source.clone(), tls: issuer.tls.clone() }).collect()
}
