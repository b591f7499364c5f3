//! The places of all texts on A4 pages, in points from the upper left corner.

use super::super::texts::{DocumentTexts, PartyTexts, RowTexts};
use super::error::PdfError;
use super::fonts::{Fonts, Weight};
use super::line::ShapedLine;
use super::table::Columns;
use super::wrapping::TextStyle;

/// The size of a page.
pub(super) const PAGE_WIDTH: f32 = 595.28;
pub(super) const PAGE_HEIGHT: f32 = 841.89;
/// The margin of 18 mm.
const MARGIN: f32 = 51.0;
const RIGHT: f32 = PAGE_WIDTH - MARGIN;
const BOTTOM: f32 = PAGE_HEIGHT - MARGIN;
/// The baseline of the page's number.
const FOOTER: f32 = PAGE_HEIGHT - 28.0;
/// The height of a line, in relation to its size. All fonts fit.
const LEADING: f32 = 1.45;
/// The place of the baseline within a line.
const ASCENT: f32 = 1.07;
/// The space between two columns.
const GAP: f32 = 18.0;
/// The space above and below a row of the table.
const PADDING: f32 = 5.0;
const SUMS_WIDTH: f32 = 230.0;

const TITLE: TextStyle = TextStyle { size: 19.0, weight: Weight::Bold };
const TEXT: TextStyle = TextStyle { size: 9.5, weight: Weight::Regular };
const STRONG: TextStyle = TextStyle { size: 9.5, weight: Weight::Bold };
const SMALL: TextStyle = TextStyle { size: 8.0, weight: Weight::Regular };

/// A colour of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    /// The colour of names and figures.
    Text,
    /// The colour of labels and notes.
    Label,
    /// The colour of lines between rows.
    Rule,
}

/// A part of a page.
pub(super) enum Mark {
    /// A line of text; `y` is its baseline.
    Text { x: f32, y: f32, size: f32, ink: Ink, line: ShapedLine },
    /// A horizontal line between rows.
    Rule { x: f32, y: f32, width: f32 },
}

/// The pages, of which the last one is being filled.
struct Pages {
    fonts: &'static Fonts,
    done: Vec<Vec<Mark>>,
    page: Vec<Mark>,
    /// The upper end of the free part of the last page.
    y: f32,
}

/// The side of a column to which its texts are aligned, with its place.
#[derive(Debug, Clone, Copy)]
enum Edge {
    Left(f32),
    Right(f32),
}

/// Returns the pages of a document.
///
/// # Errors
/// [`PdfError::Fonts`] if an embedded font is unreadable.
pub(super) fn pages(of: &DocumentTexts) -> Result<Vec<Vec<Mark>>, PdfError> {
    let mut pages = Pages { fonts: Fonts::embedded()?, done: Vec::new(), page: Vec::new(), y: MARGIN };
    for line in TITLE.lines(pages.fonts, &of.title, RIGHT - MARGIN) {
        pages.flow(vec![(Edge::Left(MARGIN), Ink::Text, line)], TITLE);
    }
    pages.y += 10.0;
    pages.facts(&of.head);
    pages.y += GAP;
    pages.parties(&of.parties);
    pages.y += GAP;
    pages.table(of);
    pages.y += GAP;
    pages.sums(of);
    Ok(pages.finish(of))
}

impl Pages {
    /// Begins a page if `height` does not fit on the last one. Returns whether it did.
    fn reserve(&mut self, height: f32) -> bool {
        let is_full = self.y + height > BOTTOM && !self.page.is_empty();
        if is_full {
            self.done.push(std::mem::take(&mut self.page));
            self.y = MARGIN;
        }
        is_full
    }

    fn put(&mut self, at: Edge, ink: Ink, style: TextStyle, line: ShapedLine) {
        let x = match at {
            Edge::Left(x) => x,
            Edge::Right(x) => x - line.width * style.size,
        };
        self.page.push(Mark::Text { x, y: self.y + style.size * ASCENT, size: style.size, ink, line });
    }

    /// Writes texts beside each other, and goes to the next line.
    fn flow(&mut self, texts: Vec<(Edge, Ink, ShapedLine)>, style: TextStyle) {
        self.reserve(style.size * LEADING);
        for (at, ink, line) in texts {
            self.put(at, ink, style, line);
        }
        self.y += style.size * LEADING;
    }

    /// Writes the lines of columns beside each other.
    fn columns(&mut self, columns: Vec<(Edge, Ink, Vec<ShapedLine>)>, style: TextStyle) {
        let count = columns.iter().map(|(_, _, lines)| lines.len()).max().unwrap_or(0);
        let mut columns: Vec<_> = columns.into_iter().map(|(at, ink, lines)| (at, ink, lines.into_iter())).collect();
        for _ in 0..count {
            let line = columns.iter_mut().filter_map(|(at, ink, lines)| Some((*at, *ink, lines.next()?)));
            self.flow(line.collect(), style);
        }
    }

    fn facts(&mut self, facts: &[(String, String)]) {
        let names = facts.iter().map(|(name, _)| TEXT.width(self.fonts, name));
        let values = MARGIN + names.fold(0.0, f32::max) + GAP;
        for (name, value) in facts {
            let name = TEXT.lines(self.fonts, name, values - MARGIN);
            let value = TEXT.lines(self.fonts, value, RIGHT - values);
            self.columns(vec![(Edge::Left(MARGIN), Ink::Label, name), (Edge::Left(values), Ink::Text, value)], TEXT);
        }
    }

