//! Connections of the control listener: their number per address and in total, their deadlines, and their shutdown.
//!
//! hyper serves the connections, because `axum::serve` has no deadlines. It reads requests that `checked_stream` has checked.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use access::network::address;
use axum::Router;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tls::{AsyncListener, HandshakeError, PLAIN_HTTP_RESPONSE, ServerStream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower_http::add_extension::AddExtension;

use crate::connection::checked_stream::{CheckedStream, HEAD_BYTES_MAX, HEAD_FIELDS_MAX, HeadReport};
use crate::connection::connections::{ConnectionPermit, ConnectionPermits, NoConnectionPermit, Serving};
use crate::connection::upgrades::{UpgradeSlot, UpgradedTask};
use crate::process::state::{App, ServerLimits, State};
use crate::routes;
use crate::sign_in::address::Peer;

/// The bounds of hyper, which refuses without a body, are above those of [`CheckedStream`].
const HYPER_HEAD_BYTES_MAX: usize = HEAD_BYTES_MAX + 1024;
/// The pause after a failed `accept`. Without a free file descriptor, `accept` fails again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Maximum number of bytes that are dropped after a response to HTTP without TLS, and the time for it.
const REFUSED_BYTES_MAX: u64 = 1 << 20;
const REFUSE_MAX: Duration = Duration::from_secs(2);

/// Serves the admin API until `shutdown` completes, then waits up to [`ServerLimits::drain`] for requests in flight.
///
/// `/readyz` reports the drain only while this function runs: shut down the proxy first, this last.
///
/// # Errors
/// Returns an error if the listener has no address; nothing is served then.
pub async fn serve(listener: AsyncListener, state: State, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    let loopback = listener.address()?.is_local();
    let limits = state.limits;
    let app = Arc::new(App::new(state, loopback));
    let router = routes::router(app.clone());
    let seats = ConnectionPermits::new(limits.connections_max, limits.connections_per_address_max);
    let (stop, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    // At most one connection is accepted while no permit is free; others wait in the listener's backlog.
    let mut waiting = None;
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = accept(&listener), if waiting.is_none() => waiting = Some(accepted),
            () = seats.changed(), if waiting.is_some() => {}
        }
        let Some((stream, peer)) = waiting.take() else { continue };
        match seats.take(address::network(peer.0), !is_trusted(&app, peer)) {
            Ok(seat) => {
                let connection = Connection { limits, peer, stopped: stopped.clone(), seat: Arc::new(seat) };
                let tls = app.tls.as_ref().map(|tls| tls.config());
                connections.spawn(connection.open(stream, tls, router.clone()));
            }
            // The connection is closed at once, so that it does not delay other addresses.
            Err(NoConnectionPermit::Address) => {}
            Err(NoConnectionPermit::Listener) => waiting = Some((stream, peer)),
        }
    }
    drop(listener);
    stop.send_replace(true);
    // Dropping the set aborts the remaining connections.
    let _ = timeout(limits.drain, async { while connections.join_next().await.is_some() {} }).await;
    Ok(())
}

