//! The brand's colour. Pages draw the brand's mark in it, and derive the colours of links and buttons from it.

use settings::form::{FormRefusal, Scalar, TextForm};
use settings::section::setting::Value;

/// The luminance of the page of the light theme, `#f5f7f8` (WCAG 2.2, relative luminance).
const LIGHT_PAGE: f64 = 0.9271;
/// The luminance of the page of the dark theme, `#0b1012`.
const DARK_PAGE: f64 = 0.0049;
/// The contrast that a graphical object needs (WCAG 2.2, 1.4.11).
const CONTRAST_MIN: f64 = 3.0;

pub(super) const COLOR: TextForm<String> = TextForm {
    parse: |text| {
        let expected = "'#RRGGBB' in quotes, with hexadecimal digits";
        let Some(luminance) = luminance(text) else { return Err(FormRefusal::Bad(expected.to_owned())) };
        for (background, theme, change) in [(LIGHT_PAGE, "light", "darker"), (DARK_PAGE, "dark", "lighter")] {
            let contrast = contrast(luminance, background);
            if contrast < CONTRAST_MIN {
                return Err(FormRefusal::Bad(format!(
                    "a {change} colour: its contrast with the {theme} theme is {contrast:.1}, and at least \
                     {CONTRAST_MIN:.1} is needed"
                )));
            }
        }
        Ok(text.to_ascii_lowercase())
    },
    shown: |color| Value::text(color),
    cell: "`'#RRGGBB'` with a contrast of 3 or more with both themes",
    pattern: "^#[0-9A-Fa-f]{6}$",
    scalar: Scalar::Text,
};

/// Returns the relative luminance of `#RRGGBB`, from 0 to 1.
fn luminance(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6)?;
    let is_hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let linear = |range| {
        let channel = f64::from(u8::from_str_radix(digits.get(range)?, 16).ok()?) / 255.0;
        Some(if channel <= 0.04045 { channel / 12.92 } else { ((channel + 0.055) / 1.055).powf(2.4) })
    };
    let red = linear(0..2)?;
    let green = linear(2..4)?;
    let blue = linear(4..6)?;
    is_hexadecimal.then_some(0.2126 * red + 0.7152 * green + 0.0722 * blue)
}

/// Returns the contrast of two luminances, from 1 to 21.
fn contrast(one: f64, other: f64) -> f64 {
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contrasts_are_those_of_wcag() {
        let of = |one, other| contrast(luminance(one).unwrap(), luminance(other).unwrap());
        for (one, other, expected) in
            [("#000000", "#ffffff", 21.0), ("#777777", "#FFFFFF", 4.48), ("#0e7188", "#0e7188", 1.0)]
        {
            assert!((of(one, other) - expected).abs() < 0.005, "{one} {other} {}", of(one, other));
        }
        assert!((luminance("#f5f7f8").unwrap() - LIGHT_PAGE).abs() < 0.001);
        assert!((luminance("#0b1012").unwrap() - DARK_PAGE).abs() < 0.0001);
    }

    #[test]
    fn colours_need_six_digits_and_contrast_with_both_themes() {
        let check = |text: &str, expected: Result<&str, &str>| match ((COLOR.parse)(text), expected) {
            (Ok(color), Ok(expected)) => assert_eq!(color, expected),
            (Err(FormRefusal::Bad(told)), Err(part)) => assert!(told.contains(part), "{text}: {told}"),
            (parsed, _) => panic!("{text}: {:?}", parsed.is_ok()),
        };
        check("#0E7188", Ok("#0e7188"));
        check("#c2410c", Ok("#c2410c"));
        for text in ["", "#fff", "0e7188", "#0e71889", "#0e718g", "#+e7188", "teal", "#0e71é"] {
            check(text, Err("#RRGGBB"));
        }
        check("#ffe066", Err("a darker colour: its contrast with the light theme is 1.2"));
        check("#1a237e", Err("a lighter colour: its contrast with the dark theme is"));
    }
}
