//! `tollgate check FILE`.

mod output;

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use access::Clock;
use anyhow::bail;
use config::{ConfigError, Environment, Flags, LoadedConfig, Note, Sources};

use self::output::{CheckResult, Findings};
use crate::cli::{Check, CheckFormat, Place};
use crate::commands::config_file::ConfigFile;
use crate::commands::environment;
use crate::failure::StartFault;
use crate::terminal::say;
use crate::wire::PRICES_WARNED;

/// The argument that means stdin.
const STDIN: &str = "-";
/// The name of stdin in messages.
const STDIN_NAME: &str = "<stdin>";
/// The largest text that is read from stdin, as for files.
const STDIN_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Compiles the file as `serve` would, runs its tests, and prints the result.
pub(crate) fn run(args: &Check) -> anyhow::Result<ExitCode> {
    let place = Place { config: args.file.clone(), env_file: args.env_file.clone(), data: None };
    let environment = environment(&place)?;
    let is_stdin = args.file.as_ref().is_some_and(|file| file.as_os_str() == STDIN);
    let result = if is_stdin {
        CheckResult { file: STDIN_NAME.to_owned(), checked: of_text(&stdin()?, &environment) }
    } else {
        let file = chosen(&place, &environment)?;
        let sources = Sources { file: Some(&file), environment: &environment, flags: Flags::default() };
        CheckResult { file: file.display().to_string(), checked: findings(config::load(sources)) }
    };
    say(&result.written(args.format)?);
    let Err(error) = &result.checked else { return Ok(result.code()) };
    match args.format {
        // A person reads it on stderr, as every error.
        CheckFormat::Text => Err(StartFault::from(error.clone()).into()),
        CheckFormat::Json | CheckFormat::Github => Ok(result.code()),
    }
}

/// Returns the file that other commands would read.
fn chosen(place: &Place, environment: &Environment) -> anyhow::Result<PathBuf> {
    match ConfigFile::chosen(place, environment).path().map(Path::to_owned) {
        Some(file) => Ok(file),
        None => bail!("no file to check: name one, or `-` for stdin"),
    }
}

fn of_text(text: &str, environment: &Environment) -> Result<Findings, ConfigError> {
    let sources = Sources { file: None, environment, flags: Flags::default() };
    findings(config::load_written(STDIN_NAME, text, sources))
}

fn stdin() -> anyhow::Result<String> {
    let mut text = String::new();
    let read = io::stdin().lock().take(STDIN_BYTES_MAX + 1).read_to_string(&mut text)?;
    if u64::try_from(read).is_ok_and(|read| read > STDIN_BYTES_MAX) {
        bail!("stdin has more than {STDIN_BYTES_MAX} bytes");
    }
    Ok(text)
}

/// Returns what a configuration has, and the notes about it.
fn findings(loaded: Result<LoadedConfig, ConfigError>) -> Result<Findings, ConfigError> {
    let loaded = loaded?.for_server()?;
    let tests = loaded.tested()?;
    let now = Clock::system().now();
    let snapshot = &loaded.snapshot;
    let traffic = &snapshot.traffic;
    let beginning = traffic.prices_beginning(now);
    let ending = traffic.prices_ending(now, PRICES_WARNED);
    let refused = traffic.refused_calls(now).into_iter().chain(snapshot.payments_missing());
    let notes = loaded.notes.iter().cloned().chain(beginning).chain(ending).chain(refused);
    let sells_plans = snapshot.sells_plans();
    let is_error = |note: &Note| snapshot.process.production && note.refuses(sells_plans);
    let (errors, notes) = notes.partition(is_error);
    let counts = [
        ("route", traffic.router.routes().len()),
        ("upstream", traffic.upstreams.len()),
        // The snapshot lacks those that the mock serves or that are off.
        ("provider", loaded.listed("providers")),
        ("model", loaded.listed("models")),
        ("plan", traffic.plans.len()),
    ];
    Ok(Findings { errors, notes, counts, tests })
}
