//! Prepares the line of a problem for display: secrets are masked, control characters replaced, long lines cut.

use crate::place::Place;
use crate::secret_text::{secret_comment, secret_values};

const MASK: &str = "***";
/// Longest line that is shown, in bytes: the time to find secrets grows with the square of the length.
const LINE_BYTES_MAX: usize = 4 * 1024;
/// Maximum number of characters of a line that are shown.
const SHOWN_MAX: usize = 120;
/// Characters before the caret if a line is cut.
const LEAD: usize = 60;

/// A line and the position of its caret.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) caret_offset: usize,
    pub(crate) caret_width: usize,
}

/// The file's text, split into lines, and whether each line as a whole belongs to a secret.
#[derive(Debug)]
pub(crate) struct Lines<'a> {
    lines: Vec<(&'a str, bool)>,
    keys: Vec<HiddenKey>,
}

/// A key whose value is or may be a secret, and the position after its value.
#[derive(Debug)]
struct HiddenKey {
    key: Place,
    next: Option<Place>,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(source: &'a str) -> Self {
        let mut lines = Vec::new();
        let mut under: Option<OpenSecret> = None;
        for line in source.split('\n') {
            let line = line.strip_suffix('\r').unwrap_or(line);
            let blank = line.trim().is_empty();
            let indent = line.len() - line.trim_start().len();
            let secret = under.as_mut().is_some_and(|under| !blank && under.takes(indent));
            if !secret && !blank {
                under = OpenSecret::after(line);
            }
            lines.push((line, secret));
        }
        Self { lines, keys: Vec::new() }
    }

    /// Hides the value of `key`, up to `next` or, without it, the end of the file.
    pub(crate) fn hide(&mut self, key: Place, next: Option<Place>) {
        self.keys.push(HiddenKey { key, next });
    }

    /// Returns the line of `place`; `None` if the file does not have it or it is too long.
    pub(crate) fn line_at(&self, place: Place) -> Option<Line> {
        let (line, secret) = self.lines.get(usize::try_from(place.line).ok()?.checked_sub(1)?)?;
        if line.len() > LINE_BYTES_MAX {
            return None;
        }
        let start = usize::try_from(place.column).ok()?.saturating_sub(1);
        let end = start.saturating_add(usize::try_from(place.width).ok()?.max(1));
        let (text, start, end) = if *secret {
            (MASK.chars().collect(), 0, MASK.len())
        } else {
            let keys = self.keys.iter().filter_map(|key| key.value_range(place.line, line));
            mask(line, &merged(hidden(line).into_iter().chain(keys)), start, end)
        };
        Some(cut(&text, start, end))
    }
}

impl HiddenKey {
    /// Returns the byte range of its value on a line.
    fn value_range(&self, number: u32, line: &str) -> Option<(usize, usize)> {
        let byte = |chars: u32| {
            let chars = usize::try_from(chars).unwrap_or(usize::MAX);
            line.char_indices().nth(chars).map_or(line.len(), |(at, _)| at)
        };
        if number < self.key.line || self.next.is_some_and(|next| number > next.line) {
            return None;
        }
        let is_first = number == self.key.line;
        let next = self.next.filter(|next| next.line == number);
        let mut from = if is_first { byte((self.key.column - 1).saturating_add(self.key.width)) } else { 0 };
        let to = next.map_or(line.len(), |next| byte(next.column - 1));
        if is_first {
            from += line.get(from..to)?.find(':').map_or(0, |colon| colon + 1);
        }
        let mut value = line.get(from..to)?;
        // A value before another key on the same line is within braces: the last comma is not a part of the value.
        if next.is_some() {
            value = value.rsplit_once(',').map_or(value, |(value, _)| value);
        }
        let shown = value.trim_start_matches([' ', '\t', '-']);
        let from = from + value.len() - shown.len();
        let shown = shown.trim_end();
        (!shown.is_empty() && !shown.starts_with('#')).then(|| (from, from + shown.len()))
    }
}

/// The key of a secret on the last line; its value may continue on the following lines.
struct OpenSecret {
    indent: usize,
    value_is_missing: bool,
}

