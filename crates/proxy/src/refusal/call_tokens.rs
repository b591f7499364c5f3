//! The tokens that an LLM call has reserved in the limits of tokens that apply to it, until they are settled.

use std::time::Duration;

use access::{Mono, Refusal, Tokens};
use ai::bound::Estimate;
use http::{HeaderName, HeaderValue, header};
use meter::limiter::CountedTokens;
use meter::limiter::sharing::{LimitSharing, SharedTokens};
use meter::limiter::tokens::{TokenLimitTerms, TokenUnit};
use meter::rate::{RateExceeded, RateLevel};

use crate::refusal::counted_limits::{PendingLimit, SnapshotCounters};
use crate::refusal::limit_items::{LimitItem, LimitSource, LimitUnit};
use crate::refusal::problem::Problem;
use crate::refusal::seconds::{in_words, seconds_up};

const X_SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// The tokens of one call. Dropping them leaves the reservation counted.
pub(crate) struct CallTokens {
    estimate: Estimate,
    counters: SnapshotCounters,
    counted: Vec<CountedTokenLimit>,
    /// The limit of which the smallest part is left.
    reported: Option<LimitItem>,
}

/// A limit in which the tokens of a call count.
struct CountedTokenLimit {
    position: usize,
    /// The terms in this process: those of the limit, or this node's share of them.
    terms: TokenLimitTerms,
    /// The count of this process; `None` if Redis has admitted more than this node's share.
    here: Option<CountedTokens>,
    shared: Option<(LimitSharing, SharedTokens)>,
}

/// A limit of tokens in which a call does not count yet.
pub(crate) struct PendingTokenLimit {
    pub(crate) limit: PendingLimit,
    pub(crate) terms: TokenLimitTerms,
    /// The tokens that the call reserves in it.
    pub(crate) tokens: Tokens,
}

impl CallTokens {
    /// Returns the tokens of a call that counts in no limit yet.
    pub(crate) const fn new(estimate: Estimate, counters: SnapshotCounters) -> Self {
        Self { estimate, counters, counted: Vec::new(), reported: None }
    }

    /// Returns the tokens that the call reserves.
    pub(crate) const fn estimate(&self) -> Estimate {
        self.estimate
    }

    /// Counts the call in a limit of this process.
    pub(crate) fn take(&mut self, pending: &PendingTokenLimit, now: Mono) -> Result<(), RateExceeded> {
        self.take_as(pending, pending.terms, pending.tokens, now)
    }

    /// Returns the tokens that are left in a limit of this process.
    pub(crate) fn remaining(&self, pending: &PendingTokenLimit, now: Mono) -> u32 {
        let counters = self.counters.get(pending.limit.position);
        counters.map_or(0, |counters| counters.level(&pending.limit.key, pending.limit.terms, now).remaining)
    }

    /// Counts the call in this node's share of a limit. A call that is larger than the share counts as the whole share.
    pub(crate) fn take_share(
        &mut self,
        pending: &PendingTokenLimit,
        share: TokenLimitTerms,
        now: Mono,
    ) -> Result<(), RateExceeded> {
        self.take_as(pending, share, pending.tokens.min(Tokens(share.at_once().into())), now)
    }

    fn take_as(
        &mut self,
        pending: &PendingTokenLimit,
        terms: TokenLimitTerms,
        tokens: Tokens,
        now: Mono,
    ) -> Result<(), RateExceeded> {
        let position = pending.limit.position;
        let Some(counters) = self.counters.get(position) else { return Ok(()) };
        let limit = pending.terms.limit();
        let here = counters.take_tokens(&pending.limit.key, terms, tokens, now);
        let here = here.map_err(|exceeded| RateExceeded { limit, ..exceeded })?;
        self.note(pending, RateLevel { limit, ..here.level });
        self.counted.push(CountedTokenLimit { position, terms, here: Some(here), shared: None });
        Ok(())
    }

