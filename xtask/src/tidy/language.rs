//! Plain technical English: hard-to-read patterns, long sentences, empty doc comments, vague type names.
//!
//! `docs/glossary.md` lists the terms to use instead.

use std::collections::BTreeMap;

use super::finding::Finding;
use super::prose::{self, Passage, ProseKind, ProseWord};
use super::tree::{File, Tree};

/// Consecutive words (`|` separates alternatives), and the remedy.
type Pattern = (&'static [&'static str], &'static str);

const SUBJECT: &str = "name the subject: client, request, node, operator, …";
const VERB: &str = "use the technical verb: is stored, applies, limits, exists, continues, reports";
const BOUND: &str = "write `at most N` or `for up to T`";
const TERM: &str = "use the standard term";

pub(crate) const PATTERNS: &[Pattern] = &[
    (&["what", "is|are|was|were|it|they|of|has|have|had|no|one|comes|stands|goes|may|must|does"], SUBJECT),
    (&["who|whoever", "is|are|has|have|wants|waits|asks|calls|holds|may|must"], SUBJECT),
    (&["for|to|of|from|by|with", "who|whom|whose"], SUBJECT),
    (&["where", "nothing|none|nobody|no"], SUBJECT),
    (&["is|are", "none"], "write `is missing`, `does not exist` or `is not set`"),
    (&["as", "good", "as"], "say what is equal, or drop the sentence"),
    (&["so", "many|long|much"], BOUND),
    (&["stand|stands|stood", "in|for|there|here|beside|behind|before|apart"], VERB),
    (&["lie|lies|lay", "in|there|here|beside|behind"], VERB),
    (&["go|goes|went|going", "on"], "write `continues`"),
    (&["is|are|was|were|be|been", "told"], "write `is reported` or `is returned`"),
    (&["of", "ours|theirs|its", "own"], "say whose: Tollgate's, the client's, the provider's"),
    (&["of", "ours"], "write `Tollgate's` or `internal`"),
    (&["hangs|hang|hung", "up"], "write `the client disconnects`"),
    (&["broken|breaks|broke", "off"], "write `aborted` or `reset`"),
    (&["opens", "nothing"], "write `is invalid`"),
    (&["callers", "that|who"], TERM),
];

/// Words of the code that pages do not use (the vocabulary of `docs/glossary.md`).
const PAGE_PATTERNS: &[Pattern] = &[
    (&["untold"], "write `unreported`"),
    (&["mend|mends|mended"], "write `repair`"),
    (&["unopened"], "write `undecryptable`"),
    (&["stranded|strands"], "write `unusable`, or `the lease of a dead node`"),
    (&["stranger|strangers"], "write `unauthenticated client`"),
    (&["that|those", "of"], "repeat the noun"),
    (&["one|ones", "that|whose|which"], "repeat the noun"),
];

/// Type names without a noun of the domain, such as participles. A grep for a type must find one type.
const VAGUE_TYPES: &[&str] = &[
    "Asked", "Told", "Held", "Kept", "Found", "Seen", "Met", "Made", "Given", "Shown", "Said", "Taken", "Lent", "Left",
    "Put", "Done", "Wanted", "Wish", "Known", "Judged", "Doors", "Beating", "Untold", "Stranded", "Carried",
];

/// The maximum of words in one sentence of Markdown.
const SENTENCE_WORDS_MAX: usize = 35;
/// The minimum of words in one doc comment.
const DOC_WORDS_MIN: usize = 4;

/// Returns the findings of all files.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let named = duplicates(tree).into_iter().map(|(file, line, name)| duplicate(file, line, &name));
    let found = tree.files.iter().flat_map(find);
    found.map(|found| found.finding).chain(named).collect()
}

/// Number of findings per folder and rule.
pub(crate) fn count(tree: &Tree) -> BTreeMap<(String, String), usize> {
    let mut counts = BTreeMap::new();
    let folder = |file: &File| {
        let parts: Vec<&str> = file.path.split('/').collect();
        match parts.as_slice() {
            ["crates", name, ..] => format!("crates/{name}"),
            [name, _, ..] => (*name).to_owned(),
            _ => ".".to_owned(),
        }
    };
    for file in &tree.files {
        for found in find(file) {
            *counts.entry((folder(file), found.rule)).or_default() += 1;
        }
    }
    for (file, ..) in duplicates(tree) {
        *counts.entry((folder(file), "duplicate type name".to_owned())).or_default() += 1;
    }
    counts
}

