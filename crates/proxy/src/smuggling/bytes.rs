//! Classes of bytes, and the one search that a head needs.

/// Field names and methods (RFC 9110, 5.6.2).
const TOKEN: u8 = 1;
/// Bytes of a path that every parser takes for themselves: RFC 3986's, and what clients send although they should not.
const PATH: u8 = 2;
/// The same for a query.
const QUERY: u8 = 4;
/// Bytes of a host's name or IPv4 address. RFC 3986 has more, which no name in use has.
const HOST: u8 = 8;
/// Bytes of a path with which segments are hidden.
const HIDING: u8 = 16;

const CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut at = 0;
    while at < table.len() {
        #[expect(clippy::cast_possible_truncation, reason = "a table of bytes has 256 places")]
        let byte = at as u8;
        let alphanumeric = byte.is_ascii_alphanumeric();
        let mut class = 0;
        if alphanumeric || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~') {
            class |= TOKEN;
        }
        if alphanumeric || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            class |= HOST;
        }
        // Of what `http::Uri` takes, all but `\`, which browsers' URLs read as `/`.
        if matches!(byte, b'!' | b'"' | b'$'..=b';' | b'=' | b'@'..=b'[' | b']'..=b'_' | b'a'..=b'~') {
            class |= PATH;
        }
        if matches!(byte, b'!' | b'$'..=b';' | b'=' | b'?'..=b'~') {
            class |= QUERY;
        }
        if matches!(byte, b'.' | b'%') {
            class |= HIDING;
        }
        #[expect(clippy::indexing_slicing, reason = "evaluated when compiled")]
        {
            table[at] = class;
        }
        at += 1;
    }
    table
}

fn class(byte: u8) -> u8 {
    CLASSES.get(usize::from(byte)).copied().unwrap_or(0)
}

fn all(bytes: &[u8], wanted: u8) -> bool {
    bytes.iter().fold(wanted, |common, byte| common & class(*byte)) != 0
}

pub(super) fn is_token(byte: u8) -> bool {
    class(byte) & TOKEN != 0
}

/// How many bytes at the beginning are a token's; eight at a time.
pub(super) fn token_len(bytes: &[u8]) -> usize {
    let (words, _) = bytes.as_chunks::<8>();
    let at = 8 * words.iter().take_while(|word| all(*word, TOKEN)).count();
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(|byte| !is_token(*byte)).unwrap_or(rest.len())
}

/// How many bytes at the beginning are a path's, and whether a dot or an escape is among them.
pub(super) fn path_len(bytes: &[u8]) -> (usize, bool) {
    let mut classes = 0;
    let mut other = |byte: &u8| {
        let class = class(*byte);
        classes |= class;
        class & PATH == 0
    };
    let len = bytes.iter().position(&mut other).unwrap_or(bytes.len());
    (len, classes & HIDING != 0)
}

pub(super) fn is_query(bytes: &[u8]) -> bool {
    all(bytes, QUERY)
}

/// How many bytes at the beginning are a host name's.
pub(super) fn host_name_len(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| class(*byte) & HOST == 0).unwrap_or(bytes.len())
}

/// Whether a byte stands for nothing that is printed: 0 to 31, and 127.
pub(super) const fn is_control(byte: u8) -> bool {
    byte < 0x20 || byte == 0x7f
}

/// Where the first control byte is: a loop over blocks, which the compiler makes vectors of, comes near it, and words of
/// eight bytes find it.
pub(super) fn control(bytes: &[u8]) -> Option<usize> {
    let (blocks, _) = bytes.as_chunks::<32>();
    let has_control = |block: &[u8; 32]| block.iter().fold(0, |any, byte| any | u8::from(is_control(*byte))) != 0;
    let mut at = 32 * blocks.iter().position(has_control).unwrap_or(blocks.len());
    let (words, rest) = bytes.get(at..).unwrap_or_default().as_chunks::<8>();
    for word in words {
        let found = controls(u64::from_le_bytes(*word));
        if found != 0 {
            return Some(at + usize::try_from(found.trailing_zeros() / 8).unwrap_or(0));
        }
        at += 8;
    }
    rest.iter().position(|byte| is_control(*byte)).map(|place| at + place)
}

/// The highest bit of each byte that is a control byte; no sum carries into the next byte.
const fn controls(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * ONES;
    let low = word & !HIGH;
    let is_printed = low + 0x60 * ONES;
    let is_delete = low + ONES;
    (!is_printed | is_delete) & !word & HIGH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_bytes_are_found_wherever_they_stand() {
        for byte in 0..=255_u8 {
            for place in 0..75 {
                let mut bytes = [b'a'; 75];
                bytes[place] = byte;
                assert_eq!(control(&bytes), is_control(byte).then_some(place), "{byte} at {place}");
                // What stands around it changes nothing.
                let mut bytes = [0xff; 75];
                bytes[place] = byte;
                assert_eq!(control(&bytes), is_control(byte).then_some(place), "{byte} at {place}");
            }
        }
    }

    #[test]
    fn what_is_taken_in_a_target_is_taken_by_hyper() {
        for byte in 0..=255_u8 {
            let target = |of: &[u8]| http::Uri::try_from([of, &[byte]].concat()).is_ok();
            assert!(path_len(&[byte]).0 == 0 || target(b"/"), "{byte}");
            assert!(!is_query(&[byte]) || target(b"/?"), "{byte}");
        }
    }

    #[test]
    fn tokens_are_those_of_the_rfc() {
        let tokens: Vec<u8> = (0..=255).filter(|byte| is_token(*byte)).collect();
        let expected = b"!#$%&'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz|~";
        assert_eq!(tokens, expected);
        for place in 0..20 {
            let mut bytes = [b'a'; 20];
            bytes[place] = b':';
            assert_eq!((token_len(&bytes), token_len(&bytes[..place])), (place, place));
        }
    }
}
