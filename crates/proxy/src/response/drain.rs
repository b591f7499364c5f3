//! The handling of a client that disconnects (setting `on_hangup`): its LLM request is aborted, or the rest of the
//! response is read for the usage at its end.
//!
//! A request whose client has disconnected keeps its permit among the requests in flight. Such requests may use at most
//! a tenth of these permits. Reading ends at its bounds, or when the time of the shutdown is over.

use std::future::{Future, poll_fn};
use std::time::Duration;

use config::snapshot::OnHangup;
use tokio::time::{Instant, sleep_until};

use crate::bytes::content::length;
use crate::deadlines::shutdown::{ShutdownPhase, reached};
use crate::deadlines::task::spawn;
use crate::response::relay::Relay;
use crate::worker::Worker;

/// Maximum time, and maximum size, for the report of usage that is due when the client disconnects.
const USAGE_WAIT_MAX: Duration = Duration::from_secs(2);
const USAGE_BYTES_MAX: u64 = 64 * 1024;

/// The bounds of reading a response whose client has disconnected.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DetachedBounds {
    bytes_max: u64,
    pub(crate) until: Instant,
}

/// Returns the bounds of a request whose client disconnected at `left`; `None` if the request is aborted.
pub(crate) fn bounds(on_hangup: OnHangup, left: Instant) -> Option<DetachedBounds> {
    match on_hangup {
        OnHangup::Cancel | OnHangup::Abort => None,
        OnHangup::Drain { bytes_max, within } => Some(DetachedBounds { bytes_max, until: left + within }),
    }
}

/// Reads the rest of the response that `relay` would have sent to a client.
pub(crate) fn read_on(mut relay: Box<Relay>) {
    let account = relay.account();
    let worker = account.request.at.worker.clone();
    let on_hangup = account.request.snapshot.traffic.on_hangup;
    if !relay.has_usage_to_come() || account.request.deadlines.is_ending() {
        return;
    }
    let left = account.request.deadlines.leave();
    let is_due = on_hangup == OnHangup::Cancel && relay.awaits_usage();
    let of_due = is_due.then(|| DetachedBounds { bytes_max: USAGE_BYTES_MAX, until: left + USAGE_WAIT_MAX });
    let Some(bounds) = bounds(on_hangup, left).or(of_due) else { return };
    let Ok(place) = worker.shared.capacity.read_on() else { return };
    relay.stop_translating();
    spawn(async move {
        let _place = place;
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
pub(crate) async fn within<T>(worker: &Worker, until: Instant, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        done = work => Some(done),
        () = sleep_until(until) => None,
        () = reached(worker.shared.shutdown.follow(), ShutdownPhase::Ending) => None,
    }
}
