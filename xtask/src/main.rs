//! Development tasks of the repository, run by its `Makefile`.

mod coverage;
mod postgres;
mod suite;
mod tidy;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::Context;

use postgres::ServerUse;

const USAGE: &str = "usage: cargo run -p xtask -- TASK
  coverage REPORT LINES print the line coverage of each crate from the reports of cargo-llvm-cov in JSON and LCOV, and the
                        lines of meter, ledger, access and http1 that no test ran, with the reasons
  config-docs           generate the tables of docs/configuration.md, .env.example and docs/tollgate.schema.json from the
                        declarations of the settings; `config-docs --check` fails if they are out of date
  dashboards            generate the dashboards of Grafana from the lists of docs/metrics.md
  tidy                  check the house rules
  language              count the findings of the language rules by rule and folder
  postgres COMMAND…     run COMMAND with a temporary PostgreSQL server, whose URL is in TOLLGATE_TEST_POSTGRES;
                        `postgres --durable COMMAND…` syncs commits to disk, and `postgres --suite COMMAND…` never vacuums
  test [PART…] [-- TEXT]
                        run tests: crates, sqlite, postgres, crashes, load (all without a part), those whose names contain
                        TEXT; each failed test runs once more, alone. `postgres` starts the server that most of them need:
                        cargo run -p xtask -- postgres target/debug/xtask test postgres -- vault::";

fn main() -> anyhow::Result<ExitCode> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["coverage", report, lines] => coverage::run(Path::new(report), Path::new(lines), &root()?),
        ["config-docs"] => config_docs(&root()?, DocumentTask::Write),
        ["config-docs", "--check"] => config_docs(&root()?, DocumentTask::Compare),
        ["dashboards"] => tidy::write_dashboards(&root()?).map(|()| ExitCode::SUCCESS),
        ["tidy"] => print(&tidy::check(&root()?)?),
        ["language"] => language(),
        ["postgres", "--durable", command, arguments @ ..] => {
            postgres::run(command, arguments, ServerUse::Measurements)
        }
        ["postgres", "--suite", command, arguments @ ..] => postgres::run(command, arguments, ServerUse::Suite),
        ["postgres", command, arguments @ ..] => postgres::run(command, arguments, ServerUse::Tests),
        ["test", words @ ..] => suite::run(words, &root()?),
        _ => {
            writeln!(std::io::stdout(), "{USAGE}")?;
            Ok(ExitCode::from(2))
        }
    }
}

/// The task for the documents of the settings.
#[derive(Clone, Copy, PartialEq, Eq)]
enum DocumentTask {
    Write,
    Compare,
}

/// Runs the test that compares the documents of the settings, or writes them if a variable is set. Only the crate
/// `config` is compiled: the hook before each commit runs this task.
fn config_docs(root: &Path, task: DocumentTask) -> anyhow::Result<ExitCode> {
    const ARGUMENTS: [&str; 7] = ["test", "--quiet", "--locked", "--package", "config", "--lib", "--"];
    const TEST: &str = "schema::tests::documents_match_the_declarations";
    const UPDATE: &str = "UPDATE_CONFIG_DOCS";
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(ARGUMENTS).arg(TEST).env("RUST_BACKTRACE", "0").current_dir(root);
    match task {
        DocumentTask::Write => command.env(UPDATE, "1"),
        DocumentTask::Compare => command.env_remove(UPDATE),
    };
    let output = command.stderr(Stdio::inherit()).output().context("cargo does not run")?;
    let text = String::from_utf8_lossy(&output.stdout);
    // Without a test of this name, cargo succeeds too.
    if output.status.success() && text.contains("1 passed") {
        return Ok(ExitCode::SUCCESS);
    }
    std::io::stdout().write_all(text.as_bytes())?;
    anyhow::ensure!(!output.status.success(), "the test {TEST} does not exist");
    Ok(ExitCode::FAILURE)
}

/// Prints the findings of tidy. The task fails if there is one.
fn print(findings: &[tidy::Finding]) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    for finding in findings {
        writeln!(out, "{finding}")?;
    }
    writeln!(out, "tidy: {} failures", findings.len())?;
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints the number of language findings: one row per rule, with the three folders that have the most.
fn language() -> anyhow::Result<ExitCode> {
    let mut rules: BTreeMap<String, Vec<(usize, String)>> = BTreeMap::new();
    for ((folder, rule), count) in tidy::count_language(&root()?)? {
        rules.entry(rule).or_default().push((count, folder));
    }
    let mut out = std::io::stdout().lock();
    let mut sum = 0;
    for (rule, mut folders) in rules {
        folders.sort_by(|a, b| b.cmp(a));
        let all: usize = folders.iter().map(|(count, _)| count).sum();
        sum += all;
        let most: Vec<String> = folders.iter().take(3).map(|(count, folder)| format!("{folder} {count}")).collect();
        writeln!(out, "{all:6}  {rule:<60}  {}", most.join(", "))?;
    }
    writeln!(out, "{sum:6}  in total")?;
    Ok(ExitCode::SUCCESS)
}

/// The repository's root: the folder above this crate.
fn root() -> anyhow::Result<PathBuf> {
    let parent = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask has no parent folder")?;
    Ok(parent.to_owned())
}
