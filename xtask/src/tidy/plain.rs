//! Plain Rust: a `let` binds one value, a condition is an `if`, and the name of a function is more than a preposition.
//!
//! Two rules have exceptions that are counted per folder. The counts may only fall.

use std::collections::BTreeMap;

use super::finding::Finding;
use super::tree::{File, Tree};

/// The names of functions that say nothing at their call.
const PREPOSITIONS: [&str; 4] = ["of", "on", "by", "at"];
/// The spelling of a filter that ignores its value.
const IGNORING: &str = ".filter(|_| ";
/// The exceptions that remain.
const ALLOWED: &[Allowance] = &[
];

/// The exceptions of a crate, or of a folder at the root.
struct Allowance {
    folder: &'static str,
    /// Functions with a preposition as their name.
    prepositions: usize,
    /// Filters that ignore their value.
    filters: usize,
}

/// The counts of a folder.
#[derive(Default)]
struct Count {
    prepositions: usize,
    filters: usize,
}

/// Checks all Rust files.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    check_with(tree, ALLOWED)
}

fn check_with(tree: &Tree, allowances: &[Allowance]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut counts: BTreeMap<&str, (&File, Count)> = BTreeMap::new();
    for file in tree.files.iter().filter(|file| file.is(&["rs"]) && !file.path.ends_with("tidy/plain.rs")) {
        findings.extend(tuples(file));
        let (_, count) = counts.entry(folder(&file.path)).or_insert_with(|| (file, Count::default()));
        count.prepositions += file.text.lines().filter(|line| is_preposition(line)).count();
        count.filters += file.text.matches(IGNORING).count();
    }
    for (name, (file, count)) in counts {
        let allowed = allowances.iter().find(|allowance| allowance.folder == name);
        let prepositions = allowed.map_or(0, |allowance| allowance.prepositions);
        let filters = allowed.map_or(0, |allowance| allowance.filters);
        let rules = [
            ("functions named of, on, by or at", count.prepositions, prepositions, "name what the function returns"),
            ("`.filter(|_| …)`", count.filters, filters, "write `if condition { value } else { None }`"),
        ];
        for (what, found, allowed, remedy) in rules {
            if found > allowed {
                let what = format!("`{name}` has {found} {what}, at most {allowed} are allowed");
                findings.push(file.whole().fails(what, remedy));
            } else if found < allowed {
                let what = format!("`{name}` has {found} {what}, and {allowed} are allowed");
                findings.push(file.whole().fails(what, format!("write {found} into `xtask/src/tidy/plain.rs`")));
            }
        }
    }
    findings
}

/// The crate of a file, or its folder at the root.
fn folder(path: &str) -> &str {
    let below = path.strip_prefix("crates/").unwrap_or(path);
    below.split('/').next().unwrap_or(below)
}

/// Whether a line begins a function that is named by a preposition.
fn is_preposition(line: &str) -> bool {
    let Some((before, after)) = line.split_once("fn ") else { return false };
    let name = after.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next().unwrap_or_default();
    PREPOSITIONS.contains(&name) && !before.contains("//")
}

/// The statements `let (a, b) = (x, y)`, on one line or two.
fn tuples(file: &File) -> Vec<Finding> {
    let mut lines = file.lines().peekable();
    let mut findings = Vec::new();
    while let Some((number, text)) = lines.next() {
        let Some((_, pattern)) = text.split_once("let (") else { continue };
        let follows = lines.peek().is_some_and(|(_, next)| next.trim_start().starts_with('('));
        if pattern.contains(") = (") || (pattern.ends_with(") =") && follows) {
            let remedy = "write one `let` for each name, or `if let … && let …`";
            findings.push(file.line(number).fails("binds a tuple of values", remedy));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::messages;

    fn check_text(text: &str, allowances: &[Allowance]) -> Vec<String> {
        messages(&check_with(&Tree::from_files(&[("crates/meter/src/a.rs", text)]), allowances))
    }

    #[test]
    fn a_let_of_a_tuple_fails() {
        for text in [
            "let (a, b) = (1, 2);",
            "    if let (Some(a), None) = (first, second) {",
            "let (Some(a), Some(b)) =\n    (first, second) else { return };",
        ] {
            let messages = check_text(text, &[]);
            assert!(messages.len() == 1 && messages[0].contains("a.rs:1: binds a tuple"), "{text}: {messages:?}");
        }
        for text in ["let (a, b) = pair();", "let a = (1, 2);", "let (a, b) =\n    pair(\n);", "match (a, b) {"] {
            assert!(check_text(text, &[]).is_empty(), "{text}");
        }
    }

    #[test]
    fn prepositions_and_ignoring_filters_are_counted_per_crate() {
        let text = "fn of() {}\npub fn at(&self) {}\nlet a = b.filter(|_| c);\nfn offer() {}\n";
        assert_eq!(check_text(text, &[]).len(), 2);
        let allowed = |prepositions, filters| [Allowance { folder: "meter", prepositions, filters }];
        assert!(check_text(text, &allowed(2, 1)).is_empty());
        let fell = check_text(text, &allowed(3, 1));
        assert!(fell.len() == 1 && fell[0].contains("write 2 into"), "{fell:?}");
    }
}
