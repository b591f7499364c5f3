//! A call as the path of its endpoint names it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

use crate::endpoint::EndpointCall;

/// Characters of a model's name that are not encoded: RFC 3986's unreserved characters.
pub(super) const IN_SEGMENT: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A call for the path of a provider's endpoint.
#[derive(Debug, Clone, Copy)]
pub struct PathCall<'a> {
    /// The endpoint that is called.
    pub called: &'a EndpointCall<'a>,
    /// The provider's own name of the model.
    pub model: &'a str,
    /// The query of the client.
    pub query: Option<&'a str>,
    /// Whether the client requested a stream.
    pub is_streamed: bool,
}
