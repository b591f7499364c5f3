//! HTTP servers in the benchmark's process, for receivers of traces and for members.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The content of a response.
pub(crate) type FakeBody = UnsyncBoxBody<Bytes, Infallible>;

/// A server, which ends when it is dropped.
pub(crate) struct FakeServer {
    pub(crate) address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl FakeServer {
    /// Reads each request and responds with the content for its path.
    pub(crate) async fn start(respond: impl Fn(&str) -> FakeBody + Clone + Send + 'static) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let respond = respond.clone();
                let service = service_fn(move |request: Request<Incoming>| {
                    let body = respond(request.uri().path());
                    async {
                        request.into_body().collect().await?;
                        Ok::<_, hyper::Error>(Response::new(body))
                    }
                });
                connections.spawn(async move {
                    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        Ok(Self { address, _tasks: tasks })
    }
}
