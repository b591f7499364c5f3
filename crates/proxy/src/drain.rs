//! The handling of a client that disconnects (setting `on_hangup`): its LLM request is aborted, or the rest of the
//! response is read for the usage at its end.
//!
//! A request whose client has disconnected keeps its permit among the requests in flight. Such requests may use at most
//! a tenth of these permits. Reading ends at its bounds, or when the time of the shutdown is over.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use config::snapshot::OnHangup;
use tokio::time::{Instant, sleep_until};

use crate::capacity::RequestPermit;
use crate::client_context::ConnectionContext;
use crate::relay::Relay;
use crate::response::ClientResponse;
use crate::shutdown::{Phase, reached};
use crate::task::spawn;
use crate::worker::Worker;

/// The bounds of reading a response whose client has disconnected.
#[derive(Debug, Clone, Copy)]
struct DetachedBounds {
    bytes_max: u64,
    until: Instant,
}

/// Returns the bounds of a request whose client disconnected at `left`; `None` if the request is aborted.
fn bounds(on_hangup: OnHangup, left: Instant) -> Option<DetachedBounds> {
    match on_hangup {
        OnHangup::Cancel => None,
        OnHangup::Drain { bytes_max, within } => Some(DetachedBounds { bytes_max, until: left + within }),
    }
}

/// The handling of a request that continues without its client if it is dropped after its first byte was sent to an
/// upstream.
pub(crate) struct Outliving<F: Future<Output = ClientResponse> + 'static> {
    at: Rc<ConnectionContext>,
    handling: Option<Pin<Box<F>>>,
}

impl<F: Future<Output = ClientResponse> + 'static> Outliving<F> {
    pub(crate) fn new(at: Rc<ConnectionContext>, handling: F) -> Self {
        Self { at, handling: Some(Box::pin(handling)) }
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
        let (Some(handling), deadlines) = (self.handling.take(), &self.at.deadlines) else { return };
        if !deadlines.outlives() || deadlines.is_ending() {
            return;
        }
        let left = deadlines.leave();
        let Some(bounds) = bounds(self.at.worker.shared.live.load().traffic.on_hangup, left) else { return };
        let worker = self.at.worker.clone();
        let Ok(place) = worker.shared.capacity.read_on() else { return };
        // The resulting response is dropped, so `read_on` reads its body.
        spawn(async move {
            let response = within(&worker, bounds.until, handling).await;
            drop(place);
            drop(response);
        });
    }
}

/// Reads the rest of the response that `relay` would have sent to a client. `permit` counts the request among those in
/// flight.
pub(crate) fn read_on(permit: Option<RequestPermit>, mut relay: Box<Relay>) {
    let exchange = relay.exchange();
    let (worker, on_hangup) = (exchange.at.worker.clone(), exchange.snapshot.traffic.on_hangup);
    if !relay.has_usage_to_come() || exchange.deadlines().is_ending() {
        return;
    }
    let Some(bounds) = bounds(on_hangup, exchange.deadlines().leave()) else { return };
    let Ok(place) = worker.shared.capacity.read_on() else { return };
    spawn(async move {
        let _places = (permit, place);
        let reading = async {
            let mut bytes_left = bounds.bytes_max;
            while let Some(Ok(bytes)) = poll_fn(|cx| relay.poll_bytes(cx)).await {
                match bytes_left.checked_sub(length(&bytes)) {
                    Some(left) => bytes_left = left,
                    None => break,
                }
            }
        };
        within(&worker, bounds.until, reading).await;
    });
}

/// Polls `work` until it completes, until the time `until`, or until the time of the shutdown is over.
async fn within<T>(worker: &Worker, until: Instant, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        done = work => Some(done),
        () = sleep_until(until) => None,
        () = reached(worker.shared.shutdown.follow(), Phase::Ending) => None,
    }
}

fn length(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
