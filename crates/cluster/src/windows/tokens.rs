//! The tokens of LLM calls in Redis: a call takes its estimate, and settles it with its usage.

use std::time::Duration;

use access::{Mono, Tokens};
use meter::limiter::sharing::{TokenDecision, TokenRequest, TokenSettlement};
use meter::limiter::tokens::{TokenAlgorithm, TokenCount, TokenUse};
use meter::rate::RateLevel;
use redis::Script;

use super::connection::Connection;
use super::redis::{RedisFault, script};

const NANOS_PER_MICRO: u64 = 1_000;

/// The scripts of limits of tokens. The first call of each loads it.
pub(super) struct TokenScripts {
    take_window: Script,
    take_bucket: Script,
    settle: Script,
}

impl TokenScripts {
    pub(super) fn new() -> Self {
        Self {
            take_window: script!("window_log.lua", "take_tokens_window.lua"),
            take_bucket: script!("bucket.lua", "take_tokens_bucket.lua"),
            settle: script!("bucket.lua", "window_log.lua", "settle_tokens.lua"),
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
                let [counted_ms, counted, left, reset_ms, wait_ms]: [u64; 5] =
                    call.invoke_async(&mut connection).await?;
                let remaining = u32::try_from(left).map_err(|_| RedisFault::Nonsense)?;
                let level = RateLevel { limit: terms.limit(), remaining, reset: Duration::from_millis(reset_ms) };
                let retry_after = Duration::from_millis(wait_ms);
                Ok(TokenDecision { is_counted: counted == 1, level, retry_after, counted_ms })
            }
            TokenAlgorithm::TokenBucket { burst, .. } => {
                let mut call = self.take_bucket.key(name);
                call.arg(terms.refill_nanos(Tokens(burst.get().into()))).arg(terms.refill_nanos(request.tokens));
                let [now_us, counted, full_nanos]: [u64; 3] = call.invoke_async(&mut connection).await?;
                let now = Mono(now_us.saturating_mul(NANOS_PER_MICRO));
                let count = TokenCount::Bucket(Mono(now.0.saturating_add(full_nanos)));
                let level = count.level(terms, now);
                let retry_after = count.retry_after(terms, request.tokens, now);
                Ok(TokenDecision { is_counted: counted == 1, level, retry_after, counted_ms: 0 })
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
        let TokenSettlement { key, tokens: TokenUse { counted_ms, reserved, used } } = settlement;
        let mut call = self.settle.key(name);
        match key.terms.algorithm() {
            TokenAlgorithm::SlidingWindow { length_ms } => {
                call.arg(key.terms.limit()).arg(length_ms).arg(*counted_ms).arg(reserved.0).arg(used.0);
            }
            TokenAlgorithm::TokenBucket { .. } => {
                call.arg(0).arg(0).arg(0).arg(key.terms.refill_nanos(*reserved)).arg(key.terms.refill_nanos(*used));
            }
        }
        Ok(call.invoke_async(&mut connection).await?)
    }
}
