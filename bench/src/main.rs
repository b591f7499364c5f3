//! `cargo run --release -p bench -- run`: the processor cost of a request through Tollgate, compared with nginx.
//!
//! Method: Tollgate and nginx each run in a cgroup; the load generator (wrk) and the backend (`tollgate mock`) run
//! outside. Runs are interleaved pairs. Tollgate's time is read after its spool is drained. A target is met if the
//! upper end of the ratio's 95% interval meets it. A separate pass checks every response, and Tollgate's counts are
//! compared with the requests sent. Raw output stays in `bench/out/`.
//!
//! `ingest`, `lookup`, `overview`, `series` and `stores` measure the store, `api` the control API, `replay` the startup, `leases`
//! budgets. They use SQLite or the PostgreSQL that `xtask postgres --durable` starts.
//!
//! Reading order: `run` (the sequence), `scenario`, `pair`, `ratio`; `group` and `cpu` (processor time), `nginx`,
//! `product`, `wrk`; `exact` and `counts` (correctness), `memory`, `report`; independent of those `database`, `ingest`,
//! `lookup`, `overview`, `series`, `stores`, `leases`, `replay`, and `api` with `server` and `steady`.

#![expect(clippy::print_stdout, reason = "a command's output")]

mod api;
mod counts;
mod cpu;
mod database;
mod events;
mod exact;
mod group;
mod ingest;
mod leases;
mod loader;
mod lookup;
mod memory;
mod nginx;
mod overview;
mod pair;
mod people;
mod product;
mod ratio;
mod replay;
mod report;
mod run;
mod running_ingest;
mod scenario;
mod series;
mod server;
mod spread;
mod steady;
mod stores;
mod tools;
mod wrk;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Parser)]
#[command(about = "Processor cost of a request through Tollgate, compared with nginx")]
struct BenchCli {
    #[command(subcommand)]
    command: BenchCommand,
}

#[derive(Subcommand)]
enum BenchCommand {
    /// Measure, check, and write bench/out/
    Run(RunFlags),
    /// Speed of ingest from the spool into a store, during key creation
    Ingest(ingest::IngestFlags),
    /// Latency of the first lookup of a key, in a store with many keys
    Lookup(lookup::LookupFlags),
    /// Latency of the control API, during ingest and sign-ins
    Api(api::ApiFlags),
    /// Latency of the dashboard's first page, in a store with many events
    Overview(overview::OverviewFlags),
    /// Latency of time series, in a store with many events
    Series(series::SeriesFlags),
    /// Cost of an LLM call on PostgreSQL, compared with SQLite
    Stores(stores::StoresFlags),
    /// Cost of budgets, compared with users without them
    Leases(leases::LeasesFlags),
    /// Duration of a startup with a spool that was not ingested
    Replay(replay::ReplayFlags),
}

/// Options of `run`. The project's method uses the defaults.
#[derive(clap::Args, Clone)]
pub(crate) struct RunFlags {
    /// Interleaved pairs of runs per scenario
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(2..=200))]
    pub(crate) pairs: u32,
    /// Duration of a run in seconds
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) seconds: u64,
    /// Number of connections of wrk
    #[arg(long, default_value_t = 64)]
    pub(crate) connections: u32,
    /// Run only scenarios whose name contains this text
    #[arg(long)]
    pub(crate) only: Option<String>,
    /// Requests before the second reading of the memory
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) memory_requests: u64,
    /// Seconds of rest before the second reading of the memory
    #[arg(long, default_value_t = 60)]
    pub(crate) rest_seconds: u64,
    /// Rounds of the pass that checks every response
    #[arg(long, default_value_t = 50)]
    pub(crate) check_rounds: u32,
    /// The folder of the binary `tollgate`; by default that of this binary
    #[arg(long)]
    pub(crate) profile_dir: Option<PathBuf>,
    /// The folder of the raw output
    #[arg(long, default_value = "bench/out")]
    pub(crate) out: PathBuf,
}

fn main() -> anyhow::Result<ExitCode> {
    match BenchCli::parse().command {
        BenchCommand::Run(flags) => in_time(&mut Builder::new_current_thread(), run::run(flags)),
        // Tollgate's background tasks use this runtime too.
        BenchCommand::Ingest(flags) => in_time(&mut Builder::new_multi_thread(), ingest::run(flags)),
        BenchCommand::Lookup(flags) => in_time(&mut Builder::new_multi_thread(), lookup::run(flags)),
        BenchCommand::Api(flags) => in_time(&mut Builder::new_multi_thread(), api::run(flags)),
        BenchCommand::Overview(flags) => in_time(&mut Builder::new_multi_thread(), overview::run(flags)),
        BenchCommand::Series(flags) => in_time(&mut Builder::new_multi_thread(), series::run(flags)),
        BenchCommand::Stores(flags) => in_time(&mut Builder::new_current_thread(), stores::run(flags)),
        BenchCommand::Leases(flags) => in_time(&mut Builder::new_current_thread(), leases::run(flags)),
        BenchCommand::Replay(flags) => in_time(&mut Builder::new_multi_thread(), replay::run(flags)),
    }
}

/// Runs a measurement until it ends or is interrupted. Returns whether it met its targets.
fn in_time(runtime: &mut Builder, measured: impl Future<Output = anyhow::Result<bool>>) -> anyhow::Result<ExitCode> {
    runtime.enable_all().build()?.block_on(until_signal(measured))
}

async fn until_signal(measured: impl Future<Output = anyhow::Result<bool>>) -> anyhow::Result<ExitCode> {
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        good = measured => Ok(if good? { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
        _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted; all started programs are stopped"),
        _ = terminated.recv() => anyhow::bail!("terminated; all started programs are stopped"),
    }
}
