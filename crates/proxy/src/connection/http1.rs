//! A client's HTTP/1.1 connection: it reads a head, lets `handle` respond, writes the response, and repeats this.
//!
//! One task drives the whole connection. `client::ClientSocket` stores received bytes, `client::RequestBody` reads the
//! content on demand, and `response_writer` writes. While a request is handled, the connection watches for a close by the
//! client and for actions from `deadlines`. A client that closes its sending side may still read the response, except that
//! of an LLM call; a failed write or a reset shows that it has disconnected.

mod response_writer;

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use access::Refusal;
use http1::{HeadLimits, RequestParser, ResponseTo, Version, Violation};
use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;

use self::response_writer::{ResponseContext, ResponseWriter, WriteEnd, write_interim};
use crate::account::client_context::{ConnectionContext, Peer, UsedServerName};
use crate::bytes::write_queue::WriteQueue;
use crate::client::head::{FIELDS_MAX, Head};
use crate::client::{
    AcceptedStream, ClientProtocol, ClientSocket, ConnectingPeer, OpenedStream, RefusedStream, RequestBody,
    SharedSocket,
};
use crate::connection::handler::RequestHandling;
use crate::connection::http2;
use crate::deadlines::{ConnectionDeadlines, DeadlineAction};
use crate::handle::exchange::ReceivedRequest;
use crate::response::ClientResponse;
use crate::worker::Worker;

/// Serves a connection to its end.
pub(crate) async fn serve(worker: Rc<Worker>, mut accepted: AcceptedStream, peer: SocketAddr) {
    let address = peer.ip();
    // Connections of many clients come from a trusted proxy.
    let is_trusted = worker.snapshot().traffic.is_trusted_proxy(address);
    let capacity = &worker.shared.capacity;
    let permit = if is_trusted { capacity.connect_proxied() } else { capacity.connect(address) };
    let Ok(mut permit) = permit else {
        worker.handles.refused(Refusal::Overloaded);
        if let Some(failures) = capacity.refused_connections.count_failure(Instant::now()) {
            tracing::warn!(peer = %address, failures, "a connection is refused: `connections.max` or `per_address` is reached");
        }
        // A client of TLS cannot read it, and the handshake would cost too much. The client may have disconnected.
        if accepted.tls.is_none() {
            let _ = accepted.stream.write_all(crate::refusal::render::TOO_MANY_CONNECTIONS).await;
        }
        return;
    };
    let snapshot = worker.snapshot();
    let head_bytes_max = snapshot.traffic.sizes.headers_bytes_max;
    let deadlines = worker.deadlines.add(&snapshot.traffic.timeouts);
    drop(snapshot);
    let closes = Cell::new(ConnectionClose::Never);
    let listener = accepted.listener;
    let names = accepted.tls.as_ref().and_then(|tls| tls.names.clone());
    let (OpenedStream { stream, address, is_unknown, is_tls }, is_refused) = if accepted.is_open() {
        (OpenedStream::plain(accepted.stream, address), false)
    } else {
        let permit = &mut permit;
        let handles = &worker.handles;
        let peer = ConnectingPeer { address, is_trusted, permit, handles };
        let is_tls = accepted.tls.is_some();
        // Boxed, because it is large and other connections do not need it.
        let opened = Box::pin(open(accepted, peer, &deadlines, &closes)).await;
        if is_tls && !matches!(opened, Some(Ok(_))) {
            worker.shared.metrics.tls.handshake_failures.inc();
        }
        match opened {
            Some(Ok(opened)) => (opened, false),
            Some(Err(RefusedStream::Answered(stream))) => (OpenedStream::plain(stream, address), true),
            Some(Err(RefusedStream::Unanswered)) | None => return,
        }
    };
    let protocol = ClientProtocol::from_stream(&stream);
    let peer = Peer { is_unknown, ..Peer::new(address, is_tls, &stream) };
    let server_name = UsedServerName::from_stream(&stream, names);
    let socket = ClientSocket::new(stream, worker.buffers.clone(), deadlines.clone());
    let connection = Connection {
        socket: Rc::new(RefCell::new(socket)),
        parser: RequestParser::new(HeadLimits::new(head_bytes_max, head_bytes_max, FIELDS_MAX)),
        at: Rc::new(ConnectionContext { worker, deadlines, peer, listener, server_name, is_http2: Cell::new(false) }),
        protocol,
        closes,
    };
    if is_refused {
        connection.linger().await;
        connection.socket.borrow_mut().rest();
    } else {
        connection.run().await;
    }
}

