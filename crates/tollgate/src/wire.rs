//! Builds and connects all parts of a server: the store with its tasks, the spool, and the workers.

mod backend_health;
mod billing;
mod cache;
mod certificates;
mod clock_leaps;
mod configuration;
mod configuration_key;
mod disks;
mod durable_state;
mod export;
mod gauges;
mod heartbeat;
pub(crate) mod jobs;
mod lease_task;
pub(crate) mod left_slot;
mod limits;
mod listeners;
mod members;
mod own_addresses;
mod parts;
mod payments;
mod readiness;
mod reload;
mod shutdown;
mod spooled;
mod traces;
mod upgrade;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use access::credentials::issuer::IssuerRegistry;
use access::{Clock, Revision};
use config::snapshot::Process;
use config::{Live, Snapshot};
use config::{LoadedConfig, Note};
use control::CachePurges;
use control::configuration::ConfigSources;
use telemetry::logs::DroppedLines;
use telemetry::{LiveState, Metrics};

use crate::cli::{Place, Role};
use crate::failure::{self, StartFault};
use crate::greeting::Greeting;
use crate::inherited::{HeldSockets, Predecessor};
use crate::link::{self, AdminSetup, FirstAdmin};
use crate::lock::Lock;
use crate::secrets::InstallationSecrets;
use crate::signals::Signals;
use crate::slot::Slot;
use crate::terminal;
use durable_state::DurableState;
use lease_task::LeaseTask;

use listeners::OpenListeners;
use parts::{ControlListener, ServerContext, Services, SharedCounters, StoreQueues};
use shutdown::{RunningProxy, RunningServer};
use spool::BacklogCounter;
use tls::ListenAddress;

/// Time before the end of a price at which `serve` and `check` warn.
pub(crate) const PRICES_WARNED: Duration = Duration::from_secs(14 * 86_400);

/// The options of a server that are not part of the configuration.
pub(crate) struct ServeOptions {
    pub(crate) role: Role,
    /// The part of the data folder that belongs to this process.
    pub(crate) slot: Slot,
    /// The process that this one replaces, in an upgrade in place.
    pub(crate) predecessor: Option<Arc<Predecessor>>,
    /// The executable of this process.
    pub(crate) program: PathBuf,
    pub(crate) workers: usize,
    pub(crate) demo: bool,
    pub(crate) skip_corrupt: bool,
    pub(crate) secrets: InstallationSecrets,
    /// Counts log lines that could not be written to stderr.
    pub(crate) dropped: DroppedLines,
    /// The flags that name the configuration and the data folder.
    pub(crate) place: Place,
    /// The file, the environment and the flags, for reloads of the configuration.
    pub(crate) sources: ConfigSources,
    /// The example files that the insights endpoints respond with.
    pub(crate) examples: Option<insights::Examples>,
    /// Whether a flag sets the address of the admin API.
    pub(crate) has_addr: bool,
}

/// What a process has before its server starts.
pub(crate) struct ProcessResources<'a> {
    pub(crate) lock: &'a mut Lock,
    pub(crate) sockets: &'a mut HeldSockets,
}

/// Builds the server, serves until a signal arrives, and drains. A signal during the start ends the process; the next
/// start then continues as after a crash.
pub(crate) async fn serve(
    loaded: LoadedConfig,
    options: ServeOptions,
    resources: ProcessResources<'_>,
    signals: &mut Signals,
) -> anyhow::Result<ExitCode> {
    let started = tokio::select! {
        biased;
        signal = signals.next() => {
            tracing::info!(?signal, "received a signal during startup; the process ends");
            return Ok(ExitCode::from(signal.exit_code()));
        }
        started = Box::pin(start(loaded, options, resources)) => started?,
    };
    let mut started = started;
    if let Some(hang_up) = signals.take_hang_up() {
        started.services.reload_on(hang_up, started.configurator.clone());
    }
    Box::pin(started.run(signals)).await
}

