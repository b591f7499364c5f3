//! Why a request on an HTTP/1.1 connection has no response.

use std::io;

use ::http1::Violation;
use thiserror::Error;

use crate::body::upload::UploadError;
use crate::upstream::{HEAD_BYTES_MAX, INTERIM_RESPONSES_MAX};

/// The reason for a missing response.
#[derive(Debug, Error)]
pub(crate) enum Http1CallError {
    #[error("the connection to the upstream failed")]
    Io(#[source] io::Error),
    #[error("the upstream closed the connection before it responded")]
    Closed,
    #[error("the upstream's response breaks a rule of HTTP/1.1")]
    Violation(#[source] Violation),
    #[error(
        "the upstream sent more than {INTERIM_RESPONSES_MAX} interim responses, or more than {HEAD_BYTES_MAX} bytes of them"
    )]
    Interim,
    // The request's `Upgrade` field is not forwarded.
    #[error("the upstream switched protocols without a request to do so")]
    Switched,
    #[error(transparent)]
    Upload(#[from] UploadError),
}

impl Http1CallError {
    /// Returns whether the upstream's bytes were invalid.
    pub(crate) const fn is_protocol(&self) -> bool {
        match self {
            Self::Violation(_) | Self::Interim | Self::Switched => true,
            Self::Io(_) | Self::Closed | Self::Upload(_) => false,
        }
    }

    /// Returns whether the client's body ended the call.
    pub(crate) const fn is_of_client(&self) -> bool {
        matches!(self, Self::Upload(_))
    }
}