impl OpenSecret {
    fn after(line: &str) -> Option<Self> {
        let (key, value) = secret_values(line).pop()?;
        Some(Self { indent: key, value_is_missing: line.get(value..).is_none_or(|rest| rest.trim().is_empty()) })
    }

    fn takes(&mut self, indent: usize) -> bool {
        std::mem::take(&mut self.value_is_missing) || indent > self.indent
    }
}

/// Returns the byte ranges of a line that are hidden.
fn hidden(line: &str) -> Vec<(usize, usize)> {
    let mut ranges = Vec::new();
    for (_, value) in secret_values(line) {
        let rest = line.get(value..).unwrap_or("");
        let start = value + rest.len() - rest.trim_start().len();
        let rest = rest.trim_start();
        let len = match rest.chars().next() {
            None | Some('#') => continue,
            Some('$') if is_reference(rest) => continue,
            Some('"' | '\'') if rest.get(1..).is_some_and(is_reference) => continue,
            Some('$') => rest.len(),
            Some(quote @ ('"' | '\'')) => {
                rest.get(1..).and_then(|text| text.find(quote)).map_or(rest.len(), |end| end + 2)
            }
            Some(_) => rest.find([',', '}']).into_iter().chain(rest.find(" #")).min().unwrap_or(rest.len()),
        };
        ranges.push((start, start + len));
    }
    for (slashes, _) in line.match_indices("//") {
        // A password may contain characters that end an authority or a value: masking too much is safer than masking
        // half of it.
        if let Some(end) = line.get(slashes + 2..).and_then(|rest| rest.rfind('@')) {
            ranges.push((slashes + 2, slashes + 2 + end));
        }
    }
    for (key, _) in line.match_indices("sk-") {
        let rest = line.get(key..).unwrap_or("");
        let len = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_').unwrap_or(rest.len());
        if len >= 20 {
            ranges.push((key, key + len));
        }
    }
    ranges.extend(secret_comment(line).map(|at| (at, line.len())));
    ranges
}

/// Sorts ranges and joins those that overlap.
fn merged(ranges: impl Iterator<Item = (usize, usize)>) -> Vec<(usize, usize)> {
    let mut ranges: Vec<_> = ranges.collect();
    ranges.sort_unstable();
    ranges.dedup_by(|(from, to), (_, last)| {
        let overlaps = *from < *last;
        if overlaps {
            *last = (*last).max(*to);
        }
        overlaps
    });
    ranges
}

/// Whether a value is only `${NAME}` or `${NAME:-}`: that shows the source of a secret, not the secret.
fn is_reference(rest: &str) -> bool {
    let Some((inner, behind)) = rest.strip_prefix("${").and_then(|rest| rest.split_once('}')) else {
        return false;
    };
    let name = inner.strip_suffix(":-").unwrap_or(inner);
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && (behind.is_empty() || behind.starts_with([',', '}', ' ', '"', '\'']))
}

/// Masks these byte ranges of a line and adjusts `start..end`, which counts characters.
fn mask(line: &str, ranges: &[(usize, usize)], start: usize, end: usize) -> (Vec<char>, usize, usize) {
    let mut text = Vec::new();
    let mut new_start = None;
    let mut new_end = None;
    let mut masked_to = 0;
    for (index, (offset, c)) in line.char_indices().enumerate() {
        if index >= start {
            new_start.get_or_insert(text.len());
        }
        if index >= end {
            new_end.get_or_insert(text.len());
        }
        if let Some((_, to)) = ranges.iter().find(|(from, to)| (*from..*to).contains(&offset)) {
            if *to > masked_to {
                text.extend(MASK.chars());
                masked_to = *to;
            }
            continue;
        }
        text.push(if c == '\t' {
            ' '
        } else if c.is_control() {
            '\u{fffd}'
        } else {
            c
        });
    }
    let start = new_start.unwrap_or(text.len());
    let end = new_end.unwrap_or(text.len()).max(start + 1);
    (text, start, end)
}

