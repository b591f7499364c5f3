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
        "{} is valid: {}, {}, {}, {}, {}{}\n",
        args.file.display(),
        counted(snapshot.traffic.router.routes().len(), "route"),
        counted(snapshot.traffic.upstreams.len(), "upstream"),
        // The snapshot lacks those that the mock serves or that are off.
        counted(loaded.listed("providers"), "provider"),
        counted(loaded.listed("models"), "model"),
        counted(snapshot.traffic.plans.len(), "plan"),
        if tests == 0 { String::new() } else { format!("; {} passed", counted(tests, "test")) },
    ));
    Ok(ExitCode::SUCCESS)
}

/// Returns a number with the noun that it counts.
fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_no_plural() {
        assert_eq!([0, 1, 2].map(|count| counted(count, "route")), ["0 routes", "1 route", "2 routes"]);
    }
}
