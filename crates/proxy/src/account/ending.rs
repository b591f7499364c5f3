//! How a request ends: what the client gets, and how much of it.

use access::Refusal;

/// The bytes and the result of a request so far.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    pub(crate) request_bytes: u64,
    pub(crate) response_bytes: u64,
    /// The status that the client receives; 0 before the response.
    pub(crate) status: u16,
    /// The refusal, with its cause for the log.
    pub(crate) refusal: Option<(Refusal, Option<String>)>,
    /// Whether the request is settled, so that nothing changes any more.
    pub(crate) is_settled: bool,
}
