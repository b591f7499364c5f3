//! The keys of a request that were removed from its head.

/// The keys of a request that its head does not contain.
#[derive(Default)]
pub(crate) struct MovedKeys {
    pub(super) keys: Vec<Box<[u8]>>,
    /// Whether keys in headers do not count.
    pub(super) ignores_headers: bool,
    /// The protocol with the key that the client has offered, if it has offered no other.
    pub(super) only_protocol: Option<Box<[u8]>>,
}

impl MovedKeys {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.keys.iter().map(|key| &**key)
    }

    pub(crate) const fn ignores_headers(&self) -> bool {
        self.ignores_headers
    }

    /// Returns the only WebSocket protocol that the client has offered, if it contains a key. Browsers refuse a response that
    /// accepts none of the offered protocols.
    pub(crate) fn only_protocol(&self) -> Option<&[u8]> {
        self.only_protocol.as_deref()
    }
}