/// Builds and starts every part.
async fn start(
    loaded: LoadedConfig,
    options: ServeOptions,
    resources: ProcessResources<'_>,
) -> anyhow::Result<RunningServer> {
    let ProcessResources { lock, sockets } = resources;
    let mut durable = Box::pin(DurableState::open(loaded, &options)).await?;
    lock.free_other();
    let LoadedConfig { mut snapshot, mut notes, .. } = durable.started.loaded.clone();
    let now = Clock::system().now();
    notes.extend(snapshot.traffic.prices_beginning(now));
    notes.extend(snapshot.traffic.prices_ending(now, PRICES_WARNED));
    notes.extend(snapshot.traffic.refused_calls(now));
    let mut services = Services::new(durable.heartbeat.beside());
    let mock = if snapshot.traffic.mock.on && options.role.proxies() { Some(services.mock().await?) } else { None };
    if let Some(address) = mock {
        snapshot.traffic = snapshot.traffic.with_mock(parts::origin(address));
    }
    let open_listeners = OpenListeners::open(&snapshot.process, &options, &mut sockets.inherited).await?;
    let handover = upgrade::handover(&snapshot.process, &options, &open_listeners)?;
    durable.billing.complete(&mut snapshot.traffic);
    let serves_api = options.role != Role::Proxy;
    let payments = if serves_api { durable.payments.stub_address(&snapshot.traffic.billing) } else { None };
    notes.extend(snapshot.payments_missing());
    let addresses = open_listeners.addresses.clone();
    // With port 0, the system selects the port.
    for (listener, address) in snapshot.process.listen.iter_mut().zip(&addresses.proxy) {
        listener.address = address.clone();
    }
    snapshot.process.control.listen = addresses.control.clone();
    lock.sign(&addresses.to_string()).map_err(|error| StartFault::unwritable(&snapshot.process.data, error))?;
    let setup = setup(&snapshot.process, &options, &durable, &addresses.control).await?;
    let greeting = Greeting {
        snapshot: &snapshot,
        place: &options.place,
        proxy: snapshot.process.listen.get(..addresses.proxy.len()).unwrap_or_default(),
        control: &addresses.control,
        mock,
        payments,
        demo: &durable.demo,
        setup: setup.as_ref(),
        serves_api,
    };
    let text = greeting.text();
    // In another thread, because this one receives signals, and writing to a full pipe blocks.
    // A server whose greeting nobody can read serves all the same.
    let _ = tokio::task::spawn_blocking(move || terminal::write(&text)).await?;
    log_unexpected(&notes, &durable);
    durable.mock = mock.map(parts::origin);
    if let Some(stub) = durable.stub.take() {
        let stopped = services.stopped();
        services.spawn(stub.serve(addresses.control.tcp(), stopped));
    }
    let mut running = Box::pin(join(snapshot, durable, open_listeners, services, &options)).await?;
    running.upgrades(handover, &options);
    upgrade::announce(&running.base.live.load().process, &options, sockets)?;
    parts::watch_log(&running.base, options.dropped.clone());
    tracing::info!(
        proxy = (!addresses.proxy.is_empty()).then(|| tracing::field::display(addresses.proxies())),
        control = %addresses.control,
        mock = mock.map(tracing::field::display),
        "listening"
    );
    Ok(running)
}

/// Returns how the first admin is created, if none exists and this process serves the admin API. The link itself is
/// shown only on a terminal.
async fn setup(
    process: &Process,
    options: &ServeOptions,
    durable: &DurableState,
    control: &ListenAddress,
) -> anyhow::Result<Option<AdminSetup>> {
    if options.role == Role::Proxy {
        return Ok(None);
    }
    let store = durable.node.store();
    if !std::io::stdout().is_terminal() {
        let has_admin = store.has_admin().await.map_err(|error| failure::of_store(process, error))?;
        let command = || AdminSetup::Command(link::setup_command(&options.place, options.has_addr.then_some(control)));
        return Ok((!has_admin).then(command));
    }
    match link::to_become_the_first_admin(store, process, control).await {
        Ok(link) => Ok(link.map(AdminSetup::Link)),
        Err(FirstAdmin::Store(error)) => Err(failure::of_store(process, error).into()),
        Err(error) => Err(error.into()),
    }
}

