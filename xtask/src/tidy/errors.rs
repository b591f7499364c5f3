//! Every error code has a section of the page `docs/errors.md` with its status, side and retry, and a link in the list of
//! that page. Every section has a code, and the sections are sorted.

use super::finding::Finding;
use super::tree::{File, Tree};

const LIST: &str = "crates/access/src/refusal.rs";
const PAGE: &str = "docs/errors.md";
/// The beginning of the heading of a section.
const HEADING: &str = "### `";

/// An entry of the closed list.
struct ErrorCode<'a> {
    line: usize,
    code: &'a str,
    status: &'a str,
    side: &'a str,
    retry: &'a str,
}

/// A section of the page.
struct Section<'a> {
    line: usize,
    code: &'a str,
}

/// Compares the closed list with the page.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let empty_list = File { path: LIST.to_owned(), text: String::new() };
    let list = tree.file(LIST).unwrap_or(&empty_list);
    let codes: Vec<ErrorCode<'_>> = codes(list).collect();
    if codes.is_empty() {
        return vec![
            list.whole().fails("contains no code that tidy can parse", "keep `Name = \"code\", status, Side, Retry;`"),
        ];
    }
    let empty_page = File { path: PAGE.to_owned(), text: String::new() };
    let page = tree.file(PAGE).unwrap_or(&empty_page);
    let sections: Vec<Section<'_>> = sections(page).collect();
    let mut findings: Vec<Finding> = codes.iter().filter_map(|code| section(list, page, &sections, code)).collect();
    findings.extend(codes.iter().filter_map(|code| unlisted(page, code)));
    for section in &sections {
        if !codes.iter().any(|code| section.code == code.code) {
            let what = format!("`{}` is no error code", section.code);
            findings.push(page.line(section.line).fails(what, format!("delete it, or add the code to {LIST}")));
        }
    }
    for pair in sections.windows(2) {
        if let [before, after] = pair
            && before.code >= after.code
        {
            let what = format!("`{}` follows `{}`", after.code, before.code);
            findings.push(page.line(after.line).fails(what, "sort the sections by code"));
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

fn sections(page: &File) -> impl Iterator<Item = Section<'_>> {
    page.lines().filter_map(|(line, text)| {
        let code = text.strip_prefix(HEADING)?.strip_suffix('`')?;
        Some(Section { line, code })
    })
}

/// Checks the section of a code.
fn section(list: &File, page: &File, sections: &[Section<'_>], code: &ErrorCode<'_>) -> Option<Finding> {
    let Some(section) = sections.iter().find(|section| section.code == code.code) else {
        let what = format!("`{}` has no section", code.code);
        return Some(list.line(code.line).fails(what, format!("write one in {PAGE} like the others")));
    };
    let side = code.side.to_lowercase();
    let retry = code.retry.to_lowercase();
    let facts = format!("Status {}, side: {side}, retry: {retry}", code.status);
    // The line of the heading is counted from 1, and an empty line follows it.
    let is_equal = page.text.lines().nth(section.line + 1) == Some(&facts);
    let place = page.line(section.line + 2);
    (!is_equal).then(|| place.fails("differs from the list of codes", format!("write `{facts}`")))
}

/// Checks the link of a code in the list at the beginning of the page, in the line of its status.
fn unlisted(page: &File, code: &ErrorCode<'_>) -> Option<Finding> {
    let start = format!("- {}: ", code.status);
    let link = format!("[`{0}`](#{0})", code.code);
    let is_listed = page.lines().any(|(_, line)| line.starts_with(&start) && line.contains(&link));
    let what = format!("the line `{start}…` does not link to `{}`", code.code);
    (!is_listed).then(|| page.whole().fails(what, format!("add {link}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::messages;

    const REFUSALS: &str = "refusals! {\n    /// Why.\n    BadRequest = \"bad_request\", 400, Client, Never;\n}\n";
    const TEXT: &str = "# Codes\n\n- 400: [`bad_request`](#bad_request)\n\n### `bad_request`\n\n\
                        Status 400, side: client, retry: never\n\nWhat happened.\n";

    fn check_files(files: &[(&str, &str)]) -> Vec<String> {
        messages(&check(&Tree::from_files(files)))
    }

    #[test]
    fn a_code_with_its_section_passes() {
        assert_eq!(check_files(&[(LIST, REFUSALS), (PAGE, TEXT)]), Vec::<String>::new());
    }

    #[test]
    fn a_code_without_a_section_fails_at_the_code() {
        let start = "crates/access/src/refusal.rs:3: `bad_request` has no section; write one in docs/errors.md";
        let messages = check_files(&[(LIST, REFUSALS)]);
        assert!(messages.len() == 2 && messages[0].starts_with(start), "{messages:?}");
        let text = TEXT.replace("### ", "## ");
        let messages = check_files(&[(LIST, REFUSALS), (PAGE, &text)]);
        assert!(messages.len() == 1 && messages[0].starts_with(start), "{messages:?}");
    }

    #[test]
    fn a_code_outside_the_list_of_its_status_fails() {
        for (from, to) in [("- 400", "- 401"), ("](#bad_request)", "](#good_request)"), ("- 400: ", "400: ")] {
            let text = TEXT.replacen(from, to, 1);
            let expected =
                "docs/errors.md: the line `- 400: …` does not link to `bad_request`; add [`bad_request`](#bad_request)";
            assert_eq!(check_files(&[(LIST, REFUSALS), (PAGE, &text)]), [expected], "{from}");
        }
    }

    #[test]
    fn a_section_without_a_code_or_out_of_order_fails() {
        let gone = format!("{TEXT}\n### `gone`\n");
        let message =
            "docs/errors.md:11: `gone` is no error code; delete it, or add the code to crates/access/src/refusal.rs";
        assert_eq!(check_files(&[(LIST, REFUSALS), (PAGE, &gone)]), [message]);
        let twice = format!("{TEXT}\n### `bad_request`\n");
        let message = "docs/errors.md:11: `bad_request` follows `bad_request`; sort the sections by code";
        assert_eq!(check_files(&[(LIST, REFUSALS), (PAGE, &twice)]), [message]);
    }

    #[test]
    fn a_section_with_another_status_side_or_retry_fails() {
        for (from, to) in [("Status 400", "Status 401"), ("client", "gateway"), ("never", "later"), ("`\n\nS", "`\nS")]
        {
            let text = TEXT.replacen(from, to, 1);
            let expected =
                "docs/errors.md:7: differs from the list of codes; write `Status 400, side: client, retry: never`";
            assert_eq!(check_files(&[(LIST, REFUSALS), (PAGE, &text)]), [expected], "{from}");
        }
    }

    #[test]
    fn a_list_that_cannot_be_read_fails() {
        assert_eq!(check_files(&[(LIST, "enum Refusal {}")]).len(), 1);
        assert_eq!(check_files(&[]).len(), 1);
    }
}
