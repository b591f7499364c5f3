//! The gateway's own responses.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

/// A response from the configuration.
#[derive(Debug, Clone)]
pub struct FixedResponse {
    /// The status, from 200 to 599.
    pub status: StatusCode,
    /// The fields, without those of framing.
    pub headers: HeaderMap,
    /// The content; empty for a status without content.
    pub body: Bytes,
}
