//! Connections to upstreams. `pool` decides which one a request gets; `connect` makes a new one, over a `socket` that
//! counts; `http2` carries many requests on one; `download` is the body of an answer, whichever way it came.

pub(crate) mod connect;
pub(crate) mod download;
pub(crate) mod http2;
pub(crate) mod pool;
pub(crate) mod socket;

pub use connect::tls_config;
