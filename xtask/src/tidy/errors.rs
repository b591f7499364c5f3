//! Every error code has a page with its status, side and retry, and every page has a code.

use super::finding::Finding;
use super::tree::{File, Tree};

const LIST: &str = "crates/access/src/refusal.rs";
const PAGES: &str = "docs/errors/";
const INDEX: &str = "docs/errors/README.md";

/// An entry of the closed list.
struct ErrorCode<'a> {
    line: usize,
    code: &'a str,
    status: &'a str,
    side: &'a str,
    retry: &'a str,
}

/// Compares the closed list with the pages.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let empty = File { path: LIST.to_owned(), text: String::new() };
    let list = tree.file(LIST).unwrap_or(&empty);
    let codes: Vec<ErrorCode<'_>> = codes(list).collect();
    if codes.is_empty() {
        return vec![
            list.whole().fails("contains no code that tidy can parse", "keep `Name = \"code\", status, Side, Retry;`"),
        ];
    }
    let mut findings: Vec<Finding> = codes.iter().filter_map(|code| page(tree, list, code)).collect();
    for file in tree.below(PAGES).filter(|file| file.path != INDEX) {
        let known = codes.iter().any(|code| file.path == path(code.code));
        if !known {
            findings.push(file.whole().fails("has no error code", format!("delete it, or add the code to {LIST}")));
        }
    }
    findings
}

/// Parses entries of the form `Name = "code", 400, Client, Never;`.
fn codes(list: &File) -> impl Iterator<Item = ErrorCode<'_>> {
    list.lines().filter_map(|(line, text)| {
        let (_, rest) = text.trim().strip_suffix(';')?.split_once(" = \"")?;
        let (code, rest) = rest.split_once("\", ")?;
        let mut words = rest.split(", ");
        Some(ErrorCode { line, code, status: words.next()?, side: words.next()?, retry: words.next()? })
    })
}

fn path(code: &str) -> String {
    format!("{PAGES}{code}.md")
}

fn page(tree: &Tree, list: &File, code: &ErrorCode<'_>) -> Option<Finding> {
    let path = path(code.code);
    let Some(page) = tree.file(&path) else {
        let what = format!("`{}` has no page", code.code);
        return Some(list.line(code.line).fails(what, format!("write {path} like the other pages")));
    };
    let title = format!("# `{}`", code.code);
    let side = code.side.to_lowercase();
    let retry = code.retry.to_lowercase();
    let facts = format!("Status {}, side: {side}, retry: {retry}", code.status);
    for (number, expected_line) in [(1, title), (3, facts)] {
        if page.text.lines().nth(number - 1) != Some(&expected_line) {
            return Some(page.line(number).fails("differs from the list of codes", format!("write `{expected_line}`")));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::messages;

    const REFUSALS: &str = "refusals! {\n    /// Why.\n    BadRequest = \"bad_request\", 400, Client, Never;\n}\n";
    const PAGE: &str = "# `bad_request`\n\nStatus 400, side: client, retry: never\n\nWhat happened.\n";

    fn check_files(files: &[(&str, &str)]) -> Vec<String> {
        messages(&check(&Tree::from_files(files)))
    }

    #[test]
    fn a_code_with_its_page_passes() {
        let index = (INDEX, "# Codes\n");
        assert!(check_files(&[(LIST, REFUSALS), ("docs/errors/bad_request.md", PAGE), index]).is_empty());
    }

    #[test]
    fn a_code_without_a_page_fails_at_the_code() {
        let messages = check_files(&[(LIST, REFUSALS)]);
        assert_eq!(messages.len(), 1);
        assert!(
            messages[0].starts_with("crates/access/src/refusal.rs:3: `bad_request` has no page; write docs/errors/")
        );
    }

    #[test]
    fn a_page_without_a_code_fails() {
        let files = [(LIST, REFUSALS), ("docs/errors/bad_request.md", PAGE), ("docs/errors/gone.md", PAGE)];
        let messages = check_files(&files);
        assert!(
            messages.len() == 1 && messages[0].starts_with("docs/errors/gone.md: has no error code"),
            "{messages:?}"
        );
    }

    #[test]
    fn a_page_with_another_title_status_side_or_retry_fails() {
        for (from, to) in [("bad_", "good_"), ("400", "401"), ("client", "gateway"), ("never", "later")] {
            let page = PAGE.replacen(from, to, 1);
            let messages = check_files(&[(LIST, REFUSALS), ("docs/errors/bad_request.md", &page)]);
            assert!(messages.len() == 1 && messages[0].contains("differs from the list"), "{from}: {messages:?}");
        }
    }

    #[test]
    fn a_list_that_cannot_be_read_fails() {
        assert_eq!(check_files(&[(LIST, "enum Refusal {}")]).len(), 1);
        assert_eq!(check_files(&[]).len(), 1);
    }
}
