//! Limits as a table, with numbered notes below it: one reason often applies to many limits.

use super::LimitLine;

const HEADER: [&str; 5] = ["LIMIT", "OVERSHOOT", "STRANDED", "NOTES", "APPLIES TO"];
const LEGEND: &str = "Overshoot is the maximum use beyond the limit; + marks an addition that a note describes. \
                      Stranded is the maximum amount that is unusable until a dead server restarts.";

/// Number of spaces between columns.
const GAP: usize = 2;

/// Maximum width of text; wider lines are hard to read.
const TEXT_WIDTH: usize = 100;
/// On a narrower terminal, lines break at any position.
const NARROWEST: usize = 40;

/// Returns the width of text on a terminal with `columns`, or without a terminal.
pub(super) fn text_width(columns: Option<usize>) -> usize {
    columns.unwrap_or(TEXT_WIDTH).clamp(NARROWEST, TEXT_WIDTH)
}

/// Returns the table and its notes. The width of a terminal is `columns`; without a terminal, each limit is one line.
pub(super) fn text(lines: &[LimitLine], columns: Option<usize>) -> String {
    let width = text_width(columns);
    let mut notes: Vec<&str> = Vec::new();
    let rows: Vec<[String; 5]> = lines
        .iter()
        .map(|LimitLine { limit, scope, overshoot, stranded }| {
            let [first, second] = [overshoot.why(), stranded.why()].map(|why| number(&mut notes, why));
            let (overshoot, stranded) = (overshoot.cell(), stranded.cell());
            [limit.clone(), overshoot, stranded, format!("{first}, {second}"), scope.clone()]
        })
        .collect();
    let mut text = String::new();
    let header = HEADER.map(str::to_owned);
    let widths = [0, 1, 2, 3].map(|column| {
        let cells = rows.iter().chain([&header]).filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    });
    let all = || [&header].into_iter().chain(&rows);
    let last = all().map(|[.., scope]| scope.chars().count()).max().unwrap_or_default();
    let needed = widths.iter().sum::<usize>() + GAP * widths.len() + last;
    let fits = columns.is_none_or(|columns| needed <= columns);
    for row in all() {
        text.push_str(&line(row, widths, fits));
    }
    text.push('\n');
    text.push_str(&hanging("", LEGEND, width));
    for (nth, note) in (1..).zip(&notes) {
        text.push_str(&hanging(&format!("{nth:>2}  "), note, width));
    }
    text
}

/// Returns the number of a note, and adds the note if it is new.
fn number<'a>(notes: &mut Vec<&'a str>, why: &'a str) -> usize {
    let known = notes.iter().position(|note| *note == why);
    known.unwrap_or_else(|| {
        notes.push(why);
        notes.len() - 1
    }) + 1
}

/// Formats a row. Its last cell has a separate line if the terminal is too narrow for any row.
fn line([limit, overshoot, stranded, notes, scope]: &[String; 5], widths: [usize; 4], fits: bool) -> String {
    let [of_limit, of_overshoot, of_stranded, of_notes] = widths;
    let start = format!("{limit:of_limit$}  {overshoot:of_overshoot$}  {stranded:of_stranded$}  {notes:of_notes$}");
    if fits { format!("{start}  {scope}\n") } else { format!("{}\n    {scope}\n", start.trim_end()) }
}

/// Formats a paragraph after `name`; its other lines are indented by the length of `name`.
pub(super) fn hanging(name: &str, paragraph: &str, width: usize) -> String {
    let indent = name.chars().count();
    let mut text = name.to_owned();
    let mut column = indent;
    for (nth, word) in paragraph.split(' ').enumerate() {
        let length = word.chars().count();
        if nth > 0 && column + 1 + length > width {
            text.push('\n');
            text.push_str(&" ".repeat(indent));
            column = indent;
        } else if nth > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::super::reasons::ReasonedAmount;
    use super::*;

    #[test]
    fn limits_are_aligned_and_share_their_notes() {
        let reasoned = |why: &str| ReasonedAmount::from(why);
        let line = |limit: &str, scope: &str, why: [&str; 2]| LimitLine {
            limit: limit.to_owned(),
            scope: scope.to_owned(),
            overshoot: reasoned(why[0]),
            stranded: reasoned(why[1]),
        };
        let lines = [
            line("60 requests a minute", "each key on plan pro", ["full buckets", "no lease"]),
            line("5 USD a day", "all users together", ["reserved first", "no lease"]),
        ];
        let wide = text(&lines, None);
        let rows: Vec<&str> = wide.lines().take(3).collect();
        assert_eq!(
            rows,
            [
                "LIMIT                 OVERSHOOT  STRANDED  NOTES  APPLIES TO",
                "60 requests a minute  0          0         1, 2   each key on plan pro",
                "5 USD a day           0          0         3, 2   all users together",
            ]
        );
        assert!(wide.ends_with(" 1  full buckets\n 2  no lease\n 3  reserved first\n"), "{wide}");
        let narrow = text(&lines, Some(60));
        assert!(narrow.contains("1, 2\n    each key on plan pro\n"), "{narrow}");
        for width in [40, 60, 80] {
            assert!(text(&lines, Some(width)).lines().all(|line| line.chars().count() <= width.max(52)), "{width}");
        }
    }

    #[test]
    fn a_paragraph_is_indented_behind_its_name() {
        assert_eq!(hanging("a  ", "one two three", 10), "a  one two\n   three\n");
        assert_eq!(hanging("", "one two", 3), "one\ntwo\n");
        assert_eq!(hanging("", "unbreakable", 3), "unbreakable\n");
    }
}
