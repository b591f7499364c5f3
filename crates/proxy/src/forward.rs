//! The forwarding of one request: a connection or a stream, the request, and the head of the response. The conditions
//! of a retry are in docs/decisions/0016-http2-and-retries.md.

mod attempt;
mod retries;

use std::rc::Rc;

use access::Refusal;
use http1::{InvalidPart, KnownName};
use tokio::time::{Instant, timeout};

use crate::account::RequestAccount;
use crate::body::upload::{Progress, Upload, UploadError};
use crate::forward::attempt::{AttemptOutcome, SendAttempt};
use crate::forward::retries::{GroupChoice, Retries};
use crate::refusal::problem::Problem;
use crate::upstream::backend::AttemptResult;
use crate::upstream::connect::{ConnectError, NewConnection, OfferedProtocols, connect};
use crate::upstream::destination::{Destination, DestinationInUse};
use crate::upstream::destinations::NoDestination;
use crate::upstream::download::Download;
use crate::upstream::group::Group;
use crate::upstream::http1::Http1Connection;
use crate::upstream::no_backend::NoBackend;
use crate::upstream::outgoing::OutgoingHead;
use crate::upstream::pool::http2::streams::{PendingConnection, StreamGrant, StreamSlot, StreamWaitError};
use crate::upstream::pool::{OriginProtocol, Pool};
use crate::upstream::response_head::RelayedHead;

/// A request that is to be sent to an upstream, besides its body.
pub(crate) struct Outgoing {
    pub(crate) head: OutgoingHead,
    /// The backends of the same upstream, if there are several.
    pub(crate) group: Option<Rc<Group>>,
    /// The hash of the value that determines the backend, if the strategy needs one.
    pub(crate) key: Option<u64>,
    /// The progress of the request's body.
    pub(crate) progress: Rc<Progress>,
    /// Whether the request may be sent again after a reused connection closed without a response (RFC 9110, 9.2.2).
    pub(crate) repeatable: bool,
}

/// An upstream's response, and the connection that it still uses.
pub(crate) struct UpstreamResponse {
    pub(crate) head: Box<RelayedHead>,
    pub(crate) content: Box<UpstreamContent>,
}

/// The content of an upstream's response. It is boxed, because it passes many functions.
pub(crate) struct UpstreamContent {
    pub(crate) body: Download,
    /// The connection; `None` after the response has ended.
    pub(crate) connection: Option<BorrowedConnection>,
}

impl UpstreamResponse {
    fn new(head: Box<RelayedHead>, body: Download, connection: BorrowedConnection) -> Self {
        Self { head, content: Box::new(UpstreamContent { body, connection: Some(connection) }) }
    }

    /// Sends `upload` over a connection that has become a tunnel; `progress` is that of `upload`.
    pub(crate) fn tunnel(&mut self, upload: Upload, progress: Rc<Progress>) {
        if let UpstreamContent { body: Download::Http1(download), connection: Some(connection) } = &mut *self.content {
            download.tunnel(upload);
            connection.progress = progress;
        }
    }
}

/// The connection of a response, whose body uses it. Once it is given back, it may serve another request.
pub(crate) struct BorrowedConnection {
    pool: Rc<Pool>,
    progress: Rc<Progress>,
}

impl BorrowedConnection {
    /// Returns when a byte of the request last moved.
    pub(crate) fn moved_at(&self) -> Instant {
        self.progress.moved_at()
    }

    /// Returns whether the client aborted the request's body.
    pub(crate) fn client_aborted(&self) -> bool {
        matches!(self.progress.failed(), Some(UploadError::CallerGone | UploadError::Malformed(_)))
    }

    /// Ends a complete response. An HTTP/1.1 connection is reused only if the whole request was sent, because the
    /// upstream would read the rest as the next request.
    pub(crate) fn give_back(self, body: &mut Download, now: Instant) {
        if let Some(link) = body.take_reusable()
            && self.progress.is_whole()
        {
            self.pool.give_back(link, now);
        }
    }
}

