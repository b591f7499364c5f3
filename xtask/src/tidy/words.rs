//! Words that must not stay: unfinished work, tests that are switched off, one machine's folders, package hosts.
//!
//! The words stand here in two halves, so that this file passes.

use super::finding::Finding;
use super::tree::{File, Tree};

/// A word, and what to do instead.
type ForbiddenWord = (&'static str, &'static str);

const FINISH: &str = "finish it, or leave it out";
const RUN: &str = "a test runs everywhere or does not exist: mend it, or delete it";
const RELATIVE: &str = "no path outside the repository: pass it in, or use a temporary folder";
const HOST: &str = "hosts belong to lock files and deny.toml: elsewhere name the tool";

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

/// Checks every file's text.
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
        findings.extend(found.map(|(word, remedy)| file.line(number).fails(format!("says `{word}`"), *remedy)));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::messages;

    fn check_text(path: &str, word: &str) -> Vec<String> {
        messages(&check(&Tree::of(&[(path, &format!("one\nfn two() {{ {word} }}\n"))])))
    }

    #[test]
    fn every_word_fails_where_it_stands() {
        for (word, remedy) in IN_SOURCES.iter().chain(IN_ALL).chain(HOSTS) {
            let messages = check_text("crates/x/src/lib.rs", word);
            assert!(
                messages.iter().any(|message| message.ends_with(&format!("lib.rs:2: says `{word}`; {remedy}"))),
                "{messages:?}"
            );
        }
    }

    #[test]
    fn documents_may_speak_of_unfinished_work_but_not_of_folders_and_hosts() {
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
