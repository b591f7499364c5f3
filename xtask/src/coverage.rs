//! Test coverage of lines per crate, from the output of `cargo llvm-cov report --json --summary-only`.

mod explanations;
mod sources;
mod uncovered;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use serde_json::Value;

use explanations::Explanations;
use uncovered::UncoveredLines;

/// Minimum for all crates of the product together, in percent.
const WORKSPACE_MIN: f64 = 80.0;
/// Minimum for each crate, in percent.
const CRATE_MIN: f64 = 70.0;

/// The number of lines, and of those that tests ran.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct LineCounts {
    count: u64,
    covered: u64,
}

impl LineCounts {
    #[expect(clippy::cast_precision_loss, reason = "a percentage of lines of code")]
    fn percent(self) -> f64 {
        if self.count == 0 { 100.0 } else { self.covered as f64 * 100.0 / self.count as f64 }
    }

    fn add(&mut self, other: Self) {
        self.count += other.count;
        self.covered += other.covered;
    }
}

/// Prints the table, and the lines of some crates that no test ran, with the reasons. It fails if a percentage is below its
/// minimum, if a reason is missing, or if the line of a reason does not exist anymore.
pub(crate) fn run(report: &Path, lcov: &Path, root: &Path) -> anyhow::Result<ExitCode> {
    let text = |path: &Path| fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()));
    let crates = by_crate(&serde_json::from_str(&text(report)?)?, root)?;
    let explanations = Explanations::of_repository()?;
    let uncovered = UncoveredLines::read(&text(lcov)?, &explanations, root)?;
    let mut out = std::io::stdout().lock();
    for line in &uncovered.rows {
        writeln!(out, "no test runs {line}")?;
    }
    let mut all = LineCounts::default();
    let mut failures = explanations.stale(root);
    failures.extend(uncovered.unexplained.iter().map(|line| format!("neither tested nor in untested.tsv: {line}")));
    for (name, lines) in &crates {
        writeln!(out, "{name:<10} {:>6} lines {:>6.2}%", lines.count, lines.percent())?;
        all.add(*lines);
        if lines.percent() < CRATE_MIN {
            failures.push(format!("{name} is below {CRATE_MIN}%"));
        }
    }
    writeln!(out, "{:<10} {:>6} lines {:>6.2}%", "total", all.count, all.percent())?;
    if all.percent() < WORKSPACE_MIN {
        failures.push(format!("the total is below {WORKSPACE_MIN}%"));
    }
    for line in &failures {
        writeln!(out, "coverage: {line}")?;
    }
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Line counts of the crates under `crates/`, without their tests.
fn by_crate(report: &Value, root: &Path) -> anyhow::Result<BTreeMap<String, LineCounts>> {
    let files = report.pointer("/data/0/files").and_then(Value::as_array).context("the report lists no files")?;
    let mut crates: BTreeMap<String, LineCounts> = BTreeMap::new();
    for file in files {
        let name = file.get("filename").and_then(Value::as_str).context("a file of the report has no name")?;
        let Some((owner, _)) = sources::owner(Path::new(name), root) else { continue };
        let number = |which: &str| file.pointer(&format!("/summary/lines/{which}")).and_then(Value::as_u64);
        let lines = LineCounts {
            count: number("count").with_context(|| format!("{name} has no line count"))?,
            covered: number("covered").with_context(|| format!("{name} has no count of covered lines"))?,
        };
        crates.entry(owner).or_default().add(lines);
    }
    anyhow::ensure!(!crates.is_empty(), "the report contains no file of crates/");
    Ok(crates)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn file(name: &str, count: u64, covered: u64) -> Value {
        json!({"filename": name, "summary": {"lines": {"count": count, "covered": covered}}})
    }

    #[test]
    fn lines_are_summed_by_crate_without_tests_and_other_files() {
        let files = [
            file("/r/crates/ai/src/lib.rs", 10, 5),
            file("/r/crates/ai/src/tap.rs", 30, 27),
            file("/r/crates/ai/src/tap/tests.rs", 100, 100),
            file("/r/crates/ai/tests/it/main.rs", 100, 100),
            file("/r/e2e/src/lib.rs", 9, 9),
            file("/elsewhere/crates/x/src/lib.rs", 9, 9),
        ];
        let crates = by_crate(&json!({"data": [{"files": files}]}), Path::new("/r")).unwrap();
        assert_eq!(crates, BTreeMap::from([("ai".to_owned(), LineCounts { count: 40, covered: 32 })]));
        assert!((crates["ai"].percent() - 80.0).abs() < 1e-9);
    }

    #[test]
    fn a_report_without_files_of_the_workspace_is_an_error() {
        assert!(by_crate(&json!({"data": [{"files": []}]}), Path::new("/r")).is_err());
        assert!(by_crate(&json!({}), Path::new("/r")).is_err());
    }
}
