//! How a request ends: what the client gets, and how much of it.

use access::Refusal;
use meter::RefusedLimit;

/// The bytes and the result of a request so far.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    pub(crate) request_bytes: u64,
    pub(crate) response_bytes: u64,
    /// The status that the client receives; 0 before the response.
    pub(crate) status: u16,
    /// The refusal, with its cause for the log.
    pub(crate) refusal: Option<(Refusal, Option<String>)>,
    /// The limit that refused the request.
    pub(crate) refused_limit: Option<Box<RefusedLimit>>,
    /// Why the upstream's response is incomplete, for the log.
    pub(crate) cut_by: Option<Box<str>>,
    /// Whether the request is settled, so that nothing changes any more.
    pub(crate) is_settled: bool,
}

impl Ending {
    /// Returns the reason for the refusal or for the incomplete response, for the log.
    pub(crate) fn cause(&self) -> Option<&str> {
        let refused = self.refusal.as_ref().and_then(|(_, cause)| cause.as_deref());
        refused.or(self.cut_by.as_deref())
    }
}
