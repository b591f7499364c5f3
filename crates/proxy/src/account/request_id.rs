//! The text of a request id, as logs, clients and upstreams have it.

use access::RequestId;

use crate::account::trace_context::hex_digits;

/// Where the halves of the digits of each word of a UUID begin.
const HALVES: [[usize; 2]; 4] = [[0, 4], [9, 14], [19, 24], [28, 32]];

/// The text of a request id: a UUID with hyphens, in lower case.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestIdText([u8; 36]);

impl RequestIdText {
    /// Returns the text of `id`.
    pub(crate) fn new(id: RequestId) -> Self {
        let mut text = *b"00000000-0000-0000-0000-000000000000";
        let (words, _) = id.0.as_bytes().as_chunks();
        for (word, starts) in words.iter().zip(HALVES) {
            let digits = hex_digits(*word);
            let (halves, _) = digits.as_chunks::<4>();
            for (half, start) in halves.iter().zip(starts) {
                if let Some(place) = text.get_mut(start..start + half.len()) {
                    place.copy_from_slice(half);
                }
            }
        }
        Self(text)
    }

    /// Returns the field lines of a response, with both names under which clients look for the id.
    pub(crate) fn response_fields(&self) -> [u8; 102] {
        let mut lines = *b"x-request-id: 00000000-0000-0000-0000-000000000000\r\n\
            request-id: 00000000-0000-0000-0000-000000000000\r\n";
        for start in [14, 64] {
            if let Some(place) = lines.get_mut(start..start + self.0.len()) {
                place.copy_from_slice(&self.0);
            }
        }
        lines
    }

    /// Returns the text, which is ASCII.
    pub(crate) const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use access::{Clock, Ids, Timestamp};

    use super::*;

    #[test]
    fn a_response_has_the_id_under_both_names() {
        let id = RequestId(Ids::new(Clock::manual(Timestamp(1))).next_uuid());
        let expected = format!("x-request-id: {0}\r\nrequest-id: {0}\r\n", id.0);
        assert_eq!(std::str::from_utf8(&RequestIdText::new(id).response_fields()), Ok(&*expected));
        assert_eq!(std::str::from_utf8(RequestIdText::new(id).as_bytes()), Ok(&*id.0.to_string()));
    }
}
