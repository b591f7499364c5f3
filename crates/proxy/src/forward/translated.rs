//! A response that is translated into the client's format on its way: the last step before the client, behind the tap.

use access::RequestId;
use ai::translate::ResponseTranslator;
use bytes::{Bytes, BytesMut};

use crate::capacity::{MemoryExceeded, MemoryPermit};

/// The translation of a response, with the status that the client gets.
pub(crate) struct TranslatedResponse {
    translator: ResponseTranslator,
    pub(crate) status: u16,
    request_id: RequestId,
    /// Counts the bytes that the translation holds for its client, like the bodies of requests.
    held: MemoryPermit,
    /// The number of bytes that `held` counts: the most that were held so far.
    held_bytes: usize,
}

impl TranslatedResponse {
    /// Returns the translation by `translator`, of which `held` counts the bytes.
    pub(crate) const fn new(
        translator: ResponseTranslator,
        status: u16,
        request_id: RequestId,
        held: MemoryPermit,
    ) -> Self {
        Self { translator, status, request_id, held, held_bytes: 0 }
    }

    /// Translates a further piece of the response.
    ///
    /// # Errors
    /// The client's share of the memory has no room for the bytes that are held.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<Bytes, MemoryExceeded> {
        let translated = self.translator.push(piece);
        let held_bytes = self.translator.held_bytes();
        if held_bytes > self.held_bytes {
            self.held.grow(held_bytes - self.held_bytes)?;
            self.held_bytes = held_bytes;
        }
        Ok(translated)
    }

    /// Returns the end of the response, after its last bytes `rest`.
    pub(crate) fn end(mut self, rest: &[u8]) -> Bytes {
        let before = if rest.is_empty() { Bytes::new() } else { self.translator.push(rest) };
        let last = self.translator.end();
        if let Some(reason) = self.translator.unknown_stop() {
            let request_id = &self.request_id;
            tracing::warn!(%request_id, reason, "a provider ended a response for a reason that the translation does not know");
        }
        if before.is_empty() {
            return last;
        }
        let mut both = BytesMut::with_capacity(before.len() + last.len());
        both.extend_from_slice(&before);
        both.extend_from_slice(&last);
        both.freeze()
    }
}
