//! `overview`: the latency of the dashboard's first page over HTTP, in a store with many events.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use access::password::{self, Password};
use access::{ApiKey, Clock, Plan, Role, Secret, Timestamp};
use anyhow::{Context, ensure};
use ledger::IngestStats;
use spool::{Record, Spool, SpoolError, Writer};
use store::{Email, NewKey, NewUser, Store};
use tokio::time::sleep;

use crate::database::{BenchDatabase, DatabaseKind};
use crate::events::{EventMaker, KEYS_A_USER, USERS};
use crate::running_ingest::RunningIngest;
use crate::server::ApiServer;
use crate::steady::{ApiCall, CallResults, SteadyLoad};

const PLAN: &str = "bench";
/// The address and password of an admin that [`load`] creates.
pub(crate) const ADMIN: (&str, &str) = ("admin@example.com", "horse-battery-staple-9");
/// The number of days before now on which the events occurred.
const DAYS: u64 = 30;
/// The maximum of the overview's 95th percentile.
const TARGET: Duration = Duration::from_millis(20);
const SPOOL_BYTES: u64 = 512 << 20;
/// The time between two checks of the progress, and between two attempts to write to a full spool.
const LOOK: Duration = Duration::from_millis(20);

#[derive(clap::Args, Clone)]
pub(crate) struct OverviewFlags {
    /// The database of the store
    #[arg(long, value_enum)]
    store: DatabaseKind,
    /// Events in the store
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    events: u64,
    /// Calls of each page per second
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    calls: u32,
    /// Events ingested per second during the measurements
    #[arg(long, default_value_t = 0)]
    ingest: u32,
    /// Duration of each measurement in seconds
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Connections to the control API
    #[arg(long, default_value_t = 16)]
    connections: u32,
}

/// Runs the measurements and prints a line for each. Returns whether the overview met its target.
pub(crate) async fn run(flags: OverviewFlags) -> anyhow::Result<bool> {
    let database = BenchDatabase::create(flags.store).await?;
    println!("{}, {} events of {USERS} users in {DAYS} days", database.describe(), flags.events);
    let keys: Arc<[Arc<str>]> = load(&database, flags.events).await?.into();
    let server = ApiServer::start(&database, flags.ingest).await?;
    let steady = || SteadyLoad {
        address: server.address,
        calls_per_second: flags.calls,
        duration: Duration::from_secs(flags.seconds),
        connections: flags.connections,
    };
    let mut good = true;
    for path in [
        "/api/dashboard/overview",
        "/api/usage/requests?limit=50",
        "/api/usage/requests?limit=50&status=5xx",
        "/api/usage/history?days=30",
    ] {
        let keys = keys.clone();
        let call = move |nth: u64| ApiCall {
            method: "GET",
            path: path.to_owned(),
            key: usize::try_from(nth).ok().and_then(|nth| keys.get(nth % keys.len())).cloned(),
            body: String::new(),
        };
        let results = steady().run(call).await?;
        print_result(path, flags.calls, &results)?;
        good &= path != "/api/dashboard/overview" || results.waits.percentile(95) < TARGET;
    }
    let (written, stored) = server.stop().await?;
    println!("  events: {written} written, {stored} stored at the last response");
    Ok(good)
}

fn print_result(path: &str, calls_per_second: u32, results: &CallResults) -> anyhow::Result<()> {
    let p95 = results.waits.percentile(95).as_secs_f64() * 1_000.0;
    println!("  GET {path}, {calls_per_second}/s: p95 {p95:.2} ms, {}; statuses {:?}", results.waits, results.statuses);
    ensure!(results.statuses.keys().all(|status| *status == 200), "responses other than 200");
    Ok(())
}

/// Creates the users and keys of [`EventMaker`] and ingests `count` events as Tollgate does. Returns one key per user.
pub(crate) async fn load(database: &BenchDatabase, count: u64) -> anyhow::Result<Vec<Arc<str>>> {
    let (store, clock) = (database.open().await?, Clock::system());
    let keys = people(&store).await?;
    let node = store.join(database.folder(), env!("CARGO_PKG_VERSION")).await?;
    let options = spool::SpoolOptions::new(SPOOL_BYTES, 1);
    let spool = Spool::open(&database.folder().join("spool"), options, &ledger::ingest::positions(&node).await?)?;
    let mut writer = spool.writers.into_iter().next().context("the spool has no partition")?;
    let (stats, began) = (Arc::new(IngestStats::default()), clock.mono());
    let now = clock.now();
    let writing = tokio::task::spawn_blocking(move || write(&mut writer, count, now));
    let ingest = RunningIngest::start(&node, spool.reader, &stats);
    writing.await??;
    while stats.events.load(Ordering::Relaxed) < count {
        sleep(LOOK).await;
    }
    ingest.stop().await?;
    ensure!(stats.failures.load(Ordering::Relaxed) == 0, "batches failed");
    store.close().await;
    println!("  loaded in {:.0} s", clock.mono().since(began).as_secs_f64());
    Ok(keys)
}

/// Writes events that are spread over the days before `now`. If the spool is full, it waits for ingest.
#[expect(clippy::disallowed_methods, reason = "a thread that may block")]
fn write(writer: &mut Writer, count: u64, now: Timestamp) -> anyhow::Result<()> {
    let span_us = DAYS * 86_400_000_000;
    let then = Clock::manual(Timestamp(now.0 - span_us));
    let mut events = EventMaker::new(&then);
    for _ in 0..count {
        let record = Record::Event(events.next());
        while let Err(error) = writer.append(&record) {
            ensure!(matches!(error, SpoolError::Full { .. }), error);
            std::thread::sleep(LOOK);
        }
        then.advance(Duration::from_micros(span_us / count));
    }
    Ok(())
}

async fn people(store: &Store) -> anyhow::Result<Vec<Arc<str>>> {
    store.ensure_plans(&[Plan::unlimited(PLAN)]).await?;
    let mut created = Vec::new();
    for nth in 0..USERS {
        let new = NewUser::member(Email::parse(&format!("user-{nth}@example.com"))?, "bench", PLAN);
        let user = store.create_user(&store::Actor::COMMAND, new).await?;
        for key in 0..KEYS_A_USER {
            let secret = ApiKey::generate(PLAN)?;
            let stored = store.create_key(&store::Actor::COMMAND, NewKey::of(user.id, "bench", &secret)).await?;
            // Events refer to users and keys by number.
            let numbers = (i64::try_from(nth + 1)?, i64::try_from(nth * KEYS_A_USER + key + 1)?);
            ensure!((user.no.0, stored.no.0) == numbers, "users and keys have unexpected numbers");
            if key == 0 {
                created.push(Arc::from(secret.expose()));
            }
        }
    }
    // After the others, whose numbers events contain.
    let password = password::hash(&Password::parse(Secret::new(ADMIN.1.to_owned()), &[])?)?;
    let admin = NewUser::member(Email::parse(ADMIN.0)?, "admin", PLAN);
    let admin = NewUser { role: Role::Admin, password: Some(password), ..admin };
    store.create_user(&store::Actor::COMMAND, admin).await?;
    Ok(created)
}
