//! The client's connection, as its requests see it.

use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;

use access::SubjectText;
use http1::{HeadEdits, KnownName};
use tls::ServerStream;

use crate::deadlines::ConnectionDeadlines;
use crate::worker::Worker;

/// The connection on which a request arrived.
pub(crate) struct ConnectionContext {
    pub(crate) worker: Rc<Worker>,
    pub(crate) deadlines: Rc<ConnectionDeadlines>,
    pub(crate) peer: Peer,
    /// Whether the client speaks HTTP/2.
    pub(crate) is_http2: Cell<bool>,
}

/// The other end of a connection.
#[derive(Debug)]
pub(crate) struct Peer {
    /// The IP address of the other end; an IPv4 address is never written as IPv6.
    pub(crate) address: IpAddr,
    /// The same address and the scheme of its requests' URLs, as upstreams learn them unless it is a trusted proxy.
    pub(crate) origin: ClientOrigin,
    /// Whether the address is that of a proxy, whose client is unknown. Nothing that the client sends is trusted.
    pub(crate) is_unknown: bool,
    /// The subject of the client's verified certificate; `None` if it has none that a [`SubjectText`] can represent.
    pub(crate) certificate: Option<SubjectText<512>>,
}

/// A client's address and the scheme of the URLs that it requests, with the edits that tell upstreams of both.
#[derive(Debug, Clone)]
pub(crate) struct ClientOrigin {
    pub(crate) address: Box<str>,
    pub(crate) scheme: &'static str,
    pub(crate) edits: HeadEdits,
}

impl Peer {
    pub(crate) fn new(address: IpAddr, is_tls: bool, stream: &ServerStream) -> Self {
        let address = address.to_canonical();
        let origin = ClientOrigin::new(address, if is_tls { "https" } else { "http" });
        let certificate = stream.client_subject().and_then(|subject| SubjectText::parse(&subject));
        Self { address, origin, is_unknown: false, certificate }
    }

    /// Returns the subject of the client's verified certificate, as a field value.
    pub(crate) fn certificate_subject(&self) -> Option<&[u8]> {
        self.certificate.as_ref().map(|subject| subject.as_str().as_bytes())
    }
}

impl ClientOrigin {
    pub(crate) fn new(address: IpAddr, scheme: &'static str) -> Self {
        let (address, mut edits) = (address.to_string().into_boxed_str(), HeadEdits::for_forwarding());
        let written = edits
            .append(KnownName::XForwardedFor, address.as_bytes())
            .and_then(|()| edits.append(KnownName::XForwardedProto, scheme.as_bytes()));
        if let Err(part) = written {
            // Neither value has an octet that is invalid in a field, so this is a defect.
            tracing::error!(%part, "the address of a client cannot be written");
        }
        Self { address, scheme, edits }
    }
}
