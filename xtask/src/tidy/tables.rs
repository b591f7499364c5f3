//! Rule: no blank line divides a table of a document. It would end the table, and the rows after it would be shown as text.

use super::finding::Finding;
use super::tree::{File, Tree};

/// Checks every Markdown file.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    tree.files.iter().filter(|file| file.is(&["md"])).flat_map(divided_tables).collect()
}

/// Rows that follow other rows after a blank line, and do not begin a table.
fn divided_tables(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut follows_rows = false;
    let mut follows_blank = false;
    let mut lines = file.prose_lines().peekable();
    while let Some((number, line)) = lines.next() {
        let is_row = line.trim().starts_with('|');
        let is_blank = line.trim().is_empty();
        let begins = lines.peek().is_some_and(|(_, next)| is_delimiter(next));
        if is_row && follows_rows && follows_blank && !begins {
            findings
                .push(file.line(number).fails("has a blank line before this row of a table", "delete the blank line"));
        }
        follows_rows = is_row || (is_blank && follows_rows);
        follows_blank = is_blank;
    }
    findings
}

/// Whether the line divides the head of a table from its rows.
fn is_delimiter(line: &str) -> bool {
    let line = line.trim();
    line.starts_with('|') && line.contains('-') && line.chars().all(|c| matches!(c, '|' | '-' | ':' | ' '))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::messages;

    fn check_text(text: &str) -> Vec<String> {
        messages(&check(&Tree::from_files(&[("docs/page.md", text), ("crates/x/src/lib.rs", text)])))
    }

    #[test]
    fn a_blank_line_inside_a_table_fails() {
        let expected =
            |line| format!("docs/page.md:{line}: has a blank line before this row of a table; delete the blank line");
        assert_eq!(check_text("| a | b |\n|---|--:|\n| 1 | 2 |\n\n| 3 | 4 |\n| 5 | 6 |\n"), [expected(5)]);
        assert_eq!(check_text("| a |\n|---|\n| 1 |\n\n \n| 2 |\n\n| 3 |\n"), [expected(6), expected(8)]);
        assert_eq!(check_text("| a |\n\n|---|\n| 1 |\n"), [expected(3)]);
    }

    #[test]
    fn tables_after_each_other_and_rows_of_code_pass() {
        let tables = "| a |\n|---|\n| 1 |\n\n| b |\n|:--|\n| 2 |\n\nText.\n\n| a row without a head |\n";
        assert_eq!(check_text(tables), Vec::<String>::new());
        assert_eq!(check_text("| a |\n|---|\n| 1 |\n\n```text\n| 1 |\n\n| 2 |\n```\n"), Vec::<String>::new());
    }
}
