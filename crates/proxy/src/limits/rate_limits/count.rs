//! The count of a request in one limit, and the refusal by it.

use access::Refusal;
use http::{HeaderValue, header};
use meter::RefusedLimit;
use meter::limiter::LimitTerms;
use meter::rate::{RateExceeded, RateLevel};

use crate::account::RequestAccount;
use crate::refusal::counted_limits::PendingLimit;
use crate::refusal::problem::Problem;
use crate::refusal::seconds::{in_words, seconds_up};

/// Counts the request in a limit of this process, with these terms: those of the limit, or this node's share of them.
pub(super) fn count_in(account: &mut RequestAccount, pending: &PendingLimit, terms: LimitTerms) -> Result<(), Problem> {
    let now = account.request.mono();
    let limit = pending.terms.limit();
    match account.counted_limits().take(pending, terms, now) {
        Ok(level) => {
            account.counted_limits().report(RateLevel { limit, ..level }, pending);
            Ok(())
        }
        Err(exceeded) => Err(refuse(account, pending, RateExceeded { limit, ..exceeded })),
    }
}

/// Uncounts the request in all limits, and returns its refusal by this one.
pub(super) fn refuse(account: &mut RequestAccount, pending: &PendingLimit, exceeded: RateExceeded) -> Problem {
    let now = account.request.mono();
    account.counted_limits().refuse(pending, now);
    let level = RateLevel { limit: exceeded.limit, remaining: 0, reset: exceeded.reset };
    let problem = problem(exceeded, pending.terms).limited_by(pending.item(level));
    let Some(rule) = account.request.snapshot.traffic.rate_limits.all().get(pending.position) else {
        return problem;
    };
    let shared = &account.request.worker().shared;
    shared.metrics.limits.refuse(&rule.name);
    problem.by_limit(RefusedLimit::of_rule(rule.name.clone(), pending.terms, &exceeded, shared.clock.now()))
}

fn problem(exceeded: RateExceeded, terms: LimitTerms) -> Problem {
    let seconds = seconds_up(exceeded.retry_after).max(1);
    let limit = exceeded.limit;
    let message = match terms {
        LimitTerms::Requests(_) | LimitTerms::Tokens(_) => {
            format!("the rate limit of {limit} requests is reached: try again in {}", in_words(seconds))
        }
        LimitTerms::Concurrent(_) => {
            format!("the limit of requests in flight ({limit}) is reached: wait until one has ended")
        }
    };
    Problem::new(Refusal::RateLimited, message).header(header::RETRY_AFTER, HeaderValue::from(seconds))
}
