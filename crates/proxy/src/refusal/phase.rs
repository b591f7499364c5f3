//! The result of one phase of a request: the next phase follows, or the gateway responds at once.

use bytes::Bytes;
use http::Response;

use crate::refusal::problem::Problem;

/// The result of a phase; `Ok` has what the next phase needs.
pub(crate) type Phase<T> = Result<T, EarlyResponse>;

/// A response of the gateway that ends the phases.
pub(crate) enum EarlyResponse {
    /// The request is complete without an upstream.
    Respond(Box<Response<Bytes>>),
    /// The request is refused, or has failed.
    Refuse(Problem),
}

impl From<Problem> for EarlyResponse {
    fn from(problem: Problem) -> Self {
        Self::Refuse(problem)
    }
}
