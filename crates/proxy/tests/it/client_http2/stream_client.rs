//! A client that speaks HTTP/2 as it should, by the crate `h2`.

use bytes::Bytes;
use h2::SendStream;
use h2::client::{Builder, ResponseFuture, SendRequest};
use http::{HeaderMap, Method, Request, StatusCode, Version, request};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::gateway::Gateway;
use crate::wire::PATIENCE;

pub(crate) struct StreamClient {
    sender: SendRequest<Bytes>,
    /// The task that drives the connection.
    _driving: JoinSet<Result<(), h2::Error>>,
}

/// A response that was read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
    pub(crate) body: String,
    pub(super) trailers: Option<HeaderMap>,
}

/// Begins a request to the gateway.
pub(super) fn request(method: Method, path: &str) -> request::Builder {
    Request::builder().method(method).uri(format!("http://gateway.test{path}"))
}

impl StreamClient {
    pub(super) async fn connect(gateway: &Gateway) -> Self {
        Self::with(gateway, &Builder::new()).await
    }

    pub(super) async fn with(gateway: &Gateway, builder: &Builder) -> Self {
        let stream = gateway.caller().connect().await;
        stream.set_nodelay(true).unwrap();
        Self::over(stream, builder).await
    }

    pub(crate) async fn over<S>(stream: S, builder: &Builder) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = builder.handshake(stream).await.unwrap();
        let mut driving = JoinSet::new();
        driving.spawn(connection);
        Self { sender, _driving: driving }
    }

    /// Sends the head of a request.
    pub(super) async fn open(&mut self, request: Request<()>, ends: bool) -> (ResponseFuture, SendStream<Bytes>) {
        let ready = timeout(PATIENCE, self.sender.clone().ready()).await.expect("a free stream").unwrap();
        self.sender = ready;
        self.sender.send_request(request, ends).unwrap()
    }

    /// Sends a request with a body, and reads the response.
    pub(crate) async fn call(&mut self, request: Request<()>, body: impl Into<Bytes>) -> Answer {
        let body = body.into();
        let (answer, mut to) = self.open(request, body.is_empty()).await;
        if !body.is_empty() {
            to.send_data(body, true).unwrap();
        }
        Self::read(answer).await
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.call(request(Method::GET, path).body(()).unwrap(), "").await
    }

    /// Reads a response to its end.
    pub(super) async fn read(answer: ResponseFuture) -> Answer {
        Self::try_read(answer).await.unwrap()
    }

    pub(super) async fn try_read(answer: ResponseFuture) -> Result<Answer, h2::Error> {
        let reading = async {
            let (head, mut incoming) = answer.await?.into_parts();
            let mut body = Vec::new();
            while let Some(data) = incoming.data().await {
                let data = data?;
                body.extend_from_slice(&data);
                incoming.flow_control().release_capacity(data.len())?;
            }
            let trailers = incoming.trailers().await?;
            let body = String::from_utf8(body).unwrap();
            Ok(Answer { status: head.status, version: head.version, headers: head.headers, body, trailers })
        };
        timeout(PATIENCE, reading).await.expect("a whole response")
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}
