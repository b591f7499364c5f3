//! One attempt to send a request, with the deadlines of its response.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use access::Refusal;
use http_body::Body as _;
use http1::ResponseTo;
use tokio::time::Instant;

use super::retries::Retries;
use super::{BorrowedConnection, UpstreamResponse};
use crate::account::RequestAccount;
use crate::account::attempt::Attempt;
use crate::body;
use crate::body::admit;
use crate::body::upload::{Progress, Upload, UploadError};
use crate::deadlines::probe::Probe;
use crate::refusal::problem::Problem;
use crate::upstream::download::Download;
use crate::upstream::http1::Http1Connection;
use crate::upstream::http1::call::Http1Call;
use crate::upstream::outgoing::OutgoingHead;
use crate::upstream::pool::Pool;
use crate::upstream::pool::http2::Http2Session;
use crate::upstream::pool::http2::call;
use crate::upstream::pool::http2::call::{Http2Call, Http2CallError, UnsentRequest};
use crate::upstream::pool::http2::streams::StreamSlot;
use crate::upstream::response_head::UpstreamHead;

/// Maximum size of a body that is kept for a retry until the response. Larger bodies are kept only while they are sent,
/// because they count against their client's memory.
const SPARE_BYTES_MAX: u64 = 1024 * 1024;
/// The status with which upstreams announce the end of an idle connection (RFC 9110, 15.5.9).
const IDLE_TIMEOUT: u16 = 408;
/// Minimum time without received bytes that indicates a vanished upstream. A client that disconnects earlier gives no
/// information about the upstream.
const SILENCE_MIN: Duration = Duration::from_secs(1);

/// The result of one attempt.
pub(super) enum AttemptOutcome {
    Answered(UpstreamResponse),
    /// The attempt had no effect or may be repeated. The request is to be sent again with this body.
    Again(Upload),
}

/// A deadline that has passed.
pub(super) enum PassedDeadline {
    Upstream,
    Caller,
    /// The time that the client gave its call (gRPC). It says nothing about the upstream.
    OfCall,
}

/// One attempt to send a request.
pub(super) struct SendAttempt<'a> {
    pub(super) account: &'a mut RequestAccount,
    pub(super) head: &'a OutgoingHead,
    pub(super) pool: &'a Rc<Pool>,
    pub(super) progress: &'a Progress,
    /// Whether the method is safe: the upstream may have received the request before its reused connection closed.
    pub(super) is_safe: bool,
    pub(super) retries: &'a Retries,
    pub(super) now: Instant,
}

impl SendAttempt<'_> {
    pub(super) async fn on_http1(self, link: Box<Http1Connection>, upload: Upload) -> Result<AttemptOutcome, Problem> {
        let account = self.account;
        let progress = self.progress;
        let may_repeat = link.reused && self.retries.may_retry();
        let mut call = Http1Call::start(link, self.head, upload).map_err(|error| {
            Problem::new(Refusal::BadRequest, "the request cannot be sent over HTTP/1.1").because(&error)
        })?;
        account.begin_attempt(Attempt::new(call.probe(), progress.clone(), self.now));
        let error = match wait(account, progress, |cx| call.poll_head(cx, |head| account.relay_interim(head))).await? {
            Ok(head) => {
                // The upstream has closed the idle connection, and its notice crossed the request (RFC 9110, 15.5.9).
                if head.status() == IDLE_TIMEOUT
                    && may_repeat
                    && self.is_safe
                    && self.retries.may_reuse()
                    && !head.persists(ResponseTo::Other)
                    && call.is_bodiless()
                {
                    return Ok(AttemptOutcome::Again(Upload::empty()));
                }
                let (head, body) = call.into_response(head);
                let head = account.request.worker().relayed_heads.take(head);
                let body = Download::Http1(body);
                let connection = BorrowedConnection::new(self.pool.clone(), progress.clone());
                return Ok(AttemptOutcome::Answered(UpstreamResponse::new(head, body, connection)));
            }
            Err(error) => {
                let probe = call.probe();
                let is_lost = !(error.is_of_client() || error.is_protocol());
                let had_no_effect = is_lost && !probe.anything_written();
                // The connection of a repetition may be one that another request has ended.
                let is_repeatable = is_lost && self.is_safe && self.retries.may_reuse() && !probe.anything_read();
                if may_repeat
                    && (had_no_effect || is_repeatable)
                    && let Some(again) = call.into_upload()
                {
                    return Ok(AttemptOutcome::Again(again));
                }
                error
            }
        };
        Err(unanswered(&error, error.is_protocol(), progress, account))
    }

    pub(super) async fn on_http2(self, slot: StreamSlot, upload: Upload) -> Result<AttemptOutcome, Problem> {
        let account = self.account;
        let progress = self.progress;
        let head = call::head(self.head, &upload).map_err(|error| {
            Problem::new(Refusal::BadRequest, "the request cannot be sent over HTTP/2").because(&error)
        })?;
        let may_repeat = self.retries.may_retry();
        let is_repeatable = self.is_safe && self.retries.may_reuse() && slot.reused && upload.is_empty();
        let mut spare = if may_repeat { upload.copy() } else { None };
        let is_large = upload.size_hint().exact().is_none_or(|bytes| bytes > SPARE_BYTES_MAX);
        let (mut call, probe) = match Http2Call::start(&slot, head, upload).map_err(|unsent| *unsent) {
            Ok(started) => started,
            // The connection ended after it was chosen.
            Err(unsent) if may_repeat => {
                slot.session.drain();
                return Ok(AttemptOutcome::Again(unsent.upload));
            }
            Err(UnsentRequest { error, .. }) => return Err(broken(&Http2CallError::Http2(error), progress, account)),
        };
        let _silence_guard =
            SilenceGuard { session: slot.session.clone(), probe: probe.clone(), since: Instant::now() };
        account.begin_attempt(Attempt::new(probe.clone(), progress.clone(), self.now));
        let error = match wait(account, progress, |cx| {
            let polled = call.poll_head(cx, |head| account.relay_interim(head));
            // After a call has ended, the copy is needed for a retry.
            if is_large && polled.is_pending() && call.is_sent() {
                spare = None;
            }
            polled
        })
        .await?
        {
            Ok(response) => {
                let (parts, stream) = response.into_parts();
                let head = UpstreamHead::of_http2(parts.status, &parts.headers).map_err(|error| {
                    let message = "the head of the upstream's response is invalid";
                    Problem::new(Refusal::UpstreamProtocol, message).because(&error)
                })?;
                let left = head.content_length(ResponseTo::method(self.head.head.method_bytes()));
                let body = Download::http2(stream, left, slot, call.into_upload());
                let connection = BorrowedConnection::new(self.pool.clone(), progress.clone());
                let head = account.request.worker().relayed_heads.take(head);
                return Ok(AttemptOutcome::Answered(UpstreamResponse::new(head, body, connection)));
            }
            Err(error) => error,
        };
        if error.is_refused() {
            probe.note_refused();
        }
        if error.is_refused_stream() {
            self.pool.streams.pass_over(&slot.session);
        }
        let had_no_effect = error.is_refused() || (!error.is_of_caller() && !probe.anything_written());
        if had_no_effect && let Some(attempt) = &mut account.attempt {
            attempt.had_no_effect = true;
        }
        if may_repeat
            && (had_no_effect || (is_repeatable && error.is_lost() && !call.is_answered()))
            && let Some(body) = spare.or_else(|| call.into_body())
        {
            if !error.is_refused_stream() {
                slot.session.drain();
            }
            return Ok(AttemptOutcome::Again(body));
        }
        Err(broken(&error, progress, account))
    }
}

