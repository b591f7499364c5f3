//! Unauthenticated clients: the limit of requests without a valid key per address. Over the limit, an address must
//! wait.
//!
//! Requests with a valid key are neither counted nor limited.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use access::Clock;
use access::exchange::limits::{RateLimitCheck, SharedLimits};
use access::network::address;
use config::snapshot::WindowLimit;
use meter::window::counts::{WindowCheck, WindowCounts};

/// The limit's name in metrics and in Redis.
pub(crate) const NAME: &str = access::exchange::limits::UNAUTHENTICATED;

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

    /// Counts a request, and returns how long its address must wait if it is over the limit. The shared limits have
    /// `time_left` to respond.
    pub(crate) async fn wait(
        &self,
        address: IpAddr,
        limit: WindowLimit,
        clock: &Clock,
        time_left: Duration,
    ) -> Option<Duration> {
        let key = address::network(address).to_string();
        let window = limit.window;
        let limit = limit.limit;
        if !time_left.is_zero()
            && let Some(limits) = self.shared.as_ref()
        {
            let taken = limits.take(vec![RateLimitCheck { name: NAME, key: key.clone(), limit, window }]);
            // If the shared limits fail or respond too late, this process counts alone.
            if let Ok(Some(answer)) = tokio::time::timeout(time_left, taken).await {
                if answer.allowed {
                    // The nodes together have counted at least as much as this process.
                    self.here.note(&[WindowCheck { name: NAME, key: &key, limit, window }], clock.mono());
                }
                return (!answer.allowed).then_some(answer.retry_after);
            }
        }
        let ask = WindowCheck { name: NAME, key: &key, limit, window };
        let level = self.here.take(&[ask], clock.mono());
        (!level.allowed).then_some(level.retry_after)
    }

    /// Returns how long an address must wait that is over the limit by the counts of this process. Nothing is counted.
    pub(crate) fn wait_here(&self, address: IpAddr, limit: WindowLimit, clock: &Clock) -> Option<Duration> {
        let key = address::network(address).to_string();
        let ask = WindowCheck { name: NAME, key: &key, limit: limit.limit, window: limit.window };
        let level = self.here.peek(&[ask], clock.mono());
        (!level.allowed).then_some(level.retry_after)
    }
}
