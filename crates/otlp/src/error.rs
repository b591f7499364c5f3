//! Why spans were not exported.

use std::io;
use std::time::Duration;

use thiserror::Error;
use tls::OutboundError;

/// Why one request to the receiver of traces failed.
#[derive(Debug, Error)]
pub enum TraceExportError {
    /// The name of the host does not resolve.
    #[error("the host of the receiver of traces cannot be resolved")]
    Resolve(#[source] io::Error),
    /// The host has a link-local address, at which clouds serve the credentials of machines.
    #[error("the receiver of traces has a link-local address, to which Tollgate does not connect")]
    LinkLocal,
    /// No address of the host accepts a connection.
    #[error("the receiver of traces cannot be reached")]
    Connect(#[source] io::Error),
    /// The handshake of TLS failed.
    #[error("TLS to the receiver of traces failed")]
    Tls(#[source] io::Error),
    /// The receiver closed the connection, or does not speak HTTP/1.1.
    #[error("the receiver of traces did not respond over HTTP/1.1")]
    Http(#[source] hyper::Error),
    /// A configured value is not valid in a request.
    #[error("the request to the receiver of traces is invalid")]
    Request(#[source] http::Error),
    /// The receiver did not respond in time.
    #[error("the receiver of traces did not respond in time")]
    TimedOut,
    /// The receiver asks for a later repetition.
    #[error("the receiver of traces is busy: it responded with status {status}")]
    Busy {
        /// The status of the response.
        status: u16,
        /// The time in `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// The receiver does not accept the spans. They are dropped.
    #[error("the receiver of traces refused the spans with status {status}: check `traces.otlp` and `traces.headers`")]
    Refused {
        /// The status of the response. Redirects are not followed.
        status: u16,
    },
}

impl TraceExportError {
    /// Returns whether the same spans are sent again.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        match self {
            Self::Resolve(_) | Self::Connect(_) | Self::Tls(_) | Self::Http(_) | Self::TimedOut | Self::Busy { .. } => {
                true
            }
            Self::LinkLocal | Self::Request(_) | Self::Refused { .. } => false,
        }
    }

    /// Returns the time for which the receiver asks to wait.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after, .. } => *retry_after,
            Self::Resolve(_)
            | Self::Connect(_)
            | Self::Tls(_)
            | Self::Http(_)
            | Self::TimedOut
            | Self::LinkLocal
            | Self::Request(_)
            | Self::Refused { .. } => None,
        }
    }
}

impl From<OutboundError> for TraceExportError {
    fn from(error: OutboundError) -> Self {
        match error {
            OutboundError::Resolve(error) => Self::Resolve(error),
            OutboundError::LinkLocal => Self::LinkLocal,
            OutboundError::Connect(error) => Self::Connect(error),
            OutboundError::Tls(error) => Self::Tls(error),
        }
    }
}