/// A finding, and the rule that it violates.
struct LanguageFinding {
    rule: String,
    finding: Finding,
}

fn find(file: &File) -> Vec<LanguageFinding> {
    let mut found = Vec::new();
    // The pattern tables, and the glossary.
    if file.path == "xtask/src/tidy/language.rs" || file.path == "docs/glossary.md" {
        return found;
    }
    for passage in prose::passages(file) {
        found.extend(phrases(file, &passage));
        found.extend(sentences(file, &passage));
    }
    found.extend(doc_comments(file));
    found.extend(vague_types(file));
    found
}

fn phrases<'a>(file: &'a File, passage: &'a Passage) -> impl Iterator<Item = LanguageFinding> + use<'a> {
    let of_pages = (passage.kind == ProseKind::Markdown).then_some(PAGE_PATTERNS);
    PATTERNS.iter().chain(of_pages.into_iter().flatten()).flat_map(move |(pattern, remedy)| {
        let fits = |words: &[ProseWord]| {
            let is_inside = words.iter().rev().skip(1).all(|word| !word.ends_sentence);
            let mut pairs = words.iter().zip(*pattern);
            is_inside
                && pairs.all(|(word, expected_value)| {
                    expected_value.split('|').any(|expected_value| expected_value == word.text)
                })
        };
        let hits = passage.words.windows(pattern.len()).filter(move |words| fits(words));
        hits.filter_map(move |words| {
            let matched = words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
            let finding = file.line(words.first()?.line).fails(format!("contains `{matched}`"), *remedy);
            Some(LanguageFinding { rule: pattern.join(" "), finding })
        })
    })
}

fn sentences(file: &File, passage: &Passage) -> Vec<LanguageFinding> {
    if passage.kind != ProseKind::Markdown {
        return Vec::new();
    }
    let sentences = passage.words.split_inclusive(|word| word.ends_sentence);
    let long = sentences.filter(|words| words.len() > SENTENCE_WORDS_MAX);
    long.filter_map(|words| {
        let what = format!("has a sentence of {} words, at most {SENTENCE_WORDS_MAX} are allowed", words.len());
        let finding = file.line(words.first()?.line).fails(what, "split it");
        Some(LanguageFinding { rule: "long sentence".to_owned(), finding })
    })
    .collect()
}

/// Blocks of `///` lines with fewer than four words in all.
fn doc_comments(file: &File) -> Vec<LanguageFinding> {
    if !file.is(&["rs"]) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut words = 0;
    let mut first = 0;
    let after_last = (file.text.lines().count() + 1, "");
    for (number, line) in file.lines().chain([after_last]) {
        if let Some(text) = line.trim_start().strip_prefix("///") {
            if words == 0 {
                first = number;
            }
            words += text.split_whitespace().count();
        } else {
            if (1..DOC_WORDS_MIN).contains(&words) {
                let finding = file
                    .line(first)
                    .fails("has a doc comment of fewer than four words", "write a sentence, or delete it");
                found.push(LanguageFinding { rule: "short doc comment".to_owned(), finding });
            }
            words = 0;
        }
    }
    found
}

fn vague_types(file: &File) -> Vec<LanguageFinding> {
    let vague = types(file).filter(|(_, name, _)| VAGUE_TYPES.contains(name));
    vague
        .map(|(line, name, _)| {
            let finding = file.line(line).fails(format!("has a type named `{name}`"), "use a noun of the domain");
            LanguageFinding { rule: "vague type name".to_owned(), finding }
        })
        .collect()
}

