//! The client's connection, as its requests see it.

use std::net::IpAddr;
use std::rc::Rc;

use http::HeaderValue;

use crate::deadlines::ConnectionDeadlines;
use crate::worker::Worker;

/// The connection on which a request arrived.
pub(crate) struct ConnectionContext {
    pub(crate) worker: Rc<Worker>,
    pub(crate) deadlines: Rc<ConnectionDeadlines>,
    pub(crate) peer: Peer,
}

/// The other end of a connection.
#[derive(Debug)]
pub(crate) struct Peer {
    /// The IP address of the other end.
    pub(crate) address: IpAddr,
    /// The same address as a field value for upstreams.
    pub(crate) forwarded_for: HeaderValue,
    /// The scheme of its requests' URLs.
    pub(crate) scheme: &'static str,
}

impl Peer {
    pub(crate) fn new(address: IpAddr, is_tls: bool) -> Self {
        let address = address.to_canonical();
        let text = address.to_string();
        // An IP address has no character that is invalid in a field value.
        let forwarded_for = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("unknown"));
        Self { address, forwarded_for, scheme: if is_tls { "https" } else { "http" } }
    }
}
