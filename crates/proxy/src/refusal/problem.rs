//! The reason why a request is refused.

use std::borrow::Cow;
use std::time::Duration;

use access::{Clock, QuotaName, Refusal};
use ai::Dialect;
use http::{HeaderName, HeaderValue, header};
use meter::rate::RateLevel;
use meter::{AdmissionRefusal, BudgetId, Outcome, RateOwner, RefusedLimit};

use crate::refusal::budget_words::{LostLease, lost, too_little};
use crate::refusal::cause::cause_text;
use crate::refusal::challenge;
use crate::refusal::limit_items::{LimitItem, LimitSource, LimitUnit};
use crate::refusal::seconds::{in_words, seconds_up};

/// The reason why a request is not served, and the content of the response.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) refusal: Refusal,
    pub(crate) message: Cow<'static, str>,
    /// The cause for the log. Clients never see it.
    pub(crate) source: Option<String>,
    /// The limit that refuses the request, for its usage event.
    pub(crate) limit: Option<Box<RefusedLimit>>,
    /// The outcome that the request ends with.
    pub(crate) outcome: Outcome,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// The name of the invalid field of the request.
    pub(super) param: Option<Cow<'static, str>>,
    /// The shape of the body if it differs from that of the requested endpoint.
    pub(super) format: Option<ErrorFormat>,
    /// The state of the limit that refuses the request, which the response reports.
    pub(crate) item: Option<Box<LimitItem>>,
}

/// The shape of a refusal's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorFormat {
    /// The format of an LLM API.
    Dialect(Dialect),
    /// The format of Amazon Bedrock.
    Bedrock,
}

impl Problem {
    pub(crate) fn new(refusal: Refusal, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            refusal,
            message: message.into(),
            source: None,
            limit: None,
            outcome: outcome(refusal),
            headers: Vec::new(),
            param: None,
            format: None,
            item: None,
        }
    }

    /// Names the invalid field of the request.
    pub(crate) fn of_param(mut self, param: Option<impl Into<Cow<'static, str>>>) -> Self {
        self.param = param.map(Into::into);
        self
    }

    /// Sets a body shape that differs from that of the requested endpoint.
    pub(crate) fn in_format(mut self, format: ErrorFormat) -> Self {
        self.format = Some(format);
        self
    }

    /// Sets the outcome of a client that disconnected within its request.
    pub(crate) fn caller_gone(mut self) -> Self {
        self.outcome = Outcome::CallerGone;
        self
    }

    pub(crate) fn because(mut self, source: &dyn std::error::Error) -> Self {
        self.source = Some(cause_text(source));
        self
    }

    /// Notes the limit that refuses the request.
    pub(crate) fn by_limit(mut self, limit: RefusedLimit) -> Self {
        self.limit = Some(Box::new(limit));
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Names the limit that refuses the request, which the response reports.
    pub(crate) fn limited_by(mut self, item: LimitItem) -> Self {
        self.item = Some(Box::new(item));
        self
    }

    /// Adds a challenge, unless the status is not 401 or there is one with the same scheme.
    pub(crate) fn challenge(self, value: HeaderValue) -> Self {
        let challenges =
            self.headers.iter().filter(|(name, _)| name == header::WWW_AUTHENTICATE).map(|(_, value)| value);
        if self.refusal.status() != 401 || challenge::has_scheme_of(challenges, &value) {
            return self;
        }
        self.header(header::WWW_AUTHENTICATE, value)
    }

    /// Adds `Allow` with the methods that are served at this path (RFC 9110, 10.2.1).
    pub(crate) fn allowing(self, allow: &str) -> Self {
        match HeaderValue::from_str(allow) {
            Ok(value) => self.header(header::ALLOW, value),
            Err(_) => self,
        }
    }

    /// Returns the refusal of a request that needs what a node holds that does not respond: until its period ends, at the latest.
    pub(crate) fn of_lost_lease(lease: &LostLease, name: Option<QuotaName>, clock: &Clock) -> Self {
        let until = lease.period.end().0.saturating_sub(clock.now().0);
        let seconds = seconds_up(Duration::from_micros(until)).max(1);
        let message = lost(lease, name);
        Self::new(Refusal::QuotaWithheld, message).header(header::RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// Returns the refusal of a rate limit, a quota or a budget; `name_of` returns the name of a plan's quota.
    pub(crate) fn of_limit(
        refused: &AdmissionRefusal,
        name_of: impl Fn(BudgetId) -> Option<QuotaName>,
        clock: &Clock,
    ) -> Self {
        match refused {
            AdmissionRefusal::Rate(empty, of) => {
                let seconds = seconds_up(empty.retry_after).max(1);
                let whose = match of {
                    RateOwner::User => " with all of your keys",
                    RateOwner::Key => " with this key",
                };
                let limit = empty.limit;
                let wait = in_words(seconds);
                let message = format!("more than {limit} requests a minute{whose}: try again in {wait}");
                let level = RateLevel { limit: empty.limit, remaining: 0, reset: empty.reset };
                Self::new(Refusal::RateLimited, message)
                    .by_limit(RefusedLimit::of_rate(empty, *of, clock.now()))
                    .header(header::RETRY_AFTER, HeaderValue::from(seconds))
                    .limited_by(LimitItem::of_rate(LimitSource::PerMinute, LimitUnit::Count, level))
            }
            AdmissionRefusal::Budget(exceeded) => {
                let name = name_of(exceeded.budget);
                let message = too_little(exceeded, name);
                let until = exceeded.resets_at().0.saturating_sub(clock.now().0);
                let seconds = seconds_up(Duration::from_micros(until));
                let is_quota = exceeded.budget.measure.is_quota_per(exceeded.budget.per);
                let refusal = if is_quota { Refusal::QuotaExceeded } else { Refusal::BudgetExceeded };
                let problem = Self::new(refusal, message).by_limit(RefusedLimit::from(exceeded));
                let problem = problem.header(header::RETRY_AFTER, HeaderValue::from(seconds));
                problem.limited_by(LimitItem::of_exceeded(exceeded, name, clock.now()))
            }
        }
    }
}

fn outcome(refusal: Refusal) -> Outcome {
    const BROKEN_OFF: [(Refusal, Outcome); 5] = [
        (Refusal::UpstreamTimeout, Outcome::TimedOut),
        (Refusal::RequestTimeout, Outcome::TimedOut),
        (Refusal::UpstreamReset, Outcome::UpstreamCut),
        (Refusal::UpstreamProtocol, Outcome::UpstreamCut),
        (Refusal::Draining, Outcome::Drained),
    ];
    BROKEN_OFF.iter().find(|(of, _)| *of == refusal).map_or(Outcome::Completed, |(_, outcome)| *outcome)
}
