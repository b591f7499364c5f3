//! A connection in memory for hyper: pieces arrive, and a poll without any progress is noticed.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use http::HeaderMap;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};

use super::reference::FieldPair;

/// Heads of all targets are smaller. hyper accepts no smaller buffer.
pub(super) const BUFFER_BYTES: usize = 32 * 1024;
/// After this number of polls without a read, a write or a frame, there will be none.
const IDLE_POLLS_MAX: usize = 4;

/// Counts polls without progress.
#[derive(Default)]
pub(super) struct IdlePolls {
    count: usize,
    moves: usize,
}

impl IdlePolls {
    /// Counts a poll, and begins again if there were too many.
    pub(super) fn are_too_many(&mut self, wire: &ScriptedWire) -> bool {
        let moves = wire.moves.get();
        self.count = if self.moves == moves { self.count + 1 } else { 0 };
        self.moves = moves;
        let are_too_many = self.count > IDLE_POLLS_MAX;
        if are_too_many {
            self.count = 0;
        }
        are_too_many
    }
}

/// The data of a body; `None` if it is incomplete or invalid.
pub(super) async fn collect(body: &mut Incoming, wire: &ScriptedWire) -> Option<Vec<u8>> {
    let mut data = Vec::new();
    while let Some(frame) = body.frame().await {
        // hyper may make many frames of one read.
        wire.moved();
        data.extend_from_slice(frame.ok()?.data_ref().map_or(&[][..], |data| data));
    }
    Some(data)
}

/// Fields sorted by name, with those of one name in their order.
pub(super) fn sorted(headers: &HeaderMap) -> Vec<FieldPair> {
    let pair = |(name, value): (&http::HeaderName, &http::HeaderValue)| (name.as_str().into(), value.as_bytes().into());
    let mut fields: Vec<FieldPair> = headers.iter().map(pair).collect();
    fields.sort_by(|one, other| one.0.cmp(&other.0));
    fields
}

/// What hyper wrote, and what happened on the wire.
#[derive(Default)]
pub(super) struct ScriptedWire {
    pub(super) written: RefCell<Vec<u8>>,
    moves: Cell<usize>,
    /// Whether the peer has closed the connection after its last piece.
    pub(super) is_closed: Cell<bool>,
    /// Whether the peer sends nothing before it received something.
    pub(super) is_waiting: Cell<bool>,
    /// Whether hyper reads no further message.
    pub(super) is_over: Cell<bool>,
}

impl ScriptedWire {
    fn moved(&self) {
        self.moves.set(self.moves.get() + 1);
    }
}

/// hyper's end of the connection.
pub(super) struct ScriptedIo {
    pieces: VecDeque<Vec<u8>>,
    wire: Rc<ScriptedWire>,
}

impl ScriptedIo {
    pub(super) fn new(pieces: &[&[u8]], wire: Rc<ScriptedWire>) -> Self {
        Self { pieces: pieces.iter().map(|piece| piece.to_vec()).collect(), wire }
    }
}

impl Read for ScriptedIo {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, mut buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        if self.wire.is_waiting.get() {
            return Poll::Pending;
        }
        let Some(mut piece) = self.pieces.pop_front() else {
            return if self.wire.is_closed.get() { Poll::Ready(Ok(())) } else { Poll::Pending };
        };
        let rest = piece.split_off(piece.len().min(buffer.remaining()));
        buffer.put_slice(&piece);
        if !rest.is_empty() {
            self.pieces.push_front(rest);
        }
        self.wire.moved();
        Poll::Ready(Ok(()))
    }
}

impl Write for ScriptedIo {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.wire.written.borrow_mut().extend_from_slice(bytes);
        self.wire.is_waiting.set(false);
        self.wire.moved();
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
