//! The forwarding of one request: a connection or a stream, the request, and the head of the response. The conditions
//! of a retry are in docs/decisions/0016-http2-and-retries.md.

mod attempt;
mod retries;
pub(crate) mod translated;

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use access::Refusal;
use config::snapshot::Scheme;
use http::{HeaderValue, header};
use http_body::Body as _;
use http1::{InvalidPart, KnownName};
use tokio::time::{Instant, sleep};

use crate::account::RequestAccount;
use crate::body::upload::{Progress, Upload, UploadError};
use crate::bytes::content::length;
use crate::forward::attempt::{AttemptOutcome, PassedDeadline, SendAttempt};
use crate::forward::retries::{EndedAttempt, GroupChoice, Retries, Retry};
pub(crate) use crate::forward::retries::{
    RepeatableBody, RetryPolicy, fraction, no_healthy_upstream, pause, retry_after,
};
use crate::forward::translated::TranslatedResponse;
use crate::refusal::problem::Problem;
use crate::upstream::attempt_result::AttemptResult;
use crate::upstream::connect::{ConnectError, NewConnection, OfferedProtocols, connect};
use crate::upstream::connection_limit::OpeningPermit;
use crate::upstream::destination::{Destination, DestinationInUse};
use crate::upstream::destinations::NoDestination;
use crate::upstream::download::Download;
use crate::upstream::group::Group;
use crate::upstream::http1::Http1Connection;
use crate::upstream::no_backend::NoBackend;
use crate::upstream::outgoing::OutgoingHead;
use crate::upstream::pool::http2::streams::{PendingConnection, StreamGrant, StreamSlot, StreamWaitError};
use crate::upstream::pool::{ConnectionWaitError, OriginProtocol, Pool, PooledConnection};
use crate::upstream::response_head::RelayedHead;

/// Maximum size of the rest of a response that is read so that its connection can be used again.
const DISCARDED_BYTES_MAX: u64 = 64 * 1024;

/// A request that is to be sent to an upstream, besides its body.
pub(crate) struct Outgoing {
    pub(crate) head: OutgoingHead,
    /// The backends of the same upstream, if there are several.
    pub(crate) group: Option<Rc<Group>>,
    /// The hash of the value that determines the backend, if the strategy needs one.
    pub(crate) key: Option<u64>,
    /// The progress of the request's body.
    pub(crate) progress: Progress,
    /// Whether the method is idempotent, so that rules may send the request again (RFC 9110, 9.2.2).
    pub(crate) repeatable: bool,
    /// The rules by which the request is sent again after a failure.
    pub(crate) retry: Option<RetryPolicy>,
}

/// An upstream's response, and the connection that it still uses.
pub(crate) struct UpstreamResponse {
    pub(crate) head: Box<RelayedHead>,
    pub(crate) content: Box<UpstreamContent>,
    /// The translation of an LLM response into the client's format, if it has another.
    pub(crate) translated: Option<Box<TranslatedResponse>>,
}

/// The content of an upstream's response. It is boxed, because it passes many functions.
pub(crate) struct UpstreamContent {
    pub(crate) body: Download,
    /// The connection; `None` after the response has ended.
    pub(crate) connection: Option<BorrowedConnection>,
}

impl UpstreamContent {
    /// Returns the length of the content, if the upstream has announced it.
    pub(crate) fn body_length(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }
}

impl UpstreamResponse {
    fn new(head: Box<RelayedHead>, body: Download, connection: BorrowedConnection) -> Self {
        Self { head, content: Box::new(UpstreamContent { body, connection: Some(connection) }), translated: None }
    }

    /// Ends a response that the client does not get. Its connection is used again if the whole response has arrived already.
    pub(crate) fn discard(self, now: Instant) {
        let UpstreamContent { mut body, connection } = *self.content;
        let mut waiting = Context::from_waker(Waker::noop());
        let mut left = DISCARDED_BYTES_MAX;
        while let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut body).poll_frame(&mut waiting) {
            match frame.data_ref().and_then(|data| left.checked_sub(length(data))) {
                Some(rest) => left = rest,
                None => break,
            }
        }
        if let Some(connection) = connection {
            connection.give_back(&mut body, now);
        }
    }

    /// Sends `upload` over a connection that has become a tunnel; `progress` is that of `upload`.
    pub(crate) fn tunnel(&mut self, upload: Upload, progress: Progress) {
        if let UpstreamContent { body: Download::Http1(download), connection: Some(connection) } = &mut *self.content {
            download.tunnel(upload);
            connection.0 = match &connection.0 {
                Lender::Pool { pool, .. } => Lender::Pool { pool: pool.clone(), progress },
                Lender::Cache(since) => Lender::Cache(*since),
            };
        }
    }
}

