//! A worker's results for credentials that something else has to check: a bounded cache, and one check for all requests
//! that wait for the same credential.

use std::cell::RefCell;
use std::future::Future;
use std::time::Duration;

use access::credentials::basic::CredentialDigest;
use access::{Clock, Mono};
use rustc_hash::FxHashMap;
use tokio::sync::watch;

/// Results by the keyed hash of their credential. If half of the bound is reached, results that were not used since the
/// last time are forgotten.
pub(crate) struct CredentialCache<V> {
    generations: RefCell<Generations<V>>,
    generation_max: usize,
    /// The checks in progress; at most as many as requests in flight.
    flights: RefCell<FxHashMap<CredentialDigest, watch::Receiver<Option<Landing<V>>>>>,
}

/// A result with the time for which it is used.
#[derive(Debug, Clone)]
pub(crate) struct CheckedCredential<V> {
    pub(crate) result: V,
    /// The time for which the result is used; zero if it is not cached.
    pub(crate) keep: Duration,
    /// Whether it is also the result of the requests that wait for it. Otherwise each of them is checked.
    pub(crate) is_shared: bool,
}

/// The end of a check: its result, if it is shared.
type Landing<V> = Option<V>;

struct Generations<V> {
    young: FxHashMap<CredentialDigest, CachedResult<V>>,
    old: FxHashMap<CredentialDigest, CachedResult<V>>,
}

#[derive(Clone)]
struct CachedResult<V> {
    result: V,
    at: Mono,
    keep: Duration,
}

impl<V: Clone> CredentialCache<V> {
    /// Creates a cache of at most `entries_max` results.
    pub(crate) fn new(entries_max: usize) -> Self {
        let generations = RefCell::new(Generations { young: FxHashMap::default(), old: FxHashMap::default() });
        Self { generations, generation_max: (entries_max / 2).max(1), flights: RefCell::default() }
    }

    /// Returns the result for a credential: the cached one, otherwise that of `check`, of which one runs for each
    /// credential. The future may be cancelled at any point; another request then starts the check again.
    pub(crate) async fn find<F>(&self, digest: CredentialDigest, clock: &Clock, check: impl Fn() -> F) -> V
    where
        F: Future<Output = CheckedCredential<V>>,
    {
        loop {
            if let Some(result) = self.get(&digest, clock.mono()) {
                return result;
            }
            let flight = self.flights.borrow().get(&digest).cloned();
            let Some(mut flight) = flight else { return self.check(digest, clock, check()).await };
            let landed = flight.wait_for(Option::is_some).await.ok().and_then(|landed| landed.clone());
            match landed {
                Some(Some(result)) => return result,
                Some(None) => {
                    let checked = check().await;
                    return self.keep(digest, clock, checked);
                }
                // The request that checked the credential was cancelled: the loop checks it again.
                None => {}
            }
        }
    }

    async fn check(
        &self,
        digest: CredentialDigest,
        clock: &Clock,
        check: impl Future<Output = CheckedCredential<V>>,
    ) -> V {
        let (landing, flight) = watch::channel(None);
        self.flights.borrow_mut().insert(digest, flight);
        // Removes the flight even if this future is dropped.
        let _flight = FlightGuard { cache: self, digest };
        let checked = check.await;
        let is_shared = checked.is_shared;
        let result = self.keep(digest, clock, checked);
        landing.send_replace(Some(is_shared.then(|| result.clone())));
        result
    }

    fn keep(&self, digest: CredentialDigest, clock: &Clock, checked: CheckedCredential<V>) -> V {
        let CheckedCredential { result, keep, is_shared: _ } = checked;
        if !keep.is_zero() {
            self.insert(digest, CachedResult { result: result.clone(), at: clock.mono(), keep });
        }
        result
    }

    /// Returns the last result for a credential that was cached, if it is no older than `age_max`.
    pub(crate) fn last(&self, digest: &CredentialDigest, now: Mono, age_max: Duration) -> Option<V> {
        let generations = self.generations.borrow();
        let cached = generations.young.get(digest).or_else(|| generations.old.get(digest));
        cached.filter(|cached| now.since(cached.at) < age_max).map(|cached| cached.result.clone())
    }

    /// Returns the cached result for a credential.
    pub(crate) fn get(&self, digest: &CredentialDigest, now: Mono) -> Option<V> {
        let mut generations = self.generations.borrow_mut();
        let is_used = |cached: &CachedResult<V>| now.since(cached.at) < cached.keep;
        if let Some(cached) = generations.young.get(digest) {
            return is_used(cached).then(|| cached.result.clone());
        }
        let cached = generations.old.get(digest).filter(|cached| is_used(cached))?.clone();
        let result = cached.result.clone();
        generations.old.remove(digest);
        drop(generations);
        self.insert(*digest, cached);
        Some(result)
    }

    fn insert(&self, digest: CredentialDigest, cached: CachedResult<V>) {
        let mut generations = self.generations.borrow_mut();
        if generations.young.len() >= self.generation_max && !generations.young.contains_key(&digest) {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.old.remove(&digest);
        generations.young.insert(digest, cached);
    }
}

struct FlightGuard<'a, V> {
    cache: &'a CredentialCache<V>,
    digest: CredentialDigest,
}

