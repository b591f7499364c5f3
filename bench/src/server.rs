//! The admin API in this process, on the database of the measurement, with ingest at a given rate.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use access::token::Signer;
use access::{Clock, Directory, MasterKey, Revision, Secret, Vault};
use anyhow::{Context, ensure};
use cluster::revision::RevisionPoll;
use cluster::windows::Windows;
use cluster::{DecryptedCredentials, JobClaims};
use config::Live;
use control::configuration::Configurator;
use control::{ServerLimits, Serves, State};
use jobs::Runner;
use ledger::IngestStats;
use ledger::ingest::{Ingest, ReaderSlot};
use meter::Meter;
use spool::{Reader, Record, Spool, Writer};
use store::{Node, Store};
use telemetry::{LiveState, Metrics};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::database::BenchDatabase;
use crate::people::EventMaker;

/// The maximum of lookups that wait for the store, as in Tollgate.
const QUEUE: usize = 1_024;
const STALE_FOR: Duration = Duration::from_secs(3_600);
/// The time between two writes of the events that are due.
const TICK: Duration = Duration::from_millis(5);
const SPOOL_BYTES: u64 = 1 << 30;
/// A rate limit that is never reached.
const LIMIT: NonZeroU32 = NonZeroU32::MAX;

/// A running server. Dropping it stops the server.
pub(crate) struct ApiServer {
    pub(crate) address: SocketAddr,
    pub(crate) store: Store,
    stats: Arc<IngestStats>,
    writing: Option<EventWriter>,
    ingest: RunningIngest,
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

/// A thread that writes events into the spool at a rate.
struct EventWriter {
    ends: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<anyhow::Result<u64>>,
}

impl ApiServer {
    /// Serves `database` while `events_a_second` are ingested. Rate limits are enabled but never reached.
    pub(crate) async fn start(database: &BenchDatabase, events_a_second: u32) -> anyhow::Result<Self> {
        let (store, clock) = (database.open().await?, Clock::system());
        let node = store.join(database.folder(), env!("CARGO_PKG_VERSION")).await?;
        let (stop, stopped) = watch::channel(false);
        let revision = Arc::new(Revision::default());
        revision.confirm(store.revision().await?, clock.mono());
        let vault = Arc::new(Vault::new(&MasterKey::parse(&"A".repeat(43))?, None));
        store.admit_master_key(&store::Actor::SYSTEM, &vault).await?;
        let mut tasks = JoinSet::new();
        let (queue, lookups) = mpsc::channel(QUEUE);
        let decrypted_credentials = Arc::new(DecryptedCredentials::new(vault.clone(), revision.clone()));
        tasks.spawn(cluster::directory::serve(
            store.clone(),
            decrypted_credentials,
            std::sync::Arc::default(),
            lookups,
            until(stopped.clone()),
        ));
        let spool = Spool::open(
            &database.folder().join("spool"),
            spool::SpoolOptions::new(SPOOL_BYTES, 1),
            &ledger::ingest::positions(&node).await?,
        )?;
        let stats = Arc::new(IngestStats::default());
        let mut ingest = RunningIngest::start(&node, spool.reader, &stats);
        let poll = RevisionPoll::new(store.clone(), revision.clone(), clock.clone());
        ingest.runner().add(cluster::revision::SPEC, move || poll.clone());
        let writer = spool.writers.into_iter().next().context("the spool has no partition")?;
        let writing = (events_a_second > 0).then(|| EventWriter::start(writer, events_a_second));

        let (live, metrics) = (Arc::new(Live::new(Arc::new(snapshot()?))), Metrics::new());
        let configurator = Configurator::of_defaults(live.clone(), store.clone(), metrics.clone())?;
        let state = State {
            configurator: Arc::new(configurator),
            store: store.clone(),
            ledger: ledger::Ledger::new(store.clone()),
            meter: Some(Arc::new(Meter::default())),
            serves: Serves::Api,
            directory: Arc::new(Directory::new(queue, revision, clock.clone(), STALE_FOR)),
            passwords: control::Passwords::new(metrics.clone()),
            metrics,
            live_state: Arc::new(LiveState::default()),
            board: Arc::default(),
            purges: Arc::new(control::CachePurges::new(store.clone(), Arc::default())),
            clock: clock.clone(),
            version: env!("CARGO_PKG_VERSION"),
            dashboard: dashboard::Files::new(&[]),
            live,
            windows: Windows::here(clock),
            tls: None,
            vault,
            examples: None,
            billing: None,
            signer: Some(Signer::new(&Secret::new("s".repeat(32)), "tollgate")?),
            limits: ServerLimits::default(),
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let until = until(stopped);
        // The only error is a listener without an address, and this one has an address.
        tasks.spawn(async move { drop(control::serve(listener, state, until).await) });
        Ok(Self { address, store, stats, writing, ingest, tasks, stop })
    }

    /// Stops everything. Returns the number of written events, and of those that ingest had stored by then.
    pub(crate) async fn stop(mut self) -> anyhow::Result<(u64, u64)> {
        let written = match self.writing.take() {
            Some(writing) => tokio::task::spawn_blocking(move || writing.end()).await??,
            None => 0,
        };
        let stored = self.stats.events.load(Ordering::Relaxed);
        ensure!(self.stats.failures.load(Ordering::Relaxed) == 0, "batches failed");
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
        self.ingest.stop().await?;
        self.store.close().await;
        Ok((written, stored))
    }
}

impl EventWriter {
    fn start(mut writer: Writer, a_second: u32) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let ended = ends.clone();
        let thread = std::thread::spawn(move || {
            let clock = Clock::system();
            let (mut events, mut written, began) = (EventMaker::new(&clock), 0_u64, clock.mono());
            while !ended.load(Ordering::Relaxed) {
                let elapsed = u64::try_from(clock.mono().since(began).as_micros())?;
                let due = elapsed * u64::from(a_second) / 1_000_000;
                for _ in written..due {
                    writer.append(&Record::Event(events.next()))?;
                }
                written = written.max(due);
                pause();
            }
            Ok(written)
        });
        Self { ends, thread }
    }

