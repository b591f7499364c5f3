//! Backends and clients that speak HTTP/2 without TLS.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::server::SendResponse;
use http::{Method, Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{Arrivals, WORK, count};

/// A backend; dropping it closes its connections.
pub(super) struct StreamServer {
    pub(super) address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl StreamServer {
    pub(super) async fn start_at(at: SocketAddr, arrivals: &Arrivals) -> Self {
        let listener = TcpListener::bind(at).await.unwrap();
        let address = listener.local_addr().unwrap();
        let arrivals = arrivals.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, arrivals.clone()));
            }
        });
        Self { address, _tasks: tasks }
    }
}

async fn serve(stream: TcpStream, arrivals: Arrivals) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    let mut streams = JoinSet::new();
    while let Some(Ok((request, respond))) = connection.accept().await {
        count(&arrivals, request.headers().get("x-id").and_then(|id| id.to_str().ok()));
        streams.spawn(respond_to(request, respond));
    }
}

async fn respond_to(request: Request<h2::RecvStream>, mut respond: SendResponse<Bytes>) {
    let mut body = request.into_body();
    while let Some(Ok(data)) = body.data().await {
        let _ = body.flow_control().release_capacity(data.len());
    }
    sleep(WORK).await;
    // The stream is gone if the gateway has reset it.
    let _ = respond.send_response(Response::new(()), true);
}

/// A client with one connection.
pub(super) struct StreamClient {
    requests: SendRequest<Bytes>,
    _connection: JoinSet<Result<(), h2::Error>>,
}

impl StreamClient {
    pub(super) async fn connect(proxy: SocketAddr) -> Self {
        let stream = TcpStream::connect(proxy).await.unwrap();
        let (requests, connection) = h2::client::handshake(stream).await.unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(connection);
        Self { requests, _connection: tasks }
    }

    /// Sends a POST with this id, or a GET without one. Returns the status of the response.
    pub(super) async fn send(&mut self, id: Option<&str>) -> u16 {
        let request = Request::builder().uri("http://gateway.test/x");
        let request = match id {
            Some(id) => request.method(Method::POST).header("x-id", id),
            None => request.method(Method::GET),
        };
        let mut requests = self.requests.clone().ready().await.unwrap();
        let (response, mut body) = requests.send_request(request.body(()).unwrap(), id.is_none()).unwrap();
        if id.is_some() {
            // A response that comes early ends the stream.
            let _ = body.send_data(Bytes::from_static(b"{}"), true);
        }
        let response = response.await.unwrap();
        let status = response.status().as_u16();
        let mut body = response.into_body();
        while let Some(Ok(data)) = body.data().await {
            let _ = body.flow_control().release_capacity(data.len());
        }
        status
    }
}