/// The connection of a response, whose body uses it. Once it is given back, it may serve another request.
pub(crate) struct BorrowedConnection(Lender);

/// The owner of a connection.
enum Lender {
    Pool {
        pool: Rc<Pool>,
        progress: Progress,
    },
    /// The content comes from the cache, since this time.
    Cache(Instant),
}

impl BorrowedConnection {
    pub(super) const fn new(pool: Rc<Pool>, progress: Progress) -> Self {
        Self(Lender::Pool { pool, progress })
    }

    /// Returns the place of a connection for content that comes from the cache.
    pub(crate) const fn of_cache(since: Instant) -> Self {
        Self(Lender::Cache(since))
    }

    /// Returns when a byte of the request last moved.
    pub(crate) fn moved_at(&self) -> Instant {
        match &self.0 {
            Lender::Pool { progress, .. } => progress.moved_at(),
            Lender::Cache(since) => *since,
        }
    }

    /// Returns whether the client aborted the request's body.
    pub(crate) fn client_aborted(&self) -> bool {
        let Lender::Pool { progress, .. } = &self.0 else { return false };
        matches!(
            progress.failed(),
            Some(UploadError::CallerGone | UploadError::Malformed(_) | UploadError::PartOfMessage)
        )
    }

    /// Ends a complete response. An HTTP/1.1 connection is reused only if the whole request was sent, because the
    /// upstream would read the rest as the next request.
    pub(crate) fn give_back(self, body: &mut Download, now: Instant) {
        if let Lender::Pool { pool, progress } = self.0
            && let Some(link) = body.take_reusable()
            && progress.is_whole()
        {
            pool.give_back(link, now);
        }
    }
}

/// The connection or stream of one attempt.
enum Channel {
    Http1(Box<Http1Connection>),
    Http2(StreamSlot),
}

/// Sends the request and waits for the head of its response. Attempts without an effect are retried, on another backend
/// if there is one; others are retried if the rules of their upstream say so.
pub(crate) async fn forward(
    account: &mut RequestAccount,
    outgoing: &mut Outgoing,
    destination: DestinationInUse,
    mut upload: Upload,
) -> Result<UpstreamResponse, Problem> {
    let Outgoing { head, group, key, progress, repeatable, retry } = outgoing;
    let group = group.as_deref().map(|group| GroupChoice { group, key: *key });
    let mut to = destination.shared();
    let repeatable = *repeatable;
    let is_safe = head.head.is_safe();
    account.destination = Some(destination);
    let mut retries = Retries::default();
    to = suitable_member(account, head, to, group, &mut retries)?;
    loop {
        begin_span(account, &to, head, &retries)?;
        let is_repeatable = is_safe && upload.is_empty();
        let opened = if head.upgrades {
            Box::pin(upgradable(account, &to.pool)).await
        } else {
            channel(account, &to.pool, &retries, is_repeatable).await
        };
        let (channel, now) = match opened {
            Ok(opened) => opened,
            Err(problem) => {
                let result = report_failure(account, &problem);
                let other = match retries.after_connect_failure(account, &to, group, problem) {
                    Ok(other) => other,
                    Err(problem) => {
                        let ended = EndedAttempt { to: &to, group, result, response: None, repeatable, progress };
                        let Some(retry) = retries.by_rules(account, retry.as_ref(), ended) else {
                            return Err(problem);
                        };
                        waited(retry).await
                    }
                };
                to = direct_to(account, head, other)?;
                continue;
            }
        };
        progress.begin(now);
        let pool = &to.pool;
        let retries_so_far = &retries;
        let sending = SendAttempt { account, head, pool, progress, is_safe, retries: retries_so_far, now };
        let tried = match channel {
            Channel::Http1(link) => sending.on_http1(link, upload).await,
            // Boxed, because its future is large and requests over HTTP/1.1 do not need it.
            Channel::Http2(slot) => Box::pin(sending.on_http2(slot, upload)).await,
        };
        let (answer, result) = match tried {
            Ok(AttemptOutcome::Answered(answered)) => {
                let result = AttemptResult::of_response(&answered.head.head);
                account.report(result, None);
                (Ok(answered), result)
            }
            Ok(AttemptOutcome::Again(again)) => {
                upload = again;
                if let Some(other) = retries.after_attempt(account, &to, group) {
                    to = direct_to(account, head, other)?;
                }
                continue;
            }
            Err(problem) => {
                let result = report_failure(account, &problem);
                (Err(problem), result)
            }
        };
        let response = answer.as_ref().ok().map(|answered| &answered.head.head);
        let ended = EndedAttempt { to: &to, group, result, response, repeatable, progress };
        let Some(mut retry) = retries.by_rules(account, retry.as_ref(), ended) else { return answer };
        upload = retry.upload.take().unwrap_or_else(Upload::empty);
        if let Ok(answered) = answer {
            answered.discard(account.request.read_clock());
        }
        let other = waited(retry).await;
        to = direct_to(account, head, other)?;
    }
}

