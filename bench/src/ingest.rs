//! `ingest`: the speed of ingest from the spool into a store, and the latency of API writes during it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use access::{Clock, UserId};
use anyhow::{Context, ensure};
use cluster::JobClaims;
use jobs::Runner;
use ledger::IngestStats;
use ledger::ingest::{Ingest, ReaderSlot};
use meter::UsageEvent;
use spool::{OpenRequest, Record, Spool};
use store::Store;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::database::{BenchDatabase, DatabaseKind};
use crate::people;
use crate::people::EventMaker;
use crate::stats::Spread;

const LANES: u32 = 2;
/// An event has about 300 bytes, and its open fewer; the bound is larger.
const BYTES_AN_EVENT: u64 = 768;
/// The time between two checks of the progress and of the log's size.
const LOOK: Duration = Duration::from_millis(20);
/// The number of users for created keys, because a user may have at most 1,000.
const OWNERS: u32 = 100;
/// The maximum duration of the last batch.
const STOP_WITHIN: Duration = Duration::from_secs(60);
/// The maximum of concurrent key creations. More mean that the machine does not keep up.
const WAITING_MAX: usize = 1_000;

#[derive(clap::Args, Clone)]
pub(crate) struct IngestFlags {
    /// The database of the store
    #[arg(long, value_enum)]
    store: DatabaseKind,
    /// Events in the spool
    #[arg(long, default_value_t = 500_000, value_parser = clap::value_parser!(u64).range(1..=20_000_000))]
    events: u64,
    /// Keys created per second during ingest; 0 creates none
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(0..=1_000))]
    keys: u64,
    /// Repetitions, each with a new database
    #[arg(long, default_value_t = 3)]
    runs: u32,
    /// Ingest in batches of constant size, as before the ports open: for counts of instructions
    #[arg(long)]
    drain: bool,
    /// Write an open before each event, as for LLM calls with a key
    #[arg(long)]
    opens: bool,
}

/// Runs the measurement and prints a line per repetition.
pub(crate) async fn run(flags: IngestFlags) -> anyhow::Result<bool> {
    for _ in 0..flags.runs {
        let database = BenchDatabase::create(flags.store).await?;
        println!("{}", database.describe());
        println!("  {}", once(&flags, &database).await?);
    }
    Ok(true)
}

async fn once(flags: &IngestFlags, database: &BenchDatabase) -> anyhow::Result<String> {
    let store = database.open().await?;
    let owners = people::users(&store, OWNERS).await?;
    let node = store.join(database.folder(), env!("CARGO_PKG_VERSION")).await?;
    let reader = fill(database, flags).await?;
    let stats = Arc::new(IngestStats::default());
    let clock = Clock::system();
    let before = database.cpu_micros()?;
    let began = clock.mono();
    if flags.drain {
        let mut reader = reader;
        ledger::ingest::drain(&node, &mut reader, &stats).await?;
        let took = clock.mono().since(began);
        let after = database.cpu_micros()?;
        ensure!(stats.events.load(Ordering::Relaxed) == flags.events, "events are missing");
        store.close().await;
        return flags.report(took, (after.0 - before.0, after.1 - before.1));
    }
    let mut runner = Runner::new(clock.clone(), Arc::new(JobClaims::new(node.clone())));
    let slot = ReaderSlot::new(reader);
    let counted = stats.clone();
    let place = slot.clone();
    runner.add(ledger::ingest::SPEC, move || Ingest::new(node.clone(), place.clone(), counted.clone()));
    let watching = async {
        let mut log_bytes_max = 0;
        while stats.events.load(Ordering::Relaxed) < flags.events {
            log_bytes_max = log_bytes_max.max(database.log_bytes());
            sleep(LOOK).await;
        }
        (clock.mono().since(began), log_bytes_max)
    };
    let (waits, (took, log_bytes_max)) = create_keys(&store, &owners, flags.keys, watching).await?;
    let after = database.cpu_micros()?;
    runner.stop(STOP_WITHIN).await;
    let mut reader = slot.take().context("ingest did not end")?;
    ensure!(reader.depth()?.records == 0, "the spool still has records");
    ensure!(stats.failures.load(Ordering::Relaxed) == 0, "batches failed");
    store.close().await;
    Ok(format!(
        "{}; log at most {:.1} MiB; key creation: {waits}",
        flags.report(took, (after.0 - before.0, after.1 - before.1))?,
        f64::from(u32::try_from(log_bytes_max >> 10)?) / 1_024.0,
    ))
}

