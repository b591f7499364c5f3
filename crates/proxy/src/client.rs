//! The receiving side of a client's connection: the socket of HTTP/1.1, and the content of requests over either protocol.

mod accepted;
pub(crate) mod dialect;
pub(crate) mod head;
pub(crate) mod key_removal;
pub(crate) mod moved_keys;
mod proxy_header;
mod request_body;
mod request_body_error;
mod socket;
mod stream_body;
pub(crate) mod trusted;

pub use accepted::ALPN;
pub(crate) use accepted::{AcceptedStream, ClientProtocol, ConnectingPeer, OpenedStream, ProxyFailures, RefusedStream};
pub(crate) use request_body::RequestBody;
pub(crate) use request_body_error::RequestBodyError;
pub(crate) use socket::{ClientSocket, SharedSocket};
pub(crate) use stream_body::{ContentWanted, StreamBody};
