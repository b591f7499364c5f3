//! The identification of clients by keys in Redis. Another task looks them up; results are cached.

use std::sync::Arc;
use std::time::Duration;

use access::credentials::key_list::ListedKeyHash;
use access::exchange::redis_key::{RedisKey, RedisKeyFault, RedisKeyResult};
use access::{Refusal, Subject};
use config::snapshot::RedisKeyEntry;
use http::{HeaderValue, header};
use tokio::time::timeout;

use crate::account::request::RequestContext;
use crate::authenticate::identify;
use crate::refusal::problem::Problem;
use crate::worker::credential_cache::CheckedCredential;

/// The time for which a key is not looked up again.
const FOUND_FOR: Duration = Duration::from_secs(10);
/// The time for which a key that does not exist, or whose value is invalid, is refused without a look-up.
const MISSED_FOR: Duration = Duration::from_secs(1);
/// Maximum time since the look-up of a key that is used while Redis is unavailable.
const STALE_FOR: Duration = Duration::from_secs(60);
/// A request waits at most this long for the look-up of its key.
const LOOKUP_MAX: Duration = Duration::from_secs(2);
/// The number of digits of a key's hash in a log line. They find its name in Redis.
const HASH_DIGITS: usize = 12;

/// A client with a key in Redis.
pub(crate) struct RedisKeyClient {
    pub(crate) subject: Subject,
    /// The name of its plan, which exists.
    pub(crate) plan: Option<Arc<str>>,
}

/// Returns the client of a request whose key is in Redis.
pub(crate) async fn identify(request: &RequestContext, entry: &RedisKeyEntry) -> Result<RedisKeyClient, Problem> {
    let hash = ListedKeyHash::from_key(identify::credential(&request.head)?).ok_or_else(malformed)?;
    match find(request, entry, hash).await {
        Ok(Some(key)) => client(request, entry, hash, &key),
        Ok(None) => Err(unknown()),
        Err(fault) => Err(refuse(request, entry, hash, &fault)),
    }
}

/// Returns the cached key, otherwise the result of a look-up. If that fails, the last one is used for a bounded time.
async fn find(request: &RequestContext, entry: &RedisKeyEntry, hash: ListedKeyHash) -> RedisKeyResult {
    let worker = request.worker();
    let clock = &request.worker().shared.clock;
    let Some(key) = &worker.digest_key else {
        return Err(RedisKeyFault::Unavailable);
    };
    let Some(keys) = &worker.shared.redis_keys else {
        return Err(RedisKeyFault::Unavailable);
    };
    let cache = &worker.redis_keys;
    // The value depends on nothing else, so it remains valid with another configuration.
    let digest = key.digest([entry.prefix.as_bytes(), hash.as_bytes()]);
    // A cached key needs no timer.
    if let Some(found) = cache.get(&digest, clock.mono()) {
        return found;
    }
    let look_up = || async {
        let result = keys.find(entry.prefix.clone(), hash).await;
        let keep = match &result {
            Ok(Some(_)) => FOUND_FOR,
            Ok(None) | Err(RedisKeyFault::Value(_)) => MISSED_FOR,
            Err(RedisKeyFault::Busy | RedisKeyFault::Unavailable | RedisKeyFault::Refused(_)) => Duration::ZERO,
        };
        CheckedCredential { result, keep, is_shared: true }
    };
    let found = timeout(LOOKUP_MAX, cache.find(digest, clock, look_up)).await;
    request.read_clock();
    match found.unwrap_or(Err(RedisKeyFault::Unavailable)) {
        Err(fault @ (RedisKeyFault::Busy | RedisKeyFault::Unavailable | RedisKeyFault::Refused(_))) => cache
            .last(&digest, clock.mono(), STALE_FOR)
            .filter(|last| matches!(last, Ok(Some(_))))
            .unwrap_or(Err(fault)),
        found => found,
    }
}

/// Returns the client with a key. A key without a known plan is refused, because no limit would apply to it.
fn client(
    request: &RequestContext,
    entry: &RedisKeyEntry,
    hash: ListedKeyHash,
    key: &RedisKey,
) -> Result<RedisKeyClient, Problem> {
    let plan = key.plan.as_ref().or(entry.plan.as_ref());
    if let Some(plan) = plan
        && !request.snapshot.traffic.plans.iter().any(|known| *known.name == **plan)
    {
        report(request, entry, hash, &format!("the configuration has no plan {plan:?}"));
        return Err(Problem::new(Refusal::Forbidden, "the plan of this key is not a plan of this gateway"));
    }
    let subject = Subject::Token { issuer: entry.name.clone(), sub: key.name.clone() };
    Ok(RedisKeyClient { subject, plan: plan.cloned() })
}

/// The refusal of a credential that is not looked up: it cannot be a key in Redis.
fn malformed() -> Problem {
    let message = "this key is not known: a key has 16 to 4,096 visible ASCII characters";
    Problem::new(Refusal::KeyUnknown, message)
}

fn unknown() -> Problem {
    Problem::new(Refusal::KeyUnknown, "this key is not known: check it, or ask for a new one")
}

fn refuse(request: &RequestContext, entry: &RedisKeyEntry, hash: ListedKeyHash, fault: &RedisKeyFault) -> Problem {
    let problem = match fault {
        RedisKeyFault::Value(error) => {
            report(request, entry, hash, &error.to_string());
            let message = "what this gateway knows about this key is invalid; contact the operator of this server";
            return Problem::new(Refusal::Forbidden, message).because(fault);
        }
        RedisKeyFault::Busy => {
            Problem::new(Refusal::DirectoryBusy, "too many keys are being looked up: try again in a moment")
        }
        RedisKeyFault::Unavailable => unavailable(),
        RedisKeyFault::Refused(_) => {
            report(request, entry, hash, &fault.to_string());
            unavailable()
        }
    };
    problem.header(header::RETRY_AFTER, HeaderValue::from(1)).because(fault)
}

fn unavailable() -> Problem {
    Problem::new(Refusal::Unavailable, "keys cannot be checked at the moment: try again in a moment")
}

/// Logs a cause that the operator can remove, at most one per minute.
fn report(request: &RequestContext, entry: &RedisKeyEntry, hash: ListedKeyHash, cause: &str) {
    let shared = &request.worker().shared;
    if shared.redis_keys.as_ref().is_some_and(|keys| keys.may_report(shared.clock.mono())) {
        let hex = hash.to_hex();
        let entry = entry.name.as_str();
        let hash = hex.get(..HASH_DIGITS).unwrap_or_default();
        tracing::warn!(entry, hash, cause, "a key in Redis is refused");
    }
}