    /// Notes that Redis has counted the call. If Redis fails, this node continues with the counts of its share, which refuse no
    /// call that Redis has admitted.
    pub(crate) fn admitted(
        &mut self,
        pending: &PendingTokenLimit,
        share: TokenLimitTerms,
        granted: (RateLevel, (LimitSharing, SharedTokens)),
        now: Mono,
    ) {
        let position = pending.limit.position;
        let Some(counters) = self.counters.get(position) else { return };
        let (level, shared) = granted;
        let here = counters.take_tokens(&pending.limit.key, share, pending.tokens, now).ok();
        self.note(pending, level);
        self.counted.push(CountedTokenLimit { position, terms: share, here, shared: Some(shared) });
    }

    /// Replaces the reservation by the tokens that the call has used.
    pub(crate) fn settle(self, used: Estimate, now: Mono) {
        for CountedTokenLimit { position, terms, here, shared } in self.counted {
            let used = terms.unit().counted_tokens(used.input, used.output);
            if let Some(here) = here
                && let Some(counters) = self.counters.get(position)
            {
                counters.settle_tokens(here, terms, used, now);
            }
            if let Some((sharing, shared)) = shared {
                sharing.settle_tokens(shared, used);
            }
        }
    }

    fn note(&mut self, pending: &PendingTokenLimit, level: RateLevel) {
        let part = |item: &LimitItem| item.remaining.unwrap_or_default() * 1_000 / item.quota.max(1);
        let item = pending.item(level);
        if self.reported.as_ref().is_none_or(|reported| part(&item) < part(reported)) {
            self.reported = Some(item);
        }
    }

    /// Returns the limit that a response reports.
    pub(crate) const fn reported(&self) -> Option<&LimitItem> {
        self.reported.as_ref()
    }
}

impl PendingTokenLimit {
    /// Returns the item of the limit with this state.
    fn item(&self, level: RateLevel) -> LimitItem {
        LimitItem::of_rate(LimitSource::Rule(self.limit.policy.clone()), LimitUnit::Tokens(self.terms.unit()), level)
    }

    /// Whether the limit never admits the call.
    pub(crate) fn is_too_small(&self) -> bool {
        self.tokens > Tokens(self.terms.at_once().into())
    }

    /// Returns the refusal of a call for which too few tokens are left.
    pub(crate) fn refusal(&self, exceeded: RateExceeded, remaining: u32) -> Problem {
        let Self { terms, tokens, .. } = self;
        let RateExceeded { limit: most, retry_after, reset } = exceeded;
        let unit = words(terms.unit());
        let seconds = seconds_up(retry_after).max(1);
        let message = format!(
            "the rate limit of {most} {unit} is reached, and this call needs about {}: try again in {}",
            tokens.0,
            in_words(seconds)
        );
        let level = RateLevel { limit: most, remaining, reset };
        let problem = Problem::new(Refusal::RateLimited, message);
        problem.header(header::RETRY_AFTER, HeaderValue::from(seconds)).limited_by(self.item(level))
    }

    /// Returns the refusal of a call that the limit never admits. No time is given after which it would be admitted.
    pub(crate) fn lasting_refusal(&self) -> Problem {
        let Self { terms, tokens, .. } = self;
        let advice = match terms.unit() {
            TokenUnit::All => "request less output or shorten its input",
            TokenUnit::Input => "shorten its input",
            TokenUnit::Output => "request less output",
        };
        let message = format!(
            "this call needs about {} {}, and its rate limit never admits more than {} at once: {advice}",
            tokens.0,
            words(terms.unit()),
            terms.at_once()
        );
        let problem = Problem::new(Refusal::RateLimited, message);
        let level = RateLevel { limit: terms.limit(), remaining: 0, reset: Duration::ZERO };
        let item = LimitItem { remaining: None, reset_s: None, ..self.item(level) };
        problem.header(X_SHOULD_RETRY, HeaderValue::from_static("false")).limited_by(item)
    }
}

const fn words(unit: TokenUnit) -> &'static str {
    match unit {
        TokenUnit::All => "tokens",
        TokenUnit::Input => "tokens of input",
        TokenUnit::Output => "tokens of output",
    }
}