/// Lets the client begin, within the time for a head. Returns `None` if the time is over.
async fn open(
    accepted: AcceptedStream,
    peer: ConnectingPeer<'_>,
    deadlines: &ConnectionDeadlines,
    closes: &Cell<ConnectionClose>,
) -> Option<Result<OpenedStream, RefusedStream>> {
    deadlines.within_head.set(true);
    let mut opening = pin!(accepted.open(peer));
    let opened =
        poll_fn(|cx| poll_obeying(deadlines, closes, cx, &mut |cx: &mut Context<'_>| opening.as_mut().poll(cx)));
    let opened = opened.await.ok();
    deadlines.within_head.set(false);
    opened
}

/// A client's HTTP/1.1 connection.
struct Connection {
    socket: SharedSocket,
    parser: RequestParser,
    at: Rc<ConnectionContext>,
    protocol: ClientProtocol,
    /// Whether the connection must end because of a shutdown.
    closes: Cell<ConnectionClose>,
}

/// Whether a connection ends because of a shutdown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum ConnectionClose {
    Never,
    /// As [`Self::AfterResponse`], unless the client speaks HTTP/2.
    Announced,
    /// After the first response whose head says so: that to the current request, or to the next one.
    AfterResponse,
    /// After the current request, or a short wait for the next one if its response has not said so.
    Now,
}

/// A request as it was received.
enum Received {
    Head(Rc<Head>),
    /// The head is invalid. Nothing after it is read as a request.
    Refused(Violation),
}

/// The interim responses that are not written yet; `None` if there was none.
type UnwrittenInterim = Option<Box<WriteQueue>>;

/// The end of the connection: nothing more is read or written.
struct ConnectionEnd;

/// The properties of a request that are needed until its response is written.
#[derive(Clone, Copy)]
struct RequestTraits {
    version: Version,
    responds_to: ResponseTo,
    persists: bool,
    /// Whether nothing after the request is read as a request.
    is_refused: bool,
}

impl Connection {
    async fn run(mut self) {
        let begins_http2 = self.protocol == ClientProtocol::Http2 || self.serve_requests().await;
        if !begins_http2 {
            self.socket.borrow_mut().rest();
        } else if let Ok(socket) = Rc::try_unwrap(self.socket) {
            let (stream, received) = socket.into_inner().into_parts();
            // It is boxed, so that a connection of HTTP/1.1 does not reserve memory for it.
            Box::pin(http2::serve(self.at, stream, received, self.closes.get() > ConnectionClose::Announced)).await;
        }
    }

    /// Serves requests to the end of the connection. Returns true at its beginning if the client speaks HTTP/2. The
    /// parser has refused the preface then, so that the check costs requests of HTTP/1.1 nothing.
    async fn serve_requests(&mut self) -> bool {
        while let Ok(received) = self.next_request().await {
            if matches!(received, Received::Refused(_))
                && self.protocol == ClientProtocol::FirstBytes
                && self.socket.borrow().begins_http2()
            {
                return true;
            }
            let (head, traits) = self.head(received);
            let Ok((response, interim)) = self.respond(head.clone()).await else { return false };
            match self.write(response, interim, traits).await {
                Ok(true) => {
                    let worker = &self.at.worker;
                    if let Some(memory) = worker.heads.give_back(head) {
                        worker.buffers.give_back_fields(memory);
                    }
                }
                Ok(false) => {
                    // The client may still send the rest of this request, or further requests.
                    if traits.is_refused || self.socket.borrow().is_unread() {
                        self.linger().await;
                    }
                    break;
                }
                Err(ConnectionEnd) => return false,
            }
        }
        // No response is incomplete.
        self.socket.borrow_mut().close();
        false
    }

    /// Closes the connection while the client may still send.
    async fn linger(&self) {
        // The result is ignored, because the connection ends in either case.
        let _ = self.obeying(pin!(ClientSocket::linger(&self.socket))).await;
    }

    /// Waits for the head of the next request.
    async fn next_request(&mut self) -> Result<Received, ConnectionEnd> {
        let Self { socket, parser, at, closes, .. } = self;
        let mut receive = |cx: &mut Context<'_>| {
            let mut socket = socket.borrow_mut();
            loop {
                match socket.parse(parser, &at.worker.heads) {
                    Ok(Some(head)) => return Poll::Ready(Ok(Received::Head(head))),
                    Ok(None) => {}
                    Err(violation) => return Poll::Ready(Ok(Received::Refused(violation))),
                }
                at.deadlines.within_head.set(parser.has_begun());
                match socket.poll_receive(cx) {
                    Poll::Ready(Ok(1..)) => {}
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(ConnectionEnd)),
                    // A request that has arrived meanwhile is served.
                    Poll::Pending if closes.get() == ConnectionClose::Now && !parser.has_begun() => {
                        return Poll::Ready(Err(ConnectionEnd));
                    }
                    Poll::Pending => return Poll::Pending,
                }
            }
        };
        poll_fn(|cx| poll_obeying(&at.deadlines, closes, cx, &mut receive)).await?
    }

    /// Returns the head for `handle`, and the traits of the request.
    fn head(&self, received: Received) -> (Rc<Head>, RequestTraits) {
        self.at.deadlines.within_head.set(false);
        match received {
            Received::Head(head) => {
                let responds_to = ResponseTo::method(head.method_bytes());
                // After a CONNECT request, the client may send tunnel bytes; `admit` refuses CONNECT (RFC 9110, 9.3.6).
                let is_refused = responds_to == ResponseTo::Connect;
                let version = head.version();
                let persists = head.persists() && !is_refused;
                let traits = RequestTraits { version, responds_to, persists, is_refused };
                (head, traits)
            }
            Received::Refused(violation) => {
                let line = self.socket.borrow_mut().refuse(&self.parser);
                let responds_to = line.as_ref().map_or(ResponseTo::Other, |(method, _)| ResponseTo::method(method));
                let traits = RequestTraits { version: Version::Http11, responds_to, persists: false, is_refused: true };
                let line = line.as_ref().map(|(method, target)| (&**method, &**target));
                (Rc::new(Head::refused(line, violation)), traits)
            }
        }
    }

    /// Lets `handle` respond, and sends interim responses. Returns also the unwritten rest of these. The request ends early
    /// if its client disconnects, unless it may outlive the client.
    async fn respond(&self, head: Rc<Head>) -> Result<(Box<ClientResponse>, UnwrittenInterim), ConnectionEnd> {
        let at = self.at.clone();
        let active = self.at.deadlines.begin();
        let body = RequestBody::of_socket(self.socket.clone());
        let mut handling = pin!(RequestHandling::new(ReceivedRequest { at, active, head, body }));
        let mut interim: UnwrittenInterim = None;
        let mut respond = |cx: &mut Context<'_>| {
            let polled = handling.as_mut().poll(cx);
            for head in handling.take_interim() {
                if self.socket.borrow().takes_interim() {
                    write_interim(interim.get_or_insert_default(), &head);
                }
            }
            if let Poll::Ready(response) = polled {
                return Poll::Ready(Ok((response, interim.take())));
            }
            if let Some(unwritten) = &mut interim
                && self.send_interim(cx, unwritten).is_err()
            {
                return Poll::Ready(Err(ConnectionEnd));
            }
            let ends_with_client = handling.ends_with_client();
            self.socket.borrow_mut().poll_gone(cx, ends_with_client).map(|()| Err(ConnectionEnd))
        };
        poll_fn(|cx| poll_obeying(&self.at.deadlines, &self.closes, cx, &mut respond)).await?
    }

    /// Writes as much of the interim responses as the socket takes.
    fn send_interim(&self, cx: &mut Context<'_>, unwritten: &mut WriteQueue) -> std::io::Result<()> {
        let mut socket = self.socket.borrow_mut();
        while !unwritten.is_empty() {
            if socket.poll_write(cx, unwritten)?.is_pending() {
                return Ok(());
            }
        }
        if let Poll::Ready(flushed) = socket.poll_flush(cx) { flushed } else { Ok(()) }
    }

    /// Writes a response after the rest of interim responses. Returns whether the connection can serve another request.
    async fn write(
        &self,
        response: Box<ClientResponse>,
        interim: UnwrittenInterim,
        traits: RequestTraits,
    ) -> Result<bool, ConnectionEnd> {
        let context = ResponseContext {
            version: traits.version,
            responds_to: traits.responds_to,
            persists: traits.persists && self.closes.get() == ConnectionClose::Never,
            worker: &self.at.worker,
        };
        let first = self.socket.borrow_mut().begin_response();
        let queue = interim.map_or_else(|| self.at.worker.buffers.take_queue(), |unwritten| *unwritten);
        let mut writer = ResponseWriter::new(queue, first, response, &context);
        let mut write = |cx: &mut Context<'_>| match writer.poll(cx, &self.socket) {
            Poll::Ready(written) => Poll::Ready(written),
            Poll::Pending => {
                let ends_with_client = writer.ends_with_client();
                self.socket.borrow_mut().poll_gone(cx, ends_with_client).map(|()| Err(WriteEnd::ClientGone))
            }
        };
        match poll_fn(|cx| poll_obeying(&self.at.deadlines, &self.closes, cx, &mut write)).await? {
            Ok(()) => {
                let persists = writer.persists;
                // The head is older than the order to end: the client may send its next request at once.
                if persists && self.closes.get() == ConnectionClose::Now {
                    self.closes.set(ConnectionClose::AfterResponse);
                    self.at.deadlines.await_last_request(Instant::now());
                }
                self.at.worker.buffers.give_back_queue(writer.into_queue());
                Ok(persists && self.socket.borrow().content().is_over())
            }
            Err(WriteEnd::AbortedUnseen) => {
                self.socket.borrow().reset_on_close();
                Err(ConnectionEnd)
            }
            Err(WriteEnd::Aborted | WriteEnd::ClientGone) => Err(ConnectionEnd),
        }
    }

    /// Polls `work` until it is done or the connection must end.
    async fn obeying<T>(&self, mut work: std::pin::Pin<&mut impl Future<Output = T>>) -> Result<T, ConnectionEnd> {
        poll_fn(|cx| {
            poll_obeying(&self.at.deadlines, &self.closes, cx, &mut |cx: &mut Context<'_>| work.as_mut().poll(cx))
        })
        .await
    }
}

/// Polls `work` once, and again after every action from the deadlines.
fn poll_obeying<T>(
    deadlines: &ConnectionDeadlines,
    closes: &Cell<ConnectionClose>,
    cx: &mut Context<'_>,
    work: &mut impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Poll<Result<T, ConnectionEnd>> {
    loop {
        if let Poll::Ready(done) = work(cx) {
            return Poll::Ready(Ok(done));
        }
        match deadlines.take_order(cx.waker()) {
            None => return Poll::Pending,
            Some(DeadlineAction::Look) => {}
            Some(DeadlineAction::Announce) => closes.set(closes.get().max(ConnectionClose::Announced)),
            Some(DeadlineAction::Leave) => closes.set(closes.get().max(ConnectionClose::AfterResponse)),
            Some(DeadlineAction::Close) => closes.set(ConnectionClose::Now),
            Some(DeadlineAction::Cut) => return Poll::Ready(Err(ConnectionEnd)),
        }
    }
}
