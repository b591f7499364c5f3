//! The end of an object or array whose content is not read.

use super::text;

/// A position in an object or array, which arrives in pieces: the number of open brackets, and whether it is in a string.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Nesting {
    depth: u64,
    /// In a string, whether the next byte belongs to an escape.
    text: Option<bool>,
}

impl Nesting {
    /// The position behind an opening bracket; the default is the one before it.
    pub(crate) const OPEN: Self = Self { depth: 1, text: None };

    /// Reads the next piece. Returns its bytes up to the closing bracket and those behind it; `None` if all of them belong
    /// to the value.
    pub(crate) fn end_in<'a>(&mut self, bytes: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        let counts = |byte: &u8| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']');
        let mut rest = bytes;
        loop {
            if let Some(escaped) = self.text {
                let inside = text::inside(escaped, rest);
                let Some(behind) = inside.rest else {
                    self.text = Some(inside.escaped);
                    return None;
                };
                self.text = None;
                rest = behind;
            }
            let at = rest.iter().position(counts)?;
            let (before, behind) = rest.split_at(at + 1);
            rest = behind;
            match before.last() {
                Some(b'"') => self.text = Some(false),
                Some(b'{' | b'[') => self.depth = self.depth.saturating_add(1),
                _ => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return bytes.split_at_checked(bytes.len() - rest.len());
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_at_every_split() {
        const VALUE: &[u8] = br#"{"a}":["\"]",{"b\\":"}"},[]],"c":1}"#;
        let input = [VALUE, b",{"].concat();
        for split in 0..=VALUE.len() {
            let mut at = Nesting::default();
            let (first, second) = input.split_at(split);
            let end = match at.end_in(first) {
                Some((value, _)) => value.len(),
                None => split + at.end_in(second).unwrap().0.len(),
            };
            assert_eq!(end, VALUE.len(), "{split}");
        }
        let mut open = Nesting::OPEN;
        assert_eq!(open.end_in(b"1]2"), Some((b"1]".as_slice(), b"2".as_slice())));
    }
}
