//! A client's connection that was accepted, until its TLS handshake is complete.

use std::sync::Arc;

use rustls::ServerConfig;
use tls::{HandshakeError, PLAIN_HTTP_RESPONSE, ServerStream};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

/// The protocols that listeners with TLS offer, in order of preference. The connection finds out which one the client
/// speaks, as without TLS.
pub const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// A connection of a listener with its TLS, which has not begun.
pub(crate) struct AcceptedStream {
    pub(crate) stream: TcpStream,
    pub(crate) tls: Option<Arc<ServerConfig>>,
}

/// A connection that will not be served.
#[derive(Debug)]
pub(crate) enum RefusedStream {
    /// The client sent HTTP without TLS, and received a response.
    PlainHttp(TcpStream),
    /// The TLS handshake failed.
    Failed,
}

impl AcceptedStream {
    /// Returns the stream of requests. The code that calls this function limits the time.
    pub(crate) async fn open(self) -> Result<ServerStream, RefusedStream> {
        let Some(config) = self.tls else { return Ok(ServerStream::Plain(self.stream)) };
        match tls::accept(self.stream, config).await {
            Ok(stream) => Ok(stream),
            Err(HandshakeError::PlainHttp(mut stream)) => {
                // The client may have disconnected already.
                let _ = stream.write_all(PLAIN_HTTP_RESPONSE).await;
                Err(RefusedStream::PlainHttp(stream))
            }
            Err(HandshakeError::Failed(error)) => {
                tracing::debug!(%error, "a TLS handshake failed");
                Err(RefusedStream::Failed)
            }
        }
    }
}
