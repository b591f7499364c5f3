//! The receiving side of a client's HTTP/1.1 connection: its socket, and the content of its current request.

mod accepted;
mod request_body;
mod request_body_error;
mod socket;

pub use accepted::ALPN;
pub(crate) use accepted::{AcceptedStream, RefusedStream};
pub(crate) use request_body::RequestBody;
pub(crate) use request_body_error::RequestBodyError;
pub(crate) use socket::{ClientSocket, SharedSocket};
