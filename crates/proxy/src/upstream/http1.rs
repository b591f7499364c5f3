//! An HTTP/1.1 connection to an upstream, which the request's own task drives.
//!
//! `call` writes the request and reads the head of the response at the same time. `body` then owns the connection and
//! reads the content, and holds the connection at its end for the pool. If a response begins before its request is
//! written, a task writes the rest (`request_writer`).

pub(crate) mod body;
pub(crate) mod call;
pub(crate) mod error;
mod request_writer;

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use ::http1::{Framing, HeadLimits, ResponseParser};

use crate::bytes::buffers::Buffers;
use crate::bytes::content::ContentReader;
use crate::bytes::receive_buffer::ReceiveBuffer;
use crate::deadlines::probe::{Gauge, Probe};
use crate::upstream::HEAD_BYTES_MAX;
use crate::upstream::connection_limit::OpeningPermit;
use crate::upstream::socket::{IdleSocket, Socket};

/// Maximum number of fields in a response's head, which is also the maximum of the parser.
const FIELDS_MAX: usize = 254;
/// A connection to an upstream that one request uses. Dropping it closes the connection.
pub(crate) struct Http1Connection {
    /// The socket, shared with the task that writes the rest of a request.
    socket: Rc<RefCell<Socket>>,
    gauge: Rc<Gauge>,
    parser: ResponseParser,
    /// Received bytes that are not parsed yet. An idle connection has no buffer.
    received: ReceiveBuffer,
    /// The content of the current response.
    content: ContentReader,
    buffers: Rc<Buffers>,
    /// Whether the connection served a request before.
    pub(crate) reused: bool,
    /// The right to the connection, if connections are limited.
    _permit: Option<OpeningPermit>,
}

impl Http1Connection {
    /// Returns a new connection over this socket, which uses the worker's buffers.
    pub(crate) fn new(
        socket: Socket,
        gauge: Rc<Gauge>,
        buffers: Rc<Buffers>,
        permit: Option<OpeningPermit>,
    ) -> Box<Self> {
        let limits = HeadLimits::new(HEAD_BYTES_MAX, HEAD_BYTES_MAX, FIELDS_MAX);
        Box::new(Self {
            socket: Rc::new(RefCell::new(socket)),
            gauge,
            parser: ResponseParser::new(limits),
            received: ReceiveBuffer::default(),
            content: ContentReader::new(Framing::Empty),
            buffers,
            reused: false,
            _permit: permit,
        })
    }

    fn probe(&self) -> Probe {
        self.gauge.probe()
    }

    /// Returns what the socket has received; for `is_fresh`, see [`Socket::look`].
    pub(crate) fn look(&self, is_fresh: bool) -> IdleSocket {
        self.socket.borrow().look(is_fresh)
    }

    /// Reads TLS records that arrived while the connection was idle. Returns whether the connection is still usable.
    pub(crate) async fn is_usable_after_records(&mut self) -> bool {
        // The reactor must report the bytes first.
        tokio::task::yield_now().await;
        self.poll_receive(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    /// Reads more bytes. Returns 0 at the end of the connection.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut socket = self.socket.borrow_mut();
        // A connection that waits takes no buffer, and returns the one that it has.
        let Poll::Ready(is_readable) = socket.poll_read_ready(cx) else {
            if self.received.bytes.is_empty() {
                self.received.rest(&self.buffers);
            }
            return Poll::Pending;
        };
        is_readable?;
        self.received.poll_read(cx, &mut *socket, &self.buffers)
    }

    /// Returns the memory that an idle connection does not need.
    fn rest(&mut self) {
        self.received.rest(&self.buffers);
    }
}
