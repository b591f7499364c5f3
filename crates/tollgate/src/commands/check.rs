//! `tollgate check FILE`.

use std::process::ExitCode;

use access::Clock;
use config::Flags;

use crate::cli::{Check, Place};
use crate::commands::load;
use crate::failure::StartFault;
use crate::terminal::say;
use crate::wire::PRICES_WARNED;

/// Compiles the file as `serve` would, runs its tests, and prints the number of entries.
pub(crate) fn run(args: &Check) -> anyhow::Result<ExitCode> {
    let place = Place { config: Some(args.file.clone()), env_file: args.env_file.clone(), data: None };
    let loaded = load(&place, &Flags::default())?.for_server().map_err(StartFault::from)?;
    let tests = loaded.tested().map_err(StartFault::from)?;
    let now = Clock::system().now();
    let beginning = loaded.snapshot.traffic.prices_beginning(now);
    let ending = loaded.snapshot.traffic.prices_ending(now, PRICES_WARNED);
    for note in loaded.notes.iter().chain(&beginning).chain(&ending) {
        say(&format!("note: {note}\n"));
    }
    let snapshot = &loaded.snapshot;
    say(&format!(
        "{} is valid: {} routes, {} upstreams, {} providers, {} models, {} plans{}\n",
        args.file.display(),
        snapshot.traffic.router.routes().len(),
        snapshot.traffic.upstreams.len(),
        snapshot.traffic.providers.len(),
        snapshot.traffic.models.len(),
        snapshot.traffic.plans.len(),
        if tests == 0 { String::new() } else { format!("; {tests} tests passed") },
    ));
    Ok(ExitCode::SUCCESS)
}
