//! Parses a JSON body in one pass of `serde_json`: all of it is validated, only few fields are kept.

use std::fmt;
use std::ops::Range;

use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{CallError, MODEL_BYTES_MAX};
use crate::scan::text::BorrowedText;

/// The longest escape, `\u0000`, encodes at least one byte.
const ESCAPE_BYTES: usize = 6;

/// Returns the body as UTF-8 text.
pub(super) fn text(body: &[u8]) -> Result<&str, CallError> {
    std::str::from_utf8(body).map_err(|error| CallError::NotUtf8 { offset: error.valid_up_to() })
}

/// Returns the offset after the opening brace of the object `text`, which begins at offset `base` of the body.
pub(super) fn inside(text: &str, base: usize) -> usize {
    base + text.bytes().take_while(|byte| b" \t\r\n".contains(byte)).count() + 1
}

/// Whether only whitespace separates `at` and the end of the object.
pub(super) fn is_empty_at(text: &str, at: usize) -> bool {
    text.get(at..).is_some_and(|rest| rest.trim_start().starts_with('}'))
}

pub(super) fn string(text: &str, at: &Range<usize>) -> Option<String> {
    text.get(at.clone()).and_then(|value| serde_json::from_str(value).ok())
}

/// Counts the characters of the string at `at` without copying it; `None` if the value is not a string.
pub(super) fn characters(text: &str, at: &Range<usize>) -> Option<u64> {
    let raw = text.get(at.clone())?.strip_prefix('"')?.strip_suffix('"')?;
    let mut count = 0_u64;
    let mut parts = raw.split('\\');
    count += characters_of(parts.next()?);
    while let Some(part) = parts.next() {
        count += match part.split_at_checked(1) {
            // An escaped backslash: the characters after it are not an escape.
            None => 1 + parts.next().map_or(0, characters_of),
            Some(("u", rest)) => {
                let (digits, rest) = rest.split_at_checked(4)?;
                let unit = u16::from_str_radix(digits, 16).ok()?;
                if (0xdc00..0xe000).contains(&unit) {
                    return None;
                }
                if (0xd800..0xdc00).contains(&unit) {
                    // The second half of a surrogate pair must follow immediately.
                    if !rest.is_empty() {
                        return None;
                    }
                    let low = parts.next()?.strip_prefix('u')?;
                    let (digits, rest) = low.split_at_checked(4)?;
                    let unit = u16::from_str_radix(digits, 16).ok()?;
                    (0xdc00..0xe000).contains(&unit).then(|| 1 + characters_of(rest))?
                } else {
                    1 + characters_of(rest)
                }
            }
            Some((_, rest)) => 1 + characters_of(rest),
        };
    }
    Some(count)
}

fn characters_of(text: &str) -> u64 {
    u64::try_from(text.chars().count()).unwrap_or(u64::MAX)
}

/// Reads the name of a model.
pub(super) fn name(text: &str, field: &'static str, at: &Range<usize>) -> Result<String, CallError> {
    // A longer name is not copied.
    Some(at)
        .filter(|at| at.len() <= 2 + ESCAPE_BYTES * MODEL_BYTES_MAX)
        .and_then(|at| string(text, at))
        .filter(|name| (1..=MODEL_BYTES_MAX).contains(&name.len()))
        .ok_or_else(|| invalid(field, "a string of 1 to 256 bytes", at))
}

pub(super) fn flag(text: &str, field: &'static str, at: Option<&Range<usize>>) -> Result<bool, CallError> {
    let Some(at) = at else { return Ok(false) };
    match text.get(at.clone()) {
        Some("true") => Ok(true),
        Some("false" | "null") => Ok(false),
        _ => Err(invalid(field, "true, false or null", at)),
    }
}

/// Whether the value is a list with an element.
pub(super) fn is_filled_list(text: &str, at: &Range<usize>) -> bool {
    let list = text.get(at.clone()).and_then(|list| list.strip_prefix('['));
    list.is_some_and(|rest| !rest.trim_start().starts_with(']'))
}

pub(super) fn invalid(field: &'static str, expected: &'static str, at: &Range<usize>) -> CallError {
    CallError::Invalid { field, expected, offset: at.start }
}

/// The positions of the values of several fields.
type FieldRanges<const N: usize> = [Option<Range<usize>>; N];

