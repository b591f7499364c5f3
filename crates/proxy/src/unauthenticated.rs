//! Unauthenticated clients: the limit of requests without a valid key per address. Over the limit, an address must
//! wait.
//!
//! Requests with a valid key are neither counted nor limited.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use access::limits::SharedLimits;
use access::{Refusal, Subject, address};
use config::snapshot::WindowLimit;
use http::{HeaderValue, header};
use meter::rate::RateLevel;
use meter::window::counts::{WindowCheck, WindowCounts};

use crate::answer::{Problem, limit_headers, seconds_up};
use crate::exchange::Exchange;

/// The limit's name in metrics and in Redis.
const NAME: &str = "strangers";
/// Maximum wait for the shared limits: a request that is refused anyway must not be delayed further.
const ANSWER: Duration = Duration::from_millis(50);

/// The counters of requests without a valid key, per network of the client's address.
#[derive(Debug)]
pub struct UnauthenticatedClients {
    here: Arc<WindowCounts>,
    shared: Option<SharedLimits>,
}

impl UnauthenticatedClients {
    /// Counts requests in `here`, or in `shared` if nodes share their limits. While `shared` does not respond, `here`
    /// counts them.
    #[must_use]
    pub const fn new(here: Arc<WindowCounts>, shared: Option<SharedLimits>) -> Self {
        Self { here, shared }
    }
}

/// Returns the refusal of a credential, or `rate_limited` instead if the address is over its limit. Failures that the
/// client did not cause are not counted.
pub(crate) async fn refuse(exchange: &Exchange, problem: Problem) -> Problem {
    let limit = exchange.snapshot.traffic.unauthenticated.filter(|_| is_of_the_credential(problem.refusal));
    let (Some(limit), Subject::Anonymous { address: Some(address) }) = (limit, &exchange.subject) else {
        return problem;
    };
    match wait(exchange, *address, limit).await {
        None => problem,
        Some(wait) => {
            exchange.worker().shared.metrics.limits.refuse(NAME);
            let seconds = seconds_up(wait).max(1);
            let message = format!("too many calls without a valid key: try again in {seconds} seconds");
            let mut problem =
                Problem::new(Refusal::RateLimited, message).header(header::RETRY_AFTER, HeaderValue::from(seconds));
            // No requests remain before the wait is over.
            let level = RateLevel { limit: limit.limit.get(), remaining: 0, reset: wait };
            for (name, value) in limit_headers(level, exchange.worker().shared.clock.now()) {
                problem = problem.header(name, value);
            }
            problem
        }
    }
}

fn is_of_the_credential(refusal: Refusal) -> bool {
    use Refusal::{
        AmbiguousCredentials, KeyExpired, KeyMalformed, KeyRevoked, KeyUnknown, Unauthorized, UserSuspended,
    };
    let credential =
        [Unauthorized, KeyMalformed, KeyUnknown, KeyRevoked, KeyExpired, UserSuspended, AmbiguousCredentials];
    credential.contains(&refusal)
}

/// Counts a request, and returns how long its address must wait if it is over the limit.
async fn wait(exchange: &Exchange, address: IpAddr, limit: WindowLimit) -> Option<Duration> {
    let shared = &exchange.worker().shared;
    let key = address::network(address).to_string();
    let (limit, window) = (limit.limit, limit.window);
    if let Some(limits) = &shared.unauthenticated.shared {
        let asked = limits.take(NAME, key.clone(), limit, window);
        // If the shared limits fail or respond too late, this process counts alone.
        if let Ok(Some(answer)) = tokio::time::timeout(ANSWER, asked).await {
            return (!answer.allowed).then_some(answer.retry_after);
        }
    }
    let ask = WindowCheck { name: NAME, key: &key, limit, window };
    let level = shared.unauthenticated.here.take(&[ask], shared.clock.mono());
    (!level.allowed).then_some(level.retry_after)
}
