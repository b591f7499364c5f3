//! The content of a response that is to be stored, as it arrives. No client can abort it.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout, timeout_at};

use crate::account::RequestAccount;
use crate::bytes::content::length;
use crate::bytes::shared_content::{ContentEnd, SharedContent};
use crate::capacity::{DetachedPermit, MemoryPermit};
use crate::client::head::Head;
use crate::deadlines::task::spawn;
use crate::forward::UpstreamContent;
use crate::response::drain::within;
use crate::worker::Worker;
use crate::worker::response_cache::fill::RunningFill;
use crate::worker::response_cache::stored::{ArrivingResponse, StoredResponse};

/// Maximum number of bytes that wait for the slowest reader of a response that has become too large to be stored.
const WINDOW_BYTES_MAX: u64 = 256 * 1024;
/// How long such a response waits for its slowest reader while others have all of it.
const SLOWEST_WAITS: Duration = Duration::from_secs(5);

/// The content that had arrived.
pub(super) enum Received {
    Whole(Bytes),
    /// The pieces so far.
    Part(Vec<Bytes>),
    /// The pieces before the upstream aborted the content.
    Aborted(Vec<Bytes>),
}

/// Reads the content that has arrived already, without waiting. At its end, the connection is given back.
pub(super) fn read_available(content: &mut UpstreamContent, bytes_max: u64, now: Instant) -> Received {
    let mut waiting = Context::from_waker(Waker::noop());
    let mut pieces = Vec::new();
    let mut bytes = 0;
    loop {
        match Pin::new(&mut content.body).poll_frame(&mut waiting) {
            Poll::Ready(Some(Ok(frame))) => {
                let Ok(data) = frame.into_data() else { continue };
                bytes += length(&data);
                pieces.push(data);
                if bytes > bytes_max {
                    return Received::Part(pieces);
                }
            }
            Poll::Ready(None) => break,
            Poll::Ready(Some(Err(_))) => return Received::Aborted(pieces),
            Poll::Pending => return Received::Part(pieces),
        }
        if content.body.is_end_stream() {
            break;
        }
    }
    if let Some(connection) = content.connection.take() {
        connection.give_back(&mut content.body, now);
    }
    // The copy does not keep the buffers of the connection.
    Received::Whole(pieces.concat().into())
}

/// A response whose content arrives, for its clients and for the cache.
pub(super) struct ArrivingContent {
    pub(super) content: Box<UpstreamContent>,
    pub(super) arriving: Arc<ArrivingResponse>,
    pub(super) fill: RunningFill,
    /// The place of a content that no client reads; `None` until it is needed.
    pub(super) place: Option<DetachedPermit>,
    /// The head of the request that fills the key.
    pub(super) request: Rc<Head>,
    pub(super) bytes_max: u64,
}

impl ArrivingContent {
    /// Reads the content in another task until the deadline of the request, and stores the response that `complete`
    /// returns. Without a client, the task ends unless it may read on.
    pub(super) fn store(
        self,
        account: &RequestAccount,
        complete: impl FnOnce(Bytes) -> Option<StoredResponse> + 'static,
    ) {
        let worker = account.request.at.worker.clone();
        let held = worker.shared.capacity.hold(&account.identity.subject);
        let idle = account.timeouts().idle;
        let until = account.total_at();
        let aborted = AbortedAtDrop(self.arriving.content.clone());
        spawn(async move {
            let _aborted = aborted;
            within(&worker, until, self.read(&worker, held, idle, complete)).await;
        });
    }

    async fn read(
        self,
        worker: &Worker,
        mut held: MemoryPermit,
        idle: Duration,
        complete: impl FnOnce(Bytes) -> Option<StoredResponse>,
    ) {
        let Self { mut content, arriving, fill, mut place, request, bytes_max } = self;
        let shared = &arriving.content;
        let mut fill = Some(fill);
        let mut bytes = 0;
        let mut more = shared.whole().len();
        loop {
            bytes = more.saturating_add(bytes);
            let fits = || u64::try_from(bytes).is_ok_and(|bytes| bytes <= bytes_max);
            if let Some(uncacheable) = fill.take_if(|_| !fits() || held.grow(more).is_err()) {
                uncacheable.forget(&request);
                uncacheable.uncacheable(worker.shared.clock.now());
                shared.release();
            }
            // Content that is not stored is read as fast as its clients read it.
            if fill.is_none() && !has_room(shared).await {
                return;
            }
            let frame = tokio::select! {
                // The end of the content may have arrived before its last reader left.
                biased;
                frame = timeout(idle, content.body.frame()) => frame,
                // The permits of its clients are released, so the task needs another one.
                () = poll_fn(|cx| shared.poll_unread(cx)), if place.is_none() => {
                    let Ok(taken) = worker.shared.capacity.read_on() else { return };
                    (place, more) = (Some(taken), 0);
                    continue;
                }
            };
            let Ok(frame) = frame else { return };
            match frame {
                None => break,
                Some(Err(error)) => {
                    tracing::debug!(%error, "the upstream aborted a response that was to be stored");
                    return;
                }
                Some(Ok(frame)) => {
                    let data = frame.into_data().unwrap_or_default();
                    more = data.len();
                    if more > 0 {
                        shared.push(data);
                    }
                }
            }
        }
        if let Some(connection) = content.connection.take() {
            connection.give_back(&mut content.body, Instant::now());
        }
        shared.end(ContentEnd::Complete);
        if let Some(fill) = fill {
            match complete(shared.whole()) {
                Some(response) => drop(fill.store(response)),
                None => fill.fail(),
            }
        }
    }
}

/// Waits until the readers have most of the content. Returns false without a reader.
async fn has_room(shared: &SharedContent) -> bool {
    loop {
        let room = poll_fn(|cx| shared.poll_room(cx, WINDOW_BYTES_MAX));
        match timeout_at(Instant::now() + SLOWEST_WAITS, room).await {
            Ok(has_readers) => return has_readers,
            Err(_) => shared.cut_slowest(),
        }
    }
}

/// Ends content that is incomplete when its task ends.
struct AbortedAtDrop(Arc<SharedContent>);

impl Drop for AbortedAtDrop {
    fn drop(&mut self) {
        self.0.end(ContentEnd::Aborted);
    }
}
