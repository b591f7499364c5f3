//! The lines of some crates that no test ran, from the output of `cargo llvm-cov report --lcov`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;

use super::sources::owner;

/// The crates that decide about money and admission: each of their lines is tested, or its absence is explained.
const CRATES: [&str; 4] = ["access", "http1", "ledger", "meter"];

/// Lines that no test ran: the first and the last.
type LineRange = (u32, u32);

/// Returns a line for each file of the listed crates with lines that no test ran.
pub(super) fn table(lcov: &str, root: &Path) -> anyhow::Result<Vec<String>> {
    let files = by_file(lcov, root)?;
    let row = |(file, ranges): (&String, &Vec<LineRange>)| {
        let lines =
            |(first, last): &LineRange| if first == last { first.to_string() } else { format!("{first}-{last}") };
        format!("{file}: {}", ranges.iter().map(lines).collect::<Vec<_>>().join(" "))
    };
    Ok(files.iter().map(row).collect())
}

/// Adjacent lines are one range, also with lines without code between them.
fn by_file(lcov: &str, root: &Path) -> anyhow::Result<BTreeMap<String, Vec<LineRange>>> {
    let mut files: BTreeMap<String, Vec<LineRange>> = BTreeMap::new();
    let (mut file, mut is_open) = (None, false);
    for line in lcov.lines() {
        if let Some(name) = line.strip_prefix("SF:") {
            (file, is_open) = (listed(Path::new(name), root), false);
            continue;
        }
        let (Some(name), Some(counted)) = (&file, line.strip_prefix("DA:")) else { continue };
        let (number, count) = counted.split_once(',').with_context(|| format!("no count: {line}"))?;
        let number = number.parse::<u32>().with_context(|| format!("no line: {line}"))?;
        if count.split(',').next() != Some("0") {
            is_open = false;
            continue;
        }
        let ranges = files.entry(name.clone()).or_default();
        match ranges.last_mut().filter(|_| is_open) {
            Some((_, last)) => *last = number,
            None => ranges.push((number, number)),
        }
        is_open = true;
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

    #[test]
    fn lines_that_no_test_ran_are_listed_by_file() {
        let lcov = "SF:/r/crates/meter/src/usage.rs\nFN:1,x\nDA:1,4\nDA:2,0\nDA:3,0\nDA:7,0\nDA:8,1\nDA:9,0\nend_of_record\n\
            SF:/r/crates/meter/src/usage/tests.rs\nDA:1,0\nend_of_record\n\
            SF:/r/crates/proxy/src/lib.rs\nDA:1,0\nend_of_record\n\
            SF:/elsewhere/crates/meter/src/lib.rs\nDA:1,0\nend_of_record\n\
            SF:/r/crates/access/src/lib.rs\nDA:5,0\nend_of_record\n";
        let table = table(lcov, Path::new("/r")).unwrap();
        assert_eq!(table, ["crates/access/src/lib.rs: 5", "crates/meter/src/usage.rs: 2-7 9"]);
    }

    #[test]
    fn a_line_without_a_count_is_an_error() {
        assert!(table("SF:/r/crates/meter/src/usage.rs\nDA:1\n", Path::new("/r")).is_err());
    }
}
