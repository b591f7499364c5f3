//! The content of an HTTP/1.1 message, taken from the bytes that were received.

use bytes::{Buf as _, Bytes, BytesMut};
use http_body::SizeHint;
use http1::{BodyScanner, Framing, Piece, Violation};

/// Reads the content of one message. Framing is removed; trailers are dropped.
#[derive(Debug)]
pub(crate) struct ContentReader {
    scanner: BodyScanner,
    /// The length of the content at the beginning of the received bytes, if the scanner has passed it.
    ahead: usize,
    /// Bytes of content to come, if the length was announced.
    left: Option<u64>,
}

impl ContentReader {
    /// Creates a reader for content with this framing.
    pub(crate) fn new(framing: Framing) -> Self {
        let left = match framing {
            Framing::Empty => Some(0),
            Framing::Length(bytes) => Some(bytes),
            Framing::Chunked | Framing::UntilClose | Framing::Tunnel => None,
        };
        Self { scanner: BodyScanner::new(framing), ahead: 0, left }
    }

    /// Whether all of the content was taken.
    pub(crate) const fn is_over(&self) -> bool {
        self.scanner.has_ended() && self.ahead == 0
    }

    /// Whether content was received, or the content has ended.
    pub(crate) const fn has_begun(&self) -> bool {
        self.scanner.content_bytes() > 0 || self.scanner.has_ended()
    }

    /// Bytes of content to come, if the length was announced.
    pub(crate) fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }

    /// Takes the next content from the received bytes. After it, framing is read up to the next content, so that the end is
    /// known with the last piece. `None`: the content is over, or more bytes are needed.
    ///
    /// # Errors
    /// The framing breaks a rule. Content before it is returned first.
    pub(crate) fn next(&mut self, received: &mut BytesMut) -> Result<Option<Bytes>, Violation> {
        if self.ahead == 0 {
            self.skip_framing(received)?;
        }
        if self.ahead == 0 {
            return Ok(None);
        }
        let data = received.split_to(std::mem::take(&mut self.ahead)).freeze();
        self.left = self.left.map(|left| left.saturating_sub(length(&data)));
        // A violation after this content is returned by the next call.
        let _ = self.skip_framing(received);
        Ok(Some(data))
    }

    fn skip_framing(&mut self, received: &mut BytesMut) -> Result<(), Violation> {
        loop {
            match self.scanner.next(received)? {
                Some(Piece::Content(bytes)) => {
                    self.ahead = bytes;
                    return Ok(());
                }
                Some(Piece::Framing(bytes) | Piece::Trailers(bytes)) => received.advance(bytes),
                None => return Ok(()),
            }
        }
    }

    /// Ends the content at the end of the connection.
    ///
    /// # Errors
    /// [`Violation::Truncated`]: the content is incomplete.
    pub(crate) fn close(&mut self) -> Result<(), Violation> {
        self.scanner.close()
    }
}

/// Returns the number of bytes of a piece of content.
pub(crate) fn length(content: &Bytes) -> u64 {
    u64::try_from(content.len()).unwrap_or(u64::MAX)
}
