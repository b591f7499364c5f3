//! A line of text as glyphs: fonts, directions and joined letters.

use harfrust::{Direction, ShapeOptions, UnicodeBuffer};
use krilla::text::{GlyphId, KrillaGlyph};
use unicode_bidi::{Level, ParagraphBidiInfo};

use super::fonts::{FontFace, Fonts, Weight};

/// A line whose glyphs are chosen. Widths are in ems.
pub(super) struct ShapedLine {
    /// The runs from left to right.
    pub(super) runs: Vec<GlyphRun>,
    /// The sum of the widths.
    pub(super) width: f32,
}

/// Glyphs of one font and direction.
pub(super) struct GlyphRun {
    /// The font of the glyphs.
    pub(super) face: &'static FontFace,
    /// The text, to which the glyphs refer.
    pub(super) text: String,
    /// The glyphs from left to right.
    pub(super) glyphs: Vec<KrillaGlyph>,
    /// The sum of the advances.
    pub(super) width: f32,
}

/// Chooses the glyphs of a line of printable text.
pub(super) fn shaped(fonts: &'static Fonts, text: &str, weight: Weight) -> ShapedLine {
    // The library finds no runs in an empty text.
    if text.is_empty() {
        return ShapedLine { runs: Vec::new(), width: 0.0 };
    }
    let paragraph = ParagraphBidiInfo::new(text, Some(Level::ltr()));
    let (levels, visual) = paragraph.visual_runs(0..text.len());
    let mut runs = Vec::new();
    for range in visual {
        let is_rtl = levels.get(range.start).is_some_and(Level::is_rtl);
        let mut parts = by_font(fonts, text.get(range).unwrap_or_default(), weight);
        if is_rtl {
            parts.reverse();
        }
        runs.extend(parts.into_iter().map(|(face, text)| glyphs(face, text, is_rtl)));
    }
    ShapedLine { width: runs.iter().map(|run| run.width).sum(), runs }
}

/// Returns the parts of a text with their fonts. Signs between letters stay in the font of the letters before them.
fn by_font(fonts: &'static Fonts, text: &str, weight: Weight) -> Vec<(&'static FontFace, String)> {
    let mut parts: Vec<(&'static FontFace, String)> = Vec::new();
    for character in text.chars() {
        let before = parts.last().map(|(face, _)| *face);
        let same = before.filter(|face| !character.is_alphanumeric() && face.has(character));
        let face = same.unwrap_or_else(|| fonts.face(character, weight));
        match parts.last_mut().filter(|(last, _)| std::ptr::eq(*last, face)) {
            Some((_, part)) => part.push(character),
            None => parts.push((face, character.to_string())),
        }
    }
    parts
}

fn glyphs(face: &'static FontFace, text: String, is_rtl: bool) -> GlyphRun {
    let mut buffer = UnicodeBuffer::new();
    buffer.push_str(&text);
    buffer.guess_segment_properties();
    buffer.set_direction(if is_rtl { Direction::RightToLeft } else { Direction::LeftToRight });
    let shaped = face.shaper().shape(buffer, ShapeOptions::new());
    let infos = shaped.glyph_infos();
    let positions = shaped.glyph_positions();
    let mut starts: Vec<usize> = infos.iter().map(|info| place(info.cluster)).collect();
    starts.sort_unstable();
    let em = face.embedded().units_per_em();
    let glyphs: Vec<KrillaGlyph> = infos
        .iter()
        .zip(positions)
        .map(|(info, at)| {
            let start = place(info.cluster);
            let next = starts.get(starts.partition_point(|of| *of <= start)).copied();
            let [advance, x, y, down] = [at.x_advance, at.x_offset, at.y_offset, at.y_advance].map(|of| of as f32 / em);
            KrillaGlyph::new(GlyphId::new(info.glyph_id), advance, x, y, down, start..next.unwrap_or(text.len()), None)
        })
        .collect();
    GlyphRun { width: glyphs.iter().map(|glyph| glyph.x_advance).sum(), face, glyphs, text }
}

fn place(cluster: u32) -> usize {
    usize::try_from(cluster).unwrap_or(usize::MAX)
}
