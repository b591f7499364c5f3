//! The retries of one request, and the backends to which they go.

use std::rc::Rc;

use access::Refusal;
use tokio::time::Instant;

use crate::account::RequestAccount;
use crate::refusal::problem::Problem;
use crate::upstream::destination::Destination;
use crate::upstream::group::{Group, NoBackend, TriedBackends};

/// Maximum number of retries of a request without effect. An upstream that restarts may refuse more than once.
const RETRIES_MAX: u32 = 4;

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
    pub(super) fn after_attempt(&mut self, to: &Destination, group: Option<&Group>) -> Option<Rc<Destination>> {
        self.attempts += 1;
        self.other(to, group?).ok()
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
        group: Option<&Group>,
        problem: Problem,
    ) -> Result<Rc<Destination>, Problem> {
        if problem.refusal != Refusal::UpstreamConnect {
            return Err(problem);
        }
        let is_in_time = Instant::now() < account.total_at();
        let Some(group) = group.filter(|_| is_in_time && self.may_retry()) else { return Err(problem) };
        let Ok(other) = self.other(to, group) else {
            return Err(if self.attempts == 0 { no_healthy_upstream(problem) } else { problem });
        };
        self.connects += 1;
        account.request.worker().handles.upstream_failed(&to.name, problem.refusal);
        Ok(other)
    }

    fn other(&mut self, to: &Destination, group: &Group) -> Result<Rc<Destination>, NoBackend> {
        self.tried.add(to);
        group.choose(&self.tried).cloned()
    }
}

/// Returns the refusal of a request after no backend of its upstream accepted a connection; `last` is the failure of the
/// last one.
fn no_healthy_upstream(last: Problem) -> Problem {
    let message = "no backend of the upstream can be reached; none received anything";
    let mut problem = Problem::new(Refusal::NoHealthyUpstream, message);
    problem.source = last.source;
    problem
}
