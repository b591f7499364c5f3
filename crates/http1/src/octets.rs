//! Classes of octets, and the vectorised search for control octets.

/// Field names and methods (RFC 9110, 5.6.2).
const TOKEN: u8 = 1;
/// Octets of a path that every parser accepts: those of RFC 3986, and some that clients send although they should not.
const PATH: u8 = 2;
/// The same for a query.
const QUERY: u8 = 4;
/// Octets of a host name or IPv4 address. RFC 3986 allows more, which no host name in use has.
const HOST: u8 = 8;
/// Octets with which a path can hide a segment.
const HIDING: u8 = 16;
/// The usual length of a line with its end.
const SHORT_LINE: usize = 64;

/// Words of eight equal octets.
const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x80 * ONES;
const SPACES: u64 = b' ' as u64 * ONES;
const COLONS: u64 = b':' as u64 * ONES;

const CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut at = 0;
    while at < table.len() {
        #[expect(clippy::cast_possible_truncation, reason = "a table of octets has 256 places")]
        let octet = at as u8;
        let alphanumeric = octet.is_ascii_alphanumeric();
        let mut class = 0;
        if alphanumeric || matches!(octet, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
        {
            class |= TOKEN;
        }
        if alphanumeric || matches!(octet, b'-' | b'.' | b'_' | b'~') {
            class |= HOST;
        }
        // `\` is excluded: the URLs of browsers read it as `/`.
        if matches!(octet, b'!' | b'"' | b'$'..=b';' | b'=' | b'@'..=b'[' | b']'..=b'_' | b'a'..=b'~') {
            class |= PATH;
        }
        if matches!(octet, b'!' | b'$'..=b';' | b'=' | b'?'..=b'~') {
            class |= QUERY;
        }
        if matches!(octet, b'.' | b'%') {
            class |= HIDING;
        }
        #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        {
            table[at] = class;
        }
        at += 1;
    }
    table
}

fn class(octet: u8) -> u8 {
    CLASSES.get(usize::from(octet)).copied().unwrap_or(0)
}

fn all(octets: &[u8], mask: u8) -> bool {
    octets.iter().fold(mask, |common, octet| common & class(*octet)) != 0
}

pub(crate) fn is_token_octet(octet: u8) -> bool {
    class(octet) & TOKEN != 0
}

/// Whether the octets are a token, which is not empty.
pub(crate) fn is_token(octets: &[u8]) -> bool {
    !octets.is_empty() && all(octets, TOKEN)
}

/// The number of token octets at the beginning. Names are short: a loop over words is slower.
#[inline]
pub(crate) fn token_len(octets: &[u8]) -> usize {
    octets.iter().position(|octet| !is_token_octet(*octet)).unwrap_or(octets.len())
}

/// Whether a token equals a name of lower-case letters, digits and hyphens, in any case. Bit 5 makes a letter lower case,
/// and makes no other octet of a token one of a name.
#[inline]
pub(crate) fn token_is(token: &[u8], name: &[u8]) -> bool {
    const LETTERS: u64 = 0x2020_2020_2020_2020;
    if token.len() != name.len() {
        return false;
    }
    let Some(end) = token.last_chunk::<8>() else {
        return token.iter().zip(name).fold(0, |differs, (octet, known)| differs | ((octet | 0x20) ^ known)) == 0;
    };
    let Some(name_end) = name.last_chunk::<8>() else {
        return token.iter().zip(name).fold(0, |differs, (octet, known)| differs | ((octet | 0x20) ^ known)) == 0;
    };
    let differs = |one: &[u8; 8], other: &[u8; 8]| (u64::from_le_bytes(*one) | LETTERS) ^ u64::from_le_bytes(*other);
    // The last words overlap those before them.
    let (words, _) = token.as_chunks::<8>();
    let (name_words, _) = name.as_chunks::<8>();
    let all = words.iter().zip(name_words).fold(0, |all, (one, other)| all | differs(one, other));
    all | differs(end, name_end) == 0
}

/// The number of path octets at the beginning, and whether a dot or a percent sign is among them.
pub(crate) fn path_len(octets: &[u8]) -> (usize, bool) {
    let mut classes = 0;
    let mut other = |octet: &u8| {
        let class = class(*octet);
        classes |= class;
        class & PATH == 0
    };
    let len = octets.iter().position(&mut other).unwrap_or(octets.len());
    (len, classes & HIDING != 0)
}

