//! Connections: how many, of whom, for how long, and how they end.
//!
//! hyper serves each one, because `axum::serve` has no deadlines. Heads over 64 KiB or 100 fields are answered by hyper
//! itself, 431 without a body.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use access::address;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower_http::add_extension::AddExtension;

use crate::address::Peer;
use crate::routes;
use crate::seats::{Seat, Seats};
use crate::state::{App, Limits, State};

const HEAD_BYTES_MAX: usize = 64 * 1024;
const HEAD_FIELDS_MAX: usize = 100;
/// Without a free file descriptor, `accept` fails at once, again and again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves the control API until `shutdown` ends, then lets what is in flight finish within [`Limits::drain`].
///
/// `/readyz` speaks of the drain only while this runs: end the proxy first, this last.
///
/// # Errors
/// When the listener has no address; nothing is served then.
pub async fn serve(listener: TcpListener, state: State, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    let loopback = listener.local_addr()?.ip().to_canonical().is_loopback();
    let limits = state.limits;
    let app = Arc::new(App::new(state, loopback));
    let router = routes::router(app.clone());
    let seats = Seats::new(limits.connections_per_address_max);
    let slots = Arc::new(Semaphore::new(limits.connections_max));
    let (stop, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            (stream, peer, slot) = accept(&listener, &slots) => {
                // Who holds all of its own is closed, so that nobody else waits for a slot of its.
                let Ok(seat) = seat(&app, &seats, peer) else { continue };
                let connection = Connection { limits, peer, stopped: stopped.clone(), _slot: slot, _seat: seat };
                connections.spawn(connection.run(stream, router.clone()));
            }
        }
    }
    drop(listener);
    stop.send_replace(true);
    // Dropping the set ends what is left.
    let _ = timeout(limits.drain, async { while connections.join_next().await.is_some() {} }).await;
    Ok(())
}

/// May be cancelled at any point.
async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> (TcpStream, Peer, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed.
    let slot = slots.clone().acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, Peer(peer.ip().to_canonical()), slot),
            Err(error) => {
                if !is_callers(&error) {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// A peer's seat; a trusted proxy, which calls for many, needs none.
fn seat(app: &App, seats: &Seats<IpAddr>, Peer(peer): Peer) -> Result<Option<Seat<IpAddr>>, Full> {
    if app.live.load().trusted_proxies.iter().any(|network| network.contains(&peer)) {
        return Ok(None);
    }
    seats.take(address::network(peer)).map(Some).ok_or(Full)
}

/// An address holds as many connections as one may.
struct Full;

/// The caller was gone before it was accepted.
fn is_callers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    [ConnectionAborted, ConnectionRefused, ConnectionReset].contains(&error.kind())
}

struct Connection {
    limits: Limits,
    peer: Peer,
    stopped: watch::Receiver<bool>,
    _slot: Option<OwnedSemaphorePermit>,
    _seat: Option<Seat<IpAddr>>,
}

impl Connection {
    async fn run(mut self, stream: TcpStream, router: Router) {
        // Without it small answers wait for the caller's acknowledgement; a socket that refuses it still works.
        let _ = stream.set_nodelay(true);
        let service = AddExtension::new(router, self.peer);
        let http = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head)
            .max_headers(HEAD_FIELDS_MAX)
            .max_header_size(HEAD_BYTES_MAX)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        tokio::pin!(http);
        let ended = tokio::select! {
            ended = &mut http => Some(ended),
            _ = self.stopped.wait_for(|stopped| *stopped) => None,
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
            tracing::debug!(%error, "connection broke off");
        }
    }
}
