//! The deadlines of requests.

use std::time::Duration;

/// The sections `timeouts` and `ai.timeouts`.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Maximum time until a connection to an upstream is established, TLS included. Default 2 s.
    pub connect: Duration,
    /// Maximum time from the request's last byte to the head of the response. Default 60 s, `ai` 10 min.
    pub first_byte: Duration,
    /// Maximum time without a byte in either direction. Default 60 s.
    pub idle: Duration,
    /// Maximum time of the whole request. Default 15 min, `ai` 30 min.
    pub total: Duration,
}
