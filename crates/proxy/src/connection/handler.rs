//! The handling of a request, which may outlive its client.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::deadlines::task::spawn;
use crate::deadlines::{RequestDeadlines, looked_at};
use crate::handle::exchange::{Exchange, ReceivedRequest};
use crate::handle::handle_all;
use crate::response::ClientResponse;
use crate::response::drain::{bounds, within};
use crate::upstream::response_head::RelayedHead;
use crate::worker::Worker;

/// Maximum number of unused handlers of a thread. Each has a few KiB.
const UNUSED_MAX: usize = 64;

thread_local! {
    /// Unused handlers. They hold nothing of a request or a worker.
    static UNUSED: RefCell<Vec<Handler>> = const { RefCell::new(Vec::new()) };
}

/// The memory in which requests are handled, one after the other. A connection has none while it waits for a request.
struct Handler {
    exchange: Rc<Exchange>,
    serving: Pin<Box<dyn Future<Output = ()>>>,
}

/// The handling of one request. If it is dropped after the first byte was sent to an upstream, it continues without its
/// client.
pub(crate) struct RequestHandling {
    worker: Rc<Worker>,
    deadlines: Rc<RequestDeadlines>,
    handler: Option<Handler>,
    /// Interim responses that were not taken yet.
    interim: Vec<RelayedHead>,
}

impl Handler {
    fn new() -> Self {
        let exchange = Rc::<Exchange>::default();
        Self { serving: Box::pin(handle_all(exchange.clone())), exchange }
    }

    fn take() -> Self {
        UNUSED.with_borrow_mut(Vec::pop).unwrap_or_else(Self::new)
    }

    /// Keeps the handler for another request, after the response was returned.
    fn give_back(self) {
        UNUSED.with_borrow_mut(|unused| {
            if unused.len() < UNUSED_MAX {
                unused.push(self);
            }
        });
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Box<ClientResponse>> {
        // It never ends: after a response, it waits for the next request.
        let _ = self.serving.as_mut().poll(cx);
        self.exchange.take_response().map_or(Poll::Pending, Poll::Ready)
    }
}

impl RequestHandling {
    /// Begins to handle a request, when it is polled.
    pub(crate) fn new(received: ReceivedRequest) -> Self {
        let worker = received.at.worker.clone();
        let deadlines = received.active.deadlines.clone();
        let handler = Handler::take();
        handler.exchange.give(received);
        Self { worker, deadlines, handler: Some(handler), interim: Vec::new() }
    }

    /// Whether the request ends if its client closes its sending side.
    pub(crate) fn ends_with_client(&self) -> bool {
        self.deadlines.ends_with_client()
    }

    /// Takes the interim responses that were relayed before or during the last poll.
    pub(crate) fn take_interim(&mut self) -> Vec<RelayedHead> {
        std::mem::take(&mut self.interim)
    }
}

impl Future for RequestHandling {
    type Output = Box<ClientResponse>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Box<ClientResponse>> {
        let this = &mut *self;
        let Some(handler) = &mut this.handler else { return Poll::Pending };
        let polled = handler.poll(cx);
        handler.exchange.interim.move_to(&mut this.interim);
        if polled.is_ready()
            && let Some(handler) = self.handler.take()
        {
            handler.give_back();
        }
        polled
    }
}

impl Drop for RequestHandling {
    fn drop(&mut self) {
        let Some(mut handler) = self.handler.take() else { return };
        let deadlines = &self.deadlines;
        if !deadlines.outlives() || deadlines.is_ending() {
            return;
        }
        let left = deadlines.leave();
        let live = self.worker.shared.live.load();
        let configured = || bounds(live.traffic.on_hangup, left).map(|bounds| bounds.until);
        let Some(until) = deadlines.continues_until().or_else(configured) else { return };
        let timeouts = live.traffic.timeouts;
        let worker = self.worker.clone();
        let deadlines = deadlines.clone();
        let Ok(place) = worker.shared.capacity.read_on() else { return };
        // The resulting response is dropped, so `read_on` reads its body.
        spawn(async move {
            // The checks of the connection wake only the connection, which no longer polls the request.
            let handling = looked_at(&deadlines, &timeouts, poll_fn(|cx| handler.poll(cx)));
            let response = within(&worker, until, handling).await;
            drop(place);
            drop(response);
        });
    }
}
