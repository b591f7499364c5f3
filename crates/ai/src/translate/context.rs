//! What a request determines about the translation of its response.

use crate::format::Format;

/// What the translation of a response needs to know of its request.
#[derive(Debug, Clone)]
pub struct ResponseContext {
    /// The client's format, in which the response is written.
    pub(crate) client: Format,
    /// The provider's format, in which the response is read.
    pub(crate) provider: Format,
    /// Whether the client requested a stream.
    pub(crate) streamed: bool,
    /// Whether the client requested the usage chunk of a chat stream.
    pub(crate) include_usage: bool,
    /// The model's name as the client wrote it.
    pub(crate) model: String,
}
