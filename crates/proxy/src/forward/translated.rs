//! A response that is translated into the client's format on its way: the last step before the client, behind the tap.

use ai::ResponseFraming;
use ai::translate::ResponseTranslator;
use bytes::{Bytes, BytesMut};

use crate::capacity::{MemoryExceeded, MemoryPermit};

/// The translation of a response, with the status that the client gets.
pub(crate) struct TranslatedResponse {
    translator: ResponseTranslator,
    pub(crate) status: u16,
    /// Whether the whole body is held until its end.
    is_whole: bool,
    /// Counts that body for its client, like the bodies of requests.
    held: MemoryPermit,
}

impl TranslatedResponse {
    /// Returns the translation by `translator`, of which `held` counts the bytes.
    pub(crate) fn new(
        translator: ResponseTranslator,
        status: u16,
        framing: ResponseFraming,
        held: MemoryPermit,
    ) -> Self {
        Self { translator, status, is_whole: framing != ResponseFraming::Events, held }
    }

    /// Translates a further piece of the response.
    ///
    /// # Errors
    /// The client's share of the memory has no room for the piece.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<Bytes, MemoryExceeded> {
        if self.is_whole {
            self.held.grow(piece.len())?;
        }
        Ok(self.translator.push(piece))
    }

    /// Returns the end of the response, after its last bytes `rest`.
    pub(crate) fn end(mut self, rest: &[u8]) -> Bytes {
        let before = if rest.is_empty() { Bytes::new() } else { self.translator.push(rest) };
        let last = self.translator.end();
        if before.is_empty() {
            return last;
        }
        let mut both = BytesMut::with_capacity(before.len() + last.len());
        both.extend_from_slice(&before);
        both.extend_from_slice(&last);
        both.freeze()
    }
}
