//! The handling of a request, which may outlive its client.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::deadlines::RequestDeadlines;
use crate::drain::{bounds, within};
use crate::response::ClientResponse;
use crate::task::spawn;
use crate::worker::Worker;

/// The handling of a request that continues without its client if it is dropped after its first byte was sent to an
/// upstream.
pub(crate) struct Outliving<F: Future<Output = ClientResponse> + 'static> {
    worker: Rc<Worker>,
    deadlines: Rc<RequestDeadlines>,
    handling: Option<Pin<Box<F>>>,
}

impl<F: Future<Output = ClientResponse> + 'static> Outliving<F> {
    pub(crate) fn new(worker: Rc<Worker>, deadlines: Rc<RequestDeadlines>, handling: F) -> Self {
        Self { worker, deadlines, handling: Some(Box::pin(handling)) }
    }
}

impl<F: Future<Output = ClientResponse> + 'static> Future for Outliving<F> {
    type Output = ClientResponse;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ClientResponse> {
        let Some(handling) = &mut self.handling else { return Poll::Pending };
        let polled = handling.as_mut().poll(cx);
        if polled.is_ready() {
            self.handling = None;
        }
        polled
    }
}

impl<F: Future<Output = ClientResponse> + 'static> Drop for Outliving<F> {
    fn drop(&mut self) {
        let (Some(handling), deadlines) = (self.handling.take(), &self.deadlines) else { return };
        if !deadlines.outlives() || deadlines.is_ending() {
            return;
        }
        let left = deadlines.leave();
        let Some(bounds) = bounds(self.worker.shared.live.load().traffic.on_hangup, left) else { return };
        let worker = self.worker.clone();
        let Ok(place) = worker.shared.capacity.read_on() else { return };
        // The resulting response is dropped, so `read_on` reads its body.
        spawn(async move {
            let response = within(&worker, bounds.until, handling).await;
            drop(place);
            drop(response);
        });
    }
}
