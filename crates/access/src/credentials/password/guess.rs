//! Estimates how easy a password is to guess: the minimum number of well-known parts that form it.
//!
//! Parts are common words, words of the user (e-mail address, name, brand), sequences, years and repetitions. Every
//! other character counts as one part. `password1234` has two parts; a passphrase of four unusual words has twenty.
//!
//! The list of words is maintained in this repository. zxcvbn (3.1) knows more words, but adds eight crates and half a
//! megabyte of tables to every binary.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::LazyLock;

/// Common base words of passwords, in lowercase, one per line. Variations are not listed, as rules find the parts
/// around the words.
const COMMON: &str = include_str!("common.txt");
/// Length of the longest common word.
const COMMON_CHARS_MAX: usize = 16;
/// Minimum number of parts of an acceptable password.
const PARTS_MIN: usize = 4;
/// Words of the user that are shorter are ignored: too many passwords contain them by chance.
const OWN_CHARS_MIN: usize = 3;
/// Minimum length of a sequence.
const RUN_CHARS_MIN: usize = 3;
/// Length of the longest of [`ROWS`].
const ROW_CHARS_MAX: usize = 26;
/// Length of the longest part that is neither a word of the user nor one repeated character.
const PART_CHARS_MAX: usize = if ROW_CHARS_MAX > COMMON_CHARS_MAX { ROW_CHARS_MAX } else { COMMON_CHARS_MAX };
/// Sequences of characters on keyboards and in alphabets.
const ROWS: [&str; 9] = [
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop",
    "qwertzuiop",
    "azertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "yxcvbnm",
    "1q2w3e4r5t6y7u8i9o0p",
];

/// Whether a password has fewer than four parts.
pub(super) fn is_easy(password: &str, own: &[&str]) -> bool {
    let chars: Vec<char> = password.chars().flat_map(char::to_lowercase).collect();
    parts_of_repetition(&chars, own) < PARTS_MIN
}

/// Counts parts; a password that repeats one text has the parts of that text, and one more.
fn parts_of_repetition(chars: &[char], own: &[&str]) -> usize {
    let repeats = |period: &usize| {
        let unit = chars.get(..*period).unwrap_or_default();
        chars.chunks(*period).all(|chunk| unit.starts_with(chunk))
    };
    match (1..=chars.len() / 2).find(repeats) {
        Some(period) => parts(chars.get(..period).unwrap_or_default(), own).saturating_add(1),
        None => parts(chars, own),
    }
}

/// Returns the minimum number of parts that form `chars`.
fn parts(chars: &[char], own: &[&str]) -> usize {
    // Words that are longer than the password cannot be parts of it.
    let own: Vec<Vec<char>> = own_words(own).into_iter().filter(|word| word.len() <= chars.len()).collect();
    let part_chars_max = own.iter().map(Vec::len).fold(PART_CHARS_MAX, usize::max);
    // Characters that replace a similar letter are also looked up as that letter.
    let plain: Vec<char> = chars.iter().copied().map(unlike).collect();
    fewest_parts(&plain, part_chars_max, |part| {
        let text = |chars: &'_ [char]| chars.get(part.clone()).is_some_and(|text| is_part(text, &own));
        text(chars) || text(&plain)
    })
}

/// Returns the minimum number of parts that form `chars`. One repeated character is one part. `is_part` decides about
/// all other candidates: at most `part_chars_max` per character, each with at most that length.
fn fewest_parts(chars: &[char], part_chars_max: usize, mut is_part: impl FnMut(Range<usize>) -> bool) -> usize {
    // The minimum for each prefix; the empty prefix has no parts.
    let mut fewest = vec![0_usize];
    let mut same_from = 0;
    let mut previous = None;
    for (at, c) in chars.iter().enumerate() {
        if previous.replace(c) != Some(c) {
            same_from = at;
        }
        let end = at.saturating_add(1);
        let first = end.saturating_sub(part_chars_max).min(same_from);
        let mut best = usize::MAX;
        for (start, before) in fewest.iter().enumerate().skip(first) {
            let candidate = before.saturating_add(1);
            let is_repeated = start >= same_from;
            if candidate < best && (is_repeated || (end - start <= part_chars_max && is_part(start..end))) {
                best = candidate;
            }
        }
        fewest.push(best);
    }
    fewest.last().copied().unwrap_or(0)
}

fn is_part(text: &[char], own: &[Vec<char>]) -> bool {
    is_run(text) || is_year(text) || own.iter().any(|word| word == text) || is_common(text)
}

fn is_common(text: &[char]) -> bool {
    static WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| COMMON.lines().collect());
    text.len() <= COMMON_CHARS_MAX && WORDS.contains(text.iter().collect::<String>().as_str())
}

/// Whether the text is part of a row, in either direction.
fn is_run(text: &[char]) -> bool {
    if !(RUN_CHARS_MIN..=ROW_CHARS_MAX).contains(&text.len()) {
        return false;
    }
    let there: String = text.iter().collect();
    let back: String = text.iter().rev().collect();
    ROWS.iter().any(|row| row.contains(&there) || row.contains(&back))
}