/// Waits for the pause before a retry, and returns its destination.
async fn waited(retry: Retry) -> DestinationInUse {
    if !retry.after.is_zero() {
        // Boxed, because few requests need the timer.
        Box::pin(sleep(retry.after)).await;
    }
    retry.destination
}

/// Reports the end of an attempt without a response, and returns its result.
fn report_failure(account: &mut RequestAccount, problem: &Problem) -> AttemptResult {
    let result = AttemptResult::of_refusal(problem.refusal);
    account.report(result, problem.source.as_deref());
    if let Some(spans) = &account.request.spans {
        spans.failed(problem.refusal.code(), account.request.time_of_span(spans));
    }
    result
}

/// Begins the span of an attempt at `to`. A repeated attempt has another id, which its backend receives.
fn begin_span(
    account: &RequestAccount,
    to: &Destination,
    head: &mut OutgoingHead,
    retries: &Retries,
) -> Result<(), Problem> {
    let request = &account.request;
    if !retries.are_none() {
        request.trace().rewrite(&mut head.edits).map_err(unwritable)?;
    }
    if let Some(spans) = &request.spans {
        spans.begin_attempt(request.trace().attempt_id(), to, head.target(), request.time_of_span(spans));
    }
    Ok(())
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
    let received = head.head.clone();
    let host = account.policy().upstream_host.host_for(received.host(), &to.pool.origin);
    head.edits.set(KnownName::Host, host).map_err(unwritable)?;
    Ok(to)
}

/// Returns the member of a group that gets the request: for a WebSocket one without `h2c`, if there is one. Retries use no
/// other ones.
fn suitable_member(
    account: &mut RequestAccount,
    head: &mut OutgoingHead,
    to: Rc<Destination>,
    group: Option<GroupChoice<'_>>,
    retries: &mut Retries,
) -> Result<Rc<Destination>, Problem> {
    if !head.upgrades {
        return Ok(to);
    }
    let Some(of) = group else { return Ok(to) };
    let is_h2c = |of: &Destination| of.pool.origin.scheme == Scheme::H2c;
    retries.pass_over(of.group.backends().filter(|of| is_h2c(of)));
    if !is_h2c(&to) {
        return Ok(to);
    }
    let other = retries.other(&to, of, account.request.read_at());
    other.map_or(Ok(to), |other| direct_to(account, head, other))
}

/// Returns a connection or a stream, and the current time. A request whose idle HTTP/1.1 connection had closed uses no
/// other idle one.
async fn channel(
    account: &RequestAccount,
    pool: &Pool,
    retries: &Retries,
    is_repeatable: bool,
) -> Result<(Channel, Instant), Problem> {
    let now = if retries.are_none() { account.request.read_at() } else { account.request.read_clock() };
    if pool.speaks() == OriginProtocol::Http1 {
        if retries.may_reuse()
            && let Some(link) = pool.take(now, is_repeatable).await
        {
            return Ok((Channel::Http1(link), now));
        }
        return Box::pin(dial(account, pool, None)).await;
    }
    Box::pin(http2_channel(account, pool, now)).await
}

/// Waits from `now` on for a stream of an origin that may speak HTTP/2.
async fn http2_channel(account: &RequestAccount, pool: &Pool, now: Instant) -> Result<(Channel, Instant), Problem> {
    match pool.streams.turn(time_to_connect(account, now)).await {
        Ok(StreamGrant::Stream(slot)) => Ok((Channel::Http2(slot), Instant::now())),
        Ok(StreamGrant::Dial(dialing)) => dial(account, pool, Some(dialing)).await,
        Ok(StreamGrant::Http1) => dial(account, pool, None).await,
        Err(why @ StreamWaitError::Crowded) => {
            let message = "too many requests wait for this upstream: try again soon";
            Err(Problem::new(Refusal::Overloaded, message).because(&why))
        }
        Err(why @ StreamWaitError::Late) => {
            let message = "no stream to the upstream became free in time: try again soon";
            let problem = Problem::new(Refusal::Overloaded, message).because(&why);
            // Its backend has not failed, also if the total time has ended the wait.
            Err(if account.is_deadline_of_client { unconnected(account, problem) } else { problem })
        }
        Err(why @ StreamWaitError::Silent) => {
            let message = "no connection to the upstream was ready in time; it received nothing";
            Err(unconnected(account, Problem::new(Refusal::UpstreamConnect, message).because(&why)))
        }
    }
}

