//! An upstream that speaks HTTP/2 without TLS and counts connections and streams. Each test defines its responses.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::request::Parts;
use http::{Request, Response};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// The behaviour of all connections.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    /// The value of SETTINGS_MAX_CONCURRENT_STREAMS.
    pub(crate) streams_max: u32,
    /// The number of streams after which a connection sends GOAWAY.
    pub(crate) goes_after: Option<usize>,
}

/// The counts over all connections.
pub(crate) struct StreamCounts {
    pub(crate) accepted: AtomicUsize,
    pub(crate) streams: AtomicUsize,
    /// Streams that the gateway reset with CANCEL.
    pub(crate) cancelled: AtomicUsize,
    /// Bytes of answers that were taken by the connection.
    pub(crate) sent: AtomicUsize,
    pub(crate) heads: Mutex<Vec<Parts>>,
    /// The permits that responses may wait for.
    pub(crate) gate: Semaphore,
}

/// A running upstream; dropped, it ends.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<StreamCounts>,
    _tasks: JoinSet<()>,
}

/// A request to be answered.
pub(crate) struct StreamRequest {
    pub(crate) body: RecvStream,
    pub(crate) reply: SendResponse<Bytes>,
    pub(crate) seen: Arc<StreamCounts>,
    /// On its connection, from 1.
    pub(crate) number: usize,
}

impl Plan {
    pub(crate) const fn streams(streams_max: u32) -> Self {
        Self { streams_max, goes_after: None }
    }
}

impl Server {
    pub(crate) async fn start<F>(
        plan: Plan,
        answer: impl Fn(StreamRequest) -> F + Clone + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(StreamCounts {
            accepted: AtomicUsize::new(0),
            streams: AtomicUsize::new(0),
            cancelled: AtomicUsize::new(0),
            sent: AtomicUsize::new(0),
            heads: Mutex::default(),
            gate: Semaphore::new(0),
        });
        let mut tasks = JoinSet::new();
        let noting = Arc::clone(&seen);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                noting.accepted.fetch_add(1, Ordering::Relaxed);
                connections.spawn(serve(stream, plan, Arc::clone(&noting), answer.clone()));
            }
        });
        Self { address, seen, _tasks: tasks }
    }

    pub(crate) fn url(&self) -> String {
        format!("h2c://{}", self.address)
    }

    pub(crate) fn accepted(&self) -> usize {
        self.seen.accepted.load(Ordering::Relaxed)
    }
}

async fn serve<F>(
    stream: tokio::net::TcpStream,
    plan: Plan,
    seen: Arc<StreamCounts>,
    answer: impl Fn(StreamRequest) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    stream.set_nodelay(true).unwrap();
    let handshake = h2::server::Builder::new().max_concurrent_streams(plan.streams_max).handshake(stream).await;
    let Ok(mut connection) = handshake else { return };
    let mut answers = JoinSet::new();
    let mut number = 0;
    while let Some(Ok((request, reply))) = connection.accept().await {
        number += 1;
        seen.streams.fetch_add(1, Ordering::Relaxed);
        let (parts, body) = Request::into_parts(request);
        seen.heads.lock().unwrap().push(parts);
        answers.spawn(answer(StreamRequest { body, reply, seen: Arc::clone(&seen), number }));
        if plan.goes_after == Some(number) {
            connection.graceful_shutdown();
        }
    }
}

impl StreamRequest {
    /// Reads the request's body.
    pub(crate) async fn read(&mut self) -> Vec<u8> {
        let mut whole = Vec::new();
        while let Some(Ok(data)) = self.body.data().await {
            whole.extend_from_slice(&data);
            self.body.flow_control().release_capacity(data.len()).unwrap();
        }
        whole
    }

    /// Answers 200 with a body, whole.
    pub(crate) fn answer(mut self, body: impl Into<Bytes>) {
        // The gateway may have gone.
        if let Ok(mut to) = self.reply.send_response(Response::new(()), false) {
            let _ = to.send_data(body.into(), true);
        }
    }

    /// Responds with 200 and an endless body. Notes the number of bytes taken, and whether the stream was cancelled.
    pub(crate) async fn pour(mut self) {
        let piece = Bytes::from(vec![b'x'; 16 * 1024]);
        let mut to = self.reply.send_response(Response::new(()), false).unwrap();
        loop {
            to.reserve_capacity(piece.len());
            let room = std::future::poll_fn(|cx| {
                if let std::task::Poll::Ready(reason) = to.poll_reset(cx) {
                    return std::task::Poll::Ready(Err(reason.ok()));
                }
                to.poll_capacity(cx).map(|room| room.and_then(Result::ok).ok_or(None))
            });
            match room.await {
                Ok(room) => {
                    let room = room.min(piece.len());
                    if to.send_data(piece.slice(..room), false).is_err() {
                        return;
                    }
                    self.seen.sent.fetch_add(room, Ordering::Relaxed);
                }
                Err(reason) => {
                    if reason == Some(Reason::CANCEL) {
                        self.seen.cancelled.fetch_add(1, Ordering::Relaxed);
                    }
                    return;
                }
            }
        }
    }
}
