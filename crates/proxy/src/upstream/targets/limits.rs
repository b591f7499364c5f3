//! The use of a target that its own limits count: the calls and tokens of a minute, and the calls in flight.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use access::Tokens;
use config::snapshot::{TargetLimit, TargetLimits};
use tokio::time::Instant;

/// The length of a minute. One begins with the first call or response after the end of the previous one.
const MINUTE: Duration = Duration::from_secs(60);
/// The time after which a target with too many calls in flight is tried again, because no one knows when one of them ends.
const BUSY: Duration = Duration::from_secs(1);

/// The calls of a target in this process that its limits count.
#[derive(Debug, Default)]
pub(crate) struct LimitedUse(Mutex<UseCounts>);

#[derive(Debug, Default)]
struct UseCounts {
    /// When the last minute began; `None` before the first call.
    began: Option<Instant>,
    /// The calls of the minute.
    requests: u32,
    /// The tokens of the responses that ended in the minute.
    tokens: Tokens,
    in_flight: u32,
}

/// A limit that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LimitHit {
    pub(crate) limit: TargetLimit,
    /// When a call may be below the limit again.
    pub(crate) until: Instant,
}

/// The permit of a call to a target with limits. Dropping it ends the call; a call that was not sent is not counted.
#[derive(Debug)]
pub(crate) struct TargetPermit {
    used: Arc<LimitedUse>,
    /// The beginning of the minute that counts the call.
    minute: Option<Instant>,
    is_sent: bool,
    /// The most tokens that the call may use; 0 if it is not known or no limit needs it.
    tokens_max: Tokens,
}

impl LimitedUse {
    /// Returns the limit that is reached at `now`, if one is.
    pub(crate) fn reached(&self, limits: &TargetLimits, now: Instant) -> Option<LimitHit> {
        self.counts().reached(limits, now)
    }

    /// Counts a call that begins at `now`.
    ///
    /// # Errors
    /// A limit is reached.
    pub(crate) fn admit(self: &Arc<Self>, limits: &TargetLimits, now: Instant) -> Result<TargetPermit, LimitHit> {
        let mut counts = self.counts();
        if let Some(hit) = counts.reached(limits, now) {
            return Err(hit);
        }
        counts.begin_minute(now);
        counts.requests = counts.requests.saturating_add(1);
        counts.in_flight = counts.in_flight.saturating_add(1);
        Ok(TargetPermit { used: Arc::clone(self), minute: counts.began, is_sent: false, tokens_max: Tokens::ZERO })
    }

    fn counts(&self) -> MutexGuard<'_, UseCounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UseCounts {
    /// Returns the end of the current minute; `None` if it is over.
    fn minute_end(&self, now: Instant) -> Option<Instant> {
        self.began.map(|began| began + MINUTE).filter(|end| now < *end)
    }

    /// Begins a minute at `now` if the last one is over.
    fn begin_minute(&mut self, now: Instant) {
        if self.minute_end(now).is_none() {
            *self = Self { began: Some(now), requests: 0, tokens: Tokens::ZERO, in_flight: self.in_flight };
        }
    }

    fn reached(&self, limits: &TargetLimits, now: Instant) -> Option<LimitHit> {
        if let Some(until) = self.minute_end(now) {
            if limits.requests.is_some_and(|most| self.requests >= most) {
                return Some(LimitHit { limit: TargetLimit::Requests, until });
            }
            if limits.tokens.is_some_and(|most| self.tokens >= most) {
                return Some(LimitHit { limit: TargetLimit::Tokens, until });
            }
        }
        let is_busy = limits.concurrent.is_some_and(|most| self.in_flight >= most);
        is_busy.then(|| LimitHit { limit: TargetLimit::Concurrent, until: now + BUSY })
    }
}

impl TargetPermit {
    /// Returns the permit of a call that is sent now.
    pub(crate) fn sent(mut self) -> Self {
        self.is_sent = true;
        self
    }

    /// Notes the most tokens that the call may use, which count if its provider reports none.
    pub(crate) const fn may_use(&mut self, tokens_max: Tokens) {
        self.tokens_max = tokens_max;
    }

    pub(crate) const fn tokens_max(&self) -> Tokens {
        self.tokens_max
    }

