//! Every guarantee names tests, and each of them exists; so do those of the pages on security, and each requirement that is
//! met there names a test or a page.

use super::finding::Finding;
use super::tree::{File, Tree};

const PAGE: &str = "docs/guarantees.md";
/// The pages on security.
const SECURITY: &str = "docs/security/";
/// The cell of a requirement that is met.
const MET: &str = " | met |";
/// The beginning of the paragraph that names a guarantee's tests.
const SHOWN_BY: &str = "**Shown by**";

/// Checks the page `docs/guarantees.md`, and those on security.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for page in tree.below(SECURITY).chain(tree.file(PAGE)) {
        findings.extend(tests(page).filter_map(|test| missing(tree, page, test)));
    }
    findings.extend(tree.below(SECURITY).flat_map(unproven));
    findings.extend(tree.file(PAGE).into_iter().flat_map(unshown));
    findings
}

/// Rows of requirements that are met without a test or a page.
fn unproven(page: &File) -> Vec<Finding> {
    let rows = page.lines().filter(|(_, line)| line.contains(MET));
    let proven = |note: &str| note.contains(".rs::") || note.contains("](");
    let unproven = rows.filter(|(_, line)| !line.split_once(MET).is_some_and(|(_, note)| proven(note)));
    unproven.map(|(number, _)| page.line(number).fails("is met without a test or a page", "name one")).collect()
}

/// A test that the page names, and the line that names it.
#[derive(Clone, Copy)]
struct NamedTest<'a> {
    line: usize,
    path: &'a str,
    name: &'a str,
}

/// Tests that the page names as `path.rs::name`.
fn tests(page: &File) -> impl Iterator<Item = NamedTest<'_>> {
    page.lines().flat_map(|(number, line)| {
        let quoted = line.split('`').skip(1).step_by(2);
        quoted.filter_map(move |quoted| {
            let (path, name) = quoted.split_once("::")?;
            path.ends_with(".rs").then_some(NamedTest { line: number, path, name })
        })
    })
}

fn missing(tree: &Tree, page: &File, test: NamedTest<'_>) -> Option<Finding> {
    let NamedTest { line, path, name } = test;
    let file = tree.file(path);
    let text = file.map_or("", |file| &file.text);
    // The arguments of a property test may follow the name.
    let there = text.contains(&format!("fn {name}("));
    let what = format!("names the test {path}::{name}, which does not exist");
    (!there).then(|| page.line(line).fails(what, "name an existing test, or remove the guarantee"))
}

/// Guarantees (sections of the third level) without a test.
fn unshown(page: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut claim: Option<(usize, &str, bool)> = None;
    let mut close = |claim: Option<(usize, &str, bool)>| {
        if let Some((line, title, false)) = claim {
            let what = format!("guarantees \"{title}\" and names no test");
            findings.push(page.line(line).fails(what, format!("add a paragraph that begins with {SHOWN_BY}")));
        }
    };
    let mut shows = false;
    for (number, line) in page.lines() {
        if line.starts_with('#') {
            close(claim.take());
            claim = line.strip_prefix("### ").map(|title| (number, title, false));
        }
        shows = line.starts_with(SHOWN_BY) || shows && !line.trim().is_empty() && !line.starts_with('#');
        if let Some((_, _, shown)) = &mut claim {
            *shown |= shows && line.contains(".rs::");
        }
    }
    close(claim);
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::messages;

    const TESTS: (&str, &str) =
        ("crates/a/src/b.rs", "#[test]\nfn it_holds() {}\nasync fn that_too(world: &World) {}\n");

    fn check(page: &str) -> Vec<String> {
        messages(&super::check(&Tree::of(&[("docs/guarantees.md", page), TESTS])))
    }

    #[test]
    fn a_guarantee_with_existing_tests_passes() {
        let page = "# Guarantees\n## Part\n### Nothing is lost\nText.\n\n**Shown by** `crates/a/src/b.rs::it_holds`,\n\
                    `crates/a/src/b.rs::that_too`.\n\n## More\n";
        assert_eq!(check(page), Vec::<String>::new());
        assert!(super::check(&Tree::of(&[TESTS])).is_empty());
    }

    #[test]
    fn a_missing_test_fails() {
        for gone in ["crates/a/src/b.rs::it_hold", "crates/a/src/c.rs::it_holds"] {
            let messages = check(&format!("### Claim\n**Shown by** `{gone}`\n"));
            let expected = format!(
                "docs/guarantees.md:2: names the test {gone}, which does not exist; name an existing test, or remove the guarantee"
            );
            assert_eq!(messages, [expected]);
        }
    }

    #[test]
    fn a_requirement_that_is_met_names_an_existing_test_or_a_page() {
        let check = |row: &str| messages(&super::check(&Tree::of(&[("docs/security/a.md", row), TESTS])));
        for row in [
            "| 1 | x | met | `crates/a/src/b.rs::it_holds` |",
            "| 1 | x | met | [page](b.md) |",
            "| 1 | x | not met | none |",
        ] {
            assert_eq!(check(row), Vec::<String>::new());
        }
        for (row, expected) in [
            ("| 1 | x | met | it is |", "is met without a test or a page"),
            ("| 1 | x | met | `crates/a/src/b.rs::gone` |", "names the test crates/a/src/b.rs::gone"),
        ] {
            let messages = check(row);
            assert!(messages.len() == 1 && messages[0].contains(expected), "{messages:?}");
        }
    }

    #[test]
    fn a_guarantee_without_a_test_fails() {
        let messages = check(
            "### One\n**Shown by** `crates/a/src/b.rs::it_holds`\n### Two\nIt does: `crates/a/src/b.rs::it_holds`.\n",
        );
        let expected =
            "docs/guarantees.md:3: guarantees \"Two\" and names no test; add a paragraph that begins with **Shown by**";
        assert_eq!(messages, [expected]);
    }
}
