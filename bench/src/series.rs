//! `series`: the latency of time series over HTTP, in a store with many events.

use std::time::Duration;

use access::{Clock, Timestamp};
use anyhow::Context;
use sqlx::types::chrono::DateTime;

use crate::read_flags::{ReadFlags, ReadServer};

/// The maximum of the 95th percentile of each query.
const TARGET: Duration = Duration::from_millis(50);
/// The number of events in the store.
const EVENTS: u64 = 10_000_000;
/// Days and hours, which read totals, and minutes, which read requests.
const QUERIES: [&str; 9] = [
    "",
    "by=model",
    "by=key&format=csv",
    "by=route",
    "step=hour",
    "step=hour&by=model",
    "step=hour&by=key&since={week}",
    "step=hour&by=route&since={week}",
    "step=minute&by=model&since={hours}",
];

/// Runs the measurements and prints a line for each. Returns whether all met the target.
pub(crate) async fn run(flags: ReadFlags) -> anyhow::Result<bool> {
    let ReadServer { server, reads, database: _database } = flags.start(EVENTS).await?;
    let now = Clock::system().now();
    let ago = |hours: u64| rfc3339(now.before(Duration::from_hours(hours)));
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
