//! Connections to upstreams.

pub(crate) mod connect;
pub(crate) mod pool;

pub use connect::tls_config;
