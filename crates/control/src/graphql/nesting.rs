//! The depth of the brackets of a query, before the library parses it. The library converts values by recursion without a
//! bound, and the process ends if its stack overflows.

use thiserror::Error;

/// The maximum depth of brackets of all kinds. The query of GraphiQL has 14.
const BRACKETS_MAX: usize = 64;

/// The reason why a query is not parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("its brackets are nested more than {BRACKETS_MAX} deep")]
pub(super) struct NestedBrackets;

/// Checks the brackets of a query outside of strings and comments. A text that is no query may pass: the parser refuses it
/// before it converts values.
///
/// # Errors
/// The brackets are nested too deep.
pub(super) fn check(query: &str) -> Result<(), NestedBrackets> {
    let mut rest = query.as_bytes();
    let mut depth = 0_usize;
    while let Some((first, after)) = rest.split_first() {
        rest = match first {
            b'"' => after_string(rest),
            b'#' => after_comment(after),
            b'[' | b'{' | b'(' => {
                depth += 1;
                if depth > BRACKETS_MAX {
                    return Err(NestedBrackets);
                }
                after
            }
            b']' | b'}' | b')' => {
                depth = depth.saturating_sub(1);
                after
            }
            _ => after,
        };
    }
    Ok(())
}

/// Returns the text behind the string at its start. A string that has no end is all of the text.
fn after_string(text: &[u8]) -> &[u8] {
    const BLOCK: &[u8] = b"\"\"\"";
    const ESCAPED_BLOCK: &[u8] = b"\\\"\"\"";
    let block = text.strip_prefix(BLOCK);
    let mut rest = block.or_else(|| text.get(1..)).unwrap_or_default();
    while let Some((first, after)) = rest.split_first() {
        rest = match (block, first) {
            (Some(_), _) => match (rest.strip_prefix(BLOCK), rest.strip_prefix(ESCAPED_BLOCK)) {
                (Some(end), _) => return end,
                (None, Some(escaped)) => escaped,
                (None, None) => after,
            },
            (None, b'"') => return after,
            (None, b'\\') => after.get(1..).unwrap_or_default(),
            (None, _) => after,
        };
    }
    rest
}

/// Returns the text behind the line of a comment.
fn after_comment(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|octet| matches!(octet, b'\n' | b'\r')).unwrap_or(text.len());
    text.get(end..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize, [open, inner, close]: [&str; 3]) -> String {
        format!("{}{inner}{}", open.repeat(depth), close.repeat(depth))
    }

    #[test]
    fn brackets_of_each_kind_are_counted() {
        for parts in [["[", "1", "]"], ["{a:", "1", "}"], ["(", "a", ")"], ["{a ", "b", "}"], ["[{a:", "1", "}]"]] {
            let of_one = parts[0].matches(['[', '{', '(']).count();
            assert_eq!(check(&nested(BRACKETS_MAX / of_one, parts)), Ok(()), "{parts:?}");
            assert_eq!(check(&nested(BRACKETS_MAX / of_one + 1, parts)), Err(NestedBrackets), "{parts:?}");
        }
        assert_eq!(check(&"{a(b: [1])} ".repeat(1_000)), Ok(()));
    }

    #[test]
    fn brackets_in_strings_and_comments_are_not_counted() {
        let deep = "[".repeat(100);
        for text in [
            format!("{{a(b: \"{deep}\")}}"),
            format!("{{a(b: \"\\\"{deep}\\\\\")}}"),
            format!("{{a(b: \"\"\"{deep} \" \"\" \\\"\"\" {deep}\"\"\")}}"),
            format!("# {deep}\n{{a}}"),
        ] {
            assert_eq!(check(&text), Ok(()), "{text}");
        }
    }

    #[test]
    fn brackets_behind_strings_and_comments_are_counted() {
        let deep = "[".repeat(100);
        for start in [
            "\"\"",
            "\"a\\\\\"",
            "\"\\\"\"",
            "\"\"\"\"\"\"",
            "\"\"\"\\\"\"\"\"\"\"",
            "\"#\"",
            "# \"\n",
            "# \"\r",
            "#\"\"\"\n",
        ] {
            assert_eq!(check(&format!("{start}{deep}")), Err(NestedBrackets), "{start}");
        }
    }
}
