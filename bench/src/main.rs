//! `make bench`: the processor cost of a request through Tollgate, compared with nginx, HAProxy, Envoy and Traefik.
//!
//! Method: Tollgate and each other proxy run in a cgroup; the load generator (wrk) and the backend (`tollgate mock`)
//! run outside. The runs of all of them are interleaved. Tollgate's time is read after its spool is drained. Figures are
//! medians; a target is met if the upper end of the 95% interval meets it. Before a row, responses are compared
//! with the backend's, byte by byte; Tollgate's counts are compared with the requests sent. Raw output stays in `bench/out/`.
//!
//! `instructions` counts instructions per request. `ingest`, `lookup` and `stores` measure the store, `api` the admin API,
//! `replay` the startup, `leases` budgets, also simulated. They use SQLite or the PostgreSQL that `xtask postgres --durable` starts.
//!
//! Reading order: `run` (the sequence), `plan` (its size), `rows` (the comparisons), `sides` with `checks`, `product` and
//! `proxies` (the servers), `rounds` with `load` and `process` (runs and processor time), `stats`, `report`; `protocols`,
//! `latency` with `open_loop`, `members` with `fake`, `memory`, `counts` (correctness), `instructions`. Independent of those,
//! `stores` with `lease_nodes`, `ingest`, `lookup`, `replay`, and `api`, with `database` and `people`.

#![expect(clippy::print_stdout, reason = "a command's output")]

mod api;
mod checks;
mod client;
mod counts;
mod database;
mod fake;
mod ingest;
mod instructions;
mod latency;
mod lease_nodes;
mod load;
mod lookup;
mod members;
mod memory;
mod open_loop;
mod people;
mod plan;
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
mod sides;
mod stats;
mod stores;
mod tokens;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

/// Processor cost of a request through Tollgate, compared with nginx, HAProxy, Envoy and Traefik
///
/// Without a command: measures all rows, checks counts, prints figures, targets and verdicts, and writes
/// bench/out/. The machine must have no other work.
#[derive(Parser)]
#[command(name = "bench", args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
struct BenchCli {
    #[command(subcommand)]
    command: Option<BenchCommand>,
    #[command(flatten)]
    flags: plan::RunFlags,
}

const EXAMPLES: &str = "Examples:
  make bench                                          all rows, 12 rounds of 5 s
  make bench ARGS=\"--quick\"                           a smoke check: 2 rounds of 1 s, no result
  make bench ARGS=\"--only plain,keyed --pairs 20\"     two rows, 20 rounds
  make bench ARGS=\"--only idle,memory\"                memory only
  make bench ARGS=\"--only jwt,cold\"                   access tokens
  make bench ARGS=\"--only latency --rate 5000\"        added latency, CPU and memory at 5,000 requests/s
  make bench ARGS=\"--only hit,compress,members\"       cache, compression, 1,000 members that change
  make bench ARGS=\"--only traces,unsampled\"           what traces add to a request
  make bench ARGS=\"instructions\"                      instructions per request, no times
  make bench ARGS=\"instructions --only plain\"         those of one row; with `--traces 0%`, of one with traces";

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
    Stores(plan::SizeFlags),
    /// Cost of leased budgets, compared with users without them; with `--nodes`, a simulation of nodes that share a quota
    Leases(stores::LeasesFlags),
    /// Duration of a startup with a spool that was not ingested
    Replay(replay::ReplayFlags),
}

fn main() -> anyhow::Result<ExitCode> {
    let cli = BenchCli::parse();
    let Some(command) = cli.command else { return in_time(&mut Builder::new_current_thread(), run::run(cli.flags)) };
    // Tollgate's background tasks use the runtime too, if a measurement has some in this process.
    let mut one = Builder::new_current_thread();
    let mut many = Builder::new_multi_thread();
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
