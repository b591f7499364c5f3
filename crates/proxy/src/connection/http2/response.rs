//! The response on a stream: its head without the fields of a connection, and its content as the client's windows allow.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Response, StatusCode};
use http_body::Body as _;
use http1::{AnnouncedContent, ResponseTo};
use tokio::task::yield_now;

use crate::bytes::content::{allowed_trailers, length};
use crate::deadlines::{ConnectionDeadlines, RequestDeadlines};
use crate::response::ClientResponse;
use crate::response::head::{ClientHead, http2_interim_fields};
use crate::response::response_body::Body;
use crate::upstream::response_head::RelayedHead;
use crate::worker::Worker;

/// The reason for an incomplete response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SendEnd {
    /// The client has reset the stream, or the connection has ended.
    ClientGone,
    /// The content of the response failed.
    ContentFailed,
    /// The client does not read the content in time.
    Stalled,
}

/// The properties of a request that its response needs.
pub(super) struct StreamContext<'a> {
    pub(super) responds_to: ResponseTo,
    pub(super) deadlines: Rc<RequestDeadlines>,
    pub(super) worker: &'a Worker,
}

/// A response whose content is being sent. Besides the bytes that h2 buffers for the stream, it keeps one piece.
pub(super) struct ResponseSender {
    to: SendStream<Bytes>,
    body: Body,
    /// The piece that is to be sent next.
    waiting: Bytes,
    /// The number of bytes to come, if the head announced it.
    left: Option<u64>,
    has_trailers: bool,
    has_ended: bool,
    deadlines: Rc<RequestDeadlines>,
}

impl ResponseSender {
    /// Sends the head of a response.
    #[expect(clippy::boxed_local, reason = "a future moves only the box")]
    pub(super) fn begin(
        respond: &mut SendResponse<Bytes>,
        response: Box<ClientResponse>,
        context: StreamContext<'_>,
    ) -> Result<Self, SendEnd> {
        let ClientResponse { mut head, mut body, closes: _ } = *response;
        let length = if body.is_end_stream() { Some(0) } else { body.size_hint().exact() };
        let is_bodiless = matches!(head.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
            || context.responds_to == ResponseTo::Head;
        let has_trailers = !is_bodiless && body.may_have_trailers() && head.keep_trailers();
        if has_trailers {
            body.keep_trailers();
        }
        let announced = if is_bodiless { announced(&head, length) } else { length };
        let has_ended = is_bodiless || length == Some(0);
        let mut sent = Response::new(());
        *sent.status_mut() = head.status();
        *sent.headers_mut() = head.http2_fields(&context.worker.date);
        if let Some(bytes) = announced {
            sent.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(bytes));
        }
        let to = respond.send_response(sent, has_ended).map_err(|_| SendEnd::ClientGone)?;
        let waiting = Bytes::new();
        let left = length;
        Ok(Self { to, body, waiting, left, has_trailers, has_ended, deadlines: context.deadlines })
    }

    /// Sends the response. If it remains incomplete, resets the stream, so that the client detects it.
    pub(super) async fn send(mut self, connection: &ConnectionDeadlines) {
        match poll_fn(|cx| self.poll(cx)).await {
            Ok(()) | Err(SendEnd::ClientGone) => {}
            Err(SendEnd::Stalled) => self.to.send_reset(Reason::CANCEL),
            Err(SendEnd::ContentFailed) => {
                // An explicit reset discards what h2 has not written, which may be the head. The next poll of the
                // connection writes before it polls its streams.
                yield_now().await;
                if !connection.write_blocked.get() {
                    self.to.send_reset(Reason::INTERNAL_ERROR);
                }
                // If the client does not read, dropping `to` resets the stream with `CANCEL` after these frames.
            }
        }
    }

    /// Sends as much as possible. Ready when the whole response was passed to h2.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendEnd>> {
        loop {
            if self.has_ended {
                return Poll::Ready(Ok(()));
            }
            if self.deadlines.is_stalled() {
                return Poll::Ready(Err(SendEnd::Stalled));
            }
            if self.to.poll_reset(cx).is_ready() {
                return Poll::Ready(Err(SendEnd::ClientGone));
            }
            if !self.waiting.is_empty() {
                ready!(self.poll_waiting(cx))?;
                continue;
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.take(data)?,
                    Err(frame) if self.has_trailers => {
                        self.check_whole()?;
                        let trailers = allowed_trailers(frame.into_trailers().unwrap_or_default());
                        self.to.send_trailers(trailers).map_err(|_| SendEnd::ClientGone)?;
                        self.has_ended = true;
                    }
                    Err(_) => {}
                },
                Some(Err(_)) => return Poll::Ready(Err(SendEnd::ContentFailed)),
                None => {
                    self.check_whole()?;
                    self.to.send_data(Bytes::new(), true).map_err(|_| SendEnd::ClientGone)?;
                    self.has_ended = true;
                }
            }
        }
    }

    /// Takes a piece of the content, and reserves a part of the windows for it.
    fn take(&mut self, data: Bytes) -> Result<(), SendEnd> {
        if let Some(left) = &mut self.left {
            // The client would treat surplus bytes as a violation of the protocol.
            *left = left.checked_sub(length(&data)).ok_or(SendEnd::ContentFailed)?;
        }
        self.to.reserve_capacity(data.len());
        self.waiting = data;
        Ok(())
    }

    /// Sends the waiting piece, as far as the client's windows and the buffer of the stream have room.
    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendEnd>> {
        while self.to.capacity() == 0 {
            match self.to.poll_capacity(cx) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(Err(SendEnd::ClientGone)),
                Poll::Pending => {
                    self.deadlines.wait_for_reader();
                    return Poll::Pending;
                }
            }
        }
        self.deadlines.has_reader();
        let piece = self.waiting.split_to(self.waiting.len().min(self.to.capacity()));
        // If the end of the body is already known, it is sent together with the last piece.
        let ends = self.waiting.is_empty() && self.body.is_end_stream();
        if ends {
            self.check_whole()?;
        }
        self.to.send_data(piece, ends).map_err(|_| SendEnd::ClientGone)?;
        self.has_ended = ends;
        Poll::Ready(Ok(()))
    }

    fn check_whole(&self) -> Result<(), SendEnd> {
        match self.left {
            Some(1..) => Err(SendEnd::ContentFailed),
            Some(0) | None => Ok(()),
        }
    }
}

/// Returns an interim response of an upstream.
pub(super) fn interim(relayed: &RelayedHead) -> Option<Response<()>> {
    let mut sent = Response::new(());
    *sent.status_mut() = StatusCode::from_u16(relayed.head.status()).ok()?;
    *sent.headers_mut() = http2_interim_fields(relayed);
    Some(sent)
}

/// Returns the length that a response without content may announce (RFC 9110, 8.6), as over HTTP/1.1.
fn announced(head: &ClientHead, length: Option<u64>) -> Option<u64> {
    match head.announced(length) {
        AnnouncedContent::Length(bytes) => Some(bytes),
        AnnouncedContent::Chunked | AnnouncedContent::Nothing => None,
    }
}