/// A call on a stream. If nothing is read on the connection until the call ends, the upstream may have vanished, and no
/// other request uses the connection. HTTP/1.1 does not reuse such a connection either.
struct SilenceGuard {
    session: Rc<Http2Session>,
    probe: Probe,
    since: Instant,
}

impl Drop for SilenceGuard {
    fn drop(&mut self) {
        if self.since.elapsed() >= SILENCE_MIN && !self.probe.anything_read() {
            self.session.drain();
        }
    }
}

/// Waits for `poll`, with the deadlines of the client's body and of the response.
async fn wait<T>(
    account: &RequestAccount,
    progress: &Progress,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Result<T, PassedDeadline> {
    let timeouts = account.timeouts();
    let deadlines = &account.request.deadlines;
    let total_at = account.total_at();
    let deadline = || {
        let patience = if progress.is_whole() { timeouts.first_byte } else { timeouts.idle };
        (progress.moved_at() + patience).min(total_at)
    };
    deadlines.wait_until(deadline());
    let mut was_whole = progress.is_whole();
    poll_fn(|cx| {
        if let Poll::Ready(result) = poll(cx) {
            return Poll::Ready(Ok(result));
        }
        // `first_byte` begins with the end of the body, and may be shorter than the time for the body.
        if !was_whole && progress.is_whole() {
            was_whole = true;
            deadlines.wait_until(deadline());
        }
        if deadlines.take_late() {
            let next = deadline();
            if next <= Instant::now() {
                return Poll::Ready(Err(if account.is_deadline_of_client && next == total_at {
                    PassedDeadline::OfCall
                } else if progress.awaits_client() {
                    PassedDeadline::Caller
                } else {
                    PassedDeadline::Upstream
                }));
            }
            deadlines.wait_until(next);
        }
        Poll::Pending
    })
    .await
}

impl From<PassedDeadline> for Problem {
    fn from(late: PassedDeadline) -> Self {
        match late {
            PassedDeadline::Upstream => Self::new(Refusal::UpstreamTimeout, "the upstream did not respond in time"),
            PassedDeadline::Caller => Self::new(Refusal::RequestTimeout, "the request's body did not arrive in time"),
            PassedDeadline::OfCall => {
                Self::new(Refusal::RequestTimeout, "the call did not end within its grpc-timeout")
            }
        }
    }
}

fn broken(error: &Http2CallError, progress: &Progress, account: &RequestAccount) -> Problem {
    if error.is_refused() {
        let message = "the upstream refused the request and did nothing of it";
        return Problem::new(Refusal::UpstreamReset, message).because(error);
    }
    unanswered(error, error.is_protocol(), progress, account)
}

/// Returns the refusal for a missing response.
fn unanswered(
    error: &dyn std::error::Error,
    is_protocol: bool,
    progress: &Progress,
    account: &RequestAccount,
) -> Problem {
    match progress.failed() {
        Some(UploadError::TooLarge) => {
            let general = account.request.snapshot.traffic.sizes.body_bytes_max;
            return admit::too_large(account.policy().body_bytes_max(general));
        }
        Some(UploadError::Malformed(violation)) => return body::malformed(violation),
        Some(UploadError::PartOfMessage) => {
            return Problem::new(
                Refusal::BadRequest,
                "the call ends within a message, whose length its prefix announces",
            );
        }
        Some(UploadError::CallerGone) => {
            return Problem::new(Refusal::BadRequest, "the request's body is incomplete").because(error).caller_gone();
        }
        None => {}
    }
    let (refusal, message) = if is_protocol {
        (Refusal::UpstreamProtocol, "the upstream's response is not valid HTTP, or exceeds a limit")
    } else {
        (Refusal::UpstreamReset, "the upstream closed the connection before it responded")
    };
    Problem::new(refusal, message).because(error)
}