/// The types of a file: line, name, and whether other modules see the type.
fn types(file: &File) -> impl Iterator<Item = (usize, &str, bool)> {
    let lines = if file.is(&["rs"]) { Some(file.lines()) } else { None };
    lines.into_iter().flatten().filter_map(|(number, line)| {
        let line = line.trim_start();
        let (is_public, rest) = match line.strip_prefix("pub") {
            Some(rest) if rest.starts_with('(') => (true, rest.split_once(") ")?.1),
            Some(rest) => (true, rest.strip_prefix(' ')?),
            None => (false, line),
        };
        let rest = ["struct ", "enum ", "trait ", "type "].iter().find_map(|word| rest.strip_prefix(word))?;
        let name = rest.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next()?;
        Some((number, name, is_public))
    })
}

/// Public types of a crate with the name of an earlier one.
fn duplicates(tree: &Tree) -> Vec<(&File, usize, String)> {
    let mut first: BTreeMap<(&str, &str), ()> = BTreeMap::new();
    let mut found = Vec::new();
    for file in tree.files.iter().filter(|file| file.path.contains("/src/") && !file.path.contains("tests")) {
        let crate_path = file.path.split("/src/").next().unwrap_or_default();
        for (line, name, is_public) in types(file) {
            // An associated type is indented, and its trait names it.
            let is_associated = file.text.lines().nth(line - 1).is_some_and(|text| text.starts_with("    type "));
            if is_public && !is_associated && first.insert((crate_path, name), ()).is_some() {
                found.push((file, line, name.to_owned()));
            }
        }
    }
    found
}

fn duplicate(file: &File, line: usize, name: &str) -> Finding {
    let what = format!("has a second public type named `{name}` in its crate");
    file.line(line).fails(what, "give each type a different noun")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::messages;

    fn check_text(path: &str, text: &str) -> Vec<String> {
        messages(&check(&Tree::from_files(&[(path, text)])))
    }

    #[test]
    fn every_pattern_fails_where_it_occurs_also_across_lines() {
        for (pattern, remedy) in PATTERNS.iter().chain(PAGE_PATTERNS) {
            let words: Vec<&str> = pattern.iter().filter_map(|word| word.split('|').next()).collect();
            let text = format!("Some text\nand {}\n{} here.\n", words[0], words[1..].join(" "));
            let messages = check_text("page.md", &text);
            assert!(
                messages.iter().any(|message| message.starts_with("page.md:2: contains") && message.ends_with(remedy)),
                "{text} {messages:?}"
            );
        }
    }

    #[test]
    fn words_of_the_code_fail_in_pages_only() {
        assert_eq!(check_text("page.md", "A stranded lease.").len(), 1);
        assert!(check_text("page.md", "The field `stranded`.").is_empty());
        assert!(check_text("new/src/lib.rs", "// A stranded lease.").is_empty());
    }

    #[test]
    fn code_and_sentence_borders_do_not_match() {
        for text in ["See `what is` here.", "That is what. Is it?", "```\nwhat is this\n```"] {
            assert!(check_text("page.md", text).is_empty(), "{text}");
        }
    }

    #[test]
    fn long_sentences_fail_in_markdown_only() {
        let long = "word ".repeat(36);
        assert_eq!(check_text("page.md", &long).len(), 1);
        assert!(check_text("page.md", &format!("{}. {}.", "word ".repeat(34), "word ".repeat(35))).is_empty());
        assert!(check_text("new/src/lib.rs", &format!("// {long}")).is_empty());
    }

    #[test]
    fn doc_comments_have_four_words() {
        assert_eq!(check_text("new/src/lib.rs", "/// Its own columns.\nstruct X;\n").len(), 1);
        assert!(check_text("new/src/lib.rs", "/// The columns of it.\nstruct X;\n").is_empty());
        assert!(check_text("new/src/lib.rs", "/// Three\n/// words\n/// and more.\nstruct X;").is_empty());
    }

    #[test]
    fn vague_and_duplicate_type_names_fail() {
        assert_eq!(check_text("new/src/lib.rs", "struct Asked;").len(), 1);
        let tree = Tree::from_files(&[
            ("new/src/a.rs", "pub struct Plan;\n    type Error = X;"),
            ("new/src/b.rs", "pub(crate) enum Plan {}\nstruct Plan2;\npub type Error = Y;"),
            ("old/src/b.rs", "pub enum Plan {}"),
        ]);
        assert_eq!(messages(&check(&tree)).len(), 1);
    }
}
