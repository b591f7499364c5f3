//! Limits of tokens that nodes share: the scripts count as the meter does, and one node can use what another has not used.

use std::num::NonZeroU32;
use std::time::Duration;

use access::{Mono, Tokens};
use meter::limiter::sharing::{SharedTokenLimit, SharedTokens};
use meter::limiter::tokens::{TokenAlgorithm, TokenCount, TokenLimitTerms, TokenUnit, TokenUse};
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, Script};
use tokio::time::Instant;

use super::faults::eventually;
use super::grants::{Node, nodes};
use super::script::{Numbers, clocked, with_functions, without_expiry};
use super::{DAY, PATIENT};
use crate::redis::Redis;

const TAKE_WINDOW: &str = include_str!("../../../src/windows/take_tokens_window.lua");
const TAKE_BUCKET: &str = include_str!("../../../src/windows/take_tokens_bucket.lua");
const SETTLE: &str = include_str!("../../../src/windows/settle_tokens.lua");

/// The scripts with the time of the test.
struct Clocked {
    take_window: Script,
    take_bucket: Script,
    settle: Script,
}

impl Clocked {
    /// Returns whether the tokens were counted, the number that is left, and the time at which they count.
    async fn take(
        &self,
        connection: &mut MultiplexedConnection,
        terms: TokenLimitTerms,
        tokens: Tokens,
        now_ms: u64,
    ) -> (bool, u64, u64) {
        let time = [now_ms / 1_000, now_ms % 1_000 * 1_000];
        match terms.algorithm() {
            TokenAlgorithm::SlidingWindow { length_ms } => {
                let mut call = self.take_window.key("count");
                call.arg(terms.limit()).arg(length_ms).arg(tokens.0).arg(time[0]).arg(time[1]);
                let [counted_ms, counted, left, ..]: [u64; 5] = call.invoke_async(connection).await.unwrap();
                (counted == 1, left, counted_ms)
            }
            TokenAlgorithm::TokenBucket { burst, .. } => {
                let mut call = self.take_bucket.key("count");
                let nanos = |tokens| terms.refill_nanos(tokens);
                call.arg(nanos(Tokens(burst.get().into()))).arg(nanos(tokens)).arg(time[0]).arg(time[1]);
                let [_, counted, full]: [u64; 3] = call.invoke_async(connection).await.unwrap();
                let now = Mono(now_ms * 1_000_000);
                (counted == 1, TokenCount::Bucket(Mono(now.0 + full)).left(terms, now).0, 0)
            }
        }
    }

    async fn settle(
        &self,
        connection: &mut MultiplexedConnection,
        terms: TokenLimitTerms,
        used: TokenUse,
        now_ms: u64,
    ) {
        let mut call = self.settle.key("count");
        match terms.algorithm() {
            TokenAlgorithm::SlidingWindow { length_ms } => {
                call.arg(terms.limit()).arg(length_ms).arg(used.counted_ms).arg(used.reserved.0).arg(used.used.0);
            }
            TokenAlgorithm::TokenBucket { .. } => {
                call.arg(0).arg(0).arg(0).arg(terms.refill_nanos(used.reserved)).arg(terms.refill_nanos(used.used));
            }
        }
        call.arg(now_ms / 1_000).arg(now_ms % 1_000 * 1_000);
        call.invoke_async::<()>(connection).await.unwrap();
    }
}

fn number(value: u32) -> NonZeroU32 {
    NonZeroU32::new(value).unwrap()
}

#[tokio::test]
async fn the_scripts_of_tokens_count_as_the_meter_does() {
    let redis = Redis::start().await;
    let mut connection = redis.connection().await;
    let script = |text: &str| clocked(&without_expiry(&with_functions(text)));
    let scripts =
        Clocked { take_window: script(TAKE_WINDOW), take_bucket: script(TAKE_BUCKET), settle: script(SETTLE) };
    let mut numbers = Numbers(7);
    let minute = Duration::from_secs(60);
    for terms in [
        TokenLimitTerms::sliding_window(TokenUnit::All, number(200_000), minute),
        TokenLimitTerms::sliding_window(TokenUnit::All, number(1_000_000_000), DAY),
        TokenLimitTerms::token_bucket(TokenUnit::All, number(200_000), minute, number(50_000)),
    ] {
        connection.del::<_, ()>("count").await.unwrap();
        let mut count = TokenCount::unused(terms);
        let mut now_ms = 1_800_000_000_000_u64;
        let mut open: Vec<TokenUse> = Vec::new();
        for step in 0..300 {
            now_ms += numbers.below(20_000);
            let now = Mono(now_ms * 1_000_000);
            let reserved = Tokens(1 + numbers.below(u64::from(terms.at_once()) / 3));
            let (is_counted, left, counted_ms) = scripts.take(&mut connection, terms, reserved, now_ms).await;
            // Redis computes buckets with doubles: at most one token more.
            let admits = count.admits(terms, reserved, now);
            assert!(
                is_counted == admits || count.left(terms, now).0.abs_diff(reserved.0) <= 1,
                "{terms:?} step {step}"
            );
            if is_counted {
                assert_eq!(count.add(terms, reserved, now), counted_ms, "{terms:?} step {step}");
                open.push(TokenUse { counted_ms, reserved, used: reserved });
            }
            assert_eq!(left, count.left(terms, now).0, "{terms:?} step {step}");
            // A call ends now or much later, with less or more tokens.
            if numbers.below(3) > 0 && !open.is_empty() {
                let ended = usize::try_from(numbers.below(open.len() as u64)).unwrap();
                let ended = TokenUse { used: Tokens(numbers.below(u64::from(terms.at_once()))), ..open.remove(ended) };
                count.settle(terms, ended, now);
                scripts.settle(&mut connection, terms, ended, now_ms).await;
            }
        }
    }
}

