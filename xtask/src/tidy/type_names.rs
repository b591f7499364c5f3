//! No two crates below `crates/` have a public type of the same name, so that a search finds one type.

use std::collections::BTreeMap;

use super::finding::Finding;
use super::tree::{File, Tree};

const CRATES: &str = "crates/";
/// What precedes the name of a public type.
const PUBLIC_TYPES: &[&str] = &["pub struct ", "pub enum ", "pub trait ", "pub type ", "pub union "];

/// Checks the sources of each crate, except its tests.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut declared: BTreeMap<&str, (&str, String)> = BTreeMap::new();
    let mut findings = Vec::new();
    for (crate_name, file) in tree.below(CRATES).filter_map(|file| Some((crate_of(file)?, file))) {
        for (line, text) in file.lines() {
            let Some(name) = type_in(text) else { continue };
            let place = file.line(line);
            let (first, first_place) = declared.entry(name).or_insert((crate_name, place.to_string()));
            if *first != crate_name {
                let what = format!("the public type `{name}` of `{crate_name}` has the name of a type of `{first}`");
                let remedy =
                    format!("give one of them a name that says whose it is; the other one is at {first_place}");
                findings.push(place.fails(what, remedy));
            }
        }
    }
    findings
}

/// The crate of a source file; `None` for tests.
fn crate_of(file: &File) -> Option<&str> {
    let (crate_name, path) = file.path.strip_prefix(CRATES)?.split_once('/')?;
    let is_source = file.is(&["rs"]) && path.starts_with("src/");
    let is_test = path.split('/').any(|part| matches!(part, "tests" | "tests.rs"));
    (is_source && !is_test).then_some(crate_name)
}

/// The name of the public type that a line declares.
fn type_in(line: &str) -> Option<&str> {
    let text = line.trim_start();
    let declared = PUBLIC_TYPES.iter().find_map(|before| text.strip_prefix(before))?;
    declared.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::messages;

    const LIMITS: (&str, &str) = ("crates/meter/src/limits.rs", "//! L.\npub struct Limits<'a> {}\n");

    fn check_beside(path: &str, text: &str) -> Vec<String> {
        messages(&check(&Tree::from_files(&[LIMITS, (path, text)])))
    }

    #[test]
    fn a_public_name_in_two_crates_fails() {
        for text in [
            "pub struct Limits;",
            "    pub enum Limits {",
            "pub trait Limits<'t>: Sized {}",
            "pub type Limits = u8;",
            "\npub struct Limits(u8);",
        ] {
            let messages = check_beside("crates/proxy/src/a.rs", text);
            assert!(
                messages.len() == 1 && messages[0].contains("crates/meter/src/limits.rs:2"),
                "{text}: {messages:?}"
            );
        }
    }

    #[test]
    fn other_names_and_other_files_pass() {
        for (path, text) in [
            ("crates/proxy/src/a.rs", "pub struct LimitsCache;"),
            ("crates/proxy/src/a.rs", "pub(crate) struct Limits;"),
            ("crates/proxy/src/a.rs", "struct Limits;\n// pub struct Limits;"),
            ("crates/meter/src/other.rs", "pub struct Limits;"),
            ("crates/proxy/src/a/tests.rs", "pub struct Limits;"),
            ("crates/proxy/tests/it/a.rs", "pub struct Limits;"),
            ("e2e/src/a.rs", "pub struct Limits;"),
            ("crates/proxy/src/a.md", "pub struct Limits;"),
        ] {
            assert!(check_beside(path, text).is_empty(), "{path}: {text}");
        }
    }
}