/// The connection or stream of one attempt.
enum Channel {
    Http1(Box<Http1Connection>),
    Http2(StreamSlot),
}

/// Sends the request and waits for the head of its response. Attempts without an effect are retried, on another backend
/// if there is one.
pub(crate) async fn forward(
    account: &mut RequestAccount,
    outgoing: &mut Outgoing,
    destination: DestinationInUse,
    mut upload: Upload,
) -> Result<UpstreamResponse, Problem> {
    let Outgoing { head, group, key, progress, repeatable } = outgoing;
    let group = group.as_deref().map(|group| GroupChoice { group, key: *key });
    let (mut to, repeatable) = (destination.shared(), *repeatable);
    account.destination = Some(destination);
    let mut retries = Retries::default();
    loop {
        let is_repeatable = repeatable && upload.is_empty();
        let opened = if head.upgrades {
            Box::pin(upgradable(account, &to.pool)).await
        } else {
            channel(account, &to.pool, &retries, is_repeatable).await
        };
        let (channel, now) = match opened {
            Ok(opened) => opened,
            Err(problem) => {
                report(account, &problem);
                let other = retries.after_connect_failure(account, &to, group, problem)?;
                to = direct_to(account, head, other)?;
                continue;
            }
        };
        progress.begin(now);
        let (pool, retries_so_far) = (&to.pool, &retries);
        let sending = SendAttempt { account, head, pool, progress, repeatable, retries: retries_so_far, now };
        let tried = match channel {
            Channel::Http1(link) => sending.on_http1(link, upload).await,
            // Boxed, because its future is large and requests over HTTP/1.1 do not need it.
            Channel::Http2(slot) => Box::pin(sending.on_http2(slot, upload)).await,
        };
        match tried.inspect_err(|problem| report(account, problem))? {
            AttemptOutcome::Answered(answered) => {
                account.report(AttemptResult::of_response(&answered.head.head), None);
                return Ok(answered);
            }
            AttemptOutcome::Again(again) => {
                upload = again;
                if let Some(other) = retries.after_attempt(&to, group, account.request.read_clock()) {
                    to = direct_to(account, head, other)?;
                }
            }
        }
    }
}

/// Reports the end of an attempt without a response.
fn report(account: &mut RequestAccount, problem: &Problem) {
    account.report(AttemptResult::of_refusal(problem.refusal), problem.source.as_deref());
}

/// Directs the request to another backend of its upstream, and returns it.
fn direct_to(
    account: &mut RequestAccount,
    head: &mut OutgoingHead,
    destination: DestinationInUse,
) -> Result<Rc<Destination>, Problem> {
    let to = destination.shared();
    account.destination = Some(destination);
    head.origin = to.pool.target.clone();
    head.edits.set(KnownName::Host, to.pool.origin.authority.as_bytes()).map_err(unwritable)?;
    Ok(to)
}

/// Returns a connection or a stream, and the current time. A request that was sent before uses no idle HTTP/1.1
/// connection.
async fn channel(
    account: &RequestAccount,
    pool: &Rc<Pool>,
    retries: &Retries,
    is_repeatable: bool,
) -> Result<(Channel, Instant), Problem> {
    let now = if retries.are_none() { account.request.read_at() } else { account.request.read_clock() };
    if pool.speaks() == OriginProtocol::Http1 {
        if retries.has_sent_nothing()
            && let Some(link) = pool.take(now, is_repeatable).await
        {
            return Ok((Channel::Http1(link), now));
        }
        return Box::pin(dial(account, pool, None)).await;
    }
    Box::pin(http2_channel(account, pool)).await
}

