//! The load of WebSockets, and the check of a gRPC call.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use http::Request;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::PlainConnection;
use crate::request::{BenchRequest, EchoedMessage};

/// Sends a message on each connection as soon as the one before has come back. Any other response is an error. Returns the
/// number of messages.
pub(crate) async fn echoes(
    to: SocketAddr,
    connections: u32,
    message: EchoedMessage,
    seconds: u64,
) -> anyhow::Result<u64> {
    let message = Arc::new(message);
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(PlainConnection::websocket(to).await?);
    }
    let ends = Instant::now() + Duration::from_secs(seconds);
    let mut tasks = JoinSet::new();
    for mut connection in open {
        let message = Arc::clone(&message);
        tasks.spawn(async move {
            let mut echoed = 0;
            while Instant::now() < ends {
                connection.echo(&message).await?;
                echoed += 1;
            }
            Ok::<u64, anyhow::Error>(echoed)
        });
    }
    let mut requests = 0;
    while let Some(echoed) = tasks.join_next().await {
        requests += echoed??;
    }
    Ok(requests)
}

/// Sends one call over HTTP/2 without TLS. Any response but its own message with the status 0 is an error.
pub(crate) async fn check_call(to: SocketAddr, request: &BenchRequest) -> anyhow::Result<()> {
    let (sender, connection) = h2::client::handshake(TcpStream::connect(to).await?).await?;
    let mut task = JoinSet::new();
    // The sender returns the same error.
    task.spawn(async { drop(connection.await) });
    let head = Request::post(format!("http://{to}{}", request.path));
    let head = request.headers.iter().fold(head, |head, (name, value)| head.header(*name, *value)).body(())?;
    let (response, mut stream) = sender.ready().await?.send_request(head, false)?;
    stream.send_data(request.body().into(), true)?;
    let (parts, mut body) = response.await?.into_parts();
    let mut received = Vec::new();
    while let Some(data) = body.data().await {
        received.extend_from_slice(&data?);
    }
    let trailers = body.trailers().await?.context("the call has no trailers")?;
    ensure!(
        parts.status == 200
            && received == request.body().as_bytes()
            && trailers.get("grpc-status").is_some_and(|status| status == "0"),
        "{parts:?} {received:?} {trailers:?}"
    );
    Ok(())
}
