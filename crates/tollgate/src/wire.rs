//! The one place that builds every part and joins them: the store under the loops, the spool between, the workers on top.

mod parts;
mod shutdown;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use access::{Clock, Revision};
use anyhow::Context;
use config::load::Loaded;
use config::{Live, Snapshot};
use meter::Meter;
use spool::Spool;
use store::{PlanDifference, Store};
use telemetry::{Board, Metrics};
use tokio::net::TcpListener;

use crate::commands::{say, store_fault};
use crate::demo::{self, DemoKey};
use crate::failure::StartFault;
use crate::greeting::Greeting;
use crate::lock::Lock;
use crate::signals::Signals;
use parts::Services;

/// What the command line asks for besides the configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish {
    pub(crate) workers: usize,
    pub(crate) demo: bool,
}

/// Builds, serves until a signal comes, drains.
pub(crate) async fn serve(loaded: Loaded, wish: Wish) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let clock = Clock::system();
    let mut snapshot = loaded.snapshot;
    let mut lock = Lock::take(&snapshot.data)?;
    let (store, differences) = open_store(&snapshot, &clock).await?;
    let demo = if wish.demo { seed(&store, &snapshot).await? } else { Vec::new() };
    let stats = Arc::new(store::IngestStats::default());
    let meter = Arc::new(Meter::default());
    let Spool { writers, mut reader, cuts } = parts::open_spool(&store, &snapshot, wish.workers).await?;
    store::ingest::drain(&store, &mut reader, &stats).await.context("usage left by an earlier run")?;
    parts::restore(&store, &meter, &clock).await?;
    let mut services = Services::default();
    let mock = if snapshot.mock.on { Some(services.mock().await?) } else { None };
    if let Some(address) = mock {
        snapshot = snapshot.with_mock(parts::origin(address));
    }
    refuse_exposed_demo_keys(&store, &snapshot).await?;
    let listeners = proxy::bind(&snapshot.listen, wish.workers)?;
    let control = TcpListener::bind(snapshot.control_listen).await.with_context(|| {
        format!(
            "cannot listen on {}: stop what listens there, or choose another address with --addr",
            snapshot.control_listen
        )
    })?;
    let (proxy_addresses, control_address) = (listeners.addresses().to_vec(), control.local_addr()?);
    lock.sign(&signature(&proxy_addresses, control_address))?;
    let greeting =
        Greeting { snapshot: &snapshot, proxy: &proxy_addresses, control: control_address, mock, demo: &demo };
    say(&greeting.text());
    for note in &loaded.notes {
        tracing::warn!("{note}");
    }
    for cut in &cuts {
        tracing::warn!(?cut, "the spool had a torn tail, which was cut");
    }
    differences.iter().for_each(tell_difference);

    let drain_times = snapshot.drain;
    let base = parts::Base {
        live: Arc::new(Live::new(Arc::new(snapshot))),
        meter,
        metrics: Metrics::new(),
        board: Arc::new(Board::default()),
        revision: Arc::new(Revision::default()),
        clock,
        store,
    };
    let keys = services.start(&base, reader, stats).await?;
    let shared = parts::shared(&base);
    parts::watch_gauges(&base, &shared.gate);
    let workers = proxy::start(&shared, listeners, parts::lanes(&base, writers, &keys))?;
    services.control(&base, control, &keys);
    base.board.set_snapshot(true);
    tracing::info!(
        proxy = %join(&proxy_addresses),
        control = %control_address,
        mock = mock.map(tracing::field::display),
        "listening"
    );
    let ending = shutdown::Ending { services, workers, shared, base, drain_times };
    let ended = ending.run(&mut signals).await;
    drop(lock);
    ended
}

async fn open_store(snapshot: &Snapshot, clock: &Clock) -> anyhow::Result<(Store, Vec<PlanDifference>)> {
    let options = store::Options { data: &snapshot.data, migrate: snapshot.store.migrate, clock: clock.clone() };
    let store = Store::open(options).await.map_err(store_fault)?;
    let differences = store.ensure_plans(&snapshot.plans).await?;
    Ok((store, differences))
}

fn tell_difference(difference: &PlanDifference) {
    tracing::warn!(
        plan = difference.stored.name,
        stored = ?difference.stored,
        configured = ?difference.configured,
        "the store's plan differs from the configured one; the store's holds"
    );
}

async fn seed(store: &Store, snapshot: &Snapshot) -> anyhow::Result<Vec<DemoKey>> {
    demo::seed(store, &snapshot.data, &snapshot.brand.key_prefix).await
}

/// Demo users, a real provider credential and a public listener, all three, do not start together.
async fn refuse_exposed_demo_keys(store: &Store, snapshot: &Snapshot) -> anyhow::Result<()> {
    let public = snapshot.listen.iter().find(|address| !address.ip().to_canonical().is_loopback());
    if let Some(listener) = public
        && snapshot.costs_money()
        && store.has_demo_users().await?
    {
        return Err(StartFault::DemoKeysExposed { listener: *listener }.into());
    }
    Ok(())
}

fn signature(proxy: &[SocketAddr], control: SocketAddr) -> String {
    format!("proxy {}, control {control}", join(proxy))
}

fn join(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(", ")
}

/// How often things are looked at that change slowly.
const HOUSEKEEPING_EVERY: Duration = Duration::from_secs(60);
