//! Chores of the repository, run by its `Makefile`: `cargo run -p xtask -- tidy`.

mod tidy;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

const USAGE: &str = "usage: cargo run -p xtask -- tidy    check the house rules that a machine can check";

fn main() -> anyhow::Result<ExitCode> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let mut out = std::io::stdout().lock();
    if words != ["tidy"] {
        writeln!(out, "{USAGE}")?;
        return Ok(ExitCode::from(2));
    }
    let findings = tidy::check(&root()?)?;
    for finding in &findings {
        writeln!(out, "{finding}")?;
    }
    let failed = findings.iter().filter(|finding| finding.fails()).count();
    writeln!(out, "tidy: {failed} to mend, {} to look at", findings.len() - failed)?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The repository's root: the folder above this crate.
fn root() -> anyhow::Result<PathBuf> {
    let parent = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask stands in the workspace")?;
    Ok(parent.to_owned())
}
