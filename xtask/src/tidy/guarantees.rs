//! Every guarantee has a row with tests in the appendix, and each of them exists; so do those of the pages on security, and
//! each requirement in `e2e/asvs.md` names a test or a page.

use super::finding::Finding;
use super::tree::{File, Tree};

const PAGE: &str = "docs/guarantees.md";
/// The list of the tests that show each guarantee.
const APPENDIX: &str = "e2e/guarantees.md";
/// The pages on security.
const SECURITY: &str = "docs/security/";
/// The requirements that are met, with their tests.
const REQUIREMENTS: &str = "e2e/asvs.md";
/// The section of requirements that are met.
const MET: &str = "## Met";
/// Checks the page `docs/guarantees.md` with its appendix, and the pages on security.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for page in tree.below(SECURITY).chain(tree.file(REQUIREMENTS)).chain(tree.file(APPENDIX)) {
        findings.extend(tests(page).filter_map(|test| missing(tree, page, test)));
    }
    findings.extend(tree.file(REQUIREMENTS).into_iter().flat_map(unproven));
    findings.extend(tree.file(PAGE).into_iter().flat_map(|page| unshown(tree, page)));
    findings
}

/// Rows of requirements that are met without a test or a page.
fn unproven(page: &File) -> Vec<Finding> {
    let section = page.lines().skip_while(|(_, line)| *line != MET).skip(1);
    let section = section.take_while(|(_, line)| !line.starts_with("## "));
    let rows = section.filter(|(_, line)| line.starts_with("- "));
    let unproven = rows.filter(|(_, line)| !line.contains(".rs::") && !line.contains("]("));
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

/// Guarantees (sections of the third level) without a row in the appendix, and rows without a guarantee.
fn unshown(tree: &Tree, page: &File) -> Vec<Finding> {
    let claims: Vec<(usize, &str)> =
        page.lines().filter_map(|(number, line)| Some((number, line.strip_prefix("### ")?))).collect();
    let rows: Vec<(usize, &str)> = tree.file(APPENDIX).into_iter().flat_map(rows).collect();
    let unshown = claims.iter().filter(|(_, claim)| rows.iter().all(|(_, title)| title != claim));
    let mut findings: Vec<Finding> = unshown
        .map(|(number, claim)| {
            let what = format!("guarantees \"{claim}\" and names no test");
            page.line(*number).fails(what, format!("add a row with its tests to {APPENDIX}"))
        })
        .collect();
    let unclaimed = rows.iter().filter(|(_, title)| claims.iter().all(|(_, claim)| claim != title));
    findings.extend(unclaimed.filter_map(|(number, title)| {
        let what = format!("has tests of \"{title}\", which {PAGE} does not guarantee");
        Some(tree.file(APPENDIX)?.line(*number).fails(what, "correct the title, or remove the row"))
    }));
    findings
}

/// The titles of rows that name tests, with their line numbers.
fn rows(appendix: &File) -> impl Iterator<Item = (usize, &str)> {
    appendix.lines().filter_map(|(number, line)| {
        let (title, tests) = line.strip_prefix("- ")?.split_once(": `")?;
        tests.contains(".rs::").then_some((number, title))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::messages;

    const TESTS: (&str, &str) =
        ("crates/a/src/b.rs", "#[test]\nfn it_holds() {}\nasync fn that_too(world: &World) {}\n");

    fn check(appendix: &str) -> Vec<String> {
        let page = ("docs/guarantees.md", "# Guarantees\n## Part\n### Nothing is lost\nText.\n\n## More\n");
        messages(&super::check(&Tree::from_files(&[page, ("e2e/guarantees.md", appendix), TESTS])))
    }

    #[test]
    fn a_guarantee_with_existing_tests_passes() {
        let row = "- Nothing is lost: `crates/a/src/b.rs::it_holds`<br>`crates/a/src/b.rs::that_too`\n";
        assert_eq!(check(row), Vec::<String>::new());
        assert!(super::check(&Tree::from_files(&[TESTS])).is_empty());
    }

    #[test]
    fn a_missing_test_fails() {
        for gone in ["crates/a/src/b.rs::it_hold", "crates/a/src/c.rs::it_holds"] {
            let messages = check(&format!("Tests:\n- Nothing is lost: `{gone}`\n"));
            let expected = format!(
                "e2e/guarantees.md:2: names the test {gone}, which does not exist; name an existing test, or remove the \
                 guarantee"
            );
            assert_eq!(messages, [expected]);
        }
    }

    #[test]
    fn a_requirement_that_is_met_names_an_existing_test_or_a_page() {
        let check = |rows: &str| messages(&super::check(&Tree::from_files(&[(REQUIREMENTS, rows), TESTS])));
        for row in [
            "## Met\n- 1 x: `crates/a/src/b.rs::it_holds`",
            "## Met\n\n- 1 x: [page](b.md)\n\n## Not met\n\n- 2 x: no test",
        ] {
            assert_eq!(check(row), Vec::<String>::new());
        }
        for (row, expected) in [
            ("## Met\n- 1 x: it is\n## Not met", "is met without a test or a page"),
            ("## Met\n- 1 x: `crates/a/src/b.rs::gone`", "names the test crates/a/src/b.rs::gone"),
        ] {
            let messages = check(row);
            assert!(messages.len() == 1 && messages[0].contains(expected), "{messages:?}");
        }
    }

    #[test]
    fn a_guarantee_without_a_row_and_a_row_without_a_guarantee_fail() {
        let expected = "docs/guarantees.md:3: guarantees \"Nothing is lost\" and names no test; add a row with its tests to \
                        e2e/guarantees.md";
        for row in ["", "- Nothing is lost: it is\n"] {
            assert_eq!(check(row), [expected]);
        }
        let messages = check("- Nothing is found: `crates/a/src/b.rs::it_holds`\n");
        let row = "e2e/guarantees.md:1: has tests of \"Nothing is found\", which docs/guarantees.md does not guarantee; \
                   correct the title, or remove the row";
        assert_eq!(messages, [expected, row]);
    }
}
