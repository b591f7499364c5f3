//! The widths of the table's columns: each figure fits into its column, and the description has the rest of the page.

use super::super::texts::DocumentTexts;
use super::fonts::Fonts;
use super::wrapping::TextStyle;

/// The space between two columns.
const GAP: f32 = 14.0;
/// The least width of the description.
const DESCRIPTION_MIN: f32 = 150.0;
/// The room for rounding.
const ROUNDING: f32 = 0.5;

/// The widths of description, quantity, price and amount in points.
pub(super) struct Columns([f32; 4]);

impl Columns {
    /// Returns the widths of a table whose texts have a style.
    pub(super) fn from_texts(fonts: &'static Fonts, of: &DocumentTexts, style: TextStyle, whole: f32) -> Self {
        let [_, quantity, price, amount] = of.columns;
        let mut widths = [quantity, price, amount].map(|head| style.width(fonts, head));
        for row in &of.rows {
            for (width, text) in widths.iter_mut().zip([&row.quantity, &row.price, &row.amount]) {
                *width = style.width(fonts, text).max(*width);
            }
        }
        let room = whole - DESCRIPTION_MIN - 3.0 * GAP;
        let needed: f32 = widths.iter().sum::<f32>() + 3.0 * ROUNDING;
        let scale = if needed > room { room / needed } else { 1.0 };
        let [quantity, price, amount] = widths.map(|width| (width + ROUNDING) * scale);
        Self([whole - quantity - price - amount - 3.0 * GAP, quantity, price, amount])
    }

    /// Returns the widths in points.
    pub(super) const fn widths(&self) -> [f32; 4] {
        self.0
    }

    /// Returns the right ends of the columns.
    pub(super) fn ends(&self) -> [f32; 4] {
        let [text, quantity, price, amount] = self.0;
        let second = text + GAP + quantity;
        let third = second + GAP + price;
        [text, second, third, third + GAP + amount]
    }
}