    /// Counts the tokens of the call, whose response ended at `now`.
    pub(crate) fn count(&self, tokens: Tokens, now: Instant) {
        let mut counts = self.used.counts();
        counts.begin_minute(now);
        counts.tokens = counts.tokens.saturating_add(tokens);
    }
}

impl Drop for TargetPermit {
    fn drop(&mut self) {
        let mut counts = self.used.counts();
        counts.in_flight = counts.in_flight.saturating_sub(1);
        if !self.is_sent && counts.began == self.minute {
            counts.requests = counts.requests.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: TargetLimits = TargetLimits { requests: None, tokens: None, concurrent: None };

    /// Returns the reached limit and the seconds until a call may be below it.
    fn reached(used: &LimitedUse, limits: &TargetLimits, now: Instant) -> Option<(TargetLimit, u64)> {
        used.reached(limits, now).map(|hit| (hit.limit, (hit.until - now).as_secs()))
    }

    #[test]
    fn calls_of_a_minute_are_counted_from_the_first_one() {
        let used = Arc::new(LimitedUse::default());
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let limits = TargetLimits { requests: Some(2), ..NONE };
        for seconds in [0, 20] {
            drop(used.admit(&limits, at(seconds)).unwrap().sent());
        }
        assert_eq!(reached(&used, &limits, at(20)), Some((TargetLimit::Requests, 40)));
        assert_eq!(used.admit(&limits, at(59)).unwrap_err().until, at(60));
        assert_eq!(reached(&used, &TargetLimits { requests: Some(3), ..NONE }, at(59)), None, "another entry has 3");
        assert_eq!(reached(&used, &limits, at(60)), None);
        drop(used.admit(&limits, at(70)).unwrap().sent());
        drop(used.admit(&limits, at(129)).unwrap().sent());
        assert_eq!(used.admit(&limits, at(129)).unwrap_err().until, at(130), "the minute began at 70");
    }

    #[test]
    fn a_call_that_is_not_sent_is_not_counted() {
        let used = Arc::new(LimitedUse::default());
        let now = Instant::now();
        let limits = TargetLimits { requests: Some(1), ..NONE };
        let unsent = used.admit(&limits, now).unwrap();
        assert_eq!(reached(&used, &limits, now), Some((TargetLimit::Requests, 60)));
        drop(unsent);
        let late = used.admit(&limits, now).unwrap();
        let next = now + MINUTE;
        let sent = used.admit(&limits, next).unwrap().sent();
        drop(late);
        assert_eq!(reached(&used, &limits, next), Some((TargetLimit::Requests, 60)), "it counted in the minute before");
        drop(sent);
        assert_eq!(reached(&used, &limits, next), Some((TargetLimit::Requests, 60)));
    }

    #[test]
    fn tokens_count_in_the_minute_in_which_their_response_ends() {
        let used = Arc::new(LimitedUse::default());
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let limits = TargetLimits { tokens: Some(Tokens(100)), ..NONE };
        let permits = [used.admit(&limits, at(0)).unwrap().sent(), used.admit(&limits, at(0)).unwrap().sent()];
        permits[0].count(Tokens(99), at(10));
        assert_eq!(reached(&used, &limits, at(10)), None);
        permits[1].count(Tokens(1), at(30));
        assert_eq!(reached(&used, &limits, at(30)), Some((TargetLimit::Tokens, 30)));
        let late = used.admit(&limits, at(60)).unwrap().sent();
        late.count(Tokens(500), at(121));
        assert_eq!(reached(&used, &limits, at(121)), Some((TargetLimit::Tokens, 60)), "a minute begins with them");
    }

    #[test]
    fn calls_in_flight_are_counted_until_their_permits_are_dropped() {
        let used = Arc::new(LimitedUse::default());
        let now = Instant::now();
        let limits = TargetLimits { concurrent: Some(2), ..NONE };
        let first = used.admit(&limits, now).unwrap().sent();
        let second = used.admit(&limits, now).unwrap();
        let hour = now + Duration::from_secs(3_600);
        assert_eq!(reached(&used, &limits, hour), Some((TargetLimit::Concurrent, 1)), "no minute ends them");
        drop(second);
        assert_eq!(reached(&used, &limits, hour), None);
        drop(first);
        let all: Vec<_> = (0..3).map(|_| used.admit(&limits, hour).is_ok()).collect();
        assert_eq!(all, [true; 3], "each ends at once");
    }
}
