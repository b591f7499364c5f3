//! hyper's server as a second opinion: it must read the requests that `http1` accepted, and no other.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response, Version, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;

use super::reference::FieldPair;

/// Heads of all targets are smaller. hyper accepts no smaller buffer.
const BUFFER_BYTES: usize = 32 * 1024;
/// After this number of polls without a read, a write or a frame, there will be none.
const IDLE_POLLS_MAX: usize = 4;

/// A request as an independent parser reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReadRequest {
    pub(super) method: String,
    /// The target as [`http::Uri`] prints it.
    pub(super) target: String,
    /// Sorted by name. Names are in lower case.
    pub(super) fields: Vec<FieldPair>,
    /// The data; `None` if the content is incomplete or invalid.
    pub(super) data: Option<Vec<u8>>,
}

/// The requests of a connection on which these pieces arrive, and whether hyper expects no further request.
pub(super) fn read(pieces: &[&[u8]]) -> (Vec<ReadRequest>, bool) {
    let wire = Rc::new(ScriptedWire::default());
    let requests = Rc::new(RefCell::new(Vec::new()));
    let io = ScriptedIo { pieces: pieces.iter().map(|piece| piece.to_vec()).collect(), wire: Rc::clone(&wire) };
    let (seen, moves) = (Rc::clone(&requests), Rc::clone(&wire));
    let service = service_fn(move |request: Request<Incoming>| {
        let (seen, wire) = (Rc::clone(&seen), Rc::clone(&moves));
        async move { Ok::<_, Infallible>(respond(request, &seen, &wire).await) }
    });
    let mut connection = Builder::new();
    connection.max_header_size(BUFFER_BYTES).max_buf_size(BUFFER_BYTES);
    let mut connection = connection.serve_connection(io, service);
    let mut cx = Context::from_waker(Waker::noop());
    let mut idle = 0;
    loop {
        let moves = wire.moves.get();
        if Pin::new(&mut connection).poll(&mut cx).is_ready() {
            break;
        }
        idle = if wire.moves.get() == moves { idle + 1 } else { 0 };
        if idle > IDLE_POLLS_MAX {
            assert!(!wire.is_closed.replace(true), "hyper's connection does not end");
            idle = 0;
        }
    }
    drop(connection);
    let written = String::from_utf8_lossy(&wire.written.borrow()).into_owned();
    let refuses = [" 400 ", " 414 ", " 431 "].iter().any(|status| written.contains(status));
    assert!(!refuses, "hyper refuses a request that `http1` accepts: {written}");
    (requests.take(), wire.is_over.get())
}

/// Reads the whole request before it responds.
async fn respond(
    request: Request<Incoming>,
    requests: &RefCell<Vec<ReadRequest>>,
    wire: &ScriptedWire,
) -> Response<Empty<Bytes>> {
    let (parts, mut body) = request.into_parts();
    let mut data = Some(Vec::new());
    while let Some(frame) = body.frame().await {
        // hyper may make many frames of one read.
        wire.moved();
        match (frame, &mut data) {
            (Ok(frame), Some(data)) => data.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data)),
            _ => {
                data = None;
                break;
            }
        }
    }
    let asks_to_close = parts.headers.contains_key(header::CONNECTION) || parts.version == Version::HTTP_10;
    wire.is_over.set(asks_to_close || data.is_none());
    let mut fields: Vec<FieldPair> =
        parts.headers.iter().map(|(name, value)| (name.as_str().into(), value.as_bytes().into())).collect();
    fields.sort_by(|one, other| one.0.cmp(&other.0));
    let (method, target) = (parts.method.to_string(), parts.uri.to_string());
    requests.borrow_mut().push(ReadRequest { method, target, fields, data });
    Response::new(Empty::new())
}

#[derive(Default)]
struct ScriptedWire {
    written: RefCell<Vec<u8>>,
    moves: Cell<usize>,
    is_closed: Cell<bool>,
    is_over: Cell<bool>,
}

impl ScriptedWire {
    fn moved(&self) {
        self.moves.set(self.moves.get() + 1);
    }
}

/// The server's end of the connection.
struct ScriptedIo {
    pieces: VecDeque<Vec<u8>>,
    wire: Rc<ScriptedWire>,
}

impl Read for ScriptedIo {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, mut buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
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
