//! The end of a call's arguments, which Chat does not mark.

/// Reads JSON in pieces, as far as to know whether an object or a list is complete.
#[derive(Debug, Default)]
pub(super) struct ArgumentsEnd {
    depth: u32,
    in_string: bool,
    is_escaped: bool,
    is_complete: bool,
}

impl ArgumentsEnd {
    /// Reads a further piece.
    pub(super) fn read(&mut self, piece: &str) {
        for byte in piece.bytes() {
            match byte {
                _ if std::mem::take(&mut self.is_escaped) => {}
                b'\\' if self.in_string => self.is_escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => self.depth = self.depth.saturating_add(1),
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.is_complete |= self.depth == 0;
                }
                _ => {}
            }
        }
    }

    /// Whether the arguments have begun, and lack their end.
    pub(super) const fn is_within(&self) -> bool {
        self.depth > 0 || self.in_string
    }

    /// Whether the arguments are complete.
    pub(super) const fn is_complete(&self) -> bool {
        self.is_complete
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_complete_at_its_last_bracket_in_any_pieces() {
        for json in [r#"{}"#, r#" {"a":"}","b":[{"c":"\"}\\"}]}"#, r#"[{"a":1}]"#] {
            for size in 1..=json.len() {
                let mut end = ArgumentsEnd::default();
                for (at, piece) in json.as_bytes().chunks(size).enumerate() {
                    assert!(
                        !end.is_complete() && (at == 0 || end.is_within() || json.starts_with(' ')),
                        "{json} {size} {at}"
                    );
                    end.read(std::str::from_utf8(piece).unwrap());
                }
                assert!(end.is_complete() && !end.is_within(), "{json} {size}");
            }
        }
        let mut end = ArgumentsEnd::default();
        end.read(r#""text""#);
        assert!(!end.is_complete());
    }
}
