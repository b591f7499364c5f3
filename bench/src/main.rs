//! `make bench`: the processor cost of a request through Tollgate, compared with nginx, HAProxy, Envoy and Traefik.
//!
//! Method: Tollgate and each other proxy run in a cgroup; the load generator (wrk) and the backend (`tollgate mock`)
//! run outside. The runs of all of them are interleaved. Tollgate's time is read after its spool is drained. Figures are
//! medians; a target is met if the upper end of the 95% interval meets it. A separate pass checks every response, and
//! Tollgate's counts are compared with the requests sent. Raw output stays in `bench/out/`.
//!
//! `instructions` counts instructions per request. `ingest`, `lookup`, `overview`, `pages`, `series` and `stores` measure the store,
//! `api` the admin API, `replay` the startup, `leases` budgets. They use SQLite or the PostgreSQL that
//! `xtask postgres --durable` starts.
//!
//! Reading order: `run` (the sequence), `rows` (the comparisons), `sides` and `product` and `proxies` (the servers),
//! `rounds` with `load` and `process` (runs and processor time), `stats`, `report`; `protocols`, `latency` with `open_loop` and
//! `members`, `memory`, `counts` (correctness), `instructions`. Independent of those, `stores`, `ingest`, `lookup`, `replay`, and `api`
//! with `server` and `people`.

#![expect(clippy::print_stdout, reason = "a command's output")]

mod api;
mod client;
mod counts;
mod database;
mod figure;
mod ingest;
mod instructions;
mod latency;
mod load;
mod lookup;
mod members;
mod memory;
mod open_loop;
mod origin;
mod people;
mod process;
mod product;
mod protocols;
mod proxies;
mod replay;
mod report;
mod request;
mod rounds;
mod rows;
mod run;
mod server;
mod sides;
mod span_receiver;
mod stats;
mod stores;
mod tokens;
mod tools;

use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Parser, Subcommand};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

/// Processor cost of a request through Tollgate, compared with nginx, HAProxy, Envoy and Traefik
///
/// Without a command: measures all rows, checks responses and counts, prints figures, targets and verdicts, and writes
/// bench/out/. The machine must have no other work.
#[derive(Parser)]
#[command(name = "bench", args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
struct BenchCli {
    #[command(subcommand)]
    command: Option<BenchCommand>,
    #[command(flatten)]
    flags: RunFlags,
}

const EXAMPLES: &str = "Examples:
  make bench                                          all rows, 12 rounds of 5 s
  make bench ARGS=\"--quick\"                           a smoke check: 2 rounds of 1 s, no result
  make bench ARGS=\"--only plain,keyed --pairs 20\"     two rows, 20 rounds
  make bench ARGS=\"--only idle,memory\"                memory only
  make bench ARGS=\"--only jwt,cold\"                   access tokens
  make bench ARGS=\"--only latency\"                    added latency at half load
  make bench ARGS=\"--only hit,compress,members\"       cache, compression, 1,000 members that change
  make bench ARGS=\"instructions\"                      instructions per request, no times
  make bench ARGS=\"instructions --only plain\"         those of one row";

#[derive(Subcommand)]
enum BenchCommand {
    /// User-space instructions per request, counted by callgrind
    Instructions(instructions::InstructionFlags),
    /// Speed of ingest from the spool into a store, during key creation
    Ingest(ingest::IngestFlags),
    /// Latency of the first lookup of a key, in a store with many keys
    Lookup(lookup::LookupFlags),
    /// Latency of the admin API, during ingest and sign-ins
    Api(api::ApiFlags),
    /// Cost of an LLM call on PostgreSQL, compared with SQLite
    Stores(stores::PairFlags),
    /// Cost of leased budgets, compared with users without them
    Leases(stores::LeasesFlags),
    /// Duration of a startup with a spool that was not ingested
    Replay(replay::ReplayFlags),
}

/// Options of the comparison. The project's method uses the defaults.
#[derive(clap::Args, Clone)]
pub(crate) struct RunFlags {
    /// Rows to measure, separated by commas; by default all
    #[arg(long, value_delimiter = ',', value_parser = PossibleValuesParser::new(rows::Row::names()))]
    pub(crate) only: Vec<String>,
    /// A smoke check in little time, with 2 rounds of 1 s; its figures are no result
    #[arg(long, conflicts_with_all = ["pairs", "seconds", "memory_requests", "idle_connections", "rest_seconds", "check_rounds"])]
    pub(crate) quick: bool,
    /// Interleaved rounds of runs per row; results need at least 12
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(2..=200))]
    pub(crate) pairs: u32,
    /// Duration of a run in seconds; results need at least 2
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) seconds: u64,
    /// Number of connections of wrk
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=2_000))]
    pub(crate) connections: u32,
    /// Number of idle connections; the target is for 10,000
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=15_000))]
    pub(crate) idle_connections: u32,
    /// Requests before the second reading of the memory
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) memory_requests: u64,
    /// Seconds of rest before the second reading of the memory
    #[arg(long, default_value_t = 60)]
    pub(crate) rest_seconds: u64,
    /// Rounds of the pass that checks every response
    #[arg(long, default_value_t = 50)]
    pub(crate) check_rounds: u32,
    #[command(flatten)]
    pub(crate) places: run::PlaceFlags,
}

fn main() -> anyhow::Result<ExitCode> {
    let cli = BenchCli::parse();
    let Some(command) = cli.command else { return in_time(&mut Builder::new_current_thread(), run::run(cli.flags)) };
    // Tollgate's background tasks use the runtime too, if a measurement has some in this process.
    let (mut one, mut many) = (Builder::new_current_thread(), Builder::new_multi_thread());
    match command {
        BenchCommand::Instructions(flags) => in_time(&mut one, instructions::run(flags)),
        BenchCommand::Stores(flags) => in_time(&mut one, stores::stores(flags)),
        BenchCommand::Leases(flags) => in_time(&mut one, stores::leases(flags)),
        BenchCommand::Ingest(flags) => in_time(&mut many, ingest::run(flags)),
        BenchCommand::Lookup(flags) => in_time(&mut many, lookup::run(flags)),
        BenchCommand::Api(flags) => in_time(&mut many, api::run(flags)),
        BenchCommand::Replay(flags) => in_time(&mut many, replay::run(flags)),
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
