//! One request on a stream, from its head to the end of its response.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{Request, Response, StatusCode};
use http1::{AnnouncedContent, HeadLimits, ResponseTo};

use super::response::{ResponseSender, StreamContext};
use super::{head, response};
use crate::account::client_context::ConnectionContext;
use crate::client::{ContentWanted, RequestBody, StreamBody};
use crate::connection::handler::RequestHandling;
use crate::handle::exchange::ReceivedRequest;

/// A stream that is being served. If it is dropped before its end, its client has disconnected.
pub(super) struct StreamTask {
    serving: Pin<Box<dyn Future<Output = ()>>>,
    /// Polls the stream once more after a deadline has passed.
    waker: Option<Waker>,
}

impl StreamTask {
    /// Begins a request whose head has arrived.
    pub(super) fn begin(
        at: &Rc<ConnectionContext>,
        request: Request<RecvStream>,
        respond: SendResponse<Bytes>,
        limits: HeadLimits,
    ) -> Self {
        let (parts, receiving) = request.into_parts();
        let head = head::received(&parts, !receiving.is_end_stream(), limits);
        let left = match head.announced() {
            AnnouncedContent::Length(bytes) => Some(bytes),
            AnnouncedContent::Chunked | AnnouncedContent::Nothing => None,
        };
        let wanted = ContentWanted::default();
        let body = StreamBody::new(receiving, left, head.expects_continue().then(|| wanted.clone()));
        let body = RequestBody::Stream(Box::new(body));
        let responds_to = ResponseTo::method(head.method_bytes());
        let received = ReceivedRequest { at: at.clone(), active: at.deadlines.begin(), head: Rc::new(head), body };
        let serving = Box::pin(serve(received, Client { respond, wanted, responds_to }));
        Self { serving, waker: None }
    }

    /// Has the stream polled once more.
    pub(super) fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }
}

impl Future for StreamTask {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.waker.as_ref().is_some_and(|kept| kept.will_wake(cx.waker())) {
            self.waker = Some(cx.waker().clone());
        }
        self.serving.as_mut().poll(cx)
    }
}

/// The sending side of a stream.
struct Client {
    respond: SendResponse<Bytes>,
    wanted: ContentWanted,
    responds_to: ResponseTo,
}

/// Serves one request. It ends early if the client resets the stream, unless the request may outlive its client.
async fn serve(received: ReceivedRequest, mut client: Client) {
    let at = received.at.clone();
    let deadlines = received.active.deadlines.clone();
    let handled = {
        let mut handling = pin!(RequestHandling::new(received));
        poll_fn(|cx| {
            if client.respond.poll_reset(cx).is_ready() {
                return Poll::Ready(None);
            }
            let polled = handling.as_mut().poll(cx);
            for interim in handling.take_interim().iter().filter_map(response::interim) {
                // The call fails only for a stream that has ended, which `poll_reset` reports.
                let _ = client.respond.send_informational(interim);
            }
            if polled.is_pending() && client.wanted.take() {
                let mut interim = Response::new(());
                *interim.status_mut() = StatusCode::CONTINUE;
                // The call fails only for a stream that has ended, which `poll_reset` reports.
                let _ = client.respond.send_informational(interim);
            }
            polled.map(Some)
        })
        .await
    };
    let Some(response) = handled else { return };
    let context = StreamContext { responds_to: client.responds_to, deadlines, worker: &at.worker };
    if let Ok(sender) = ResponseSender::begin(&mut client.respond, response, context) {
        sender.send(&at.deadlines).await;
    }
}
