//! Signatures of functions: a tuple pattern as a parameter hides the number of parameters and their names at the call.

use super::finding::Finding;
use super::tree::{File, Tree};

/// Checks every function with a name. Closures may have tuple patterns.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    tree.files.iter().filter(|file| file.is(&["rs"])).flat_map(find).collect()
}

fn find(file: &File) -> Vec<Finding> {
    let code = without_comments(&file.text);
    let mut findings = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let (before, rest) = code.split_at(at);
        let is_keyword = !before.ends_with(|letter: char| letter.is_alphanumeric() || letter == '_');
        let Some((name, parameters)) = rest.strip_prefix("fn ").and_then(parameters) else { continue };
        if is_keyword && has_tuple(parameters) {
            let line = before.matches('\n').count() + 1;
            let what = format!("the function `{name}` has a tuple pattern as a parameter");
            findings.push(file.line(line).fails(what, "use separate parameters, or a struct with named fields"));
        }
    }
    findings
}

/// The text with the same lines, but without comments.
fn without_comments(text: &str) -> String {
    let code = |line: &str| {
        let is_comment = line.trim_start().starts_with("//");
        if is_comment { String::new() } else { line.split(" // ").next().unwrap_or_default().to_owned() }
    };
    text.lines().map(code).collect::<Vec<_>>().join("\n")
}

/// The name of a function, and the text behind the parenthesis that opens its parameters.
fn parameters(signature: &str) -> Option<(&str, &str)> {
    let end = signature.find(|letter: char| !letter.is_alphanumeric() && letter != '_')?;
    let (name, rest) = signature.split_at_checked(end)?;
    let mut generics = 0_usize;
    let mut previous = ' ';
    for (at, letter) in rest.char_indices() {
        match letter {
            '<' => generics += 1,
            '>' if previous != '-' => generics = generics.saturating_sub(1),
            '(' if generics == 0 => return Some((name, rest.get(at + 1..)?)),
            _ if generics == 0 => return None,
            _ => {}
        }
        previous = letter;
    }
    None
}

/// Whether a parameter begins with a parenthesis.
fn has_tuple(parameters: &str) -> bool {
    let mut depth = 1_usize;
    let mut begins = true;
    let mut previous = ' ';
    for letter in parameters.chars() {
        if begins && !letter.is_whitespace() && letter != '&' {
            if letter == '(' {
                return true;
            }
            begins = false;
        }
        match letter {
            '(' | '[' | '{' | '<' => depth += 1,
            '>' if previous == '-' => {}
            ')' | ']' | '}' | '>' => depth -= 1,
            ',' => begins = depth == 1,
            _ => {}
        }
        if depth == 0 {
            return false;
        }
        previous = letter;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::messages;

    // Signatures with a tuple are put together here, so that this file passes.
    const TUPLE: &str = "(a, b): (u8, u8)";

    fn check_text(path: &str, text: &str) -> Vec<String> {
        messages(&check(&Tree::from_files(&[(path, text)])))
    }

    #[test]
    fn tuple_patterns_fail_at_the_line_of_their_function() {
        for parameters in [
            TUPLE.to_owned(),
            format!("&self, {TUPLE}, c: u8"),
            format!("\n    first: Vec<(u8, u8)>, // a comment (\n    {TUPLE},\n"),
            format!("f: impl Fn(u8, u8) -> u8, &{TUPLE}"),
        ] {
            for generics in ["", "<'a, F: Fn(u8) -> Vec<u8>>"] {
                let messages =
                    check_text("new/src/lib.rs", &format!("//! Text.\npub fn name{generics}({parameters}) {{}}\n"));
                assert_eq!(messages.len(), 1, "{parameters}");
                assert!(messages[0].starts_with("new/src/lib.rs:2: the function `name` has a tuple"), "{messages:?}");
            }
        }
    }

    #[test]
    fn tuple_types_closures_and_comments_pass() {
        for text in [
            "fn name(pair: (u8, u8), list: &[(u8, u8)]) -> (u8, u8) { (1, 2) }".to_owned(),
            "fn name(call: fn(u8, (u8, u8)), other: u8) { call(1, (2, 3)) }".to_owned(),
            format!("fn name() {{ list.iter().map(|{TUPLE}| a + b); }}"),
            format!("fn name() {{ let {TUPLE} = (1, 2); }}"),
            format!("// fn name({TUPLE})\n"),
        ] {
            assert!(check_text("new/src/lib.rs", &text).is_empty(), "{text}");
        }
    }
}
