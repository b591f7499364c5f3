//! The handshake of a client's connection.

use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::stream::ServerStream;

/// The response to HTTP without TLS on a listener with TLS.
pub const PLAIN_HTTP_RESPONSE: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 54\r\n\
    Connection: close\r\n\r\n\
    This port accepts only TLS: use https:// in the URL.\r\n";

/// The reason why a connection has no TLS.
#[derive(Debug, Error)]
pub enum HandshakeError {
    /// The client sent HTTP without TLS. Nothing was read; [`PLAIN_HTTP_RESPONSE`] is the response.
    #[error("the client sent HTTP without TLS")]
    PlainHttp(TcpStream),
    /// The handshake failed, and an alert was written if the client speaks TLS. The client may have sent its first request
    /// already: a close before it is read would reset the connection and might destroy the alert.
    #[error("the TLS handshake failed: {1}")]
    Failed(TcpStream, #[source] io::Error),
}

/// Lets the client begin TLS. The code that calls this function limits the time.
///
/// # Errors
/// [`HandshakeError`], after which the connection must be closed.
pub async fn accept(stream: TcpStream, config: Arc<ServerConfig>) -> Result<ServerStream, HandshakeError> {
    let mut first = [0];
    let received = match stream.peek(&mut first).await {
        Ok(received) => received,
        Err(error) => return Err(HandshakeError::Failed(stream, error)),
    };
    // The first byte of TLS is 22 (RFC 8446, 5.1), that of HTTP is the first letter of a method.
    if received > 0 && first.first().is_some_and(u8::is_ascii_alphabetic) {
        return Err(HandshakeError::PlainHttp(stream));
    }
    match TlsAcceptor::from(config).accept(stream).into_fallible().await {
        Ok(stream) => Ok(ServerStream::Tls(Box::new(stream))),
        Err((error, stream)) => Err(HandshakeError::Failed(stream, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn response_to_plain_http_announces_its_length() {
        let text = std::str::from_utf8(PLAIN_HTTP_RESPONSE).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{}", body.len());
    }
}
