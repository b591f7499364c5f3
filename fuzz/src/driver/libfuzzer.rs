//! libFuzzer, a coverage-guided fuzzer: cargo-fuzz runs it on a nightly toolchain over the same targets.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context;

use super::corpus;
use super::summary::{TargetSummary, report};
use crate::FuzzTarget;

/// Whether `cargo +nightly fuzz` works.
#[must_use]
pub fn is_installed() -> bool {
    cargo().arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Builds every target once, with the address sanitizer.
///
/// # Errors
/// The build fails.
pub fn build() -> anyhow::Result<()> {
    // The build uses the versions of the workspace, so that no second lock file must be kept up to date.
    fs::copy(repository().join("Cargo.lock"), folder().join("Cargo.lock")).context("cannot copy Cargo.lock")?;
    let status = cargo().arg("build").arg("--fuzz-dir").arg(folder()).status().context("cannot start cargo fuzz")?;
    anyhow::ensure!(status.success(), "cargo fuzz build failed");
    Ok(())
}

/// Runs one target. Inputs that libFuzzer adds to the corpus stay in the build folder.
///
/// # Errors
/// cargo-fuzz does not start, or does not report the number of runs.
pub fn run(target: &'static FuzzTarget, time: Duration) -> anyhow::Result<TargetSummary> {
    let work = work(target.name);
    let added = work.join("corpus");
    let findings = corpus::root().join("findings").join(target.name);
    fs::create_dir_all(&added)?;
    fs::create_dir_all(&findings)?;
    let before = files(&findings)?;
    let seconds = time.as_secs().max(1);
    let mut command = cargo();
    command.arg("run").arg("--fuzz-dir").arg(folder()).arg(target.name).arg(&added);
    let seeds = corpus::root().join("corpus").join(target.name);
    command.args([seeds.as_path(), findings.as_path()].into_iter().filter(|folder| folder.is_dir()));
    command.arg("--").args([
        format!("-max_total_time={seconds}"),
        format!("-max_len={}", target.bytes_max),
        format!("-artifact_prefix={}/", findings.display()),
        "-timeout=60".to_owned(),
        "-rss_limit_mb=2048".to_owned(),
        "-print_final_stats=1".to_owned(),
    ]);
    if !target.words.is_empty() {
        let words = work.join("words");
        fs::write(&words, dictionary(target.words))?;
        command.arg(format!("-dict={}", words.display()));
    }
    let output_of_run = command.stdout(Stdio::null()).output().context("cannot start cargo fuzz")?;
    let log = work.join("log");
    fs::write(&log, &output_of_run.stderr)?;
    let runs = executed(&String::from_utf8_lossy(&output_of_run.stderr))
        .with_context(|| format!("libFuzzer did not report the number of runs: {}", log.display()))?;
    let new = files(&findings)?.into_iter().find(|path| !before.contains(path));
    let what = format!("found by libFuzzer; its output is in {}", log.display());
    let found = match (output_of_run.status.success(), new) {
        (true, _) => None,
        (false, Some(path)) => Some(report(target.name, &path, &what)),
        // A stored finding that fails again is not written again.
        (false, None) => Some(what),
    };
    // The folder is removed only if it is empty.
    let _ = fs::remove_dir(&findings);
    Ok(TargetSummary { target: target.name, runs, time: Duration::from_secs(seconds), found })
}

/// `cargo +nightly fuzz` without the variables by which a parent cargo selects another toolchain.
fn cargo() -> Command {
    let mut command = Command::new("cargo");
    command.args(["+nightly", "fuzz"]).current_dir(repository());
    for variable in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN", "RUSTFLAGS", "LD_LIBRARY_PATH"] {
        command.env_remove(variable);
    }
    command.env("CARGO_TARGET_DIR", target_folder());
    command
}

fn folder() -> PathBuf {
    corpus::root().join("cargo-fuzz")
}

fn repository() -> PathBuf {
    corpus::root().join("..")
}

fn target_folder() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    repository().join(target).join("cargo-fuzz")
}

fn work(target: &str) -> PathBuf {
    target_folder().join("work").join(target)
}

fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    Ok(fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?)
}

/// The number of runs in the output: from the last line that begins with `#1234`, or from the final statistics.
fn executed(output: &str) -> Option<u64> {
    let of = |line: &str| {
        let digits = line.strip_prefix("stat::number_of_executed_units:").map(str::trim);
        digits.or_else(|| line.strip_prefix('#')?.split_whitespace().next())?.parse().ok()
    };
    output.lines().rev().find_map(of)
}

/// One `"word"` per line; all bytes except letters and digits are escaped.
fn dictionary(words: &[&str]) -> String {
    let escaped = |byte: u8| match byte {
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("\\x{byte:02X}"),
    };
    let line = |word: &&str| format!("\"{}\"\n", word.bytes().map(escaped).collect::<String>());
    words.iter().filter(|word| (1..=64).contains(&word.len())).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_read_from_the_output_of_libfuzzer() {
        let output = "INFO: Seed: 1\n#2\tINITED cov: 3\n#4096\tpulse\nDone 5000 runs in 3 second(s)\n";
        assert_eq!(executed(output), Some(4_096));
        assert_eq!(executed(&format!("{output}stat::number_of_executed_units: 5000\n")), Some(5_000));
        assert_eq!(executed("error: no such target"), None);
    }

    #[test]
    fn a_dictionary_contains_printable_escapes() {
        assert_eq!(dictionary(&["a\"b", "", "\r\n"]), "\"a\\x22b\"\n\"\\x0D\\x0A\"\n");
    }
}