/// Returns how long a request may wait for a connection from `now` on: `timeouts.connect`, within its total time.
fn time_to_connect(account: &RequestAccount, now: Instant) -> Duration {
    account.timeouts().connect.min(account.total_at().saturating_duration_since(now))
}

/// Returns the refusal of a request that got no connection: `problem`, unless its total time is over.
fn unconnected(account: &RequestAccount, problem: Problem) -> Problem {
    if account.request.read_clock() < account.total_at() {
        return problem;
    }
    let passed = if account.is_deadline_of_client { PassedDeadline::OfCall } else { PassedDeadline::Upstream };
    let mut refusal = Problem::from(passed);
    refusal.source = problem.source;
    refusal
}

/// Opens a connection that may become a tunnel: one of HTTP/1.1, which no other request has used.
async fn upgradable(account: &RequestAccount, pool: &Pool) -> Result<(Channel, Instant), Problem> {
    if pool.origin.scheme == Scheme::H2c {
        return Err(http_required());
    }
    let permit = loop {
        match pooled(account, pool).await? {
            PooledConnection::New(permit) => break permit,
            // Closing it allows another one.
            PooledConnection::Open(link) => drop(link),
        }
    };
    match connected(account, pool, OfferedProtocols::Http1, permit).await? {
        NewConnection::Http1(link) => Ok((Channel::Http1(link), Instant::now())),
        NewConnection::Http2(_) => {
            let message = "the upstream speaks HTTP/2 only, over which no WebSocket is opened";
            Err(Problem::new(Refusal::UpstreamProtocol, message))
        }
    }
}

/// Returns the refusal of a WebSocket to a backend with `h2c`, which discovery may find. The backend has not failed.
fn http_required() -> Problem {
    let message = "the upstream supports no WebSockets: send a request without Upgrade";
    Problem::new(Refusal::UpgradeRequired, message)
        .header(header::UPGRADE, HeaderValue::from_static("HTTP/1.1"))
        .header(header::CONNECTION, HeaderValue::from_static("upgrade"))
}

/// Opens a connection. Other requests may wait for the end of `dialing`.
async fn dial(
    account: &RequestAccount,
    pool: &Pool,
    dialing: Option<PendingConnection>,
) -> Result<(Channel, Instant), Problem> {
    let within = account.timeouts().connect;
    let permit = if pool.speaks() == OriginProtocol::Http2 {
        None
    } else {
        match pooled(account, pool).await? {
            PooledConnection::New(permit) => permit,
            PooledConnection::Open(link) => return Ok((Channel::Http1(link), Instant::now())),
        }
    };
    let channel = match connected(account, pool, OfferedProtocols::All, permit).await? {
        NewConnection::Http1(link) => {
            pool.has_spoken(OriginProtocol::Http1);
            Channel::Http1(link)
        }
        NewConnection::Http2(opened) => {
            pool.has_spoken(OriginProtocol::Http2);
            Channel::Http2(pool.streams.add(*opened, within))
        }
    };
    drop(dialing);
    Ok((channel, Instant::now()))
}

/// Returns the right to a connection, or one that another request has ended. If there
/// is neither, the upstream has received nothing, and its backend has not failed.
async fn pooled(account: &RequestAccount, pool: &Pool) -> Result<PooledConnection, Problem> {
    let within = time_to_connect(account, account.request.read_clock());
    pool.connection(within).await.map_err(|why| {
        let message = match why {
            ConnectionWaitError::TooManyPending(_) => "too many requests wait for this upstream: try again soon",
            ConnectionWaitError::Late => "all connections to the upstream are in use: try again soon",
        };
        Problem::new(Refusal::Overloaded, message).because(&why)
    })
}

/// Opens a connection within `timeouts.connect` and the total time.
async fn connected(
    account: &RequestAccount,
    pool: &Pool,
    offered: OfferedProtocols,
    permit: Option<OpeningPermit>,
) -> Result<NewConnection, Problem> {
    let within = time_to_connect(account, account.request.read_clock());
    let refuse = |error: &ConnectError| {
        let message = match error {
            ConnectError::Tls(_) => "TLS to the upstream failed; it received nothing",
            ConnectError::Resolve(_)
            | ConnectError::NoAddress
            | ConnectError::LinkLocal
            | ConnectError::Tcp(_)
            | ConnectError::Unix(_)
            | ConnectError::Name
            | ConnectError::Http2(_) => "the upstream cannot be reached; it received nothing",
            ConnectError::Late(_) => "the upstream did not accept the connection in time; it received nothing",
        };
        Problem::new(Refusal::UpstreamConnect, message).because(error)
    };
    let connecting = connect(&account.request.worker().connector, pool, offered, within, permit);
    connecting.await.map_err(|error| unconnected(account, refuse(&error)))
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
