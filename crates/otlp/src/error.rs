//! Why spans were not exported.

use std::time::Duration;

use thiserror::Error;
use tls::OutboundError;

/// Why one request to the receiver of traces failed.
#[derive(Debug, Error)]
pub enum TraceExportError {
    /// There is no connection to the receiver.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// The receiver closed the connection, or does not speak HTTP/1.1.
    #[error(
        "the receiver of traces did not respond over HTTP/1.1: check the port in `traces.otlp`, which is usually 4318 (4317 is \
         that of gRPC)"
    )]
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
            Self::Outbound(error) => error.is_temporary(),
            Self::Http(_) | Self::TimedOut | Self::Busy { .. } => true,
            Self::Request(_) | Self::Refused { .. } => false,
        }
    }

    /// Returns the time for which the receiver asks to wait.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after, .. } => *retry_after,
            Self::Outbound(_) | Self::Http(_) | Self::TimedOut | Self::Request(_) | Self::Refused { .. } => None,
        }
    }
}
