//! Connections of clients: listeners, the threads of workers, HTTP/1.1 and HTTP/2.

pub(crate) mod handler;
pub(crate) mod http1;
pub(crate) mod http2;
pub(crate) mod listener;
pub(crate) mod threads;
