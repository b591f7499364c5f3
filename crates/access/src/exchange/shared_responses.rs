//! Responses that nodes share through Redis: their names, and the calls of the proxy over a bounded queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};

use crate::time::clock::Timestamp;

/// Maximum length of a stored value in bytes. Larger responses stay on their node.
pub const VALUE_BYTES_MAX: usize = 1 << 20;
/// Maximum number of bytes that wait to be written, over all workers. Further responses are not written.
pub const WAITING_BYTES_MAX: u64 = 16 << 20;
/// Maximum time for which a value remains.
pub const KEPT_MAX: Duration = Duration::from_hours(24);
/// Length of the id of a generation, with which each value begins.
pub const GENERATION_BYTES: usize = 16;
/// A response that another node has received this long after a lost invalidation is used again. Clocks may differ by less.
const CLOCKS_DIFFER: Duration = Duration::from_secs(5);

/// The configuration of a route whose responses are shared. Nodes share responses only if it is equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ResponseScope([u8; 32]);

impl ResponseScope {
    /// Returns the scope of a configuration, of which these are all names and values in one order.
    #[must_use]
    pub fn from_settings(settings: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut digest = Sha256::new();
        for text in settings.into_iter().flat_map(<[String; 2]>::from) {
            // The length separates texts, so that different lists never have the same bytes.
            digest.update(text.len().to_be_bytes());
            digest.update(text);
        }
        Self(digest.finalize().into())
    }

    /// Returns the scope of the part with this number.
    #[must_use]
    pub fn part(&self, number: usize) -> Self {
        Self(digest(&[&self.0, &number.to_be_bytes()]))
    }
}

/// The name of a response: digests, so that Redis and its log contain no URL and no client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedResponseName {
    /// The digest of the scope and the URL, which all responses of the URL have in common.
    pub url: [u8; 32],
    /// The digest of the scope and the whole key.
    pub entry: [u8; 32],
}

impl SharedResponseName {
    /// Returns the name of a response. `key` begins with `url`, and contains all that distinguishes requests.
    #[must_use]
    pub fn new(scope: &ResponseScope, url: &[u8], key: &[u8]) -> Self {
        Self { url: digest(&[&scope.0, url]), entry: digest(&[&scope.0, key]) }
    }

    /// Returns the name of the response to requests with these values of the fields in `Vary`.
    #[must_use]
    pub fn variant(&self, values: &[u8]) -> Self {
        Self { url: self.url, entry: digest(&[&self.entry, values]) }
    }
}

fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut digest = Sha256::new();
    parts.iter().for_each(|part| digest.update(part));
    digest.finalize().into()
}

/// The generation of the responses of a URL. An invalidation begins another one, and values of an earlier one are not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseGeneration {
    /// Random octets that name the generation.
    pub id: [u8; GENERATION_BYTES],
    /// Whether Redis had no generation, so that the first value that is stored brings this one.
    pub is_new: bool,
}

impl ResponseGeneration {
    /// Returns a new generation; `None` if the system returns no random bytes.
    #[must_use]
    pub fn random() -> Option<Self> {
        let mut id = [0; GENERATION_BYTES];
        getrandom::fill(&mut id).ok()?;
        Some(Self { id, is_new: true })
    }
}

/// The result of a look-up.
#[derive(Debug, PartialEq, Eq)]
pub struct SharedResponseLookup {
    /// The generation of the URL's responses now.
    pub generation: ResponseGeneration,
    /// The value of this generation; `None` if Redis has no such value.
    pub value: Option<Vec<u8>>,
}

/// A call of Redis.
#[derive(Debug)]
pub enum SharedResponseCall {
    /// Looks up a value.
    Find {
        /// The name of the value.
        name: SharedResponseName,
        /// Receives the result; `None` if Redis is unavailable.
        reply: oneshot::Sender<Option<SharedResponseLookup>>,
    },
    /// Stores a value of a generation.
    Store {
        /// The name of the value.
        name: SharedResponseName,
        /// The generation that the look-up has returned.
        generation: ResponseGeneration,
        /// The value, which begins with the id of the generation.
        value: WaitingValue,
        /// The time for which it remains.
        kept: Duration,
    },
    /// Begins another generation of the responses of a URL.
    Invalidate {
        /// The name of a response of the URL.
        name: SharedResponseName,
        /// Receives whether it is done.
        reply: oneshot::Sender<bool>,
    },
}

