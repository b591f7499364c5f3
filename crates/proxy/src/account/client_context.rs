//! The client's connection, as its requests see it.

use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use access::SubjectText;
use http1::{HeadEdits, KnownName};
use tls::{ServerNames, ServerStream};

use crate::client::head::text;
use crate::deadlines::ConnectionDeadlines;
use crate::worker::Worker;

/// The connection on which a request arrived.
pub(crate) struct ConnectionContext {
    pub(crate) worker: Rc<Worker>,
    pub(crate) deadlines: Rc<ConnectionDeadlines>,
    pub(crate) peer: Peer,
    /// The position of the listener in the configuration.
    pub(crate) listener: usize,
    /// The server name of a connection to a listener with several certificates.
    pub(crate) server_name: Option<Box<UsedServerName>>,
    /// Whether the client speaks HTTP/2.
    pub(crate) is_http2: Cell<bool>,
}

/// The server name that a client sent, which has chosen the certificate of its connection.
pub(crate) struct UsedServerName {
    name: Box<str>,
    names: Arc<ServerNames>,
}

impl UsedServerName {
    /// Returns the server name of a connection; `None` if the listener has one certificate, or the client sent no name.
    pub(crate) fn from_stream(stream: &ServerStream, names: Option<Arc<ServerNames>>) -> Option<Box<Self>> {
        Some(Box::new(Self { name: stream.server_name()?.into(), names: names? }))
    }

    /// Whether a request to this host, with or without a port, belongs to the certificate of another connection.
    pub(crate) fn excludes(&self, host: &[u8]) -> bool {
        let Some(host) = text(host) else { return false };
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|octet| octet.is_ascii_digit()) => name,
            Some(_) | None => host,
        };
        self.names.is_misdirected(&self.name, name.strip_suffix('.').unwrap_or(name))
    }
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
        Self::proxied(address, scheme, address.to_string().as_bytes())
    }

    /// Returns the same of a client whose request passed proxies, which upstreams learn as `chain`.
    pub(crate) fn proxied(address: IpAddr, scheme: &'static str, chain: &[u8]) -> Self {
        let address = address.to_string().into_boxed_str();
        let mut edits = HeadEdits::for_forwarding();
        let written = edits
            .append(KnownName::XForwardedFor, chain)
            .and_then(|()| edits.append(KnownName::XForwardedProto, scheme.as_bytes()));
        if let Err(part) = written {
            // The values are addresses and parts of received fields, so this is a defect.
            tracing::error!(%part, "the address of a client cannot be written");
        }
        Self { address, scheme, edits }
    }
}
