//! The retries of one request, and the backends to which they go.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use access::{Refusal, Timestamp};
use bytes::Bytes;
use config::snapshot::{RetryCause, RetryRules};
use http::{HeaderValue, header};
use http1::KnownName;
use tokio::time::Instant;

use crate::account::RequestAccount;
use crate::body::kept::KeptBody;
use crate::body::upload::{Progress, Upload};
use crate::refusal::problem::Problem;
use crate::refusal::seconds::seconds_up;
use crate::upstream::attempt_result::AttemptResult;
use crate::upstream::destination::{Destination, DestinationInUse};
use crate::upstream::group::{Group, TriedBackends};
use crate::upstream::no_backend::NoBackend;
use crate::upstream::response_head::UpstreamHead;

/// Maximum number of retries of a request without effect. An upstream that restarts may refuse more than once.
const RETRIES_MAX: u32 = 4;
/// The status that the gRPC status 14 (`UNAVAILABLE`) corresponds to.
const UNAVAILABLE: u16 = 503;

/// The backends among which a retry chooses, and the hash of the value that determines one.
#[derive(Clone, Copy)]
pub(super) struct GroupChoice<'a> {
    pub(super) group: &'a Group,
    pub(super) key: Option<u64>,
}

/// The rules of retries of one request, and its body as far as it is kept for them.
pub(crate) struct RetryPolicy {
    pub(crate) rules: Arc<RetryRules>,
    pub(crate) body: RepeatableBody,
}

/// The body of a request that may be sent again.
pub(crate) enum RepeatableBody {
    Empty,
    Kept(Rc<KeptBody>),
    /// The whole body, which was read before it was sent.
    Whole(Bytes),
}

impl RepeatableBody {
    /// Returns the body again, if all of it was received and kept.
    fn again(&self, progress: &Progress) -> Option<Upload> {
        match self {
            Self::Empty => Some(Upload::empty()),
            Self::Kept(kept) if progress.is_whole() => kept.complete().map(Upload::again),
            Self::Kept(_) => None,
            Self::Whole(bytes) => Some(Upload::again(bytes.clone())),
        }
    }
}

/// An attempt that has ended, as the rules of retries see it.
#[derive(Clone, Copy)]
pub(super) struct EndedAttempt<'a> {
    pub(super) to: &'a Rc<Destination>,
    pub(super) group: Option<GroupChoice<'a>>,
    pub(super) result: AttemptResult,
    /// The head of the response, if there is one.
    pub(super) response: Option<&'a UpstreamHead>,
    /// Whether the request's method is idempotent.
    pub(super) repeatable: bool,
    pub(super) progress: &'a Progress,
}

/// A retry that the rules allow.
pub(super) struct Retry {
    pub(super) destination: DestinationInUse,
    /// The body, if the attempt has taken it.
    pub(super) upload: Option<Upload>,
    /// The pause before it.
    pub(super) after: Duration,
}

/// The retries of a request so far.
#[derive(Default)]
pub(super) struct Retries {
    /// The attempts without effect that were repeated.
    attempts: u32,
    /// The connections that could not be opened, so that nothing was sent.
    connects: u32,
    /// The retries of the configured rules.
    configured: u32,
    tried: TriedBackends,
    /// The backends that cannot serve the request.
    unsuited: TriedBackends,
}

impl Retries {
    /// Whether a further retry of an attempt without effect is within the maximum.
    pub(super) const fn may_retry(&self) -> bool {
        self.attempts + self.connects < RETRIES_MAX
    }

    /// Whether there was no retry.
    pub(super) const fn are_none(&self) -> bool {
        self.attempts + self.connects + self.configured == 0
    }

    /// Whether no attempt without effect was repeated: the next connection is chosen as for a new request.
    pub(super) const fn may_reuse(&self) -> bool {
        self.attempts == 0
    }

