//! Breaking texts into lines.

use super::fonts::{Fonts, Weight};
use super::line::{ShapedLine, shaped};

/// How a text is set.
#[derive(Debug, Clone, Copy)]
pub(super) struct TextStyle {
    /// The size in points.
    pub(super) size: f32,
    /// The weight of the font.
    pub(super) weight: Weight,
}

impl TextStyle {
    /// Returns the width in points of a text without line breaks.
    pub(super) fn width(self, fonts: &'static Fonts, text: &str) -> f32 {
        shaped(fonts, &fonts.printable(text), self.weight).width * self.size
    }

    /// Breaks a text into lines of at most `width` points: at line breaks, between words, and within a word that is
    /// longer than a line. A text without characters has no lines.
    pub(super) fn lines(self, fonts: &'static Fonts, text: &str, width: f32) -> Vec<ShapedLine> {
        let mut lines = Vec::new();
        for paragraph in text.lines() {
            self.wrap(fonts, &fonts.printable(paragraph), width, &mut lines);
        }
        lines.iter().map(|line| shaped(fonts, line, self.weight)).collect()
    }

    fn wrap(self, fonts: &'static Fonts, paragraph: &str, width: f32, lines: &mut Vec<String>) {
        let measured = |text: &str| shaped(fonts, text, self.weight).width * self.size;
        let space = measured(" ");
        let mut line = String::new();
        let mut used = 0.0;
        for word in paragraph.split_whitespace() {
            let wide = measured(word);
            if !line.is_empty() && used + space + wide <= width {
                line.push(' ');
                line.push_str(word);
                used += space + wide;
                continue;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            if wide <= width {
                (line, used) = (word.to_owned(), wide);
                continue;
            }
            used = 0.0;
            for character in word.chars() {
                let wide = measured(character.encode_utf8(&mut [0; 4]));
                // A mark, which has no width, stays with its letter.
                if wide > 0.0 && used + wide > width && !line.is_empty() {
                    lines.push(std::mem::take(&mut line));
                    used = 0.0;
                }
                line.push(character);
                used += wide;
            }
        }
        if !line.is_empty() {
            lines.push(line);
        }
    }
}
