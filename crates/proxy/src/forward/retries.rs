//! The retries of one request, and the backends to which they go.

use std::time::Duration;

use access::Refusal;
use http::{HeaderValue, header};
use tokio::time::Instant;

use crate::account::RequestAccount;
use crate::refusal::problem::Problem;
use crate::refusal::seconds::seconds_up;
use crate::upstream::destination::{Destination, DestinationInUse};
use crate::upstream::group::{Group, TriedBackends};
use crate::upstream::no_backend::NoBackend;

/// Maximum number of retries of a request without effect. An upstream that restarts may refuse more than once.
const RETRIES_MAX: u32 = 4;

/// The backends among which a retry chooses, and the hash of the value that determines one.
#[derive(Clone, Copy)]
pub(super) struct GroupChoice<'a> {
    pub(super) group: &'a Group,
    pub(super) key: Option<u64>,
}

/// The retries of a request so far.
#[derive(Default)]
pub(super) struct Retries {
    /// The attempts that were repeated.
    attempts: u32,
    /// The connections that could not be opened, so that nothing was sent.
    connects: u32,
    tried: TriedBackends,
}

impl Retries {
    /// Whether a further retry is within the maximum.
    pub(super) const fn may_retry(&self) -> bool {
        self.attempts + self.connects < RETRIES_MAX
    }

    /// Whether there was no retry.
    pub(super) const fn are_none(&self) -> bool {
        self.attempts + self.connects == 0
    }

    /// Whether no attempt was made: the next connection is chosen as for a new request.
    pub(super) const fn has_sent_nothing(&self) -> bool {
        self.attempts == 0
    }

    /// Counts a retry of an attempt on `to`. Returns another backend for it, if there is one that was not tried.
    pub(super) fn after_attempt(
        &mut self,
        to: &Destination,
        group: Option<GroupChoice<'_>>,
        now: Instant,
    ) -> Option<DestinationInUse> {
        self.attempts += 1;
        self.other(to, group?, now).ok()
    }

    /// Counts a connection to `to` that could not be opened. Returns another backend that was not tried.
    ///
    /// # Errors
    /// `problem`, if the upstream has one backend or the request may not be retried, and `no_healthy_upstream` if
    /// none of several backends accepted a connection.
    pub(super) fn after_connect_failure(
        &mut self,
        account: &RequestAccount,
        to: &Destination,
        group: Option<GroupChoice<'_>>,
        problem: Problem,
    ) -> Result<DestinationInUse, Problem> {
        if problem.refusal != Refusal::UpstreamConnect {
            return Err(problem);
        }
        let now = account.request.read_clock();
        let is_in_time = now < account.total_at();
        let Some(group) = group.filter(|_| is_in_time && self.may_retry()) else { return Err(problem) };
        let other = match self.other(to, group, now) {
            Ok(other) => other,
            Err(NoBackend { retry_after }) if self.attempts == 0 => {
                let message = "no backend of the upstream can be reached; none received anything";
                let mut refusal = no_healthy_upstream(message, retry_after);
                refusal.source = problem.source;
                return Err(refusal);
            }
            Err(_) => return Err(problem),
        };
        self.connects += 1;
        account.request.worker().handles.upstream_failed(&to.name, problem.refusal);
        Ok(other)
    }

    fn other(&mut self, to: &Destination, of: GroupChoice<'_>, now: Instant) -> Result<DestinationInUse, NoBackend> {
        self.tried.add(to);
        of.group.choose(&self.tried, of.key, now)
    }
}

/// Returns the refusal of a request that no backend of its upstream takes; one may take it after `retry_after`.
pub(super) fn no_healthy_upstream(message: &'static str, retry_after: Option<Duration>) -> Problem {
    let seconds = retry_after.map_or(0, seconds_up).max(1);
    Problem::new(Refusal::NoHealthyUpstream, message).header(header::RETRY_AFTER, HeaderValue::from(seconds))
}