/// A value that waits to be written. Its bytes count until it is dropped.
#[derive(Debug)]
pub struct WaitingValue {
    bytes: Vec<u8>,
    state: Arc<SharedResponseState>,
}

impl WaitingValue {
    /// Returns the bytes of the value.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn waiting(&self) -> u64 {
        u64::try_from(self.bytes.len()).unwrap_or(u64::MAX)
    }
}

impl Drop for WaitingValue {
    fn drop(&mut self) {
        self.state.waiting_bytes.fetch_sub(self.waiting(), Ordering::Relaxed);
    }
}

/// The results of look-ups and writes, as metrics count them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SharedResponseResult {
    /// A response was found and used.
    Hit,
    /// No response was found that the request may use.
    Miss,
    /// Redis did not respond in time.
    Unavailable,
    /// A response was written.
    Written,
    /// A response was not written: it is too large, too many wait, or Redis is unavailable.
    Unwritten,
}

impl SharedResponseResult {
    /// All results, in the order of their counts.
    pub const ALL: [Self; 5] = [Self::Hit, Self::Miss, Self::Unavailable, Self::Written, Self::Unwritten];

    /// Returns the result as metrics have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Unavailable => "unavailable",
            Self::Written => "written",
            Self::Unwritten => "unwritten",
        }
    }
}

#[derive(Debug, Default)]
struct SharedResponseState {
    waiting_bytes: AtomicU64,
    counts: [AtomicU64; SharedResponseResult::ALL.len()],
    /// The time of the last invalidation that did not reach Redis, in microseconds; 0 if each did.
    lost_at: AtomicU64,
    is_used: AtomicBool,
}

/// The sending side of the queue. Clones share the counts.
#[derive(Debug, Clone)]
pub struct SharedResponses {
    queue: mpsc::Sender<SharedResponseCall>,
    state: Arc<SharedResponseState>,
}

impl SharedResponses {
    /// Creates the sending side of `queue`.
    #[must_use]
    pub fn new(queue: mpsc::Sender<SharedResponseCall>) -> Self {
        Self { queue, state: Arc::default() }
    }

    /// Looks up a value; `None` if Redis is unavailable or the queue is full. The caller limits the time. The future may be
    /// cancelled at any point.
    pub async fn find(&self, name: SharedResponseName) -> Option<SharedResponseLookup> {
        self.use_it();
        let (reply, found) = oneshot::channel();
        self.queue.try_send(SharedResponseCall::Find { name, reply }).ok()?;
        found.await.ok().flatten()
    }

    /// Stores a value, which begins with the id of the generation, without waiting for Redis.
    pub fn store(&self, name: SharedResponseName, generation: ResponseGeneration, bytes: Vec<u8>, kept: Duration) {
        let is_fit = bytes.len() <= VALUE_BYTES_MAX + GENERATION_BYTES;
        let value = WaitingValue { bytes, state: self.state.clone() };
        let waiting = self.state.waiting_bytes.fetch_add(value.waiting(), Ordering::Relaxed);
        let is_fit = is_fit && waiting.saturating_add(value.waiting()) <= WAITING_BYTES_MAX;
        let kept = kept.min(KEPT_MAX);
        // A value that is not sent is dropped here, and no longer waits.
        let call = SharedResponseCall::Store { name, generation, value, kept };
        if !is_fit || self.queue.try_send(call).is_err() {
            self.count(SharedResponseResult::Unwritten);
        }
    }

    /// Begins another generation of the responses of a URL. Returns false if this did not reach Redis; the caller then notes
    /// it with [`Self::lose`]. The caller limits the time.
    pub async fn invalidate(&self, name: SharedResponseName) -> bool {
        let (reply, done) = oneshot::channel();
        self.queue.try_send(SharedResponseCall::Invalidate { name, reply }).is_ok() && done.await.unwrap_or(false)
    }

    /// Notes that an invalidation did not reach Redis: this node uses no value from before `now`.
    pub fn lose(&self, now: Timestamp) {
        self.state.lost_at.fetch_max(now.0, Ordering::Relaxed);
    }