impl<V> Drop for FlightGuard<'_, V> {
    fn drop(&mut self) {
        self.cache.flights.borrow_mut().remove(&self.digest);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use access::Timestamp;
    use access::credentials::basic::DigestKey;
    use tokio::sync::oneshot;

    use super::*;

    const KEEP: Duration = Duration::from_secs(60);

    fn digests(count: usize) -> Vec<CredentialDigest> {
        let key = DigestKey::random().unwrap();
        (0..count).map(|number| key.digest([number.to_be_bytes().as_slice()])).collect()
    }

    fn checked(result: u32, keep: Duration) -> CheckedCredential<u32> {
        CheckedCredential { result, keep, is_shared: true }
    }

    #[tokio::test]
    async fn a_result_is_used_for_its_time_and_another_is_not_cached() {
        let cache = CredentialCache::new(8);
        let clock = Clock::manual(Timestamp(0));
        let digests = digests(2);
        assert_eq!(cache.find(digests[0], &clock, async || checked(1, KEEP)).await, 1);
        assert_eq!(cache.find(digests[0], &clock, async || checked(2, KEEP)).await, 1);
        assert_eq!(cache.find(digests[1], &clock, async || checked(3, Duration::ZERO)).await, 3);
        assert_eq!(cache.find(digests[1], &clock, async || checked(4, Duration::ZERO)).await, 4);
        clock.advance(KEEP);
        assert_eq!(cache.find(digests[0], &clock, async || checked(5, KEEP)).await, 5);
    }

    #[tokio::test]
    async fn the_last_result_remains_known_after_its_time() {
        let cache = CredentialCache::new(8);
        let clock = Clock::manual(Timestamp(0));
        let digests = digests(2);
        cache.find(digests[0], &clock, async || checked(1, KEEP)).await;
        clock.advance(KEEP);
        cache.find(digests[0], &clock, async || checked(2, Duration::ZERO)).await;
        assert_eq!(cache.last(&digests[0], clock.mono(), 2 * KEEP), Some(1), "the second result is not cached");
        assert_eq!(cache.last(&digests[0], clock.mono(), KEEP), None);
        assert_eq!(cache.last(&digests[1], clock.mono(), KEEP), None);
    }

    #[tokio::test]
    async fn cached_results_are_bounded_and_those_in_use_remain() {
        let cache = CredentialCache::new(10);
        let clock = Clock::manual(Timestamp(0));
        let digests = digests(200);
        for (number, digest) in digests.iter().enumerate() {
            let number = u32::try_from(number).unwrap();
            assert_eq!(cache.find(*digest, &clock, async || checked(number, KEEP)).await, number);
            assert_eq!(cache.find(digests[0], &clock, async || checked(999, KEEP)).await, 0);
            let generations = cache.generations.borrow();
            assert!(generations.young.len() + generations.old.len() <= 10);
        }
    }

    #[tokio::test]
    async fn one_check_serves_all_requests_and_a_cancelled_one_is_repeated() {
        let cache = CredentialCache::new(8);
        let clock = Clock::manual(Timestamp(0));
        let digest = digests(1)[0];
        let checks = Cell::new(0);
        let mut context = Context::from_waker(Waker::noop());
        let (reply, answer) = oneshot::channel::<()>();
        let answer = RefCell::new(Some(answer));
        let check = || {
            checks.set(checks.get() + 1);
            let answer = answer.take();
            async move {
                if let Some(answer) = answer {
                    answer.await.unwrap();
                }
                checked(7, KEEP)
            }
        };
        let mut first = Box::pin(cache.find(digest, &clock, check));
        let mut second = pin!(cache.find(digest, &clock, check));
        assert!(first.as_mut().poll(&mut context).is_pending() && second.as_mut().poll(&mut context).is_pending());
        assert_eq!(checks.get(), 1);
        drop(first);
        assert_eq!(second.as_mut().poll(&mut context), Poll::Ready(7));
        assert_eq!(checks.get(), 2);
        assert!(reply.send(()).is_err());
    }

    #[tokio::test]
    async fn a_result_that_is_not_shared_is_that_of_one_request_only() {
        let cache = CredentialCache::new(8);
        let clock = Clock::manual(Timestamp(0));
        let digest = digests(1)[0];
        let (reply, answer) = oneshot::channel::<()>();
        let first = cache.find(digest, &clock, {
            let answer = Cell::new(Some(answer));
            move || {
                let answer = answer.take();
                async move {
                    answer.unwrap().await.unwrap();
                    CheckedCredential { is_shared: false, ..checked(1, Duration::ZERO) }
                }
            }
        });
        let second = cache.find(digest, &clock, async || checked(2, Duration::ZERO));
        let (first, second, ()) = tokio::join!(first, second, async { reply.send(()).unwrap() });
        assert_eq!((first, second), (1, 2));
    }
}