impl IngestFlags {
    /// Describes the speed; `cpu_micros` are the microseconds of this process and of the server.
    fn report(&self, took: Duration, cpu_micros: (u64, u64)) -> anyhow::Result<String> {
        let seconds = took.as_secs_f64();
        let events = f64::from(u32::try_from(self.events)?);
        let micros = |micros: u64| f64::from(u32::try_from(micros).unwrap_or(u32::MAX)) / events;
        Ok(format!(
            "{:.0} events/s ({events} in {seconds:.2} s); CPU per event {:.1} µs here, {:.1} µs in the server",
            events / seconds,
            micros(cpu_micros.0),
            micros(cpu_micros.1),
        ))
    }
}

/// Writes a spool with `events` events, as workers do.
async fn fill(database: &BenchDatabase, flags: &IngestFlags) -> anyhow::Result<spool::Reader> {
    let folder = database.folder().join("spool");
    let events = flags.events;
    let opens = flags.opens;
    let filled = tokio::task::spawn_blocking(move || -> anyhow::Result<spool::Reader> {
        let size_bytes_max = (events * BYTES_AN_EVENT).max(256 << 20);
        let mut spool = Spool::open(&folder, spool::SpoolOptions::new(size_bytes_max, LANES), &[])?;
        let mut maker = EventMaker::new(&Clock::system());
        for nth in 0..events {
            let lane = usize::try_from(nth % u64::from(LANES))?;
            let writer = spool.writers.get_mut(lane).context("the spool has no partition")?;
            let event = maker.next();
            if opens {
                writer.append(&Record::Open(open_of(&event)))?;
                writer.append(&Record::Close(event))?;
            } else {
                writer.append(&Record::Event(event))?;
            }
        }
        Ok(spool.reader)
    });
    filled.await?
}

/// Returns the open of a request, which reserves what its event charges.
fn open_of(event: &UsageEvent) -> OpenRequest {
    let UsageEvent { id, ref subject, started_at, day, charge, ref route, ref format, ref model, ref origin, .. } =
        *event;
    OpenRequest {
        id,
        subject: subject.clone(),
        started_at,
        day,
        windows: Vec::new(),
        reserved: charge,
        route: route.clone(),
        format: format.clone(),
        model: model.clone(),
        price_version: event.attempts.first().and_then(|attempt| attempt.price_version.clone()),
        origin: origin.clone(),
    }
}

/// Creates keys at a rate that does not depend on the latency, until `done` is ready. Returns the latencies and the output
/// of `done`.
async fn create_keys<T>(
    store: &Store,
    owners: &[UserId],
    a_second: u64,
    done: impl Future<Output = T>,
) -> anyhow::Result<(Spread, T)> {
    tokio::pin!(done);
    if a_second == 0 {
        return Ok((Spread::default(), done.await));
    }
    let mut ticks = interval(Duration::from_secs(1) / u32::try_from(a_second)?);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut making = JoinSet::new();
    let mut waits = Vec::new();
    let mut owners = owners.iter().cycle();
    let response = loop {
        tokio::select! {
            biased;
            response = &mut done => break response,
            Some(created) = making.join_next() => waits.push(created??),
            due = ticks.tick() => {
                ensure!(making.len() < WAITING_MAX, "{WAITING_MAX} keys wait for their creation");
                let store = store.clone();
                let owner = *owners.next().context("an owner")?;
                making.spawn(async move {
                    people::key(&store, owner).await?;
                    Ok::<_, anyhow::Error>(due.elapsed())
                });
            }
        }
    };
    while let Some(created) = making.join_next().await {
        waits.push(created??);
    }
    Ok((Spread::from_durations(waits), response))
}
