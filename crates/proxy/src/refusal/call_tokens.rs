//! The tokens that an LLM call has reserved in the limits of tokens that apply to it, until they are settled.

use std::sync::Arc;

use access::{Mono, Refusal, Tokens};
use ai::bound::Estimate;
use http::{HeaderName, HeaderValue, header};
use http1::{HeadEdits, InvalidPart};
use meter::limiter::CountedTokens;
use meter::limiter::sharing::{LimitSharing, SharedTokens};
use meter::limiter::tokens::{TokenLimitTerms, TokenUnit};
use meter::rate::{RateExceeded, RateLevel};

use crate::refusal::counted_limits::{PendingLimit, SnapshotCounters};
use crate::refusal::problem::Problem;
use crate::refusal::seconds::{in_words, seconds_up};

const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const X_SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// The tokens of one call. Dropping them leaves the reservation counted.
pub(crate) struct CallTokens {
    estimate: Estimate,
    counters: SnapshotCounters,
    counted: Vec<CountedTokenLimit>,
    /// The limit of which the smallest part is left.
    reported: Option<ReportedTokens>,
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

/// A limit of tokens that a response reports.
struct ReportedTokens {
    level: RateLevel,
    unit: TokenUnit,
    /// The value of `RateLimit-Policy`.
    policy: Arc<str>,
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
            let used = terms.unit().of(used.input, used.output);
            if let (Some(here), Some(counters)) = (here, self.counters.get(position)) {
                counters.settle_tokens(here, terms, used, now);
            }
            if let Some((sharing, shared)) = shared {
                sharing.settle_tokens(shared, used);
            }
        }
    }

    fn note(&mut self, pending: &PendingTokenLimit, level: RateLevel) {
        let part = |level: &RateLevel| u64::from(level.remaining) * 1_000 / u64::from(level.limit.max(1));
        if self.reported.as_ref().is_none_or(|reported| part(&level) < part(&reported.level)) {
            let (unit, policy) = (pending.terms.unit(), pending.limit.policy.clone());
            self.reported = Some(ReportedTokens { level, unit, policy });
        }
    }

    /// Adds the fields of the reported limit to the head of a response.
    pub(crate) fn report(&self, edits: &mut HeadEdits) -> Result<(), InvalidPart> {
        let mut fields = self.reported.iter().flat_map(ReportedTokens::fields);
        fields.try_for_each(|(name, value)| edits.set_named(name.as_str().as_bytes(), value.as_bytes()))
    }
}

impl ReportedTokens {
    /// Returns `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10), and the fields that OpenAI's
    /// clients know.
    fn fields(&self) -> Vec<(HeaderName, HeaderValue)> {
        let Self { level, unit, policy } = self;
        let [_, of_remaining, of_reset] = names(*unit);
        let name = policy.split(';').next().unwrap_or_default();
        let (remaining, reset) = (level.remaining, seconds_up(level.reset));
        let mut fields = limit_fields(policy, level.limit, *unit);
        fields.push((of_remaining, HeaderValue::from(remaining)));
        let texts = [(RATELIMIT, format!("{name};r={remaining};t={reset}")), (of_reset, format!("{reset}s"))];
        fields.extend(texts.into_iter().filter_map(|(name, text)| Some((name, HeaderValue::try_from(text).ok()?))));
        fields
    }
}

impl PendingTokenLimit {
    /// Whether the limit never admits the call.
    pub(crate) fn is_too_small(&self) -> bool {
        self.tokens > Tokens(self.terms.at_once().into())
    }

    /// Returns the refusal of a call for which too few tokens are left.
    pub(crate) fn refusal(&self, exceeded: RateExceeded, remaining: u32) -> Problem {
        let Self { limit, terms, tokens } = self;
        let RateExceeded { limit: most, retry_after, reset } = exceeded;
        let (unit, seconds) = (words(terms.unit()), seconds_up(retry_after).max(1));
        let message = format!(
            "the rate limit of {most} {unit} is reached, and this call needs about {}: try again in {}",
            tokens.0,
            in_words(seconds)
        );
        let level = RateLevel { limit: most, remaining, reset };
        let reported = ReportedTokens { level, unit: terms.unit(), policy: limit.policy.clone() };
        let problem =
            Problem::new(Refusal::RateLimited, message).header(header::RETRY_AFTER, HeaderValue::from(seconds));
        reported.fields().into_iter().fold(problem, |problem, (name, value)| problem.header(name, value))
    }

    /// Returns the refusal of a call that the limit never admits. No time is given after which it would be admitted.
    pub(crate) fn lasting_refusal(&self) -> Problem {
        let Self { limit, terms, tokens } = self;
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
        let problem = problem.header(X_SHOULD_RETRY, HeaderValue::from_static("false"));
        let fields = limit_fields(&limit.policy, terms.limit(), terms.unit());
        fields.into_iter().fold(problem, |problem, (name, value)| problem.header(name, value))
    }
}

/// Returns the fields of a limit without its state.
fn limit_fields(policy: &str, limit: u32, unit: TokenUnit) -> Vec<(HeaderName, HeaderValue)> {
    let [of_limit, ..] = names(unit);
    let policy = HeaderValue::from_str(policy).ok().map(|policy| (RATELIMIT_POLICY, policy));
    policy.into_iter().chain([(of_limit, HeaderValue::from(limit))]).collect()
}

/// Returns the names of the fields with limit, rest and reset. OpenAI has those of all tokens.
const fn names(unit: TokenUnit) -> [HeaderName; 3] {
    match unit {
        TokenUnit::All => [
            HeaderName::from_static("x-ratelimit-limit-tokens"),
            HeaderName::from_static("x-ratelimit-remaining-tokens"),
            HeaderName::from_static("x-ratelimit-reset-tokens"),
        ],
        TokenUnit::Input => [
            HeaderName::from_static("x-ratelimit-limit-input-tokens"),
            HeaderName::from_static("x-ratelimit-remaining-input-tokens"),
            HeaderName::from_static("x-ratelimit-reset-input-tokens"),
        ],
        TokenUnit::Output => [
            HeaderName::from_static("x-ratelimit-limit-output-tokens"),
            HeaderName::from_static("x-ratelimit-remaining-output-tokens"),
            HeaderName::from_static("x-ratelimit-reset-output-tokens"),
        ],
    }
}

const fn words(unit: TokenUnit) -> &'static str {
    match unit {
        TokenUnit::All => "tokens",
        TokenUnit::Input => "tokens of input",
        TokenUnit::Output => "tokens of output",
    }
}
