//! Forbidden words: unfinished work, disabled tests, folders of one machine, hosts of package registries.
//!
//! Each word is split in two here, so that this file passes.

use super::finding::Finding;
use super::tree::{File, Tree};

/// A word, and the remedy.
type ForbiddenWord = (&'static str, &'static str);

const FINISH: &str = "finish it or remove it";
const RUN: &str = "tests must run everywhere: fix it or delete it";
const RELATIVE: &str = "do not use paths outside the repository: pass the path in, or use a temporary folder";
const HOST: &str = "name the tool; only lock files and deny.toml may name hosts";

const IN_SOURCES: &[ForbiddenWord] = &[
    (concat!("to", "do!"), FINISH),
    (concat!("unimple", "mented!"), FINISH),
    (concat!("TO", "DO"), FINISH),
    (concat!("FIX", "ME"), FINISH),
    (concat!("#[ig", "nore"), RUN),
    (concat!("it.sk", "ip("), RUN),
    (concat!("test.sk", "ip("), RUN),
    (concat!("describe.sk", "ip("), RUN),
];

const IN_ALL: &[ForbiddenWord] =
    &[(concat!("/wo", "rk/"), RELATIVE), (concat!("/ro", "ot/"), RELATIVE), (concat!("../sha", "red"), RELATIVE)];

const HOSTS: &[ForbiddenWord] = &[
    (concat!("crates", ".io"), HOST),
    (concat!("registry.npm", "js.org"), HOST),
    (concat!("registry.yarn", "pkg.com"), HOST),
    (concat!("py", "pi.org"), HOST),
    (concat!("python", "hosted.org"), HOST),
    (concat!("proxy.gol", "ang.org"), HOST),
    (concat!("deb.deb", "ian.org"), HOST),
];

const SOURCES: &[&str] = &["rs", "ts", "tsx", "js", "mjs", "sh", "sql", "toml", "yaml", "yml"];
const LOCKS: &[&str] = &["Cargo.lock", "package-lock.json"];

/// Checks the text of every file.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| !LOCKS.contains(&file.name())) {
        findings.extend(search(file, IN_ALL));
        if file.is(SOURCES) {
            findings.extend(search(file, IN_SOURCES));
        }
        if file.path != "deny.toml" {
            findings.extend(search(file, HOSTS));
        }
    }
    findings
}

fn search(file: &File, words: &[ForbiddenWord]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in file.lines() {
        let found = words.iter().filter(|(word, _)| line.contains(word));
        findings.extend(found.map(|(word, remedy)| file.line(number).fails(format!("contains `{word}`"), *remedy)));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::messages;

    fn check_text(path: &str, word: &str) -> Vec<String> {
        messages(&check(&Tree::from_files(&[(path, &format!("one\nfn two() {{ {word} }}\n"))])))
    }

    #[test]
    fn every_word_fails_at_its_line() {
        for (word, remedy) in IN_SOURCES.iter().chain(IN_ALL).chain(HOSTS) {
            let messages = check_text("crates/x/src/lib.rs", word);
            assert!(
                messages.iter().any(|message| message.ends_with(&format!("lib.rs:2: contains `{word}`; {remedy}"))),
                "{messages:?}"
            );
        }
    }

    #[test]
    fn documents_may_mention_unfinished_work_but_no_folders_and_hosts() {
        for (word, _) in IN_SOURCES {
            assert!(check_text("docs/page.md", word).is_empty(), "{word}");
        }
        for (word, _) in IN_ALL.iter().chain(HOSTS) {
            assert_eq!(check_text("docs/page.md", word).len(), 1, "{word}");
        }
    }

    #[test]
    fn lock_files_and_the_list_of_sources_may_name_hosts() {
        for (word, _) in HOSTS {
            for path in ["Cargo.lock", "e2e/sdk/package-lock.json", "deny.toml"] {
                assert!(check_text(path, word).is_empty(), "{path} {word}");
            }
        }
    }
}
