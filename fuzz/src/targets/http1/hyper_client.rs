//! hyper's client as a second opinion: it must read the final response that `http1` accepted.

use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Empty;
use hyper::client::conn::http1::Builder;

use super::reference::FieldPair;
use super::scripted_io::{BUFFER_BYTES, IdlePolls, ScriptedIo, ScriptedWire, collect, sorted};

/// A response as an independent parser reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReadResponse {
    pub(super) status: u16,
    /// Sorted by name. Names are in lower case.
    pub(super) fields: Vec<FieldPair>,
    /// The data; `None` if the content is incomplete or invalid.
    pub(super) data: Option<Vec<u8>>,
}

/// The final response to a request with this method; these pieces arrive, and then the end of the connection.
pub(super) fn read(method: Method, pieces: &[&[u8]]) -> Option<ReadResponse> {
    let wire = Rc::new(ScriptedWire::default());
    wire.is_closed.set(true);
    wire.is_waiting.set(true);
    let io = ScriptedIo::new(pieces, Rc::clone(&wire));
    let mut cx = Context::from_waker(Waker::noop());
    let handshake = pin!(Builder::new().max_buf_size(BUFFER_BYTES).handshake(io)).poll(&mut cx);
    let Poll::Ready(Ok((mut sender, mut connection))) = handshake else { panic!("hyper does not start") };
    let request = Request::builder().method(method).uri("/").header("host", "a").body(Empty::<Bytes>::new()).unwrap();
    let mut response = pin!(async {
        let (parts, mut body) = sender.send_request(request).await.ok()?.into_parts();
        let data = collect(&mut body, &wire).await;
        Some(ReadResponse { status: parts.status.as_u16(), fields: sorted(&parts.headers), data })
    });
    let mut idle = IdlePolls::default();
    let mut has_ended = false;
    loop {
        if let Poll::Ready(response) = response.as_mut().poll(&mut cx) {
            return response;
        }
        has_ended = has_ended || Pin::new(&mut connection).poll(&mut cx).is_ready();
        assert!(!idle.are_too_many(&wire), "hyper's connection does not end");
    }
}
