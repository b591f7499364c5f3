//! Builds and connects all parts of a server: the store with its tasks, the spool, and the workers.

mod beating;
mod doors;
mod kept;
mod leasing;
mod limits;
mod parts;
mod shutdown;

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use access::{Clock, Revision};
use config::load::{LoadedConfig, Note};
use config::{Live, Snapshot};
use telemetry::logs::DroppedLines;
use telemetry::{LiveState, Metrics};

use crate::cli::{Place, Role};
use crate::commands::prices::PRICES_WARNED;
use crate::commands::say;
use crate::failure::{self, StartFault};
use crate::greeting::Greeting;
use crate::link::{self, FirstAdmin, Setup};
use crate::lock::Lock;
use crate::secrets::Found;
use crate::signals::Signals;
use doors::Doors;
use kept::Kept;
use leasing::Lessee;
use parts::{Base, Services};
use shutdown::{Ending, Proxying};

/// Interval of tasks whose results change slowly.
const HOUSEKEEPING_EVERY: Duration = Duration::from_secs(60);

/// The options of a server that are not part of the configuration.
pub(crate) struct Wish {
    pub(crate) role: Role,
    pub(crate) workers: usize,
    pub(crate) demo: bool,
    pub(crate) skip_corrupt: bool,
    pub(crate) secrets: Found,
    /// Counts log lines that could not be written to stderr.
    pub(crate) dropped: DroppedLines,
    /// The flags that name the configuration and the data folder.
    pub(crate) place: Place,
    /// Whether a flag sets the address of the control API.
    pub(crate) has_addr: bool,
}

/// Builds the server, serves until a signal arrives, and drains. A signal during the start ends the process; the next
/// start then continues as after a crash.
pub(crate) async fn serve(
    loaded: LoadedConfig,
    wish: Wish,
    lock: &mut Lock,
    signals: &mut Signals,
) -> anyhow::Result<ExitCode> {
    let started = tokio::select! {
        biased;
        signal = signals.next() => {
            tracing::info!(?signal, "received a signal during startup");
            return Ok(ExitCode::from(signal.exit_code()));
        }
        started = Box::pin(start(loaded, wish, lock)) => started?,
    };
    started.run(signals).await
}

/// Builds and starts every part.
async fn start(loaded: LoadedConfig, wish: Wish, lock: &mut Lock) -> anyhow::Result<Ending> {
    let LoadedConfig { mut snapshot, mut notes, .. } = loaded;
    let now = Clock::system().now();
    notes.extend(snapshot.prices_beginning(now));
    notes.extend(snapshot.prices_ending(now, PRICES_WARNED));
    let kept = Kept::open(&snapshot, &wish).await?;
    let mut services = Services::default();
    let mock = if snapshot.mock.on && wish.role.proxies() { Some(services.mock().await?) } else { None };
    if let Some(address) = mock {
        snapshot = snapshot.with_mock(parts::origin(address));
    }
    let doors = Doors::open(&snapshot, &wish).await?;
    let addresses = doors.addresses.clone();
    if !addresses.proxy.is_empty() {
        // With port 0, the system selects the port.
        snapshot.listen.clone_from(&addresses.proxy);
    }
    snapshot.control.listen = addresses.control;
    lock.sign(&addresses.to_string()).map_err(|error| StartFault::unwritable(&snapshot.data, error))?;
    let setup = setup(&snapshot, &wish, &kept, addresses.control).await?;
    let greeting = Greeting {
        snapshot: &snapshot,
        place: &wish.place,
        proxy: &addresses.proxy,
        control: addresses.control,
        mock,
        demo: &kept.demo,
        setup: setup.as_ref(),
        serves_api: wish.role != Role::Proxy,
    };
    let text = greeting.text();
    // In another thread, because this one receives signals, and writing to a full pipe blocks.
    tokio::task::spawn_blocking(move || say(&text)).await?;
    tell(&notes, &kept);
    let ending = join(snapshot, kept, doors, (services, wish.role)).await?;
    parts::watch_log(&ending.base, wish.dropped);
    tracing::info!(
        proxy = (!addresses.proxy.is_empty()).then(|| tracing::field::display(addresses.proxies())),
        control = %addresses.control,
        mock = mock.map(tracing::field::display),
        "listening"
    );
    Ok(ending)
}

