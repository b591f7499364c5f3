//! `cargo run -p fuzz -- run all --seconds 600`: runs targets and stores failing inputs. `make fuzz` uses it.

#![expect(clippy::print_stdout, reason = "a command's output")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};
use fuzz::driver::campaign::{self, Campaign, Engine};
use fuzz::driver::session::{self, FuzzSession};
use fuzz::driver::summary;
use fuzz::{FuzzTarget, targets};

#[derive(Parser)]
#[command(about = "Fuzz every parser of untrusted bytes")]
struct FuzzCli {
    #[command(subcommand)]
    command: FuzzCommand,
}

#[derive(Subcommand)]
enum FuzzCommand {
    /// Print the names of all targets
    List,
    /// Fuzz one target, or all of them
    Run {
        /// The name of a target, or `all`
        target: String,
        /// Seconds for all targets together
        #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
        seconds: u64,
        /// The seed of the mutator; equal seeds give equal inputs. Random by default
        #[arg(long)]
        seed: Option<u64>,
        /// The source of inputs
        #[arg(long, value_enum, default_value_t = Engine::Auto)]
        engine: Engine,
    },
    /// Run a target over files; a failure is a panic
    Replay {
        /// The name of a target
        target: String,
        /// The paths of the inputs
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    #[command(hide = true)]
    Session {
        target: String,
        #[arg(long)]
        seed: u64,
        #[arg(long)]
        ms: u64,
        #[arg(long)]
        scratch: PathBuf,
        #[arg(long)]
        finding: PathBuf,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    match FuzzCli::parse().command {
        FuzzCommand::List => {
            targets::ALL.iter().for_each(|target| println!("{}", target.name));
            Ok(ExitCode::SUCCESS)
        }
        FuzzCommand::Run { target, seconds, seed, engine } => {
            let targets = if target == "all" { targets::ALL.iter().collect() } else { vec![named(&target)?] };
            let seed = seed.map_or_else(new_seed, Ok)?;
            run(&Campaign { targets, time: Duration::from_secs(seconds), seed, engine })
        }
        FuzzCommand::Replay { target, files } => {
            let target = named(&target)?;
            files.iter().try_for_each(|file| session::replay(target, file))?;
            println!("{}: {} inputs, no findings", target.name, files.len());
            Ok(ExitCode::SUCCESS)
        }
        FuzzCommand::Session { target, seed, ms, scratch, finding } => {
            let target = named(&target)?;
            let Some(found) = (FuzzSession { time: Duration::from_millis(ms), seed, scratch }).run(target)? else {
                return Ok(ExitCode::SUCCESS);
            };
            std::fs::write(finding, summary::report(target.name, &found.path, &found.what))?;
            Ok(ExitCode::from(campaign::FINDING_EXIT_CODE))
        }
    }
}

fn run(campaign: &Campaign) -> anyhow::Result<ExitCode> {
    println!("seed {}\n{}", campaign.seed, summary::HEAD);
    let outcomes = campaign.run(|outcome| println!("{outcome}"))?;
    let runs: u64 = outcomes.iter().map(|outcome| outcome.runs).sum();
    let time: Duration = outcomes.iter().map(|outcome| outcome.time).sum();
    let found = outcomes.iter().filter(|outcome| outcome.found.is_some()).count();
    println!("fuzz: {} targets, {runs} runs in {} s, {found} findings", outcomes.len(), time.as_secs());
    Ok(if found == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn named(name: &str) -> anyhow::Result<&'static FuzzTarget> {
    targets::find(name)
        .with_context(|| format!("no target is named `{name}`: cargo run -p fuzz -- list prints the names"))
}

fn new_seed() -> anyhow::Result<u64> {
    let mut seed = [0; 4];
    getrandom::fill(&mut seed).map_err(|_| anyhow::anyhow!("the system provides no random bytes"))?;
    Ok(u32::from_le_bytes(seed).into())
}