    /// Leaves backends out of all retries.
    pub(super) fn pass_over<'a>(&mut self, backends: impl Iterator<Item = &'a Destination>) {
        backends.for_each(|backend| self.unsuited.add(backend));
        self.tried = self.unsuited.clone();
    }

    /// Counts a retry of an attempt on `to`. Returns another backend for it, if there is one that was not tried.
    pub(super) fn after_attempt(
        &mut self,
        account: &mut RequestAccount,
        to: &Destination,
        group: Option<GroupChoice<'_>>,
    ) -> Option<DestinationInUse> {
        self.attempts += 1;
        account.retried(&to.name, AttemptResult::Reset);
        self.other(to, group?, account.request.read_clock()).ok()
    }

    /// Counts a connection to `to` that could not be opened. Returns another backend that was not tried.
    ///
    /// # Errors
    /// `problem`, if the upstream has one backend or the request may not be retried, and `no_healthy_upstream` if
    /// none of several backends accepted a connection.
    pub(super) fn after_connect_failure(
        &mut self,
        account: &mut RequestAccount,
        to: &Destination,
        group: Option<GroupChoice<'_>>,
        problem: Problem,
    ) -> Result<DestinationInUse, Problem> {
        // A backend whose connections are all in use has not failed.
        let has_failed = problem.refusal == Refusal::UpstreamConnect;
        if !has_failed && problem.refusal != Refusal::Overloaded {
            return Err(problem);
        }
        let now = account.request.read_clock();
        let is_in_time = now < account.total_at();
        let group = match group {
            Some(group) if is_in_time && self.may_retry() => group,
            Some(_) | None => return Err(problem),
        };
        let other = match self.other(to, group, now) {
            Ok(other) => other,
            Err(NoBackend { retry_after }) if has_failed && self.attempts + self.configured == 0 => {
                let message = "no backend of the upstream can be reached; none received anything";
                let mut refusal = no_healthy_upstream(message, retry_after);
                refusal.source = problem.source;
                return Err(refusal);
            }
            Err(_) => return Err(problem),
        };
        self.connects += 1;
        account.retried(&to.name, AttemptResult::of_refusal(problem.refusal));
        if has_failed {
            account.request.worker().handles.upstream_failed(&to.name, problem.refusal);
        }
        Ok(other)
    }

    /// Returns the retry that the rules allow after an attempt; `None` if its result is that of the request.
    pub(super) fn by_rules(
        &mut self,
        account: &mut RequestAccount,
        policy: Option<&RetryPolicy>,
        ended: EndedAttempt<'_>,
    ) -> Option<Retry> {
        let RetryPolicy { rules, body } = policy?;
        let EndedAttempt { to, result, .. } = ended;
        let may_repeat = ended.repeatable || rules.allows_unsafe || !account.has_sent();
        if !may_repeat || self.configured >= rules.attempts || !includes(rules, result) {
            return None;
        }
        let is_unconnected = result == AttemptResult::ConnectFailed;
        let upload = if is_unconnected { None } else { Some(body.again(ended.progress)?) };
        let now = account.request.read_clock();
        let wait = match ended.response.and_then(|head| retry_after(head, account.request.worker().shared.clock.now()))
        {
            Some(asked) if asked > rules.backoff_max => return None,
            Some(asked) => asked,
            None => pause(rules.backoff, rules.backoff_max, self.configured, fraction()),
        };
        if now + wait >= account.total_at() {
            return None;
        }
        let in_flight = to.backend.peers.iter().map(|peer| peer.in_flight()).sum();
        let Some(permit) = to.backend.retries.take(rules.budget_percent, in_flight) else {
            account.request.worker().handles.retry_refused(&to.name);
            return None;
        };
        let mut destination = self.next(ended, now)?;
        destination.retries_with(permit);
        self.configured += 1;
        account.retried(&to.name, result);
        let is_other = destination.backend.index != to.backend.index;
        let after = if is_unconnected && is_other { Duration::ZERO } else { wait };
        Some(Retry { destination, upload, after })
    }

    /// Returns another backend, one that was not tried if there is one; the same one if there is no other.
    fn next(&mut self, ended: EndedAttempt<'_>, now: Instant) -> Option<DestinationInUse> {
        let EndedAttempt { to, group, .. } = ended;
        let Some(of) = group else { return DestinationInUse::begin(to, now).ok() };
        if let Ok(other) = self.other(to, of, now) {
            return Some(other);
        }
        self.tried = self.unsuited.clone();
        let other = self.other(to, of, now);
        other.or_else(|_| of.group.choose(&self.unsuited, of.key, now)).ok()
    }

    /// Returns another backend, one that was not tried.
    pub(super) fn other(
        &mut self,
        to: &Destination,
        of: GroupChoice<'_>,
        now: Instant,
    ) -> Result<DestinationInUse, NoBackend> {
        self.tried.add(to);
        of.group.choose(&self.tried, of.key, now)
    }
}

/// Whether a request is sent again after an attempt with this result.
fn includes(rules: &RetryRules, result: AttemptResult) -> bool {
    let has = |cause| rules.causes.contains(&cause);
    match result {
        AttemptResult::ConnectFailed => has(RetryCause::Connect),
        AttemptResult::Reset => has(RetryCause::Reset),
        AttemptResult::TimedOut => has(RetryCause::Timeout),
        AttemptResult::Status(status) => rules.includes_status(status),
        AttemptResult::GrpcUnavailable => rules.includes_status(UNAVAILABLE),
        AttemptResult::Aborted => false,
    }
}

/// Returns the pause before a retry that follows `earlier` ones: a part of the backoff, which doubles each time, so that the
/// retries of many requests do not arrive together. `fraction` is from 0 to below 1.
pub(crate) fn pause(backoff: Duration, backoff_max: Duration, earlier: u32, fraction: f64) -> Duration {
    backoff.saturating_mul(1 << earlier.min(16)).min(backoff_max).mul_f64(fraction)
}

/// Returns a number from 0 to below 1 by chance, which is not a secret.
pub(crate) fn fraction() -> f64 {
    (RandomState::new().build_hasher().finish() >> 11) as f64 / (1_u64 << 53) as f64
}

/// Returns the time in `Retry-After` (RFC 9110, 10.2.3): seconds, or a date.
pub(crate) fn retry_after(head: &UpstreamHead, now: Timestamp) -> Option<Duration> {
    let text = head.text(KnownName::RetryAfter)?;
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    let now = UNIX_EPOCH + Duration::from_micros(now.0);
    Some(at.duration_since(now).unwrap_or(Duration::ZERO))
}

/// Returns the refusal of a request that no backend of its upstream takes; one may take it after `retry_after`.
pub(crate) fn no_healthy_upstream(message: &'static str, retry_after: Option<Duration>) -> Problem {
    let seconds = retry_after.map_or(0, seconds_up).max(1);
    Problem::new(Refusal::NoHealthyUpstream, message).header(header::RETRY_AFTER, HeaderValue::from(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_their_maximum() {
        let pause =
            |earlier, fraction| pause(Duration::from_millis(100), Duration::from_millis(500), earlier, fraction);
        let longest: Vec<u128> = (0..5).map(|earlier| pause(earlier, 1.0).as_millis()).collect();
        assert_eq!(longest, [100, 200, 400, 500, 500]);
        assert_eq!(pause(40, 0.5).as_millis(), 250);
        assert_eq!(pause(0, 0.0), Duration::ZERO);
        assert!((0..1_000).map(|_| fraction()).all(|fraction| (0.0..1.0).contains(&fraction)));
    }
}