/// Returns how the first admin is created, if none exists and this process serves the control API. The link itself is
/// shown only on a terminal.
async fn setup(snapshot: &Snapshot, wish: &Wish, kept: &Kept, control: SocketAddr) -> anyhow::Result<Option<Setup>> {
    if wish.role == Role::Proxy {
        return Ok(None);
    }
    let store = kept.node.store();
    if !std::io::stdout().is_terminal() {
        let has_admin = store.has_admin().await.map_err(|error| failure::of_store(snapshot, error))?;
        let command = || Setup::Command(link::setup_command(&wish.place, wish.has_addr.then_some(control)));
        return Ok((!has_admin).then(command));
    }
    match link::to_become_the_first_admin(store, snapshot, control).await {
        Ok(link) => Ok(link.map(Setup::Link)),
        Err(FirstAdmin::Store(error)) => Err(failure::of_store(snapshot, error).into()),
        Err(error) => Err(error.into()),
    }
}

/// Connects the parts; requests are answered from this point on.
async fn join(
    snapshot: Snapshot,
    kept: Kept,
    doors: Doors,
    (mut services, role): (Services, Role),
) -> anyhow::Result<Ending> {
    let drain_times = snapshot.drain;
    let windows = limits::open(&snapshot, &kept.clock).await?;
    let base = Base {
        role,
        live: Arc::new(Live::new(Arc::new(snapshot))),
        meter: kept.counted.as_ref().map(|counted| counted.meter.clone()),
        metrics: Metrics::new(),
        live_state: Arc::new(LiveState::default()),
        revision: Arc::new(Revision::default()),
        windows,
        clock: kept.clock,
        keys: kept.keys,
        signing: kept.signing,
        store: kept.node.store().clone(),
        node: kept.node,
    };
    parts::tell_price_expiries(&base);
    let keys = services.start(&base).await?;
    let (mut proxying, mut lessee) = (None, None);
    if let (Some(counted), Some(listeners)) = (kept.counted, doors.proxy) {
        parts::tell_interrupted(&base, &counted.interrupted);
        services.ingest(&base, counted.reader, counted.stats);
        let unauthenticated = services.unauthenticated(&base);
        if base.store.is_shared() {
            lessee = Some(Lessee::start(&base.live.load(), &base.node, &base.metrics));
        }
        let leases = lessee.as_ref().map(|lessee| lessee.leases.clone());
        let shared = parts::shared(&base, counted.meter, (unauthenticated, leases));
        parts::watch_gauges(&base, &shared);
        let workers = proxy::start(&shared, listeners, parts::lanes(counted.writers, &keys))?;
        proxying = Some(Proxying { workers, shared });
    }
    services.control(&base, doors.control, keys)?;
    base.live_state.set_snapshot(true);
    Ok(Ending { services, proxying, lessee, base, beating: kept.beating, drain_times })
}

/// Logs conditions that are not errors, but may be unexpected.
fn tell(notes: &[Note], kept: &Kept) {
    for note in notes {
        tracing::warn!("{note}");
    }
    let (cuts, lost) = kept.counted.as_ref().map(|counted| (&*counted.cuts, &*counted.lost)).unwrap_or_default();
    if let Some(interrupted) =
        kept.counted.as_ref().map(|counted| counted.interrupted.requests).filter(|many| *many > 0)
    {
        tracing::info!(
            interrupted,
            "requests were in flight when the last run ended; their reservations count as used"
        );
    }
    for skipped in kept.counted.iter().flat_map(|counted| &counted.skipped) {
        tracing::error!(?skipped, "damaged records in the spool were skipped and are lost");
    }
    for cut in cuts {
        tracing::warn!(?cut, "an incomplete record at the end of the spool was removed");
    }
    if !kept.keys.admitted.newest {
        tracing::warn!(
            "another server has a newer master key: configure it here as well, and the current key as the previous one"
        );
    }
    for lost in lost {
        tracing::error!(?lost, "segments of the spool are missing, and the store does not contain their records");
    }
    for difference in &kept.differences {
        tracing::warn!(
            plan = difference.stored.name,
            stored = ?difference.stored,
            configured = ?difference.configured,
            "the plan in the store differs from the configuration; the plan in the store applies"
        );
    }
}