pub(crate) fn is_query(octets: &[u8]) -> bool {
    all(octets, QUERY)
}

/// The number of host name octets at the beginning.
pub(crate) fn host_name_len(octets: &[u8]) -> usize {
    octets.iter().position(|octet| class(*octet) & HOST == 0).unwrap_or(octets.len())
}

/// Whether all octets are visible ASCII: neither control octets nor spaces, and below 128.
#[inline]
pub(crate) fn is_visible(octets: &[u8]) -> bool {
    let Some(end) = octets.last_chunk::<8>() else { return octets.iter().all(u8::is_ascii_graphic) };
    let (words, _) = octets.as_chunks::<8>();
    let found = |word: &[u8; 8]| {
        let word = u64::from_le_bytes(*word);
        controls(word) | zeros(word ^ SPACES) | word & HIGH
    };
    words.iter().fold(found(end), |any, word| any | found(word)) == 0
}

/// Control octets: 0 to 31, and 127.
pub(crate) const fn is_control(octet: u8) -> bool {
    octet < 0x20 || octet == 0x7f
}

/// Whether the octets can be a field value: no control octet except the tab (RFC 9110, 5.5).
pub(crate) fn is_field_value(octets: &[u8]) -> bool {
    !has_control(octets) || octets.iter().all(|octet| *octet == b'\t' || !is_control(*octet))
}

/// Whether there is any control octet. The last word overlaps the one before it.
#[inline]
fn has_control(octets: &[u8]) -> bool {
    let Some(end) = octets.last_chunk::<8>() else { return octets.iter().any(|octet| is_control(*octet)) };
    let (words, _) = octets.as_chunks::<8>();
    let found = |word: &[u8; 8]| controls(u64::from_le_bytes(*word));
    words.iter().fold(found(end), |any, word| any | found(word)) != 0
}

/// The position of the first control octet. Most lines are short: words of eight octets find it. In a long line, a loop
/// over blocks, which the compiler vectorises, comes near it first.
#[inline]
pub(crate) fn control(octets: &[u8]) -> Option<usize> {
    let (near, far) = octets.split_at_checked(SHORT_LINE).unwrap_or((octets, &[]));
    if let Some(place) = control_in_words(near) {
        return Some(place);
    }
    if far.is_empty() {
        return None;
    }
    let block = first_block_with_control(far);
    control_in_words(far.get(block..).unwrap_or_default()).map(|place| SHORT_LINE + block + place)
}

#[inline]
fn control_in_words(octets: &[u8]) -> Option<usize> {
    let (words, rest) = octets.as_chunks::<8>();
    for (number, word) in words.iter().enumerate() {
        let found = controls(u64::from_le_bytes(*word));
        if found != 0 {
            return Some(8 * number + first_octet(found));
        }
    }
    rest.iter().position(|octet| is_control(*octet)).map(|place| 8 * words.len() + place)
}

/// The position of the first block with a control octet.
fn first_block_with_control(octets: &[u8]) -> usize {
    let (blocks, _) = octets.as_chunks::<32>();
    let has_control = |block: &[u8; 32]| block.iter().fold(0, |any, octet| any | u8::from(is_control(*octet))) != 0;
    32 * blocks.iter().position(has_control).unwrap_or(blocks.len())
}

/// The place of the first octet whose highest bit is set.
#[inline]
fn first_octet(found: u64) -> usize {
    usize::try_from(found.trailing_zeros() / 8).unwrap_or(0)
}

/// The highest bit of the first octet that is zero. Octets after it may be marked too.
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGH
}

/// The highest bit of each octet that is a control octet; no sum carries into the next octet.
const fn controls(word: u64) -> u64 {
    let low = word & !HIGH;
    let is_printed = low + 0x60 * ONES;
    let is_delete = low + ONES;
    (!is_printed | is_delete) & !word & HIGH
}

/// The octets before the first colon, if no control octet is among them.
#[inline]
pub(crate) fn before_colon(octets: &[u8]) -> Option<&[u8]> {
    let (words, rest) = octets.as_chunks::<8>();
    let mut places = words.iter().enumerate().filter_map(|(number, word)| {
        let word = u64::from_le_bytes(*word);
        let found = controls(word) | zeros(word ^ COLONS);
        (found != 0).then(|| 8 * number + first_octet(found))
    });
    let in_rest = || rest.iter().position(|octet| *octet == b':' || is_control(*octet));
    let place = places.next().or_else(|| in_rest().map(|place| 8 * words.len() + place))?;
    if octets.get(place) == Some(&b':') { octets.get(..place) } else { None }
}

