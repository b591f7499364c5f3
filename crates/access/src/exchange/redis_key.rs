//! Keys in Redis: their values, and the requests to look them up over a bounded queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Deserialize;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use crate::credentials::key_list::ListedKeyHash;
use crate::people::subject::SubjectText;
use crate::time::clock::Mono;

/// Maximum length of a value in bytes.
pub const VALUE_LEN_MAX: usize = 4_096;
/// Minimum time between two reports of invalid values and refused look-ups.
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// The value of a key: the JSON `{"name": ..., "plan": ...}`. Other members have no effect.
#[derive(Debug, PartialEq, Eq)]
pub struct RedisKey {
    /// The name of the key, under which its requests are recorded.
    pub name: SubjectText<255>,
    /// The name of its plan, which may not exist.
    pub plan: Option<Arc<str>>,
}

/// The reason why a value is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RedisValueError {
    /// The value is too long.
    #[error("the value has more than {VALUE_LEN_MAX} bytes")]
    Length,
    /// The value is not a string of Redis.
    #[error("the value is not a string")]
    Type,
    /// The value is not the expected JSON.
    #[error("the value is not JSON such as {{\"name\": \"acme\", \"plan\": \"pro\"}}, with texts of 1 to 255 bytes")]
    Json,
}

#[derive(Deserialize)]
struct RawValue {
    name: String,
    plan: Option<String>,
}

impl RedisKey {
    /// Parses the value of a key.
    ///
    /// # Errors
    /// [`RedisValueError`].
    pub fn parse(value: &[u8]) -> Result<Self, RedisValueError> {
        if value.len() > VALUE_LEN_MAX {
            return Err(RedisValueError::Length);
        }
        let RawValue { name, plan } = serde_json::from_slice(value).map_err(|_| RedisValueError::Json)?;
        let text = |text: &str| SubjectText::<255>::parse(text).ok_or(RedisValueError::Json);
        let plan = plan.map(|plan| text(&plan).map(|plan| Arc::from(plan.as_str()))).transpose()?;
        Ok(Self { name: text(&name)?, plan })
    }
}

/// The reason why a look-up has no result.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RedisKeyFault {
    /// The queue is full.
    #[error("too many keys are being looked up")]
    Busy,
    /// Redis does not respond.
    #[error("Redis is unavailable")]
    Unavailable,
    /// Redis refuses the command, such as without the permission for it.
    #[error("Redis refuses the look-up: {0}")]
    Refused(Arc<str>),
    /// The key exists, but its value is invalid.
    #[error(transparent)]
    Value(#[from] RedisValueError),
}

/// The result of a look-up: the value, or `None` if the key does not exist.
pub type RedisKeyResult = Result<Option<Arc<RedisKey>>, RedisKeyFault>;

/// A request to look up a key.
#[derive(Debug)]
pub struct RedisKeyLookup {
    /// The beginning of the names of keys, which their hashes follow.
    pub prefix: Arc<str>,
    /// The hash of the key.
    pub hash: ListedKeyHash,
    /// Receives the result. If it is dropped, Redis is unavailable.
    pub reply: oneshot::Sender<RedisKeyResult>,
}

/// The sending side of the queue of look-ups. Clones share the time of the last report.
#[derive(Debug, Clone)]
pub struct RedisKeys {
    queue: mpsc::Sender<RedisKeyLookup>,
    /// The time of the next report, in nanoseconds of the monotonic clock.
    next_report: Arc<AtomicU64>,
}

impl RedisKeys {
    /// Creates the sending side of `queue`.
    #[must_use]
    pub fn new(queue: mpsc::Sender<RedisKeyLookup>) -> Self {
        Self { queue, next_report: Arc::default() }
    }

    /// Looks up a key. The future may be cancelled at any point.
    ///
    /// # Errors
    /// [`RedisKeyFault`].
    pub async fn find(&self, prefix: Arc<str>, hash: ListedKeyHash) -> RedisKeyResult {
        let (reply, answer) = oneshot::channel();
        self.queue.try_send(RedisKeyLookup { prefix, hash, reply }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => RedisKeyFault::Busy,
            mpsc::error::TrySendError::Closed(_) => RedisKeyFault::Unavailable,
        })?;
        answer.await.unwrap_or(Err(RedisKeyFault::Unavailable))
    }

    /// Whether a failure may be logged now: at most one of this process per minute is.
    #[must_use]
    pub fn may_report(&self, now: Mono) -> bool {
        let next = now.0.saturating_add(u64::try_from(REPORT_EVERY.as_nanos()).unwrap_or(u64::MAX));
        let due = self.next_report.load(Ordering::Relaxed);
        due <= now.0 && self.next_report.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_a_name_and_may_have_a_plan() {
        let parse = |text: &str| {
            let key = RedisKey::parse(text.as_bytes());
            key.map(|key| (key.name.as_str().to_owned(), key.plan.map(|plan| plan.to_string())))
        };
        assert_eq!(parse(r#"{"name": "acme", "plan": "pro"}"#), Ok(("acme".into(), Some("pro".into()))));
        assert_eq!(parse(r#"{"name": "acme", "plan": null, "x": 1}"#), Ok(("acme".into(), None)));
        for text in [
            "",
            "acme",
            "{}",
            "[]",
            r#"{"name": ""}"#,
            r#"{"name": 1}"#,
            r#"{"name": "a", "name": "b"}"#,
            r#"{"name": "a", "plan": 1}"#,
            r#"{"name": "a", "plan": ""}"#,
            r#"{"name": "a\u0000"}"#,
            r#"{"name": "a"} x"#,
        ] {
            assert_eq!(parse(text), Err(RedisValueError::Json), "{text}");
        }
        let spaces = |count: usize| format!("{}{}", r#"{"name": "a"}"#, " ".repeat(count));
        assert!(parse(&spaces(VALUE_LEN_MAX - 13)).is_ok());
        assert_eq!(parse(&spaces(VALUE_LEN_MAX - 12)), Err(RedisValueError::Length));
    }

    #[tokio::test]
    async fn a_full_queue_is_busy_and_a_dropped_reply_means_that_redis_is_unavailable() {
        let (queue, mut lookups) = mpsc::channel(1);
        let keys = RedisKeys::new(queue);
        let hash = ListedKeyHash::from_key(b"0123456789abcdef").unwrap();
        let (found, ()) = tokio::join!(keys.find("p:".into(), hash), async {
            let lookup: RedisKeyLookup = lookups.recv().await.unwrap();
            keys.queue.try_send(RedisKeyLookup { prefix: "q:".into(), hash, reply: oneshot::channel().0 }).unwrap();
            assert_eq!(keys.find("p:".into(), hash).await, Err(RedisKeyFault::Busy));
            drop(lookup);
        });
        assert_eq!(found, Err(RedisKeyFault::Unavailable));
        drop(lookups);
        assert_eq!(keys.find("p:".into(), hash).await, Err(RedisKeyFault::Unavailable));
    }

    #[test]
    fn one_failure_per_minute_is_reported() {
        let keys = RedisKeys::new(mpsc::channel(1).0);
        let other = keys.clone();
        let at = |seconds: u64| Mono(seconds * 1_000_000_000);
        let reports =
            [0, 1, 59, 60, 119, 120].map(|seconds| (keys.may_report(at(seconds)), other.may_report(at(seconds))));
        let yes = (true, false);
        let no = (false, false);
        assert_eq!(reports, [yes, no, no, yes, no, yes]);
    }
}
