//! The flags of `pages` and `series`, and the server that they describe.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::database::{BenchDatabase, DatabaseKind};
use crate::overview::load;
use crate::reads::Reads;
use crate::server::ApiServer;

/// The file in a kept folder with the number of events, and then the keys.
const KEYS_FILE: &str = "bench-keys";

#[derive(clap::Args, Clone)]
pub(crate) struct ReadFlags {
    /// The database of the store
    #[arg(long, value_enum)]
    store: DatabaseKind,
    /// Events in the store; by default 1,000,000 for pages and 10,000,000 for series
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    events: Option<u64>,
    /// A folder in which SQLite's database is kept; another run with the same number of events uses it again
    #[arg(long)]
    data: Option<PathBuf>,
    /// Calls of each path per second
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
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

/// A running server over a store with events.
pub(crate) struct ReadServer {
    pub(crate) server: ApiServer,
    pub(crate) reads: Reads,
    pub(crate) database: BenchDatabase,
}

impl ReadFlags {
    /// Loads the events and starts the server.
    pub(crate) async fn start(&self, events: u64) -> anyhow::Result<ReadServer> {
        let events = self.events.unwrap_or(events);
        let database = match (&self.data, self.store) {
            (None, kind) => BenchDatabase::create(kind).await?,
            (Some(folder), DatabaseKind::Sqlite) => BenchDatabase::kept(folder)?,
            (Some(_), DatabaseKind::Postgres) => anyhow::bail!("--data is only for SQLite"),
        };
        println!("{}, {events} events", database.describe());
        let keys = self.keys(&database, events).await?;
        let server = ApiServer::start(&database, self.ingest).await?;
        let Self { calls, seconds, connections, .. } = *self;
        let (address, duration) = (server.address, Duration::from_secs(seconds));
        let reads = Reads { address, keys, calls_per_second: calls, duration, connections };
        Ok(ReadServer { server, reads, database })
    }

    async fn keys(&self, database: &BenchDatabase, events: u64) -> anyhow::Result<Arc<[Arc<str>]>> {
        let file = database.folder().join(KEYS_FILE);
        if self.data.is_none() || !file.exists() {
            let keys = load(database, events).await?;
            fs::write(file, format!("{events}\n{}\n", keys.join("\n")))?;
            return Ok(keys.into());
        }
        let text = fs::read_to_string(&file)?;
        let mut lines = text.lines();
        let loaded: u64 = lines.next().context("the file of keys is empty")?.parse()?;
        ensure!(loaded == events, "{} has {loaded} events, not {events}", database.folder().display());
        Ok(lines.map(Arc::from).collect())
    }
}