/// Waits for a stream of an origin that may speak HTTP/2.
async fn http2_channel(account: &RequestAccount, pool: &Rc<Pool>) -> Result<(Channel, Instant), Problem> {
    match pool.turn(account.timeouts().connect).await {
        Ok(StreamGrant::Stream(slot)) => Ok((Channel::Http2(slot), Instant::now())),
        Ok(StreamGrant::Dial(dialing)) => dial(account, pool, Some(dialing)).await,
        Ok(StreamGrant::Http1) => dial(account, pool, None).await,
        Err(why @ StreamWaitError::Crowded) => {
            let message = "too many requests wait for this upstream: try again soon";
            Err(Problem::new(Refusal::Overloaded, message).because(&why))
        }
        Err(why @ StreamWaitError::Late) => {
            let message = "the upstream had no room for another request in time; it received nothing";
            Err(Problem::new(Refusal::UpstreamConnect, message).because(&why))
        }
        Err(why @ StreamWaitError::Silent) => {
            let message = "no connection to the upstream was ready in time; it received nothing";
            Err(Problem::new(Refusal::UpstreamConnect, message).because(&why))
        }
    }
}

/// Opens a connection that may become a tunnel: one of HTTP/1.1, which no other request has used.
async fn upgradable(account: &RequestAccount, pool: &Pool) -> Result<(Channel, Instant), Problem> {
    match connected(account, pool, OfferedProtocols::Http1).await? {
        NewConnection::Http1(link) => Ok((Channel::Http1(link), Instant::now())),
        NewConnection::Http2(_) => {
            let message = "the upstream speaks HTTP/2 only, over which no WebSocket is opened";
            Err(Problem::new(Refusal::UpstreamProtocol, message))
        }
    }
}

/// Opens a connection. Other requests may wait for the end of `dialing`.
async fn dial(
    account: &RequestAccount,
    pool: &Rc<Pool>,
    dialing: Option<PendingConnection>,
) -> Result<(Channel, Instant), Problem> {
    let within = account.timeouts().connect;
    let channel = match connected(account, pool, OfferedProtocols::All).await? {
        NewConnection::Http1(link) => {
            pool.has_spoken(OriginProtocol::Http1);
            Channel::Http1(link)
        }
        NewConnection::Http2(opened) => {
            pool.has_spoken(OriginProtocol::Http2);
            Channel::Http2(pool.add(*opened, within))
        }
    };
    drop(dialing);
    Ok((channel, Instant::now()))
}

/// Opens a connection within `timeouts.connect`.
async fn connected(account: &RequestAccount, pool: &Pool, offered: OfferedProtocols) -> Result<NewConnection, Problem> {
    let within = account.timeouts().connect;
    let refuse = |error: &ConnectError| {
        let message = match error {
            ConnectError::Tls(_) => "TLS to the upstream failed; it received nothing",
            ConnectError::Resolve(_)
            | ConnectError::NoAddress
            | ConnectError::LinkLocal
            | ConnectError::Tcp(_)
            | ConnectError::Name
            | ConnectError::Http2(_) => "the upstream cannot be reached; it received nothing",
        };
        Problem::new(Refusal::UpstreamConnect, message).because(error)
    };
    match timeout(within, connect(&account.request.worker().connector, pool, offered, within)).await {
        Ok(result) => result.map_err(|error| refuse(&error)),
        Err(late) => {
            let message = "the upstream did not accept the connection in time; it received nothing";
            Err(Problem::new(Refusal::UpstreamConnect, message).because(&late))
        }
    }
}

/// Returns the refusal of a request that has no destination.
pub(crate) fn undirected(why: NoDestination) -> Problem {
    match why {
        NoDestination::Unwritable(part) => unwritable(part),
        NoDestination::NoBackend(NoBackend { retry_after }) => {
            let message = "no backend of the upstream takes requests now; none received anything";
            retries::no_healthy_upstream(message, retry_after)
        }
    }
}

/// Returns the refusal of a request whose head cannot be written, because the configuration or a credential has an
/// invalid byte.
pub(crate) fn unwritable(part: InvalidPart) -> Problem {
    Problem::new(Refusal::Internal, "the request's head cannot be written").because(&part)
}
