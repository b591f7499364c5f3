//! The reason why a source of other services' state cannot be read.

use std::error::Error;
use std::io;
use std::time::Duration;

use thiserror::Error;

/// The reason why a source cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SourceError {
    /// The DNS servers of the system are unknown.
    #[error("/etc/resolv.conf cannot be used: {0}")]
    System(String),
    /// The DNS servers did not respond, or reported an error.
    #[error("the look-up failed: {0}")]
    Lookup(String),
    /// The source did not respond in time.
    #[error("no response within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// No connection to the server was opened.
    #[error("no connection to the server: {0}")]
    Connect(String),
    /// The server has a link-local or metadata address.
    #[error("the server has a link-local or metadata address, to which no connection is made")]
    LinkLocal,
    /// The server does not speak HTTP/1.1, or sends other content than expected.
    #[error("the response is invalid or incomplete: {0}")]
    Protocol(String),
    /// The status is not 200. Redirects are not followed.
    #[error("the status of the response is {0}, not 200")]
    Status(u16),
    /// The response is larger than its maximum.
    #[error("the response is too large")]
    TooLarge,
    /// A part of the response or of the configuration has no valid form.
    #[error("{0}")]
    Invalid(&'static str),
    /// The task that follows the source has ended.
    #[error("internal error: the task of the source has ended")]
    Ended,
}

impl SourceError {
    pub(crate) fn connect(error: &io::Error) -> Self {
        Self::Connect(error.to_string())
    }

    pub(crate) fn protocol(error: &hyper::Error) -> Self {
        let cause = error.source().map(|source| format!(": {source}")).unwrap_or_default();
        Self::Protocol(format!("{error}{cause}"))
    }
}
