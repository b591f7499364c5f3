//! `cargo run --release -p bench -- run`: what a request through Tollgate costs, beside nginx doing the same work.
//!
//! The method: product and nginx each in a cgroup of its own, generator (wrk) and backend (`tollgate mock`) outside;
//! interleaved pairs; the product's time is read when its spool is drained; a target is met when the upper end of the 95%
//! interval of the ratio is. Answers are checked by a loader of our own in a pass apart, and what the product counted is
//! compared with what was sent. Raw output stays in `bench/out/`.
//!
//! `ingest`, `lookup`, `overview` and `stores` measure the store, `api` the control API, `replay` a start, `leases` what nodes
//! share, on SQLite or on the PostgreSQL that `xtask postgres --durable` starts.
//!
//! Read in this order: `run` (the story), `scenario`, `pair`, `ratio`; `group` and `cpu` (whose time), `nginx`, `product`,
//! `wrk`; `exact` and `counts` (is it right), `memory`, `report`; apart from it `database`, `ingest`, `lookup`, `overview`, `stores`,
//! `leases`, `replay`, and `api` with `server` and `steady`.

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
mod scenario;
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
#[command(about = "What a request through Tollgate costs, beside nginx")]
struct BenchCli {
    #[command(subcommand)]
    command: BenchCommand,
}

#[derive(Subcommand)]
enum BenchCommand {
    /// Measure, check, and write bench/out/
    Run(RunFlags),
    /// How fast a spool drains into a store, while keys are made
    Ingest(ingest::IngestFlags),
    /// How long a key takes that nobody asked for before, in a store with many
    Lookup(lookup::LookupFlags),
    /// How long calls to the control API wait, while usage is ingested and others sign in
    Api(api::ApiFlags),
    /// How long a first page takes in a store with many events
    Overview(overview::OverviewFlags),
    /// What an LLM call costs on PostgreSQL, beside SQLite
    Stores(stores::StoresFlags),
    /// What it costs that users' budgets are lent, beside users without budgets
    Leases(leases::LeasesFlags),
    /// How long a start takes over a spool that nobody has ingested
    Replay(replay::ReplayFlags),
}

/// What `run` takes; the defaults are the method of the project.
#[derive(clap::Args, Clone)]
pub(crate) struct RunFlags {
    /// Interleaved pairs of runs a scenario
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(2..=200))]
    pub(crate) pairs: u32,
    /// Seconds a run
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) seconds: u64,
    /// Connections of wrk
    #[arg(long, default_value_t = 64)]
    pub(crate) connections: u32,
    /// Only scenarios whose name contains this
    #[arg(long)]
    pub(crate) only: Option<String>,
    /// Requests before memory is read the second time
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) memory_requests: u64,
    /// Seconds of rest before that
    #[arg(long, default_value_t = 60)]
    pub(crate) rest_seconds: u64,
    /// Rounds of the pass that checks every answer
    #[arg(long, default_value_t = 50)]
    pub(crate) check_rounds: u32,
    /// Where the binary `tollgate` stands; by default beside this one
    #[arg(long)]
    pub(crate) profile_dir: Option<PathBuf>,
    /// Where raw output goes
    #[arg(long, default_value = "bench/out")]
    pub(crate) out: PathBuf,
}

fn main() -> anyhow::Result<ExitCode> {
    match BenchCli::parse().command {
        BenchCommand::Run(flags) => in_time(&mut Builder::new_current_thread(), run::run(flags)),
        // The runtime that the product's loops have.
        BenchCommand::Ingest(flags) => in_time(&mut Builder::new_multi_thread(), ingest::run(flags)),
        BenchCommand::Lookup(flags) => in_time(&mut Builder::new_multi_thread(), lookup::run(flags)),
        BenchCommand::Api(flags) => in_time(&mut Builder::new_multi_thread(), api::run(flags)),
        BenchCommand::Overview(flags) => in_time(&mut Builder::new_multi_thread(), overview::run(flags)),
        BenchCommand::Stores(flags) => in_time(&mut Builder::new_current_thread(), stores::run(flags)),
        BenchCommand::Leases(flags) => in_time(&mut Builder::new_current_thread(), leases::run(flags)),
        BenchCommand::Replay(flags) => in_time(&mut Builder::new_multi_thread(), replay::run(flags)),
    }
}

/// Runs a measurement until it ends or somebody ends it; whether it was good.
fn in_time(runtime: &mut Builder, measured: impl Future<Output = anyhow::Result<bool>>) -> anyhow::Result<ExitCode> {
    runtime.enable_all().build()?.block_on(until_signal(measured))
}

async fn until_signal(measured: impl Future<Output = anyhow::Result<bool>>) -> anyhow::Result<ExitCode> {
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        good = measured => Ok(if good? { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
        _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted; what was started is ended"),
        _ = terminated.recv() => anyhow::bail!("terminated; what was started is ended"),
    }
}
