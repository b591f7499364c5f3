//! Connections to upstreams. `destination` is a backend or a provider with its `pool`, which selects the connection of a
//! request; a `group` chooses among the backends of an upstream by a `strategy`; all workers share their state (`backend`), with a circuit `breaker`. `connect`
//! opens a new connection to an address that `lookups` finds, over a `socket` that counts bytes. `outgoing` is the head
//! of a request, `response_head` that of a response; `http1` sends one request at a time, `pool::http2` many;
//! `download` is the body of a response over either. A `short_call` is a request of the gateway itself.

pub(crate) mod attempt_result;
pub(crate) mod backend;
pub(crate) mod backend_causes;
pub(crate) mod backends;
pub(crate) mod breaker;
pub(crate) mod connect;
pub(crate) mod connection_limit;
pub(crate) mod destination;
pub(crate) mod destinations;
pub(crate) mod download;
pub(crate) mod ejection;
pub(crate) mod group;
pub(crate) mod http1;
pub(crate) mod interim;
pub(crate) mod lookups;
pub(crate) mod no_backend;
pub(crate) mod outgoing;
pub(crate) mod pool;
pub(crate) mod response_head;
pub(crate) mod retry_budget;
pub(crate) mod short_call;
pub(crate) mod socket;
pub(crate) mod strategy;
pub(crate) mod targets;

pub use backend::BackendState;
pub use backends::Backends;
pub use tls::public_upstream_config as tls_config;

/// Maximum size of a response's head, equal to the default maximum of a request's head. HTTP/2 counts 32 more bytes for
/// each field (RFC 9113, 6.5.2).
pub(crate) const HEAD_BYTES_MAX: usize = 64 * 1024;
/// The status of a response that opens a tunnel.
pub(crate) const SWITCHING_PROTOCOLS: u16 = 101;
/// Interim responses (status 1xx) before a response.
pub(crate) const INTERIM_RESPONSES_MAX: u32 = 64;
