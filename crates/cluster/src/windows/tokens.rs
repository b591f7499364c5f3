//! The tokens of LLM calls in Redis: a call takes its estimate, and settles it with its usage.

use access::{Mono, Tokens};
use meter::limiter::sharing::{TokenRequest, TokenSettlement};
use meter::limiter::tokens::{TokenAlgorithm, TokenCount, TokenUse};
use redis::Script;

use super::connection::Connection;
use super::redis::RedisFault;

const NANOS_PER_MILLI: u64 = 1_000_000;
const NANOS_PER_MICRO: u64 = 1_000;

/// The scripts of limits of tokens. The first call of each loads it.
pub(super) struct TokenScripts {
    take_window: Script,
    take_bucket: Script,
    settle: Script,
}

/// The decision about a call, at the time `now` of Redis.
pub(super) struct TokenDecision {
    pub(super) is_counted: bool,
    pub(super) count: TokenCount,
    pub(super) now: Mono,
}

impl TokenScripts {
    pub(super) fn new() -> Self {
        Self {
            take_window: Script::new(include_str!("take_tokens_window.lua")),
            take_bucket: Script::new(include_str!("take_tokens_bucket.lua")),
            settle: Script::new(include_str!("settle_tokens.lua")),
        }
    }

    /// Counts the tokens of a call if they fit. If cancelled, they may have been counted.
    pub(super) async fn take(
        &self,
        mut connection: Connection,
        name: String,
        request: &TokenRequest,
    ) -> Result<TokenDecision, RedisFault> {
        let terms = request.key.terms;
        match terms.algorithm() {
            TokenAlgorithm::SlidingWindow { length_ms } => {
                let mut call = self.take_window.key(name);
                call.arg(terms.limit()).arg(length_ms).arg(request.tokens.0);
                let [now_ms, counted, index, current, previous]: [u64; 5] = call.invoke_async(&mut connection).await?;
                let count = TokenCount::Window { index, current, previous };
                Ok(TokenDecision { is_counted: counted == 1, count, now: Mono(now_ms.saturating_mul(NANOS_PER_MILLI)) })
            }
            TokenAlgorithm::TokenBucket { burst, .. } => {
                let mut call = self.take_bucket.key(name);
                call.arg(terms.refill_nanos(Tokens(burst.get().into()))).arg(terms.refill_nanos(request.tokens));
                let [now_us, counted, full_nanos]: [u64; 3] = call.invoke_async(&mut connection).await?;
                let now = Mono(now_us.saturating_mul(NANOS_PER_MICRO));
                let count = TokenCount::Bucket(Mono(now.0.saturating_add(full_nanos)));
                Ok(TokenDecision { is_counted: counted == 1, count, now })
            }
        }
    }

    /// Replaces the reserved tokens of a call by those that it has used.
    pub(super) async fn settle(
        &self,
        mut connection: Connection,
        name: String,
        settlement: &TokenSettlement,
    ) -> Result<(), RedisFault> {
        let TokenSettlement { key, tokens: TokenUse { window_index, reserved, used } } = settlement;
        let mut call = self.settle.key(name);
        match key.terms.algorithm() {
            TokenAlgorithm::SlidingWindow { length_ms } => {
                call.arg(*window_index).arg(length_ms).arg(reserved.0).arg(used.0);
            }
            TokenAlgorithm::TokenBucket { .. } => {
                call.arg(0).arg(0).arg(key.terms.refill_nanos(*reserved)).arg(key.terms.refill_nanos(*used));
            }
        }
        Ok(call.invoke_async(&mut connection).await?)
    }
}
