//! Limits of tokens that nodes share. Redis decides about each call: one takes far longer than the reply.

use std::sync::Arc;
use std::time::Duration;

use access::Tokens;
use tokio::sync::{mpsc, oneshot};

use super::{LimitSharing, SharingMessage, SharingState};
use crate::limiter::tokens::{TokenLimitTerms, TokenUse};
use crate::rate::{RateExceeded, RateLevel};

/// A limit of tokens in which a call counts.
#[derive(Debug, Clone, Copy)]
pub struct SharedTokenLimit<'a> {
    /// The id of the limit, which is the same on all nodes.
    pub id: &'a [u8],
    /// The values by which the limit counts the call.
    pub key: &'a [u8],
    /// The number of tokens that the limit allows.
    pub terms: TokenLimitTerms,
}

/// A key of a limit of tokens that nodes share.
#[derive(Debug, Clone)]
pub struct SharedTokenKey {
    /// The id of the limit, and the values by which it counts.
    pub name: Box<[u8]>,
    /// The number of tokens that the limit allows.
    pub terms: TokenLimitTerms,
}

/// Asks Redis to count the tokens that a call probably uses.
#[derive(Debug)]
pub struct TokenRequest {
    /// The key in which they count.
    pub key: SharedTokenKey,
    /// The number of tokens.
    pub tokens: Tokens,
    reply: oneshot::Sender<Result<TokenGrant, RateExceeded>>,
}

/// The tokens of a call that Redis has counted.
#[derive(Debug, Clone, Copy)]
struct TokenGrant {
    level: RateLevel,
    counted_ms: u64,
}

/// The decision of Redis about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenDecision {
    /// Whether the tokens of the call were counted.
    pub is_counted: bool,
    /// The state after the decision.
    pub level: RateLevel,
    /// The time after which the call is admitted.
    pub retry_after: Duration,
    /// The time of Redis at which the tokens count in a window, in milliseconds; zero without a window.
    pub counted_ms: u64,
}

/// Tells Redis what a call has used.
#[derive(Debug)]
pub struct TokenSettlement {
    /// The key in which the tokens count.
    pub key: SharedTokenKey,
    /// The tokens that were reserved, and those that were used.
    pub tokens: TokenUse,
}

/// A call that waits for Redis.
#[derive(Debug)]
pub struct PendingTokens {
    reply: oneshot::Receiver<Result<TokenGrant, RateExceeded>>,
    /// The reservation, until its result is known.
    reserved: Option<SharedTokens>,
    queue: mpsc::Sender<SharingMessage>,
    state: Arc<SharingState>,
}

/// Tokens that count in a limit of all nodes, until the call is settled.
#[derive(Debug)]
#[must_use = "counted tokens must be settled"]
pub struct SharedTokens {
    key: SharedTokenKey,
    counted_ms: u64,
    reserved: Tokens,
}

impl LimitSharing {
    /// Asks Redis to count the tokens of a call; `None` if the queue is full, or Redis is unavailable.
    #[must_use]
    pub fn take_tokens(&self, limit: &SharedTokenLimit<'_>, tokens: Tokens) -> Option<PendingTokens> {
        if !self.state.is_up() {
            return None;
        }
        let (sender, reply) = oneshot::channel();
        // The id contains no zero byte.
        let key = SharedTokenKey { name: [limit.id, &[0], limit.key].concat().into(), terms: limit.terms };
        let reserved = Some(SharedTokens { key: key.clone(), counted_ms: 0, reserved: tokens });
        self.queue.try_send(SharingMessage::Tokens(TokenRequest { key, tokens, reply: sender })).ok()?;
        Some(PendingTokens { reply, reserved, queue: self.queue.clone(), state: self.state.clone() })
    }

    /// Settles the tokens of a call. If the queue is full, its reservation remains counted.
    pub fn settle_tokens(&self, counted: SharedTokens, used: Tokens) {
        if !counted.settle(used, &self.queue) {
            self.state.lose_settlement();
        }
    }
}

impl SharedTokens {
    /// Returns `false` if the queue is full, so that Redis does not get the settlement.
    fn settle(self, used: Tokens, queue: &mpsc::Sender<SharingMessage>) -> bool {
        let Self { key, counted_ms, reserved } = self;
        let tokens = TokenUse { counted_ms, reserved, used };
        used == reserved || queue.try_send(SharingMessage::Settle(TokenSettlement { key, tokens })).is_ok()
    }
}

impl PendingTokens {
    /// Waits for the result; `None` if Redis is unavailable. If the future is dropped, the call does not count.
    pub async fn result(mut self) -> Option<Result<(RateLevel, SharedTokens), RateExceeded>> {
        let reply = (&mut self.reply).await;
        let reserved = self.reserved.take()?;
        Some(reply.ok()?.map(|TokenGrant { level, counted_ms }| (level, SharedTokens { counted_ms, ..reserved })))
    }
}

impl Drop for PendingTokens {
    /// Undoes the reservation if Redis has counted it meanwhile, for example because another limit has refused the call.
    fn drop(&mut self) {
        let Some(reserved) = self.reserved.take() else { return };
        self.reply.close();
        if let Ok(Ok(TokenGrant { counted_ms, .. })) = self.reply.try_recv() {
            let is_sent = SharedTokens { counted_ms, ..reserved }.settle(Tokens::ZERO, &self.queue);
            if !is_sent {
                self.state.lose_settlement();
            }
        }
    }
}

impl TokenRequest {
    /// Applies the decision of Redis. Returns a settlement if the call no longer waits for the tokens that were counted.
    #[must_use]
    pub fn decided(self, decision: TokenDecision) -> Option<TokenSettlement> {
        let Self { key, tokens, reply } = self;
        let TokenDecision { is_counted, level, retry_after, counted_ms } = decision;
        let result = if is_counted {
            Ok(TokenGrant { level, counted_ms })
        } else {
            Err(RateExceeded { limit: level.limit, retry_after, reset: level.reset.max(retry_after) })
        };
        let is_received = reply.send(result).is_ok();
        let tokens = TokenUse { counted_ms, reserved: tokens, used: Tokens::ZERO };
        (is_counted && !is_received).then_some(TokenSettlement { key, tokens })
    }

    /// Returns whether the call no longer waits for the result.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::limiter::tokens::TokenUnit;

    #[tokio::test]
    async fn a_settlement_that_finds_the_queue_full_is_counted_as_lost() {
        let (queue, mut messages) = mpsc::channel(1);
        let state = Arc::new(SharingState::default());
        state.set_up(true);
        let sharing = LimitSharing::new(queue, state.clone());
        let terms = TokenLimitTerms::sliding_window(TokenUnit::All, NonZeroU32::MAX, Duration::from_secs(60));
        let limit = SharedTokenLimit { id: b"id", key: b"key", terms };
        let mut counted = Vec::new();
        for _ in 0..2 {
            let pending = sharing.take_tokens(&limit, Tokens(9)).unwrap();
            let Some(SharingMessage::Tokens(request)) = messages.recv().await else { panic!() };
            let level = RateLevel { limit: 100, remaining: 91, reset: Duration::ZERO };
            let decision = TokenDecision { is_counted: true, level, retry_after: Duration::ZERO, counted_ms: 60_000 };
            assert!(request.decided(decision).is_none());
            counted.push(pending.result().await.unwrap().unwrap().1);
        }
        for (tokens, lost) in counted.into_iter().zip([0, 1]) {
            sharing.settle_tokens(tokens, Tokens(1));
            assert_eq!(state.take_lost_settlements(), lost);
        }
    }
}