/// Accepts a connection. May be cancelled at any point.
async fn accept(listener: &AsyncListener) -> (TcpStream, Peer) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, Peer(peer.ip().to_canonical())),
            Err(error) => {
                if !is_callers(&error) {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// Whether the peer is a trusted proxy. It forwards requests of many clients, so the limit per address does not apply
/// to it.
fn is_trusted(app: &App, Peer(peer): Peer) -> bool {
    app.live.load().traffic.trusted_proxies.iter().any(|network| network.contains(&peer))
}

/// Whether the client disconnected before its connection was accepted.
fn is_callers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    [ConnectionAborted, ConnectionRefused, ConnectionReset].contains(&error.kind())
}

struct Connection {
    limits: ServerLimits,
    peer: Peer,
    stopped: watch::Receiver<bool>,
    seat: Arc<ConnectionPermit>,
}

impl Connection {
    /// Serves a connection after its handshake, which has the time of a head.
    async fn open(mut self, stream: TcpStream, tls: Option<Arc<ServerConfig>>, router: Router) {
        // Without it, small responses wait for the client's acknowledgement. A socket that refuses the option still
        // works.
        let _ = stream.set_nodelay(true);
        let Some(config) = tls else { return self.run(ServerStream::Plain(stream), router).await };
        let opened = tokio::select! {
            opened = timeout(self.limits.head, tls::accept(stream, config)) => opened,
            _ = self.stopped.wait_for(|stopped| *stopped) => return,
            () = self.seat.closed() => return,
        };
        match opened {
            Ok(Ok(stream)) => self.run(stream, router).await,
            Ok(Err(HandshakeError::PlainHttp(stream))) => refuse(stream, PLAIN_HTTP_RESPONSE).await,
            Ok(Err(HandshakeError::Failed(stream, error))) => {
                tracing::debug!(%error, "a TLS handshake failed");
                // The client was sent an alert.
                refuse(stream, &[]).await;
            }
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        }
    }

    async fn run(mut self, stream: ServerStream, router: Router) {
        let inner = TowerToHyperService::new(AddExtension::new(router, self.peer));
        let report = HeadReport::default();
        let upgrades = UpgradeSlot::new(report.clone());
        let seat = self.seat.clone();
        let service = TrackedService { inner, seat, report: report.clone(), upgrades: upgrades.clone() };
        let http = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head)
            .max_headers(HEAD_FIELDS_MAX)
            .max_header_size(HYPER_HEAD_BYTES_MAX)
            .max_buf_size(HYPER_HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(CheckedStream::new(stream, report)), service)
            .with_upgrades();
        tokio::pin!(http);
        let ended = tokio::select! {
            ended = &mut http => Some(ended),
            _ = self.stopped.wait_for(|stopped| *stopped) => None,
            () = self.seat.closed() => {
                if !self.seat.is_serving() {
                    return;
                }
                None
            }
            () = sleep(self.limits.connection) => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                http.as_mut().graceful_shutdown();
                timeout(self.limits.call, http).await.unwrap_or(Ok(()))
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "connection aborted");
        }
        if let Some((task, serving)) = upgrades.take() {
            self.run_upgraded(task).await;
            drop(serving);
        }
    }

    /// Runs what follows a change of the protocol. It notices the shutdown itself.
    async fn run_upgraded(&mut self, mut task: UpgradedTask) {
        tokio::select! {
            () = &mut task => return,
            _ = self.stopped.wait_for(|stopped| *stopped) => {}
            () = sleep(self.limits.connection) => {}
        }
        // A client that does not read could delay the end.
        let _ = timeout(self.limits.call, task).await;
    }
}

/// Sends a response and drops what the client still sends, because a close with unread bytes would reset the connection and
/// might destroy what the gateway sent.
async fn refuse(mut stream: TcpStream, response: &[u8]) {
    let refuse = async {
        stream.write_all(response).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(REFUSED_BYTES_MAX), &mut tokio::io::sink()).await
    };
    // The client may have disconnected already.
    let _ = timeout(REFUSE_MAX, refuse).await;
}

/// Marks the connection as serving a request until the last byte of the response is handed over. A stand-in gets the
/// violation of the head that it replaces.
struct TrackedService<S> {
    inner: S,
    seat: Arc<ConnectionPermit>,
    report: HeadReport,
    upgrades: UpgradeSlot,
}

impl<S> Service<Request<Incoming>> for TrackedService<S>
where
    S: Service<Request<Incoming>, Response = Response>,
    S::Future: Send + 'static,
{
    type Response = Response<TrackedBody>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        if let Some(violation) = self.report.violation(&request) {
            request.extensions_mut().insert(violation);
        }
        request.extensions_mut().insert(self.upgrades.clone());
        let serving = self.seat.serving();
        let responding = self.inner.call(request);
        let upgrades = self.upgrades.clone();
        Box::pin(async move {
            let response = responding.await?;
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                upgrades.keep(serving);
                return Ok(response.map(|body| TrackedBody { body, _serving: None }));
            }
            Ok(response.map(|body| TrackedBody { body, _serving: Some(serving) }))
        })
    }
}

/// The body of a response. It keeps the connection marked as busy.
struct TrackedBody {
    body: Body,
    _serving: Option<Serving>,
}

impl http_body::Body for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
