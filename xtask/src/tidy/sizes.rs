//! File sizes: 300 lines are the aim, and more than 550 a failure. A crate has at most 20 modules at its top.

use std::collections::BTreeSet;

use super::finding::Finding;
use super::tree::{File, Tree};

const LINES_MAX: usize = 550;
const ARCHITECTURE_LINES_MAX: usize = 200;
/// Modules that a reader sees first. More belong into the folders of their layers.
const TOP_MODULES_MAX: usize = 20;
const REASON: &str = "Long because: ";

/// Checks source files, the size of `ARCHITECTURE.md`, and the number of modules at the top of each crate.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let sources = tree.files.iter().filter(|file| file.is(&["rs", "ts", "tsx"]));
    let documents = tree.file("ARCHITECTURE.md").and_then(architecture);
    let libraries =
        tree.files.iter().filter(|file| file.path.starts_with("crates/") && file.path.ends_with("/src/lib.rs"));
    sources.filter_map(source).chain(documents).chain(libraries.filter_map(|library| top(tree, library))).collect()
}

/// Checks the number of modules at the top of a crate. A file and the folder of its children are one module.
fn top(tree: &Tree, library: &File) -> Option<Finding> {
    let folder = library.path.strip_suffix("lib.rs")?;
    let below = tree.files.iter().filter_map(|file| file.path.strip_prefix(folder));
    let modules: BTreeSet<&str> =
        below.filter_map(|path| path.split(['/', '.']).next()).filter(|module| *module != "lib").collect();
    (modules.len() > TOP_MODULES_MAX).then(|| {
        let what = format!("has {} modules, at most {TOP_MODULES_MAX} are allowed", modules.len());
        library.whole().fails(what, "move the new module into the folder of its layer")
    })
}

fn source(file: &File) -> Option<Finding> {
    let lines = file.text.lines().count();
    let has_reason = file.text.lines().next().is_some_and(|first| first.contains(REASON));
    if lines <= LINES_MAX || has_reason {
        return None;
    }
    let what = format!("has {lines} lines, at most {LINES_MAX} are allowed");
    let remedy = format!("split it, or begin it with `//! {REASON}…`");
    Some(file.line(lines).fails(what, remedy))
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
        messages(&check(&Tree::from_files(&[(path, &text)])))
    }

    #[test]
    fn long_files_fail_unless_they_give_a_reason() {
        for path in ["a.rs", "b.ts", "c.tsx"] {
            assert!(check_lines(path, "//! A", 550).is_empty());
            assert!(check_lines(path, "//! A", 551)[0].contains(":551: has 551 lines"));
            assert!(check_lines(path, "//! Long because: a flat table.", 801).is_empty());
        }
        assert!(check_lines("data.json", "{", 5_000).is_empty());
    }

    #[test]
    fn a_crate_has_at_most_20_modules_at_its_top() {
        let files = |count: usize| -> Vec<(String, &str)> {
            let modules =
                (0..count).flat_map(|nth| [format!("crates/a/src/m{nth}.rs"), format!("crates/a/src/m{nth}/part.rs")]);
            modules.chain(["crates/a/src/lib.rs".to_owned()]).map(|path| (path, "")).collect()
        };
        let check = |files: &[(String, &str)]| {
            let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
            messages(&check(&Tree::from_files(&files))).len()
        };
        assert_eq!(check(&files(20)), 0);
        assert_eq!(check(&files(21)), 1);
    }

    #[test]
    fn the_architecture_has_at_most_200_lines() {
        assert!(check_lines("ARCHITECTURE.md", "# Map", 200).is_empty());
        assert_eq!(check_lines("ARCHITECTURE.md", "# Map", 201).len(), 1);
    }
}