    fn parties(&mut self, parties: &[PartyTexts; 2]) {
        let width = (RIGHT - MARGIN - GAP) / 2.0;
        let places = [MARGIN, MARGIN + width + GAP].map(Edge::Left);
        let both = || places.into_iter().zip(parties);
        let labels = both().map(|(at, of)| (at, Ink::Label, SMALL.lines(self.fonts, of.label, width))).collect();
        self.columns(labels, SMALL);
        let texts = both().map(|(at, of)| {
            let lines = of.lines.iter().flat_map(|text| TEXT.lines(self.fonts, text, width));
            (at, Ink::Text, lines.collect())
        });
        let texts = texts.collect();
        self.columns(texts, TEXT);
    }

    fn table(&mut self, of: &DocumentTexts) {
        let columns = Columns::from_texts(self.fonts, of, STRONG, RIGHT - MARGIN);
        self.table_head(of, &columns);
        for row in &of.rows {
            self.row(of, row, &columns);
        }
    }

    fn table_head(&mut self, of: &DocumentTexts, columns: &Columns) {
        let edges = Self::edges(columns);
        let heads = edges.into_iter().zip(of.columns).zip(columns.widths());
        let heads = heads.map(|((at, head), width)| (at, Ink::Label, SMALL.lines(self.fonts, head, width)));
        let heads = heads.collect();
        self.columns(heads, SMALL);
        self.y += PADDING;
        self.rule(MARGIN, RIGHT - MARGIN);
    }

    /// Writes a line of the invoice, whose parts stay on one page.
    fn row(&mut self, of: &DocumentTexts, row: &RowTexts, columns: &Columns) {
        let [text, quantity, price, amount] = columns.widths();
        let lines = |text: &str, width| TEXT.lines(self.fonts, text, width);
        let cells = [
            lines(&row.text, text),
            lines(&row.quantity, quantity),
            lines(&row.price, price),
            lines(&row.amount, amount),
        ];
        let days = SMALL.lines(self.fonts, &row.days, text);
        let count = |lines: &Vec<ShapedLine>| f32::from(u16::try_from(lines.len()).unwrap_or(u16::MAX));
        let below = cells.first().map_or(0.0, count) * TEXT.size * LEADING;
        let tallest = cells.iter().map(count).fold(0.0, f32::max) * TEXT.size * LEADING;
        let height = tallest.max(below + count(&days) * SMALL.size * LEADING);
        if self.reserve(height + 2.0 * PADDING) {
            self.table_head(of, columns);
        }
        let edges = Self::edges(columns);
        let top = self.y + PADDING;
        for (at, cell) in edges.into_iter().zip(cells) {
            self.y = top;
            self.columns(vec![(at, Ink::Text, cell)], TEXT);
        }
        self.y = top + below;
        self.columns(vec![(Edge::Left(MARGIN), Ink::Label, days)], SMALL);
        self.y = top + height + PADDING;
        self.rule(MARGIN, RIGHT - MARGIN);
    }

    /// Returns the edges of the columns: the first one is aligned to the left, the others to the right.
    fn edges(columns: &Columns) -> [Edge; 4] {
        let [_, second, third, fourth] = columns.ends().map(|end| Edge::Right(MARGIN + end));
        [Edge::Left(MARGIN), second, third, fourth]
    }

    fn sums(&mut self, of: &DocumentTexts) {
        let line = TEXT.size * LEADING + 2.0;
        let count = u16::try_from(of.sums.len()).unwrap_or(u16::MAX);
        self.reserve(line * f32::from(count) + 2.0 * PADDING);
        let left = RIGHT - SUMS_WIDTH;
        for sum in &of.sums {
            let style = if sum.is_total { STRONG } else { TEXT };
            if sum.is_total {
                self.y += PADDING - 2.0;
                self.rule(left, SUMS_WIDTH);
                self.y += PADDING;
            }
            let value = style.width(self.fonts, &sum.value);
            let name = style.lines(self.fonts, &sum.name, (SUMS_WIDTH - value - GAP).max(SUMS_WIDTH / 3.0));
            let value = style.lines(self.fonts, &sum.value, SUMS_WIDTH);
            let ink = if sum.is_total { Ink::Text } else { Ink::Label };
            self.columns(vec![(Edge::Left(left), ink, name), (Edge::Right(RIGHT), Ink::Text, value)], style);
            self.y += 2.0;
        }
    }

    fn rule(&mut self, x: f32, width: f32) {
        self.page.push(Mark::Rule { x, y: self.y, width });
    }

    /// Writes the title and the number of each page at its foot.
    fn finish(mut self, of: &DocumentTexts) -> Vec<Vec<Mark>> {
        self.done.push(std::mem::take(&mut self.page));
        let count = self.done.len();
        for (nth, page) in self.done.iter_mut().enumerate() {
            let number = format!(
                "{} {} {} {count}",
                of.language.pick("Page", "Halaman"),
                nth + 1,
                of.language.pick("of", "dari")
            );
            let width = SMALL.width(self.fonts, &number);
            let mut foot = |x: f32, text: &str, width: f32| {
                let line = SMALL.lines(self.fonts, text, width).into_iter().next();
                page.extend(line.map(|line| Mark::Text { x, y: FOOTER, size: SMALL.size, ink: Ink::Label, line }));
            };
            foot(MARGIN, &of.title, RIGHT - MARGIN - width - GAP);
            foot(RIGHT - width, &number, width + 1.0);
        }
        self.done
    }
}
