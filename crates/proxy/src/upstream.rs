//! Connections to upstreams. `pool` decides which one a request gets; `connect` makes a new one, over a `socket` that
//! counts; `http1` carries one request at a time, `http2` many; `download` is the body of an answer, whichever way it came.

pub(crate) mod connect;
pub(crate) mod download;
pub(crate) mod http1;
pub(crate) mod http2;
pub(crate) mod pool;
pub(crate) mod socket;

pub use connect::tls_config;

/// Interim responses (status 1xx) before a response.
pub(crate) const INTERIM_RESPONSES_MAX: u32 = 64;
