//! `pages`: the latency of every read of the dashboard's pages over HTTP, in a store with many events.

use std::time::Duration;

use crate::database::{BenchDatabase, DatabaseKind};
use crate::overview::load;
use crate::reads::Reads;
use crate::server::ApiServer;

/// The maximum of the 95th percentile of each read.
const TARGET: Duration = Duration::from_millis(200);
/// The reads of a user's pages, as `dashboard/features` sends them.
const READS: [&str; 12] = [
    "/api/site",
    "/api/me",
    "/api/dashboard/overview",
    "/api/usage/history?days=14",
    "/api/usage/history?days=90",
    "/api/usage/series?step=day&by=model",
    "/api/usage/series?step=hour",
    "/api/usage/requests?limit=50",
    "/api/usage/requests?limit=50&status=4xx",
    "/api/keys?revoked=true&limit=200",
    "/api/models",
    "/api/providers",
];

#[derive(clap::Args, Clone)]
pub(crate) struct PagesFlags {
    /// The database of the store
    #[arg(long, value_enum)]
    store: DatabaseKind,
    /// Events in the store
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    events: u64,
    /// Calls of each path per second
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    calls: u32,
    /// Events ingested per second during the measurements
    #[arg(long, default_value_t = 0)]
    ingest: u32,
    /// Duration of each measurement in seconds
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Connections to the control API
    #[arg(long, default_value_t = 4)]
    connections: u32,
}

/// Runs the measurements and prints a line for each. Returns whether all met the target.
pub(crate) async fn run(flags: PagesFlags) -> anyhow::Result<bool> {
    let database = BenchDatabase::create(flags.store).await?;
    println!("{}, {} events", database.describe(), flags.events);
    let keys = load(&database, flags.events).await?.into();
    let server = ApiServer::start(&database, flags.ingest).await?;
    let reads = Reads {
        address: server.address,
        keys,
        calls_per_second: flags.calls,
        duration: Duration::from_secs(flags.seconds),
        connections: flags.connections,
    };
    let mut good = true;
    for path in READS {
        good &= reads.meet(path, TARGET).await?;
    }
    server.stop().await?;
    Ok(good)
}
