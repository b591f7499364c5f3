//! The text of a request id, as logs, clients and upstreams have it.

use access::RequestId;

/// The text of a request id: a UUID with hyphens, in lower case.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestIdText([u8; 36]);

impl RequestIdText {
    /// Returns the text of `id`.
    pub(crate) fn new(id: RequestId) -> Self {
        let mut text = [0; 36];
        id.0.hyphenated().encode_lower(&mut text);
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
    }
}
