//! Why the content of a client's request is incomplete.

use std::io;

use http1::Violation;
use thiserror::Error;

/// The reason for an incomplete request body.
#[derive(Debug, Error)]
pub(crate) enum RequestBodyError {
    /// The framing of the body is invalid.
    #[error("the request's body breaks a rule of HTTP/1.1")]
    Violation(#[source] Violation),
    /// The client closed the connection before the end of the body.
    #[error("the client closed the connection before the end of the request's body")]
    Truncated,
    /// Reading from the connection failed.
    #[error("the connection to the client failed")]
    Io(#[source] io::Error),
    /// The stream was reset, or its connection failed.
    #[error("the stream of the request ended before its body")]
    Stream(#[source] h2::Error),
    /// The connection serves another request, or none.
    #[error("the request has ended")]
    Ended,
}
