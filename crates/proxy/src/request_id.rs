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

    /// Returns the text, which is ASCII.
    pub(crate) const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}
