//! Plain Rust: a `let` binds one value, a condition is an `if`, and the name of a function is more than a preposition.

use super::finding::Finding;
use super::tree::{File, Tree};

/// The names of functions that say nothing at their call.
const PREPOSITIONS: [&str; 4] = ["of", "on", "by", "at"];
/// The spelling of a filter that ignores its value.
const IGNORING: &str = ".filter(|_| ";

/// Checks all Rust files, except for this one, whose tests have examples.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let is_checked = |file: &&File| file.is(&["rs"]) && !file.path.ends_with("tidy/plain.rs");
    tree.files.iter().filter(is_checked).flat_map(|file| [tuples(file), names_and_filters(file)]).flatten().collect()
}

/// The functions that are named by a preposition, and the filters that ignore their value.
fn names_and_filters(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, text) in file.lines() {
        if is_preposition(text) {
            let what = "names a function `of`, `on`, `by` or `at`";
            findings.push(file.line(number).fails(what, "name what the function returns"));
        }
        if text.contains(IGNORING) {
            let what = "ignores the value in `.filter(|_| …)`";
            findings.push(file.line(number).fails(what, "write `if condition { value } else { None }`"));
        }
    }
    findings
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

    fn check_text(text: &str) -> Vec<String> {
        messages(&check(&Tree::from_files(&[("crates/meter/src/a.rs", text)])))
    }

    #[test]
    fn a_let_of_a_tuple_fails() {
        for text in [
            "let (a, b) = (1, 2);",
            "    if let (Some(a), None) = (first, second) {",
            "let (Some(a), Some(b)) =\n    (first, second) else { return };",
        ] {
            let messages = check_text(text);
            assert!(messages.len() == 1 && messages[0].contains("a.rs:1: binds a tuple"), "{text}: {messages:?}");
        }
        for text in ["let (a, b) = pair();", "let a = (1, 2);", "let (a, b) =\n    pair(\n);", "match (a, b) {"] {
            assert!(check_text(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn prepositions_and_ignoring_filters_fail() {
        let text = "fn of() {}\npub fn at(&self) {}\nlet a = b.filter(|_| c);\nfn offer() {}\n";
        let messages = check_text(text);
        assert_eq!(messages.len(), 3, "{messages:?}");
        for (message, expected) in messages.iter().zip(["a.rs:1: names", "a.rs:2: names", "a.rs:3: ignores"]) {
            assert!(message.contains(expected), "{message}");
        }
    }
}
