//! An upstream's socket, which counts its bytes: a request counts from its first written byte.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::deadlines::probe::Gauge;

/// The transport of a connection: TCP, with or without TLS.
pub(crate) enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// The bytes that the socket of an idle connection has received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdleSocket {
    /// Nothing was received: the connection is usable.
    Silent,
    /// The upstream closed the connection, or sent a response without a request.
    Unusable,
    /// TLS records were received, which may belong to the TLS connection itself.
    Records,
}

/// The time between probes of a silent connection, and the number of probes after which it has failed.
const PROBE_EVERY: Duration = Duration::from_secs(15);
const PROBES_MAX: u32 = 4;

/// Lets TCP probe a connection that has been silent for `after`; with `None`, it is not probed. A middlebox that forgets silent
/// connections then keeps it, and the end of a peer without a FIN is detected.
pub(crate) fn probe_silent(socket: &SockRef<'_>, after: Option<Duration>) -> io::Result<()> {
    match after {
        Some(after) => {
            let probes = TcpKeepalive::new().with_time(after).with_interval(PROBE_EVERY).with_retries(PROBES_MAX);
            socket.set_tcp_keepalive(&probes)
        }
        None => socket.set_keepalive(false),
    }
}

/// A transport that counts its bytes.
pub(crate) struct Socket {
    transport: Transport,
    gauge: Rc<Gauge>,
}

impl Socket {
    pub(crate) fn new(transport: Transport, gauge: Rc<Gauge>) -> Self {
        Self { transport, gauge }
    }

    /// Returns the state of an idle connection's socket, without removing received bytes. If the connection was used a moment
    /// ago (`is_fresh`), the socket is read only if the reactor has reported received bytes.
    pub(crate) fn look(&self, is_fresh: bool) -> IdleSocket {
        let (stream, is_tls) = match &self.transport {
            Transport::Plain(stream) => (stream, false),
            Transport::Tls(stream) => {
                let (stream, session) = stream.get_ref();
                // Decrypted bytes wait that belong to no response, or the upstream has ended the session.
                if !session.wants_read() {
                    return IdleSocket::Unusable;
                }
                (stream, true)
            }
        };
        let peek = || SockRef::from(stream).peek(&mut [MaybeUninit::uninit()]);
        match if is_fresh { stream.try_io(Interest::READABLE, peek) } else { peek() } {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => IdleSocket::Silent,
            Ok(1..) if is_tls => IdleSocket::Records,
            Ok(_) | Err(_) => IdleSocket::Unusable,
        }
    }

    /// Ready if a read may find bytes. Of TLS, only a read shows it.
    pub(crate) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.transport {
            Transport::Plain(stream) => stream.poll_read_ready(cx),
            Transport::Tls(_) => Poll::Ready(Ok(())),
        }
    }

    fn note(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &result {
            self.gauge.note_written(u64::try_from(*bytes).unwrap_or(0));
        }
        result
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.gauge.end();
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Transport::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        };
        self.gauge.note_read(u64::try_from(buffer.filled().len() - before).unwrap_or(0));
        polled
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Transport::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        };
        self.note(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Transport::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        };
        self.note(result)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Plain(stream) => stream.is_write_vectored(),
            Transport::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::Arc;

    use rustls::pki_types::{PrivateKeyDer, ServerName};
    use rustls::{ClientConfig, RootCertStore, ServerConfig};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio_rustls::{TlsAcceptor, TlsConnector, server};

    use super::*;

    /// Opens a TLS connection over which nothing was sent, and returns both ends.
    async fn session() -> (TlsStream<TcpStream>, server::TlsStream<TcpStream>) {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der().clone()).unwrap();
        let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let server = ServerConfig::builder().with_no_client_auth();
        let mut server = server.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        server.send_tls13_tickets = 0;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let client = TlsConnector::from(Arc::new(client));
        let server = TlsAcceptor::from(Arc::new(server));
        tokio::try_join!(client.connect(name, stream), server.accept(accepted)).unwrap()
    }

    #[tokio::test]
    async fn decrypted_bytes_that_wait_make_a_connection_unusable() {
        let (client, mut server) = session().await;
        let mut socket = Socket::new(Transport::Tls(Box::new(client)), Gauge::new());
        assert_eq!(socket.look(false), IdleSocket::Silent);
        server.write_all(b"a response").await.unwrap();
        server.flush().await.unwrap();
        for (bytes, state) in [(9, IdleSocket::Unusable), (1, IdleSocket::Silent)] {
            socket.read_exact(&mut vec![0; bytes]).await.unwrap();
            assert_eq!(socket.look(false), state, "{bytes}");
        }
    }

    #[tokio::test]
    async fn bytes_that_the_reactor_has_not_reported_are_seen_only_by_the_operating_system() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        stream.writable().await.unwrap();
        let socket = Socket::new(Transport::Plain(stream), Gauge::new());
        // The reactor first takes a socket to be readable; this look corrects it.
        assert_eq!((socket.look(true), socket.look(false)), (IdleSocket::Silent, IdleSocket::Silent));
        peer.write_all(b"HTTP/1.1 200 OK").unwrap();
        assert_eq!((socket.look(true), socket.look(false)), (IdleSocket::Silent, IdleSocket::Unusable));
        let Transport::Plain(stream) = &socket.transport else { panic!("the transport is plain") };
        stream.readable().await.unwrap();
        assert_eq!(socket.look(true), IdleSocket::Unusable);
    }
}