    /// Whether this node may use a response that a node has received at `at`.
    #[must_use]
    pub fn may_use(&self, at: Timestamp) -> bool {
        match self.state.lost_at.load(Ordering::Relaxed) {
            0 => true,
            lost_at => at > Timestamp(lost_at).after(CLOCKS_DIFFER),
        }
    }

    /// Notes that a route shares its responses.
    pub fn use_it(&self) {
        self.state.is_used.store(true, Ordering::Relaxed);
    }

    /// Whether a route has shared its responses since the start.
    #[must_use]
    pub fn is_used(&self) -> bool {
        self.state.is_used.load(Ordering::Relaxed)
    }

    /// Counts a result of a call.
    pub fn count(&self, result: SharedResponseResult) {
        if let Some((_, count)) = self.counted().find(|(known, _)| *known == result) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns how often each result was counted.
    pub fn counts(&self) -> impl Iterator<Item = (SharedResponseResult, u64)> {
        self.counted().map(|(result, count)| (result, count.load(Ordering::Relaxed)))
    }

    fn counted(&self) -> impl Iterator<Item = (SharedResponseResult, &AtomicU64)> {
        SharedResponseResult::ALL.into_iter().zip(&self.state.counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(settings: &[(&str, &str)]) -> ResponseScope {
        ResponseScope::from_settings(settings.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())))
    }

    fn name(key: &str) -> SharedResponseName {
        SharedResponseName::new(&scope(&[("ttl", "1s")]), b"http://h/a", key.as_bytes())
    }

    #[test]
    fn scopes_differ_by_each_name_and_value() {
        let settings = [("ab", "c"), ("d", "")];
        assert_eq!(scope(&settings), scope(&settings));
        for other in
            [&[("ab", "c")][..], &[("a", "bc"), ("d", "")], &[("ab", "c"), ("", "d")], &[("d", ""), ("ab", "c")]]
        {
            assert_ne!(scope(other), scope(&settings), "{other:?}");
        }
    }

    #[test]
    fn names_differ_by_configuration_url_key_and_variant() {
        let scope = scope(&[("ttl", "1s")]);
        let other = SharedResponseName::new(&scope.part(1), b"http://h/a", b"a");
        let names = [name("a"), name("b"), other, name("a").variant(b"x"), name("a").variant(b"y")];
        for (nth, one) in names.iter().enumerate() {
            assert!(names.iter().skip(nth + 1).all(|next| next.entry != one.entry), "{nth}");
        }
        assert_eq!((name("a").url, name("a").variant(b"x").url), (name("b").url, name("b").url));
        assert_ne!(name("a").url, other.url);
    }

    #[tokio::test]
    async fn waiting_values_and_the_queue_have_bounds() {
        let (queue, mut calls) = mpsc::channel(20);
        let shared = SharedResponses::new(queue);
        let generation = ResponseGeneration::random().unwrap();
        let store = |bytes| shared.store(name("a"), generation, vec![0; bytes], Duration::MAX);
        let unwritten = || shared.counts().last().unwrap().1;
        store(VALUE_BYTES_MAX + GENERATION_BYTES + 1);
        assert_eq!(unwritten(), 1);
        for _ in 0..16 {
            store(VALUE_BYTES_MAX);
        }
        assert_eq!(unwritten(), 1);
        store(1);
        assert_eq!(unwritten(), 2);
        let Some(SharedResponseCall::Store { value, kept, .. }) = calls.recv().await else { panic!() };
        assert_eq!((value.bytes().len(), kept), (VALUE_BYTES_MAX, KEPT_MAX));
        drop(value);
        store(1);
        assert_eq!(unwritten(), 2);
        for _ in 0..5 {
            store(1);
        }
        assert_eq!(unwritten(), 3, "the queue is full");
        assert_eq!(shared.find(name("a")).await, None);
        assert!(!shared.invalidate(name("a")).await);
    }

    #[test]
    fn a_lost_invalidation_ends_the_use_of_earlier_values() {
        let shared = SharedResponses::new(mpsc::channel(1).0);
        let now = Timestamp(1_700_000_000_000_000);
        assert!(shared.may_use(now));
        shared.lose(now);
        for (after, may) in [(0, false), (5, false), (6, true)] {
            assert_eq!(shared.may_use(now.after(Duration::from_secs(after))), may, "{after}");
        }
    }
}