/// Returns the positions of the values of the fields `names` in the object `text`, which begins at offset `base` of the
/// body.
pub(super) fn fields<const N: usize>(
    text: &str,
    base: usize,
    names: [&'static str; N],
) -> Result<FieldRanges<N>, CallError> {
    let (found, _) = fields_and_hints(text, base, names, [])?;
    Ok(found)
}

/// Returns the positions of the fields `names` as [`fields`], and those of the fields `hints`, which may occur several times:
/// the first one counts.
pub(super) fn fields_and_hints<const N: usize, const M: usize>(
    text: &str,
    base: usize,
    names: [&'static str; N],
    hints: [&'static str; M],
) -> Result<(FieldRanges<N>, FieldRanges<M>), CallError> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let fields = Fields { text, names, hints };
    let read = deserializer.deserialize_map(fields).and_then(|read| deserializer.end().map(|()| read));
    let (found, hinted) = match read {
        Ok(found) => found,
        Err(error) => return Err(unreadable(text, base, &error)),
    };
    let mut ranges = [const { None }; N];
    let within = |at: Range<usize>| base + at.start..base + at.end;
    for ((seen, range), name) in found.into_iter().zip(&mut ranges).zip(names) {
        if let Some(again) = seen.again {
            return Err(CallError::Duplicate { field: name, offset: base + again });
        }
        *range = seen.at.map(within);
    }
    Ok((ranges, hinted.map(|at| at.map(within))))
}

/// Returns the positions of the objects in the list `text`, which begins at offset `base` of the body; `None` if it is
/// not a list of objects.
pub(super) fn objects(text: &str, base: usize, max: usize) -> Option<Vec<Range<usize>>> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let found = deserializer.deserialize_seq(Objects { text, max }).ok()?;
    Some(found.into_iter().map(|at| base + at.start..base + at.end).collect())
}

/// Converts the parser's line and column, which count from 1, into a byte offset.
fn unreadable(text: &str, base: usize, error: &serde_json::Error) -> CallError {
    if error.is_data() {
        return CallError::NotAnObject { offset: base + text.len() - text.trim_start().len() };
    }
    let line_start: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let at = if error.is_eof() { text.len() } else { line_start + error.column().saturating_sub(1) };
    let words = error.to_string();
    let reason = words.rsplit_once(" at line ").map_or(words.as_str(), |(reason, _)| reason);
    CallError::Syntax { offset: base + at.min(text.len()), reason: reason.to_owned() }
}

/// The positions of a field: its value, and a duplicate of it.
#[derive(Debug, Clone, Default)]
struct FieldPosition {
    at: Option<Range<usize>>,
    again: Option<usize>,
}

/// Records the positions of the values of `names` and `hints` in `text`.
struct Fields<'a, const N: usize, const M: usize> {
    text: &'a str,
    names: [&'static str; N],
    hints: [&'static str; M],
}

impl<'de, const N: usize, const M: usize> Visitor<'de> for Fields<'de, N, M> {
    type Value = ([FieldPosition; N], [Option<Range<usize>>; M]);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = [const { FieldPosition { at: None, again: None } }; N];
        let mut hinted = [const { None }; M];
        while let Some(BorrowedText(key)) = map.next_key()? {
            let Some((_, seen)) = self.names.iter().zip(&mut found).find(|(name, _)| **name == key) else {
                let hint = self.hints.iter().zip(&mut hinted).find(|(name, at)| at.is_none() && **name == key);
                match hint {
                    Some((_, at)) => *at = Some(place(self.text, map.next_value::<&RawValue>()?)),
                    None => _ = map.next_value::<IgnoredAny>()?,
                }
                continue;
            };
            let at = place(self.text, map.next_value::<&RawValue>()?);
            match &seen.at {
                None => seen.at = Some(at),
                Some(_) => seen.again = Some(seen.again.unwrap_or(at.start)),
            }
        }
        Ok((found, hinted))
    }
}

/// Records the positions of a list's objects, at most `max`; more objects or another element are an error.
struct Objects<'a> {
    text: &'a str,
    max: usize,
}

impl<'de> Visitor<'de> for Objects<'de> {
    type Value = Vec<Range<usize>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {} objects", self.max)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut found = Vec::new();
        while let Some(value) = list.next_element::<&RawValue>()? {
            if found.len() == self.max || !value.get().starts_with('{') {
                return Err(serde::de::Error::custom("another element"));
            }
            found.push(place(self.text, value));
        }
        Ok(found)
    }
}

/// Returns the position of `value`, which borrows from `text`: the distance of their addresses is its offset.
fn place(text: &str, value: &RawValue) -> Range<usize> {
    let start = value.get().as_ptr().addr() - text.as_ptr().addr();
    start..start + value.get().len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str) {
        let copied = serde_json::from_str::<String>(text).ok().map(|copy| characters_of(&copy));
        assert_eq!(characters(text, &(0..text.len())), copied, "{text}");
    }

    #[test]
    fn characters_are_counted_as_a_parser_reads_them() {
        for text in [
            r#""""#,
            r#""aé€😀""#,
            r#""\\""#,
            r#""\\\\x\\u0041""#,
            r#""\u0041\u00e9b\n\t\"\/\\""#,
            r#""\ud83d\ude00x""#,
            r#""\ud83dx""#,
            r#""\ud83d""#,
            r#""\ud83d\\ude00""#,
            r#""\ud83d\u0041""#,
            r#""\ude00""#,
            "7",
            "null",
        ] {
            check(text);
        }
    }

    #[test]
    fn a_name_of_256_bytes_may_be_all_escapes() {
        let name_of = |count: usize| {
            let text = format!("\"{}\"", r"\u0061".repeat(count));
            name(&text, "model", &(0..text.len())).ok()
        };
        assert_eq!(name_of(MODEL_BYTES_MAX), Some("a".repeat(MODEL_BYTES_MAX)));
        assert_eq!(name_of(MODEL_BYTES_MAX + 1), None);
    }

    proptest! {
        #[test]
        fn any_string_has_as_many_characters_as_its_copy(text in any::<String>(), escaped in any::<Vec<u16>>()) {
            let escapes: String = escaped.iter().map(|unit| format!("\\u{unit:04x}")).collect();
            let quoted = serde_json::to_string(&text).unwrap();
            check(&quoted);
            check(&format!("\"{escapes}{}", quoted.strip_prefix('"').unwrap()));
        }
    }
}
