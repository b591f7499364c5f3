//! The listener: one task per connection; all of them end with it.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::faults::http_violation::RawResponse;
use crate::grpc;
use crate::handle::{MockProvider, Reaction};
use crate::timing::MockTiming;
use crate::websocket::WebSocketEcho;

const CONNECTIONS_MAX: usize = 16_384;
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves `listener` with the default delays until `shutdown` is ready, then closes all connections.
pub async fn serve(listener: TcpListener, shutdown: impl Future) {
    serve_with(listener, MockTiming::default(), shutdown).await;
}

/// Serves `listener` with other delays than [`serve`].
pub async fn serve_with(listener: TcpListener, options: MockTiming, shutdown: impl Future) {
    let mock = Arc::new(MockProvider::new(options));
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            _ = &mut shutdown => return,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => drop(connections.spawn(connection(stream, Arc::clone(&mock)))),
                // No file descriptors are left, or the client disconnected early.
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
        }
    }
}

/// The end of HTTP on a connection.
enum Takeover {
    Raw(RawResponse),
    WebSocket(WebSocketEcho),
}

async fn connection(stream: TcpStream, mock: Arc<MockProvider>) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    if grpc::is_http2(&stream).await {
        return grpc::serve(stream, mock).await;
    }
    let (tricks, mut takeovers) = mpsc::channel(1);
    let mock = &mock;
    let tricks = &tricks;
    let service = service_fn(|request| async move {
        let takeover = match mock.response(request).await {
            Reaction::Response(response) => return Ok::<_, Infallible>(response),
            Reaction::Raw(raw) => Takeover::Raw(raw),
            Reaction::WebSocket(echo) => Takeover::WebSocket(echo),
        };
        drop(tricks.send(takeover).await);
        // From here on, `play` owns the connection.
        std::future::pending().await
    });
    let mut http = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let takeover = tokio::select! {
        biased;
        // An error means that the client disconnected, or that `cut` closed the connection.
        _ = &mut http => return,
        Some(takeover) = takeovers.recv() => takeover,
    };
    let stream = http.into_parts().io.into_inner();
    drop(match takeover {
        Takeover::Raw(raw) => raw.play(stream).await,
        Takeover::WebSocket(echo) => echo.play(stream).await,
    });
}
