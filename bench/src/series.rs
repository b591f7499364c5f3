//! `series`: the latency of time series over HTTP, in a store with many events.

use std::time::Duration;

use access::{Clock, Timestamp};
use anyhow::Context;
use sqlx::types::chrono::DateTime;

use crate::database::{BenchDatabase, DatabaseKind};
use crate::overview::load;
use crate::reads::Reads;
use crate::server::ApiServer;

/// The maximum of the 95th percentile of each query.
const TARGET: Duration = Duration::from_millis(50);
/// Days, which read totals; then steps of requests, up to as many as one response reads.
const QUERIES: [&str; 8] = [
    "",
    "by=model",
    "by=key&format=csv",
    "by=route",
    "step=hour",
    "step=hour&by=model",
    "step=hour&by=key&since={week}",
    "step=minute&by=model&since={hours}",
];

#[derive(clap::Args, Clone)]
pub(crate) struct SeriesFlags {
    /// The database of the store
    #[arg(long, value_enum)]
    store: DatabaseKind,
    /// Events in the store
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    events: u64,
    /// Calls of each query per second
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    calls: u32,
    /// Events ingested per second during the measurements
    #[arg(long, default_value_t = 0)]
    ingest: u32,
    /// Duration of each measurement in seconds
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Connections to the control API
    #[arg(long, default_value_t = 4)]
    connections: u32,
}

/// Runs the measurements and prints a line for each. Returns whether all met the target.
pub(crate) async fn run(flags: SeriesFlags) -> anyhow::Result<bool> {
    let database = BenchDatabase::create(flags.store).await?;
    println!("{}, {} events", database.describe(), flags.events);
    let keys = load(&database, flags.events).await?.into();
    let now = Clock::system().now();
    let ago = |hours: u64| rfc3339(now.before(Duration::from_hours(hours)));
    let server = ApiServer::start(&database, flags.ingest).await?;
    let reads = Reads {
        address: server.address,
        keys,
        calls_per_second: flags.calls,
        duration: Duration::from_secs(flags.seconds),
        connections: flags.connections,
    };
    let mut good = true;
    for query in QUERIES {
        let query = query.replace("{week}", &ago(7 * 24 - 1)?).replace("{hours}", &ago(5)?);
        good &= reads.meet(&format!("/api/usage/series?{query}"), TARGET).await?;
    }
    let (written, stored) = server.stop().await?;
    println!("  events: {written} written, {stored} stored at the last response");
    Ok(good)
}

fn rfc3339(at: Timestamp) -> anyhow::Result<String> {
    let moment = DateTime::from_timestamp_micros(i64::try_from(at.0)?).context("a time that can be formatted")?;
    Ok(moment.format("%Y-%m-%dT%H:%M:%SZ").to_string())
}