fn cut(text: &[char], start: usize, end: usize) -> Line {
    let from = if text.len() > SHOWN_MAX { start.saturating_sub(LEAD) } else { 0 };
    let shown = text.iter().skip(from).take(SHOWN_MAX);
    let mut cut: String = if from > 0 { "…".to_owned() } else { String::new() };
    let lead = usize::from(from > 0);
    cut.extend(shown);
    if text.len() > from + SHOWN_MAX {
        cut.push('…');
    }
    let caret_offset = start - from + lead;
    let caret_width = (end - start).min((SHOWN_MAX + from).saturating_sub(start)).max(1);
    Line { text: cut.trim_end().to_owned(), caret_offset, caret_width }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(source: &str, line: u32, column: u32) -> String {
        let line = Lines::new(source).line_at(Place { line, column, width: 1 }).unwrap();
        format!("{}\n{}^", line.text, " ".repeat(line.caret_offset))
    }

    /// Found by fuzzing: 1,200 problems on one line of 16 KiB took minutes.
    #[test]
    fn a_very_long_line_is_not_shown() {
        let place = |column| Place { line: 1, column, width: 1 };
        let line = "x".repeat(LINE_BYTES_MAX);
        assert!(Lines::new(&line).line_at(place(9)).is_some());
        assert!(Lines::new(&format!("{line}x\nshort")).line_at(place(9)).is_none());
    }

    #[test]
    fn secrets_are_masked_however_they_are_written() {
        for source in [
            "credential: S3CRET",
            "credential:S3CRET",
            "{name: x, credential: S3CRET, kind: y}",
            "{credential: \"S3,CR}ET\", kind: y}",
            "'credential' : 'S3CRET'",
            "credential: ${X:-S3CRET}",
            "{credential: ${X:-S3CRET}, other: ${Y:-}}",
            "credential: ${X}S3CRET",
            "store: {url: postgres://user:S3CRET@host/db}",
            "url: \"http://a:S3CRET@b\"",
            "url: postgres://u:S3/CRET@h/d",
            "url: 'postgres://u:S3?C#R\"E ''T@S3@h/d'",
            "[{url: http://a:S3@h}, {url: 'http://a:S3/CR}@h'}]",
            "x: sk-proj-S3CRETS3CRETS3CRET",
            "    token: S3CRET # S3CRET is fine to lose",
        ] {
            let text = shown(source, 1, 1);
            assert!(text.contains(MASK), "{text}");
            let before_comment = text.split(" #").next().unwrap();
            assert!(!before_comment.contains("S3") && !before_comment.contains("CR}"), "{text}");
        }
        for source in ["credential: |\n  S3CRET\n\n  S3CRET\nname: x", "credential:\n  S3CRET: 1\n  S3CRET\nname: x"] {
            let lines = Lines::new(source);
            for line in 1..=source.lines().count() {
                let place = Place { line: u32::try_from(line).unwrap(), column: 3, width: 4 };
                assert!(!lines.line_at(place).unwrap().text.contains("S3CRET"), "{source}");
            }
            assert_eq!(shown(source, u32::try_from(source.lines().count()).unwrap(), 1), "name: x\n^");
        }
    }

    #[test]
    fn overlapping_ranges_are_masked_once() {
        assert_eq!(shown("credential: 'http://u:S3CRET@h' # x", 1, 1), "credential: *** # x\n^");
        assert_eq!(shown("url: http://u:a//b@h/p", 1, 1), "url: http://***@h/p\n^");
    }

    #[test]
    fn references_to_secrets_are_shown() {
        for source in [
            "credential: ${OPENAI_API_KEY}",
            "{token: \"${TOKEN:-}\"}",
            "credential: ${OPENAI_API_KEY:-}",
            "credential:",
        ] {
            assert_eq!(shown(source, 1, 1), format!("{source}\n^"));
        }
    }

    #[test]
    fn the_caret_moves_with_the_mask() {
        assert_eq!(
            shown("{credential: S3CRETS3CRET, kindd: y}", 1, 28),
            "{credential: ***, kindd: y}\n                  ^"
        );
    }

    #[test]
    fn long_lines_are_cut_and_control_characters_replaced() {
        let text = shown(&format!("{}\u{1b}[31m{}", "é".repeat(500), "x".repeat(500)), 1, 501);
        let (line, caret) = text.split_once('\n').unwrap();
        assert_eq!(line.chars().nth(caret.len() - 1), Some('\u{fffd}'), "{text}");
        assert!(line.chars().count() <= SHOWN_MAX + 2 && !text.contains('\u{1b}'), "{text}");
    }
}
