//! hyper's server as a second opinion: it must read the requests that `http1` accepted, and no other.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Waker};

use bytes::Bytes;
use http::{Request, Response, Version, header};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;

use super::reference::FieldPair;
use super::scripted_io::{BUFFER_BYTES, IdlePolls, ScriptedIo, ScriptedWire, collect, sorted};

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
    let io = ScriptedIo::new(pieces, Rc::clone(&wire));
    let seen = Rc::clone(&requests);
    let moves = Rc::clone(&wire);
    let service = service_fn(move |request: Request<Incoming>| {
        let seen = Rc::clone(&seen);
        let wire = Rc::clone(&moves);
        async move { Ok::<_, Infallible>(respond(request, &seen, &wire).await) }
    });
    let mut connection = Builder::new();
    connection.max_header_size(BUFFER_BYTES).max_buf_size(BUFFER_BYTES);
    let mut connection = connection.serve_connection(io, service);
    let mut cx = Context::from_waker(Waker::noop());
    let mut idle = IdlePolls::default();
    while Pin::new(&mut connection).poll(&mut cx).is_pending() {
        if idle.are_too_many(&wire) {
            assert!(!wire.is_closed.replace(true), "hyper's connection does not end");
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
    let data = collect(&mut body, wire).await;
    let asks_to_close = parts.headers.contains_key(header::CONNECTION) || parts.version == Version::HTTP_10;
    wire.is_over.set(asks_to_close || data.is_none());
    let fields = sorted(&parts.headers);
    let method = parts.method.to_string();
    let target = parts.uri.to_string();
    requests.borrow_mut().push(ReadRequest { method, target, fields, data });
    Response::new(Empty::new())
}