/// Optional whitespace around a value (RFC 9110, 5.6.3): spaces and tabs.
pub(crate) const fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t')
}

/// The octets without optional whitespace at both ends.
pub(crate) fn trim(octets: &[u8]) -> &[u8] {
    let start = octets.iter().position(|octet| !is_blank(*octet)).unwrap_or(octets.len());
    let end = octets.iter().rposition(|octet| !is_blank(*octet)).map_or(start, |last| last + 1);
    octets.get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_octets_are_found_at_every_position() {
        for octet in 0..=255_u8 {
            for place in 0..175 {
                for around in [b'a', 0xff] {
                    let mut octets = [around; 175];
                    octets[place] = octet;
                    assert_eq!(control(&octets), is_control(octet).then_some(place), "{octet} at {place}");
                    let is_value = octet == b'\t' || !is_control(octet);
                    for around in [&octets[..], &octets[place..], &octets[..=place], &octets[place..=place]] {
                        assert_eq!(is_field_value(around), is_value, "{octet} at {place}");
                    }
                }
            }
        }
    }

    #[test]
    fn token_octets_are_those_of_rfc_9110() {
        let tokens: Vec<u8> = (0..=255).filter(|octet| is_token_octet(*octet)).collect();
        let expected = b"!#$%&'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz|~";
        assert_eq!(tokens, expected);
        for place in 0..20 {
            let mut octets = [b'a'; 20];
            octets[place] = b':';
            assert_eq!((token_len(&octets), token_len(&octets[..place])), (place, place));
        }
        assert!(!is_token(b"") && !is_token(b"a b") && is_token(b"M-SEARCH"));
    }

    #[test]
    fn names_end_at_a_colon_without_control_octets() {
        for len in 0..30 {
            for octet in 0..=255_u8 {
                let mut octets = vec![b'a'; len];
                octets.extend([octet, b'b', b':', b'c', b'c', b'c', b'c', b'c', b'c']);
                let expected = if octet == b':' { Some(len) } else { (!is_control(octet)).then_some(len + 2) };
                assert_eq!(before_colon(&octets).map(<[u8]>::len), expected, "{octet} at {len}");
                let expected = octet.is_ascii_graphic();
                assert_eq!(
                    (is_visible(&octets), is_visible(&octets[..=len])),
                    (expected, expected),
                    "{octet} at {len}"
                );
            }
        }
        assert_eq!((before_colon(b""), before_colon(b"abcdefgh")), (None, None));
        assert!(is_visible(b""));
    }

    #[test]
    fn tokens_equal_names_in_any_case_and_no_others() {
        let token_octets: Vec<u8> = (0..=255).filter(|octet| is_token_octet(*octet)).collect();
        for len in 1..20 {
            let name: Vec<u8> = b"a-0z-9x-forwarded-proto"[..len].to_vec();
            assert!(token_is(&name, &name) && token_is(&name.to_ascii_uppercase(), &name));
            assert!(!token_is(&name[1..], &name));
            for place in 0..len {
                for octet in &token_octets {
                    let mut token = name.clone();
                    token[place] = *octet;
                    assert_eq!(token_is(&token, &name), token.eq_ignore_ascii_case(&name), "{octet} at {place}");
                }
            }
        }
    }

    #[test]
    fn path_and_query_octets_are_visible_and_exclude_separators_of_other_parts() {
        for octet in 0..=255_u8 {
            let in_path = path_len(&[octet]).0 == 1;
            let in_query = is_query(&[octet]);
            assert!(!(in_path || in_query) || octet.is_ascii_graphic(), "{octet}");
            assert!(!(in_path && b"\\?#<>`".contains(&octet)), "{octet}");
            assert!(!(in_query && b"#\"<>".contains(&octet)), "{octet}");
        }
    }

    #[test]
    fn optional_whitespace_is_trimmed_at_both_ends() {
        for (octets, trimmed) in [("", ""), (" \t ", ""), ("a", "a"), (" a b\t", "a b"), ("\x0ba", "\x0ba")] {
            assert_eq!(trim(octets.as_bytes()), trimmed.as_bytes());
        }
    }
}