/// Connects the parts; requests are answered from this point on.
async fn join(
    snapshot: Snapshot,
    durable: DurableState,
    open_listeners: OpenListeners,
    mut services: Services,
    options: &ServeOptions,
) -> anyhow::Result<RunningServer> {
    let drain_times = snapshot.process.drain;
    let metrics = Metrics::new();
    let windows = limits::open(&snapshot.process, &durable, options.role).await?;
    let base = ServerContext {
        role: options.role,
        live: Arc::new(Live::new(Arc::new(snapshot))),
        meter: durable.metered_spool.as_ref().map(|metered| metered.meter.clone()),
        passwords: control::Passwords::new(metrics.clone()),
        board: metrics.backends.clone(),
        purges: Arc::new(CachePurges::new(durable.node.store().clone(), metrics.backends.clone())),
        metrics,
        live_state: Arc::new(LiveState::default()),
        revision: Arc::new(Revision::default()),
        windows,
        issuers: Arc::new(IssuerRegistry::default()),
        upstream_credentials: Arc::default(),
        clock: durable.clock,
        keys: durable.keys,
        signing: durable.signing,
        store: durable.node.store().clone(),
        node: durable.node,
    };
    configuration::set_price_expiries(&base.live.load(), &base.metrics);
    let configurator = reload::configurator(&base, durable.started.running, durable.mock, durable.billing, options);
    services.configuration(&base, &configurator).await;
    jobs::watch(&base.metrics, durable.heartbeat.reports().clone());
    let backlog = durable.metered_spool.as_ref().map(|metered| metered.reader.backlog_counter());
    let StoreQueues { keys, subject_budgets } = services.start(&base, backlog.clone()).await?;
    let mut starting = None;
    let mut lease_task = None;
    if let Some(metered) = durable.metered_spool
        && let Some(listeners) = open_listeners.proxy
        && let Some(backlog) = backlog
    {
        gauges::set_interrupted(&base, &metered.interrupted);
        services.ingest(&base, metered.reader, metered.stats);
        export::start(&base, &mut services, metered.export);
        services.issuer_keys(&base);
        traces::start(&base, &mut services);
        let unauthenticated = services.unauthenticated(&base);
        let sharing = services.sharing(&base);
        if base.store.is_shared() {
            lease_task = Some(LeaseTask::start(&base, durable.heartbeat.beside()));
        }
        let leases = lease_task.as_ref().map(|lease_task| lease_task.leases.clone());
        let checks = services.credential_checks(&base);
        let counters = SharedCounters { unauthenticated, sharing, leases, subject_budgets };
        let shared = parts::shared(&base, metered.meter, counters, checks, services.response_store(&base).await?);
        gauges::watch_gauges(&base, &shared);
        members::start(&base, &mut services.jobs).await;
        services.backend_health(&base, &shared);
        let backends = shared.clone();
        let targets = shared.clone();
        base.board.set(move || backends.backend_statuses());
        base.board.set_targets(move || targets.target_statuses());
        services.cache(&base, &shared).await?;
        starting = Some(StartingProxy { shared, backlog, listeners, lanes: parts::lanes(metered.writers, &keys) });
    }
    services.certificates(&base, open_listeners.tls);
    let books = billing::start(&base, durable.payments, &mut services.jobs).await?;
    services.control(
        &base,
        ControlListener {
            listener: open_listeners.control,
            tls: open_listeners.control_tls,
            examples: options.examples.clone(),
            books,
        },
        keys,
        configurator.clone(),
    )?;
    let proxying = StartingProxy::start(starting, &base, options).await?;
    base.live_state.set_snapshot(true);
    let heartbeat = durable.heartbeat;
    Ok(RunningServer { configurator, services, proxying, lease_task, base, heartbeat, drain_times, handover: None })
}

/// The workers before they accept connections.
struct StartingProxy {
    shared: Arc<proxy::Shared>,
    backlog: BacklogCounter,
    listeners: proxy::Listeners,
    lanes: Vec<proxy::WorkerResources>,
}

impl StartingProxy {
    /// Starts the workers. On SQLite, a successor starts them when its predecessor no longer admits requests.
    async fn start(
        starting: Option<Self>,
        base: &ServerContext,
        options: &ServeOptions,
    ) -> anyhow::Result<Option<RunningProxy>> {
        let Some(Self { shared, backlog, listeners, lanes }) = starting else { return Ok(None) };
        if !base.store.is_shared()
            && let Some(predecessor) = options.predecessor.as_ref()
        {
            predecessor.take_over(&base.live.load().process.data).await?;
        }
        let workers = proxy::start(&shared, listeners, lanes)?;
        Ok(Some(RunningProxy { workers, shared, backlog }))
    }
}

/// Logs conditions that are not errors, but may be unexpected.
fn log_unexpected(notes: &[Note], durable: &DurableState) {
    for note in notes {
        tracing::warn!("{note}");
    }
    let (cuts, lost) =
        durable.metered_spool.as_ref().map(|metered| (&*metered.cuts, &*metered.lost)).unwrap_or_default();
    if let Some(interrupted) =
        durable.metered_spool.as_ref().map(|metered| metered.interrupted.requests).filter(|many| *many > 0)
    {
        tracing::info!(
            interrupted,
            "requests were in flight when the last run ended; their reservations count as used"
        );
    }
    for skipped in durable.metered_spool.iter().flat_map(|metered| &metered.skipped) {
        tracing::error!(?skipped, "damaged records in the spool were skipped and are lost");
    }
    for cut in cuts {
        tracing::warn!(?cut, "an incomplete record at the end of the spool was removed; this is normal after a crash");
    }
    match durable.keys.admitted {
        Some(admitted) if admitted.newest => {}
        Some(_) => tracing::warn!(
            "another server has a newer master key: set it as MASTER_ENCRYPTION_KEY here, and the current one as \
             MASTER_ENCRYPTION_KEY_PREVIOUS"
        ),
        None => tracing::warn!(
            "this server has no master key, so it can neither store nor use credentials of providers: give it the \
             MASTER_ENCRYPTION_KEY of the other servers (docs/postgresql.md)"
        ),
    }
    for lost in lost {
        tracing::error!(?lost, "segments of the spool are missing, and their usage is not in the store: it is lost");
    }
    for difference in &durable.differences {
        tracing::warn!(
            plan = difference.stored.name,
            stored = ?difference.stored,
            configured = ?difference.configured,
            "the plan in the store differs from the configuration; the store's applies until `tollgate plans apply --config FILE`"
        );
    }
}
