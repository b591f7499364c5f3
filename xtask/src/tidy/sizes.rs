//! File sizes: 300 lines are the aim, more than 500 a warning, more than 800 a failure.

use super::finding::Finding;
use super::tree::{File, Tree};

const LINES_WARN: usize = 500;
const LINES_MAX: usize = 800;
const ARCHITECTURE_LINES_MAX: usize = 200;
const REASON: &str = "Long because: ";

/// Checks source files and the size of `ARCHITECTURE.md`.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let sources = tree.files.iter().filter(|file| file.is(&["rs", "ts", "tsx"]));
    sources.filter_map(source).chain(tree.file("ARCHITECTURE.md").and_then(architecture)).collect()
}

fn source(file: &File) -> Option<Finding> {
    let lines = file.text.lines().count();
    let has_reason = file.text.lines().next().is_some_and(|first| first.contains(REASON));
    if lines <= LINES_WARN || has_reason {
        return None;
    }
    let what = format!("has {lines} lines");
    let remedy = format!("split it, or begin it with `//! {REASON}…`");
    let place = file.line(lines);
    Some(if lines > LINES_MAX { place.fails(what, remedy) } else { place.warns(what, remedy) })
}

fn architecture(file: &File) -> Option<Finding> {
    let lines = file.text.lines().count();
    (lines > ARCHITECTURE_LINES_MAX).then(|| {
        let what = format!("has {lines} lines, at most {ARCHITECTURE_LINES_MAX} are allowed");
        file.line(lines).fails(what, "move details to docs/")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::messages;

    fn check_lines(path: &str, first: &str, lines: usize) -> Vec<String> {
        let text = format!("{first}\n{}", "line\n".repeat(lines - 1));
        messages(&check(&Tree::of(&[(path, &text)])))
    }

    #[test]
    fn long_files_warn_then_fail_unless_they_give_a_reason() {
        for path in ["a.rs", "b.ts", "c.tsx"] {
            assert!(check_lines(path, "//! A", 500).is_empty());
            assert!(check_lines(path, "//! A", 501)[0].contains("warning: has 501 lines"));
            assert!(check_lines(path, "//! A", 801)[0].contains(":801: has 801 lines"));
            assert!(check_lines(path, "//! Long because: a flat table.", 801).is_empty());
        }
        assert!(check_lines("data.json", "{", 5_000).is_empty());
    }

    #[test]
    fn the_architecture_has_at_most_200_lines() {
        assert!(check_lines("ARCHITECTURE.md", "# Map", 200).is_empty());
        assert_eq!(check_lines("ARCHITECTURE.md", "# Map", 201).len(), 1);
    }
}
