//! The content of an HTTP/1.1 message, taken from the bytes that were received.

use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::SizeHint;
use http1::{BodyScanner, Fields, Framing, KnownName, Piece, Violation};

/// The trailers of a message, which are not empty. In memory they are always a `HeaderMap`: HTTP/2 and `http_body::Frame`
/// have no other form. The box reduces the cost of a message without trailers to one word.
pub(crate) type Trailers = Box<HeaderMap>;

/// Reads the content of one message. Framing is removed.
#[derive(Debug)]
pub(crate) struct ContentReader {
    scanner: BodyScanner,
    /// The length of the content at the beginning of the received bytes, if the scanner has passed it.
    ahead: usize,
    /// Bytes of content to come, if the length was announced.
    left: Option<u64>,
    /// The names of fields that belong to the connection, also if they are trailers.
    connection_options: Option<Box<[Box<[u8]>]>>,
    trailers: Option<Trailers>,
}

impl ContentReader {
    /// Creates a reader for the content after the head of a response with these fields.
    pub(crate) fn after_response(head: Fields<'_>, framing: Framing) -> Self {
        Self { scanner: BodyScanner::of_response(framing), ..Self::after(head, framing) }
    }

    /// Creates a reader for the content after the head of a request with these fields.
    pub(crate) fn after(head: Fields<'_>, framing: Framing) -> Self {
        let mut reader = Self::new(framing);
        if framing == Framing::Chunked && head.get(KnownName::Connection).is_some() {
            reader.connection_options = Some(head.connection_options().map(Box::from).collect());
        }
        reader
    }

    /// Creates a reader for content with this framing.
    pub(crate) fn new(framing: Framing) -> Self {
        let left = match framing {
            Framing::Empty => Some(0),
            Framing::Length(bytes) => Some(bytes),
            Framing::Chunked | Framing::UntilClose | Framing::Tunnel => None,
        };
        let connection_options = None;
        let trailers = None;
        Self { scanner: BodyScanner::new(framing), ahead: 0, left, connection_options, trailers }
    }

    /// Whether all of the content was taken. Trailers may remain.
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

    /// Returns whether the message has trailers that were not taken.
    pub(crate) const fn has_trailers(&self) -> bool {
        self.trailers.is_some()
    }

    /// Takes the trailers at the end of the content, without those that belong to the connection.
    pub(crate) const fn take_trailers(&mut self) -> Option<Trailers> {
        self.trailers.take()
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
                Some(Piece::Framing(bytes)) => received.advance(bytes),
                Some(Piece::Trailers(bytes)) => {
                    if let Some(fields) = self.scanner.trailers(received) {
                        self.trailers = trailers(fields, self.connection_options.as_deref().unwrap_or_default());
                    }
                    received.advance(bytes);
                }
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

/// Returns the trailers that do not have one of the names `hidden`.
fn trailers(fields: Fields<'_>, hidden: &[Box<[u8]>]) -> Option<Trailers> {
    let mut trailers = Box::new(HeaderMap::with_capacity(fields.len()));
    for field in fields.iter().filter(|field| !hidden.iter().any(|name| name.eq_ignore_ascii_case(field.name))) {
        // The parser accepts no name and no value that a map cannot have.
        if let Ok(name) = HeaderName::from_bytes(field.name)
            && let Ok(value) = HeaderValue::from_bytes(field.value)
        {
            trailers.append(name, value);
        }
    }
    (!trailers.is_empty()).then_some(trailers)
}

/// Returns the trailers of a message over HTTP/2 that may be passed on; the parser of HTTP/1.1 applies the same rule.
pub(crate) fn allowed_trailers(mut received: HeaderMap) -> HeaderMap {
    let is_forbidden = |name: &&HeaderName| !http1::may_be_trailer(name.as_str().as_bytes());
    let forbidden: Vec<HeaderName> = received.keys().filter(is_forbidden).cloned().collect();
    for name in forbidden {
        received.remove(name);
    }
    received
}

/// Returns the number of bytes of a piece of content.
pub(crate) fn length(content: &Bytes) -> u64 {
    u64::try_from(content.len()).unwrap_or(u64::MAX)
}