async fn take(node: &Node, terms: TokenLimitTerms, tokens: u64) -> Option<SharedTokens> {
    let limit = SharedTokenLimit { id: b"test", key: b"key", terms };
    let pending = node.sharing.take_tokens(&limit, Tokens(tokens)).unwrap();
    let result = tokio::time::timeout(PATIENT, pending.result()).await.unwrap();
    result.unwrap().ok().map(|(_, tokens)| tokens)
}

#[tokio::test]
async fn what_a_call_has_not_used_or_not_waited_for_is_left_to_another_node() {
    let redis = Redis::start().await;
    let [first, second] = nodes(&redis).await;
    for terms in [
        TokenLimitTerms::sliding_window(TokenUnit::All, number(1_000), DAY),
        TokenLimitTerms::token_bucket(TokenUnit::Input, number(1_000), DAY, number(1_000)),
    ] {
        let counted = take(&first, terms, 900).await.unwrap();
        assert!(take(&second, terms, 200).await.is_none());
        first.sharing.settle_tokens(counted, Tokens(100));
        // Sent later on the same connection, so Redis has settled the call when it answers.
        drop(take(&first, terms, 1).await.unwrap());
        assert!(take(&second, terms, 900).await.is_none());
        let pending = first.sharing.take_tokens(&SharedTokenLimit { id: b"test", key: b"key", terms }, Tokens(500));
        drop(take(&first, terms, 1).await.unwrap());
        // Another limit has refused the call.
        drop(pending);
        drop(take(&first, terms, 1).await.unwrap());
        let counted = take(&second, terms, 897).await.expect("103 tokens are used");
        second.sharing.settle_tokens(counted, Tokens(2_000));
        drop(take(&second, terms, 1).await);
        assert!(take(&first, terms, 1).await.is_none(), "more than the limit is used");
        let mut connection = redis.connection().await;
        let names: Vec<String> = connection.keys("tollgate:{tollgate:*").await.unwrap();
        connection.del::<_, ()>(names).await.unwrap();
    }
}

#[tokio::test]
async fn a_decision_for_which_no_call_waits_any_more_is_undone() {
    let redis = Redis::start().await;
    let first = Node::start(&redis, "first", Duration::from_millis(250)).await;
    let second = Node::start(&redis, "second", PATIENT).await;
    let terms = TokenLimitTerms::sliding_window(TokenUnit::All, number(1_000), DAY);
    redis.signal("-STOP").await;
    let limit = SharedTokenLimit { id: b"test", key: b"key", terms };
    let pending: Vec<_> = (0..3).map(|_| first.sharing.take_tokens(&limit, Tokens(200)).unwrap()).collect();
    eventually("three decisions are late", || !first.windows.is_shared()).await;
    drop(pending);
    redis.signal("-CONT").await;
    let until = Instant::now() + PATIENT;
    while take(&second, terms, 1_000).await.is_none() {
        assert!(Instant::now() < until, "the tokens remain counted");
    }
    assert_eq!(first.windows.sharing_state().unwrap().take_lost_settlements(), 0);
}

#[tokio::test]
async fn a_settlement_without_redis_is_counted_as_lost() {
    let mut redis = Redis::start().await;
    let node = Node::start(&redis, "first", PATIENT).await;
    let terms = TokenLimitTerms::sliding_window(TokenUnit::All, number(1_000), DAY);
    let counted = take(&node, terms, 900).await.unwrap();
    redis.kill().await;
    node.sharing.settle_tokens(counted, Tokens(100));
    let state = node.windows.sharing_state().unwrap();
    eventually("the settlement is lost", || state.take_lost_settlements() == 1).await;
}
