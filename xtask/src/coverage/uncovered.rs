//! The lines of some crates that no test ran, from the output of `cargo llvm-cov report --lcov`, with their explanations.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context;

use super::explanations::Explanations;
use super::sources::owner;

/// The crates that decide about money and admission: each of their lines is tested, or its absence is explained.
const CRATES: [&str; 4] = ["access", "http1", "ledger", "meter"];

/// Whether a test ran a line, by its number.
type RunLines = BTreeMap<usize, bool>;

/// The ranges of lines that no test ran.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct UncoveredLines {
    /// A line for each range, with its explanation.
    pub(super) rows: Vec<String>,
    /// A line for each range without an explanation.
    pub(super) unexplained: Vec<String>,
}

impl UncoveredLines {
    /// Reads the ranges of the listed crates.
    pub(super) fn read(lcov: &str, explanations: &Explanations<'_>, root: &Path) -> anyhow::Result<Self> {
        let mut found = Self::default();
        for (file, lines) in by_file(lcov, root)? {
            let ranges = ranges(&lines);
            if ranges.is_empty() {
                continue;
            }
            let source = fs::read_to_string(root.join(&file)).with_context(|| format!("cannot read {file}"))?;
            for (first, last) in ranges {
                let lines = if first == last { first.to_string() } else { format!("{first}-{last}") };
                let code = source.lines().nth(first.saturating_sub(1)).map_or("", str::trim);
                let reason = explanations.reason(&file, code);
                found.rows.push(format!("{file}: {lines}: {}", reason.unwrap_or("no explanation")));
                if reason.is_none() {
                    found.unexplained.push(format!("{file}: {lines}: {code}"));
                }
            }
        }
        Ok(found)
    }
}

/// Returns the first and the last line of each range that no test ran. Lines without code between them are part of it.
fn ranges(lines: &RunLines) -> Vec<(usize, usize)> {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    let mut is_open: bool = false;
    for (number, is_run) in lines {
        if !is_run {
            match ranges.last_mut() {
                Some((_, last)) if is_open => *last = *number,
                Some(_) | None => ranges.push((*number, *number)),
            }
        }
        is_open = !is_run;
    }
    ranges
}

/// A file may have several parts in the report: a test of one program runs what another does not.
fn by_file(lcov: &str, root: &Path) -> anyhow::Result<BTreeMap<String, RunLines>> {
    let mut files: BTreeMap<String, RunLines> = BTreeMap::new();
    let mut file = None;
    for line in lcov.lines() {
        if let Some(name) = line.strip_prefix("SF:") {
            file = listed(Path::new(name), root);
            continue;
        }
        let Some(name) = &file else { continue };
        let Some(counted) = line.strip_prefix("DA:") else { continue };
        let (number, count) = counted.split_once(',').with_context(|| format!("no count: {line}"))?;
        let number = number.parse::<usize>().with_context(|| format!("no line: {line}"))?;
        *files.entry(name.clone()).or_default().entry(number).or_default() |= count.split(',').next() != Some("0");
    }
    Ok(files)
}

/// The path of a file in the repository, if it is a source of a listed crate.
fn listed(file: &Path, root: &Path) -> Option<String> {
    let (owner, inside) = owner(file, root)?;
    CRATES.contains(&owner.as_str()).then(|| format!("crates/{owner}/{inside}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a report in which `/r` is the folder of a repository with a source of ten lines.
    fn read(lcov: &str, explanations: &str) -> anyhow::Result<UncoveredLines> {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("crates/meter/src");
        fs::create_dir_all(&folder).unwrap();
        let source: String = (1..=10).map(|number| format!("    line({number});\n")).collect();
        fs::write(folder.join("usage.rs"), source).unwrap();
        let lcov = lcov.replace("/r/", &format!("{}/", root.path().display()));
        UncoveredLines::read(&lcov, &Explanations::read(explanations)?, root.path())
    }

    #[test]
    fn ranges_that_no_test_ran_are_listed_with_their_explanations() {
        let lcov = "SF:/r/crates/meter/src/usage.rs\nFN:1,x\nDA:1,4\nDA:2,0\nDA:3,0\nDA:7,0\nDA:8,1\nDA:9,0\nend_of_record\n\
            SF:/r/crates/meter/src/usage/tests.rs\nDA:1,0\nend_of_record\n\
            SF:/r/crates/proxy/src/lib.rs\nDA:1,0\nend_of_record\n\
            SF:/elsewhere/crates/meter/src/lib.rs\nDA:1,0\nend_of_record\n\
            SF:/r/crates/access/src/lib.rs\nDA:5,2\nend_of_record\n";
        let found = read(lcov, "crates/meter/src/usage.rs\tline(2);\tIt runs at compile time.\n").unwrap();
        let rows = [
            "crates/meter/src/usage.rs: 2-7: It runs at compile time.",
            "crates/meter/src/usage.rs: 9: no explanation",
        ];
        assert_eq!(found.rows, rows);
        assert_eq!(found.unexplained, ["crates/meter/src/usage.rs: 9: line(9);"]);
        // The text of another file, or of a line within the range, explains nothing.
        let other = "crates/meter/src/rate.rs\tline(9);\tx\ncrates/meter/src/usage.rs\tline(3);\tx\n";
        assert_eq!(read(lcov, other).unwrap().unexplained.len(), 2);
    }

    #[test]
    fn a_line_that_one_of_two_parts_ran_is_tested() {
        let lcov = "SF:/r/crates/meter/src/usage.rs\nDA:1,0\nDA:2,0\nend_of_record\n\
            SF:/r/crates/access/src/../../meter/src/usage.rs\nDA:1,3\nDA:2,0\nend_of_record\n";
        assert_eq!(read(lcov, "").unwrap().unexplained, ["crates/meter/src/usage.rs: 2: line(2);"]);
    }

    #[test]
    fn a_line_without_a_count_is_an_error() {
        assert!(read("SF:/r/crates/meter/src/usage.rs\nDA:1\n", "").is_err());
    }
}
