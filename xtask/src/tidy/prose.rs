//! The prose of a file: comments and string literals in Rust, text in Markdown.

use super::tree::File;

/// Kinds of prose, to which different rules apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProseKind {
    /// A comment with `//` in Rust.
    Comment,
    /// A comment with `///` or `//!` in Rust.
    DocComment,
    /// A string literal in Rust, outside of tests.
    Literal,
    /// A paragraph, list item, heading or table cell in Markdown.
    Markdown,
}

/// One paragraph of prose.
#[derive(Debug)]
pub(crate) struct Passage {
    pub(crate) kind: ProseKind,
    /// Words in lower case with their line numbers. Inline code is the word [`CODE`].
    pub(crate) words: Vec<ProseWord>,
}

/// One word of prose.
#[derive(Debug)]
pub(crate) struct ProseWord {
    pub(crate) line: usize,
    /// The word in lower case, without punctuation.
    pub(crate) text: String,
    /// Whether a sentence ends after this word.
    pub(crate) ends_sentence: bool,
}

/// Replaces inline code in a passage.
pub(crate) const CODE: &str = "`code`";

/// Every passage of a Rust or Markdown file. Other files have none.
pub(crate) fn passages(file: &File) -> Vec<Passage> {
    let mut passages = if file.is(&["rs"]) {
        rust(file)
    } else if file.is(&["md"]) {
        markdown(file)
    } else {
        Vec::new()
    };
    passages.retain(|passage| !passage.words.is_empty());
    passages
}

fn rust(file: &File) -> Vec<Passage> {
    let is_test = file.path.contains("tests") || file.path.starts_with("e2e/");
    let mut passages: Vec<Passage> = Vec::new();
    let mut open: Option<ProseKind> = None;
    let mut in_tests = is_test;
    for (number, line) in file.lines() {
        let trimmed = line.trim_start();
        in_tests |= trimmed.starts_with("#[cfg(test)]");
        let comment = ["//!", "///", "//"].iter().find_map(|mark| Some((*mark, trimmed.strip_prefix(mark)?)));
        let Some((mark, text)) = comment else {
            open = None;
            if !in_tests {
                passages.extend(literals(trimmed).map(|text| passage(ProseKind::Literal, number, text)));
            }
            continue;
        };
        let kind = if mark == "//" { ProseKind::Comment } else { ProseKind::DocComment };
        let is_break = text.trim().is_empty() || text.trim_start().starts_with(['#', '-', '*', '|', '`']);
        match passages.last_mut() {
            Some(last) if open == Some(kind) && !is_break => push(&mut last.words, number, text),
            _ => passages.push(passage(kind, number, text)),
        }
        open = (!text.trim().is_empty()).then_some(kind);
    }
    passages
}

/// The string literals of one line that have at least three words. Literals over several lines are skipped.
fn literals(line: &str) -> impl Iterator<Item = &str> {
    let code = line.split(" // ").next().unwrap_or(line);
    let texts = code.split('"').skip(1).step_by(2);
    texts.filter(|text| text.split_whitespace().count() >= 3 && !text.contains("WHERE "))
}

fn markdown(file: &File) -> Vec<Passage> {
    let mut passages: Vec<Passage> = Vec::new();
    let mut in_code = false;
    let mut continues = false;
    for (number, line) in file.lines() {
        let trimmed = line.trim();
        if trimmed.starts_with("```") {
            in_code = !in_code;
        }
        if in_code || trimmed.starts_with("```") || trimmed.is_empty() || trimmed.starts_with("<!--") {
            continues = false;
            continue;
        }
        if let Some(row) = trimmed.strip_prefix('|') {
            passages.extend(row.split('|').map(|cell| passage(ProseKind::Markdown, number, cell)));
            continues = false;
            continue;
        }
        let is_heading = trimmed.starts_with('#');
        let is_item = trimmed.starts_with(['-', '*', '>'])
            || trimmed.split_once(". ").is_some_and(|(digits, _)| digits.bytes().all(|byte| byte.is_ascii_digit()));
        match passages.last_mut() {
            Some(last) if continues && !is_heading && !is_item => push(&mut last.words, number, trimmed),
            _ => passages.push(passage(ProseKind::Markdown, number, trimmed)),
        }
        continues = !is_heading;
    }
    passages
}

fn passage(kind: ProseKind, line: usize, text: &str) -> Passage {
    let mut words = Vec::new();
    push(&mut words, line, text);
    Passage { kind, words }
}

fn push(words: &mut Vec<ProseWord>, line: usize, text: &str) {
    for (index, part) in text.split('`').enumerate() {
        if index % 2 == 1 {
            words.push(ProseWord { line, text: CODE.to_owned(), ends_sentence: false });
            continue;
        }
        for token in part.split_whitespace() {
            let is_end = token.trim_end_matches(['"', ')', '*', '_', '\'']).ends_with(['.', '!', '?', ':', ';']);
            let is_short = matches!(token, "e.g." | "i.e." | "etc." | "vs.");
            let text: String = token.trim_matches(|letter: char| !letter.is_alphanumeric()).to_lowercase();
            match words.last_mut() {
                Some(last) if text.is_empty() => last.ends_sentence |= is_end,
                _ if text.is_empty() => {}
                _ => words.push(ProseWord { line, text, ends_sentence: is_end && !is_short }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::Tree;

    fn check(path: &str, text: &str, expected: &[(ProseKind, &str)]) {
        let tree = Tree::from_files(&[(path, text)]);
        let found: Vec<(ProseKind, String)> = passages(&tree.files[0])
            .into_iter()
            .map(|passage| {
                let words: Vec<&str> = passage.words.iter().map(|word| word.text.as_str()).collect();
                (passage.kind, words.join(" "))
            })
            .collect();
        let found: Vec<(ProseKind, &str)> = found.iter().map(|(kind, text)| (*kind, text.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn rust_has_comments_and_literals_but_no_literals_of_tests() {
        let text = "//! One `thing`\n//! goes.\n\n/// Two.\nfn f() { g(\"three words here\", \"x\") } // trailing\n#[cfg(test)]\nmod tests { \"not read at all\" }\n// Four\n// five\n";
        let expected = [
            (ProseKind::DocComment, "one `code` goes"),
            (ProseKind::DocComment, "two"),
            (ProseKind::Literal, "three words here"),
            (ProseKind::Comment, "four five"),
        ];
        check("crates/x/src/lib.rs", text, &expected);
    }

    #[test]
    fn markdown_has_paragraphs_items_cells_and_headings_but_no_code() {
        let text = "# Head\nOne\ntwo.\n\n- item\n  goes on\n\n```sh\nmake run\n```\n| a | b c |\n";
        let expected = [
            (ProseKind::Markdown, "head"),
            (ProseKind::Markdown, "one two"),
            (ProseKind::Markdown, "item goes on"),
            (ProseKind::Markdown, "a"),
            (ProseKind::Markdown, "b c"),
        ];
        check("docs/page.md", text, &expected);
    }

    #[test]
    fn sentences_end_with_their_punctuation() {
        let tree = Tree::from_files(&[("a.md", "One (two). Three, e.g. four: `five`.")]);
        let passages = passages(&tree.files[0]);
        let ends: Vec<&str> =
            passages[0].words.iter().filter(|word| word.ends_sentence).map(|word| word.text.as_str()).collect();
        assert_eq!(ends, ["two", "four", CODE]);
    }
}
