//! An HTTP/1.1 connection to an upstream, which the request's own task drives.
//!
//! `call` writes the request and reads the head of the response at the same time. `body` then owns the connection and reads
//! the content; at its end, it leaves the connection in a `ReturnSlot` for the pool. If a response begins before its
//! request is written, a task writes the rest (`request_writer`).

pub(crate) mod body;
pub(crate) mod call;
mod request_writer;

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use ::http1::{HeadLimits, ResponseParser};
use bytes::BytesMut;
use tokio::io::AsyncReadExt as _;

use crate::upstream::connect::HEAD_BYTES_MAX;
use crate::upstream::socket::{Gauge, IdleSocket, Probe, Socket};

/// The maximum number of fields of a response's head, which is also that of the parser.
const FIELDS_MAX: usize = 254;
/// The first read of a response. A read that fills the buffer doubles the next one.
const READ_BYTES_MIN: usize = 8 * 1024;
const READ_BYTES_MAX: usize = 64 * 1024;
/// A read is given at least this room.
const ROOM_BYTES_MIN: usize = 1024;

/// A connection to an upstream, checked out for one request. Dropped, it is closed.
pub(crate) struct Http1Connection {
    /// Shared with the task that writes the rest of a request.
    socket: Rc<RefCell<Socket>>,
    gauge: Rc<Gauge>,
    parser: ResponseParser,
    /// Received bytes that are not parsed yet. An idle connection has no buffer.
    received: BytesMut,
    read_bytes: usize,
    /// Whether it served a request before.
    pub(crate) reused: bool,
}

/// Where a body leaves its connection at its end, if another request may use it.
pub(crate) type ReturnSlot = Rc<Cell<Option<Box<Http1Connection>>>>;

impl Http1Connection {
    /// Returns a new connection over this socket.
    pub(crate) fn new(socket: Socket, gauge: Rc<Gauge>) -> Box<Self> {
        let limits = HeadLimits::new(HEAD_BYTES_MAX, HEAD_BYTES_MAX, FIELDS_MAX);
        Box::new(Self {
            socket: Rc::new(RefCell::new(socket)),
            gauge,
            parser: ResponseParser::new(limits),
            received: BytesMut::new(),
            read_bytes: READ_BYTES_MIN,
            reused: false,
        })
    }

    fn probe(&self) -> Probe {
        self.gauge.probe()
    }

    /// Asks the operating system, since the reactor may not have reported a close yet.
    pub(crate) fn look(&self) -> IdleSocket {
        self.socket.borrow().look()
    }

    /// Reads TLS records that arrived while the connection was idle; returns whether it can be used still.
    pub(crate) async fn is_usable_after_records(&mut self) -> bool {
        // The reactor has to report the bytes first.
        tokio::task::yield_now().await;
        self.poll_receive(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    /// Reads more bytes; 0 at the end of the connection.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.received.capacity() - self.received.len() < ROOM_BYTES_MIN {
            self.received.reserve(self.read_bytes);
        }
        let room = self.received.capacity() - self.received.len();
        let mut socket = self.socket.borrow_mut();
        let received = pin!(socket.read_buf(&mut self.received)).poll(cx);
        if let Poll::Ready(Ok(bytes)) = &received
            && *bytes == room
        {
            self.read_bytes = (2 * self.read_bytes).min(READ_BYTES_MAX);
        }
        received
    }

    /// Frees what an idle connection does not need.
    fn rest(&mut self) {
        self.received = BytesMut::new();
        self.read_bytes = READ_BYTES_MIN;
    }
}