    fn end(self) -> anyhow::Result<u64> {
        self.ends.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow::anyhow!("writing events panicked"))?
    }
}

#[expect(clippy::disallowed_methods, reason = "a thread outside of every runtime")]
fn pause() {
    std::thread::sleep(TICK);
}

/// The default configuration without limits.
fn snapshot() -> anyhow::Result<config::Snapshot> {
    let environment = config::Environment::default();
    let sources = config::Sources { file: None, environment: &environment, flags: config::Flags::default() };
    let mut snapshot = config::load(sources)?.snapshot;
    for limit in &mut snapshot.process.control.rate_limits {
        limit.limit = LIMIT;
    }
    Ok(snapshot)
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // An error means that the server was dropped.
    let _ = stopped.wait_for(|stop| *stop).await;
}

/// Maximum duration of the last batch.
const STOP_WITHIN: Duration = Duration::from_secs(60);

/// A running ingest. Dropped, it ends without its last batch.
pub(crate) struct RunningIngest {
    runner: Runner,
    slot: ReaderSlot,
}

impl RunningIngest {
    /// Starts ingest of this spool.
    pub(crate) fn start(node: &Node, reader: Reader, stats: &Arc<IngestStats>) -> Self {
        let mut runner = Runner::new(node.store().clock().clone(), Arc::new(JobClaims::new(node.clone())));
        let slot = ReaderSlot::new(reader);
        let (node, place, stats) = (node.clone(), slot.clone(), stats.clone());
        runner.add(ledger::ingest::SPEC, move || Ingest::new(node.clone(), place.clone(), stats.clone()));
        Self { runner, slot }
    }

    /// Starts other jobs beside ingest.
    pub(crate) fn runner(&mut self) -> &mut Runner {
        &mut self.runner
    }

    /// Ends it after its last batch. Returns the reader of the spool.
    pub(crate) async fn stop(self) -> anyhow::Result<Reader> {
        self.runner.stop(STOP_WITHIN).await;
        self.slot.take().context("ingest did not end")
    }
}
