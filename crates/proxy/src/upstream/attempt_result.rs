//! How attempts to send requests to backends end.

use access::Refusal;
use http1::KnownName;
use telemetry::FAILURE_CAUSES;

use crate::upstream::response_head::UpstreamHead;

/// How an attempt to send a request to a backend ended, as far as the backend is concerned. An attempt is not reported if its
/// client disconnects, or if it is made again because an idle connection had ended: neither describes the backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AttemptResult {
    /// No connection was ready in time.
    ConnectFailed,
    /// The connection broke, or its protocol was violated, before the head of a response.
    Reset,
    /// The head of the response did not arrive in time.
    TimedOut,
    /// The head of a response arrived, with this status.
    Status(u16),
    /// The head of a response arrived, with the gRPC status 14 (`UNAVAILABLE`).
    GrpcUnavailable,
    /// The request could not be sent for a reason of its client or of Tollgate.
    Aborted,
}

impl AttemptResult {
    /// Returns the result of an attempt without a response.
    pub(crate) fn of_refusal(refusal: Refusal) -> Self {
        const FAILED: [(Refusal, AttemptResult); 4] = [
            (Refusal::UpstreamConnect, AttemptResult::ConnectFailed),
            (Refusal::UpstreamReset, AttemptResult::Reset),
            (Refusal::UpstreamProtocol, AttemptResult::Reset),
            (Refusal::UpstreamTimeout, AttemptResult::TimedOut),
        ];
        FAILED.iter().find(|(of, _)| *of == refusal).map_or(Self::Aborted, |(_, result)| *result)
    }

    /// Returns the result of an attempt with this response.
    pub(crate) fn of_response(head: &UpstreamHead) -> Self {
        const UNAVAILABLE: &[u8] = b"14";
        let is_grpc = head.fields().get(KnownName::ContentType).is_some_and(|of| of.starts_with(b"application/grpc"));
        if is_grpc && head.fields().named(b"grpc-status").next() == Some(UNAVAILABLE) {
            return Self::GrpcUnavailable;
        }
        Self::Status(head.status())
    }

    /// Returns the position in [`FAILURE_CAUSES`] if the backend failed. Of statuses, only those of a gateway that cannot reach the
    /// service behind it are failures (RFC 9110, 15.6).
    pub(super) const fn cause(self) -> Option<usize> {
        match self {
            Self::ConnectFailed => Some(0),
            Self::Reset => Some(1),
            Self::TimedOut => Some(2),
            Self::Status(502..=504) | Self::GrpcUnavailable => Some(3),
            Self::Status(_) | Self::Aborted => None,
        }
    }

    /// Returns whether the response has a status of 500 to 599.
    pub(super) const fn is_server_error(self) -> bool {
        matches!(self, Self::Status(500..=599))
    }

    /// Returns the word of the cause in metrics; statuses other than failures have that of statuses.
    pub(crate) fn cause_word(self) -> &'static str {
        const STATUS: usize = 3;
        FAILURE_CAUSES.get(self.cause().unwrap_or(STATUS)).copied().unwrap_or_default()
    }
}