/// Whether the text is a year from 1900 to 2099.
fn is_year(text: &[char]) -> bool {
    matches!(text, ['1', '9', a, b] | ['2', '0', a, b] if a.is_ascii_digit() && b.is_ascii_digit())
}

/// Returns the letter that a character replaces, as in `p@ssw0rd`.
const fn unlike(c: char) -> char {
    match c {
        '@' | '4' => 'a',
        '3' => 'e',
        '1' | '!' => 'i',
        '0' => 'o',
        '$' | '5' => 's',
        '7' => 't',
        other => other,
    }
}

/// Returns the texts, and the words in them.
fn own_words(own: &[&str]) -> Vec<Vec<char>> {
    let mut words = Vec::new();
    for text in own {
        let text = text.to_lowercase();
        let pieces = text.split(|c: char| !c.is_alphanumeric());
        for word in pieces.chain(std::iter::once(text.as_str())).chain(text.split('@')) {
            let word: Vec<char> = word.chars().collect();
            if word.len() >= OWN_CHARS_MIN && !words.contains(&word) {
                words.push(word);
            }
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_of_different_words_in_lowercase() {
        let mut words: Vec<&str> = COMMON.lines().collect();
        assert!(words.len() > 300 && words.iter().all(|word| (3..=COMMON_CHARS_MAX).contains(&word.len())));
        assert!(words.iter().all(|word| *word == word.to_lowercase()));
        let all = words.len();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), all);
    }

    #[test]
    fn common_words_sequences_and_repetitions_are_easy() {
        for password in [
            "password1234",
            "Password123!",
            "P@ssw0rd2024!",
            "passwordpassword",
            "qwertyuiop12",
            "qwerty123456",
            "1q2w3e4r5t6y",
            "q1w2e3r4t5y6",
            "123456789012",
            "987654321000",
            "aaaaaaaaaaaa",
            "aaaaaaaaaaab",
            "abababababab",
            "abcdefghijkl",
            "iloveyou2024",
            "January2024!",
            "Welcome12345",
            "letmein!letmein",
            "administrator",
            "adminadminadmin",
            "Changeme1234",
            "sunshine-dragon",
            "            ",
            "111111222222",
        ] {
            assert!(is_easy(password, &[]), "{password}");
        }
    }

    #[test]
    fn other_passwords_are_not() {
        for password in [
            "correct horse battery",
            "twelve chars",
            "another horse, same battery",
            "839201748392",
            "dragon monkey sunshine shadow",
            "ключ-ключ-замок",
            "Tr0ub4dor&3xq",
            "kV9#mPq2!xZr",
            "my cat eats 40 socks",
        ] {
            assert!(!is_easy(password, &[]), "{password}");
        }
    }

    #[test]
    fn words_of_the_user_are_easy_for_this_user_alone() {
        let own = ["ada.lovelace@analytical.example", "Ada Lovelace", "Codexible"];
        for password in [
            "ada.lovelace@analytical.example",
            "Ada.Lovelace1",
            "adalovelace1983",
            "AdaLovelace!!",
            "analytical2026",
            "Codexible2026!",
            "c0dexible1234",
            "lovelacelovelace",
        ] {
            assert!(is_easy(password, &own), "{password}");
        }
        assert!(!is_easy("Codexible2026!", &[]) && !is_easy("Ada.Lovelace1", &[]));
        assert!(!is_easy("ada likes long walks", &own));
    }

    /// The work grows linearly with the length of the password, not quadratically.
    #[test]
    fn a_character_is_the_end_of_a_bounded_number_of_candidates() {
        let different: Vec<char> = ('a'..).take(384).collect();
        for (chars, part_chars_max) in [(different.as_slice(), 26), (&['x'; 384], 26), (&different[..128], 60)] {
            let mut candidates = 0;
            let parts = fewest_parts(chars, part_chars_max, |part| {
                assert!((2..=part_chars_max).contains(&part.len()), "{part:?}");
                candidates += 1;
                false
            });
            assert_eq!(parts, if chars[0] == chars[1] { 1 } else { chars.len() });
            assert!(candidates <= chars.len() * part_chars_max, "{candidates}");
        }
        assert!(ROWS.iter().all(|row| row.len() <= ROW_CHARS_MAX));
    }

    #[test]
    fn a_part_may_be_as_long_as_the_longest_own_word() {
        let name = "Pneumonoultramicroscopicsilicovolcanoconiosis";
        assert!(name.len() > PART_CHARS_MAX && is_easy(&format!("{name}aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1"), &[name]));
        assert!(!is_easy(name, &[]));
    }

    #[test]
    fn a_long_password_is_judged_by_its_parts_too() {
        assert!(is_easy(&"a".repeat(128), &[]) && is_easy(&"password".repeat(16), &[]));
        let long: String = (0..128_u8).map(|n| char::from(b'!' + n.wrapping_mul(37) % 90)).collect();
        assert!(!is_easy(&long, &[&long[..60], "Ada"]));
    }
}
