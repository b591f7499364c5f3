//! Texts for people: names, labels, addresses. They must not contain characters that hide or reorder others.

/// Format characters (Unicode 16, category Cf) except U+200C and U+200D, line and paragraph separators, and invisible
/// letters.
const HIDDEN: [(char, char); 26] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{600}', '\u{605}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{6dd}', '\u{6dd}'),
    ('\u{70f}', '\u{70f}'),
    ('\u{890}', '\u{891}'),
    ('\u{8e2}', '\u{8e2}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180e}', '\u{180e}'),
    ('\u{200b}', '\u{200b}'),
    ('\u{200e}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffb}'),
    ('\u{110bd}', '\u{110bd}'),
    ('\u{110cd}', '\u{110cd}'),
    ('\u{13430}', '\u{1343f}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0001}', '\u{e0001}'),
    ('\u{e0020}', '\u{e007f}'),
];
/// Scripts that are spelled with joiners (Arabic to Sinhala, Myanmar, Khmer, Mongolian), and symbols that form one
/// picture with others.
const JOINED: [(char, char); 6] = [
    ('\u{600}', '\u{dff}'),
    ('\u{1000}', '\u{109f}'),
    ('\u{1780}', '\u{18af}'),
    ('\u{2190}', '\u{2bff}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{1f000}', '\u{1faff}'),
];

/// Whether every character of `text` is visible and in order: no control character, no format character, no invisible
/// letter.
///
/// Zero-width joiners and non-joiners (U+200D, U+200C) are valid only between two characters of scripts that need them,
/// such as Persian and Hindi, and between emoji. Between Latin, Greek or Cyrillic letters, they would make two names
/// look equal.
#[must_use]
pub fn is_plain(text: &str) -> bool {
    let mut before = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let is_joiner = matches!(c, '\u{200c}' | '\u{200d}');
        let joins = before.is_some_and(joined) && chars.peek().copied().is_some_and(joined);
        if c.is_control() || is_in(&HIDDEN, c) || is_joiner && !joins {
            return false;
        }
        before = Some(c);
    }
    true
}

fn joined(c: char) -> bool {
    is_in(&JOINED, c)
}

fn is_in(ranges: &[(char, char)], c: char) -> bool {
    ranges.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_every_script_are_plain() {
        for text in [
            "",
            "Ada Lovelace",
            "Zoë O\u{2019}Brien-Žižek",
            "José (laptop), 2nd",
            "Мария",
            "李小龍",
            "محمد",
            "עדה",
            // Persian with a zero-width non-joiner, Hindi with a joiner.
            "علی\u{200c}رضا",
            "क\u{94d}\u{200d}ष",
            // Emoji: a family, a woman with a laptop, a variation.
            "👨\u{200d}👩\u{200d}👧",
            "👩🏽\u{200d}💻 laptop",
            "❤\u{fe0f}\u{200d}🔥",
        ] {
            assert!(is_plain(text), "{text:?}");
        }
    }

    #[test]
    fn characters_that_hide_or_reorder_text_are_not_plain() {
        for hidden in [
            '\0',
            '\n',
            '\u{7f}',
            '\u{85}',
            '\u{ad}',
            '\u{34f}',
            '\u{61c}',
            '\u{115f}',
            '\u{180e}',
            '\u{200b}',
            '\u{200c}',
            '\u{200d}',
            '\u{200e}',
            '\u{200f}',
            '\u{2028}',
            '\u{2029}',
            '\u{202a}',
            '\u{202d}',
            '\u{202e}',
            '\u{2060}',
            '\u{2064}',
            '\u{2066}',
            '\u{2069}',
            '\u{206f}',
            '\u{3164}',
            '\u{feff}',
            '\u{ffa0}',
            '\u{fff9}',
            '\u{fffb}',
            '\u{1d173}',
            '\u{e0001}',
            '\u{e0061}',
        ] {
            assert!(!is_plain(&format!("ad{hidden}min")), "U+{:04X}", u32::from(hidden));
        }
        for text in
            ["\u{200d}علی", "علی\u{200c}", "علی\u{200c}\u{200c}رضا", "a\u{200d}👩", "👩\u{200d}a", "ад\u{200c}мин"]
        {
            assert!(!is_plain(text), "{text:?}");
        }
    }
}
