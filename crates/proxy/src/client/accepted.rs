//! A client's connection that was accepted, until its requests can be read: its PROXY header and its TLS handshake.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use access::Refusal;
use tls::{HandshakeError, ListenerConfig, PLAIN_HTTP_RESPONSE, ServerStream};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::proxy_header::{self, ProxiedSource, ProxyHeaderError};
use crate::capacity::ConnectionPermit;
use crate::metrics::WorkerHandles;
use crate::metrics::failure_log::FailureLog;
use crate::refusal::render::TOO_MANY_CONNECTIONS;

const ALPN_HTTP2: &[u8] = b"h2";
/// The protocols that listeners with TLS offer, in order of preference.
pub const ALPN: [&[u8]; 2] = [ALPN_HTTP2, b"http/1.1"];

const UNTRUSTED_PROXY: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n\
    content-length: 166\r\nconnection: close\r\n\r\n\
    {\"error\":{\"code\":\"bad_request\",\"message\":\"this port accepts only connections of trusted proxies: \
    use another port, or add the proxy to trusted_proxies\",\"status\":400}}";
const INVALID_PROXY_HEADER: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n\
    content-length: 129\r\nconnection: close\r\n\r\n\
    {\"error\":{\"code\":\"bad_request\",\"message\":\"the connection does not begin with a valid header of the \
    PROXY protocol\",\"status\":400}}";

/// A connection of a listener, which has not begun.
pub(crate) struct AcceptedStream {
    pub(crate) stream: TcpStream,
    /// The position of the listener in the configuration.
    pub(crate) listener: usize,
    pub(crate) tls: Option<Arc<ListenerConfig>>,
    /// The failures of the listener if its connections begin with a PROXY header.
    pub(crate) proxied: Option<Rc<ProxyFailures>>,
}

/// The connections of one listener that have no valid PROXY header, for the log.
#[derive(Debug, Default)]
pub(crate) struct ProxyFailures {
    untrusted: FailureLog,
    invalid: FailureLog,
}

/// The peer of a connection, before the connection begins.
pub(crate) struct ConnectingPeer<'a> {
    pub(crate) address: IpAddr,
    /// Whether the peer is a trusted proxy.
    pub(crate) is_trusted: bool,
    /// Counts the address of the client once it is known.
    pub(crate) permit: &'a mut ConnectionPermit,
    pub(crate) handles: &'a WorkerHandles,
}

/// A connection whose requests can be read.
#[derive(Debug)]
pub(crate) struct OpenedStream {
    pub(crate) stream: ServerStream,
    /// The address of the client: that of the peer, or the one in the PROXY header.
    pub(crate) address: IpAddr,
    /// Whether the address is that of a proxy, whose client is unknown.
    pub(crate) is_unknown: bool,
    /// Whether the client uses TLS, which the gateway or a proxy ends.
    pub(crate) is_tls: bool,
}

/// A connection that will not be served.
#[derive(Debug)]
pub(crate) enum RefusedStream {
    /// The client was sent a response without TLS, or an alert. It may still send.
    Answered(TcpStream),
    /// The client can read no response.
    Unanswered,
}

/// The protocol of a client's connection, as far as it is known before the first request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientProtocol {
    /// ALPN has selected HTTP/1.1 for the connection.
    Http1,
    /// ALPN has selected HTTP/2 for the connection.
    Http2,
    /// There was no ALPN: the client speaks HTTP/2 if it begins with its preface.
    FirstBytes,
}

impl ClientProtocol {
    /// Returns the protocol of a connection before its first byte.
    pub(crate) fn from_stream(stream: &ServerStream) -> Self {
        match stream.alpn_protocol() {
            None => Self::FirstBytes,
            Some(ALPN_HTTP2) => Self::Http2,
            Some(_) => Self::Http1,
        }
    }
}

impl OpenedStream {
    /// A connection without TLS and without a PROXY header.
    pub(crate) const fn plain(stream: TcpStream, address: IpAddr) -> Self {
        Self { stream: ServerStream::Plain(stream), address, is_unknown: false, is_tls: false }
    }
}

impl AcceptedStream {
    /// Whether requests can be read at once.
    pub(crate) const fn is_open(&self) -> bool {
        self.tls.is_none() && self.proxied.is_none()
    }

    /// Returns the stream of requests. The code that calls this function limits the time.
    pub(crate) async fn open(mut self, peer: ConnectingPeer<'_>) -> Result<OpenedStream, RefusedStream> {
        let mut address = peer.address;
        let mut is_unknown = false;
        let mut is_tls = false;
        if let Some(failures) = self.proxied.take() {
            if !peer.is_trusted {
                if let Some(failures) = failures.untrusted.count_failure(Instant::now()) {
                    let peer = peer.address;
                    tracing::warn!(%peer, failures, "a peer outside of trusted_proxies used a listener with proxy_protocol");
                }
                return Err(self.refuse(Refusal::BadRequest, UNTRUSTED_PROXY, peer.handles).await);
            }
            address = match proxy_header::read(&mut self.stream).await {
                Ok(ProxiedSource::Client { address, is_tls: proxied_tls }) => {
                    is_tls = proxied_tls;
                    address
                }
                Ok(source) => {
                    is_unknown = source == ProxiedSource::Unknown;
                    peer.address
                }
                // Health checks of proxies connect and close.
                Err(error @ (ProxyHeaderError::Truncated | ProxyHeaderError::Io(_))) => {
                    tracing::debug!(peer = %peer.address, %error, "a connection of a proxy ended early");
                    return Err(RefusedStream::Unanswered);
                }
                Err(error) => {
                    if let Some(failures) = failures.invalid.count_failure(Instant::now()) {
                        let peer = peer.address;
                        tracing::warn!(%peer, failures, %error, "a trusted proxy sent no valid PROXY header");
                    }
                    return Err(self.refuse(Refusal::BadRequest, INVALID_PROXY_HEADER, peer.handles).await);
                }
            };
            if peer.permit.count(address).is_err() {
                return Err(self.refuse(Refusal::Overloaded, TOO_MANY_CONNECTIONS, peer.handles).await);
            }
        }
        let stream = self.shake_hands().await?;
        is_tls |= stream.is_tls();
        Ok(OpenedStream { stream, address, is_unknown, is_tls })
    }

    async fn shake_hands(self) -> Result<ServerStream, RefusedStream> {
        let Some(config) = self.tls else { return Ok(ServerStream::Plain(self.stream)) };
        match tls::accept(self.stream, config.server.clone()).await {
            Ok(stream) => Ok(stream),
            Err(HandshakeError::PlainHttp(mut stream)) => {
                // The client may have disconnected already.
                let _ = stream.write_all(PLAIN_HTTP_RESPONSE).await;
                Err(RefusedStream::Answered(stream))
            }
            Err(HandshakeError::Failed(stream, error)) => {
                tracing::debug!(%error, "a TLS handshake failed");
                Err(RefusedStream::Answered(stream))
            }
        }
    }

    /// Refuses the connection. A client of TLS cannot read the response.
    async fn refuse(mut self, refusal: Refusal, response: &'static [u8], handles: &WorkerHandles) -> RefusedStream {
        handles.refused(refusal);
        if self.tls.is_some() {
            return RefusedStream::Unanswered;
        }
        // The client may have disconnected already.
        let _ = self.stream.write_all(response).await;
        RefusedStream::Answered(self.stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_announce_their_length() {
        for response in [UNTRUSTED_PROXY, INVALID_PROXY_HEADER] {
            let text = std::str::from_utf8(response).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{}", body.len());
        }
    }
}
