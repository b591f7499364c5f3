//! The one place that builds every part and joins them: the store under the loops, the spool between, the workers on top.

mod doors;
mod kept;
mod parts;
mod shutdown;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use access::Revision;
use config::load::{Loaded, Note};
use config::{Live, Snapshot};
use telemetry::logs::Dropped;
use telemetry::{Board, Metrics};

use crate::commands::say;
use crate::failure::StartFault;
use crate::greeting::Greeting;
use crate::lock::Lock;
use crate::signals::Signals;
use doors::Doors;
use kept::Kept;
use parts::{Base, Services};
use shutdown::Ending;

/// How often things are looked at that change slowly.
const HOUSEKEEPING_EVERY: Duration = Duration::from_secs(60);

/// What the command line asks for besides the configuration.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) workers: usize,
    pub(crate) demo: bool,
    /// Counts the log lines that stderr did not take.
    pub(crate) dropped: Dropped,
}

/// Builds, serves until a signal comes, drains. A signal during the start ends it there: what it leaves half done, the
/// next start finds as after a crash.
pub(crate) async fn serve(
    loaded: Loaded,
    wish: Wish,
    lock: &mut Lock,
    signals: &mut Signals,
) -> anyhow::Result<ExitCode> {
    let started = tokio::select! {
        biased;
        signal = signals.next() => {
            tracing::info!(?signal, "ending before the start is done");
            return Ok(ExitCode::from(signal.exit_code()));
        }
        started = Box::pin(start(loaded, wish, lock)) => started?,
    };
    started.run(signals).await
}

/// Builds every part; when it is done, all of them run.
async fn start(loaded: Loaded, wish: Wish, lock: &mut Lock) -> anyhow::Result<Ending> {
    let Loaded { mut snapshot, notes } = loaded;
    let kept = Kept::open(&snapshot, &wish).await?;
    let mut services = Services::default();
    let mock = if snapshot.mock.on { Some(services.mock().await?) } else { None };
    if let Some(address) = mock {
        snapshot = snapshot.with_mock(parts::origin(address));
    }
    let doors = Doors::open(&snapshot, wish.workers).await?;
    let addresses = doors.addresses.clone();
    lock.sign(&addresses.to_string()).map_err(|error| StartFault::unwritable(&snapshot.data, error))?;
    let greeting =
        Greeting { snapshot: &snapshot, proxy: &addresses.proxy, control: addresses.control, mock, demo: &kept.demo };
    let text = greeting.text();
    // Off this thread, which hears signals: who reads stdout may have stopped.
    tokio::task::spawn_blocking(move || say(&text)).await?;
    tell(&notes, &kept);
    let ending = join(snapshot, kept, doors, services).await?;
    parts::watch_log(&ending.base, wish.dropped);
    tracing::info!(
        proxy = %addresses.proxies(),
        control = %addresses.control,
        mock = mock.map(tracing::field::display),
        "listening"
    );
    Ok(ending)
}

/// Joins the parts; calls are answered from here on.
async fn join(snapshot: Snapshot, kept: Kept, doors: Doors, mut services: Services) -> anyhow::Result<Ending> {
    let drain_times = snapshot.drain;
    let base = Base {
        live: Arc::new(Live::new(Arc::new(snapshot))),
        meter: kept.meter,
        metrics: Metrics::new(),
        board: Arc::new(Board::default()),
        revision: Arc::new(Revision::default()),
        clock: kept.clock,
        store: kept.store,
    };
    let keys = services.start(&base, kept.reader, kept.stats).await?;
    let shared = parts::shared(&base);
    parts::watch_gauges(&base, &shared.gate);
    let workers = proxy::start(&shared, doors.proxy, parts::lanes(&base, kept.writers, &keys))?;
    services.control(&base, doors.control, &keys);
    base.board.set_snapshot(true);
    Ok(Ending { services, workers, shared, base, drain_times })
}

/// What is no fault, but perhaps a surprise.
fn tell(notes: &[Note], kept: &Kept) {
    for note in notes {
        tracing::warn!("{note}");
    }
    for cut in &kept.cuts {
        tracing::warn!(?cut, "the spool had a torn tail, which was cut");
    }
    for lost in &kept.lost {
        tracing::error!(?lost, "segments of the spool are gone, and the store does not have what was in them");
    }
    for difference in &kept.differences {
        tracing::warn!(
            plan = difference.stored.name,
            stored = ?difference.stored,
            configured = ?difference.configured,
            "the store's plan differs from the configured one; the store's holds"
        );
    }
}
