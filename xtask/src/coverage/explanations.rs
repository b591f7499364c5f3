//! Why no test runs some lines: `untested.tsv` beside this file.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};

/// The file of a source, the first line of code that no test runs, without indentation, and the reason; by tabs.
const UNTESTED: &str = include_str!("untested.tsv");

/// The reasons by file and line of code: numbers of lines change too often.
#[derive(Debug)]
pub(super) struct Explanations<'a>(BTreeMap<(&'a str, &'a str), &'a str>);

impl Explanations<'static> {
    /// Reads the explanations of the repository.
    pub(super) fn of_repository() -> anyhow::Result<Self> {
        Self::read(UNTESTED)
    }
}

impl<'a> Explanations<'a> {
    /// Reads lines of three fields, which are sorted by file.
    pub(super) fn read(text: &'a str) -> anyhow::Result<Self> {
        let mut reasons = BTreeMap::new();
        let mut last = "";
        for line in text.lines() {
            let (file, rest) = line.split_once('\t').with_context(|| format!("untested.tsv has no tab in: {line}"))?;
            let (code, reason) =
                rest.split_once('\t').with_context(|| format!("untested.tsv has no reason in: {line}"))?;
            let is_whole = !code.is_empty() && !reason.is_empty() && !reason.contains('\t');
            ensure!(is_whole, "untested.tsv needs a file, a line of code and a reason in: {line}");
            ensure!(last <= file, "untested.tsv is not sorted by file at: {line}");
            ensure!(reasons.insert((file, code), reason).is_none(), "untested.tsv explains twice: {line}");
            last = file;
        }
        Ok(Self(reasons))
    }

    /// Returns why no test runs the lines that begin with `code`.
    pub(super) fn reason(&self, file: &str, code: &str) -> Option<&'a str> {
        self.0.get(&(file, code)).copied()
    }

    /// Returns a message for each explanation of a line that does not exist anymore.
    pub(super) fn stale(&self, root: &Path) -> Vec<String> {
        let is_there = |file: &str, code: &str| {
            fs::read_to_string(root.join(file)).is_ok_and(|source| source.lines().any(|line| line.trim() == code))
        };
        let stale = self.0.keys().filter(|(file, code)| !is_there(file, code));
        stale.map(|(file, code)| format!("untested.tsv explains a line that {file} does not have: {code}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_explanations_of_the_repository_fit_its_sources() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let stale = Explanations::of_repository().unwrap().stale(root);
        assert!(stale.is_empty(), "{}", stale.join("\n"));
    }

    #[test]
    fn explanations_of_missing_lines_are_stale() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("a.rs"), "fn a() {\n    panic!();\n}\n").unwrap();
        let explanations = Explanations::read("a.rs\tpanic!();\tIt ends.\na.rs\tpanic!(2);\tNever.\nb.rs\t}\tNever.\n");
        let explanations = explanations.unwrap();
        assert_eq!(explanations.reason("a.rs", "panic!();"), Some("It ends."));
        assert_eq!(explanations.reason("b.rs", "panic!();"), None);
        let stale = |file: &str, code: &str| format!("untested.tsv explains a line that {file} does not have: {code}");
        assert_eq!(explanations.stale(root.path()), [stale("a.rs", "panic!(2);"), stale("b.rs", "}")]);
    }

    #[test]
    fn explanations_without_order_or_reason_are_errors() {
        for text in [
            "a.rs",
            "a.rs\t}",
            "a.rs\t}\t",
            "a.rs\t\tx",
            "a.rs\t}\tx\ty",
            "b.rs\t}\tx\na.rs\t}\tx",
            "a.rs\t}\tx\na.rs\t}\ty",
        ] {
            assert!(Explanations::read(text).is_err(), "{text:?}");
        }
    }
}
