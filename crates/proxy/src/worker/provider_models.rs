//! The lists of models that providers return, which all workers share.
//!
//! A list is requested again after some minutes, by one task at a time. Requests use the last list meanwhile, and wait only for a
//! first one, for a short time.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustc_hash::FxHashMap;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// Maximum number of lists: one for each provider and credential.
const LISTS_MAX: usize = 256;
/// The age from which a list is requested again.
const FRESH_FOR: Duration = Duration::from_secs(300);
/// The time after a failure in which no list is requested.
const FAILED_FOR: Duration = Duration::from_secs(30);
/// Maximum time for which a request waits for a first list.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(1);

/// The lists by the names of the accounts at providers.
#[derive(Debug, Default)]
pub struct ProviderLists(Mutex<FxHashMap<Box<str>, Arc<ProviderList>>>);

/// The list of one account.
#[derive(Debug, Default)]
struct ProviderList(Mutex<ListState>);

#[derive(Debug, Default)]
struct ListState {
    models: Option<Arc<[Box<str>]>>,
    /// The time from which another list may be requested; `None` before the first one.
    again_from: Option<Instant>,
    /// The task that requests a list. Its sender is dropped at its end, also if the task is cancelled.
    running: Option<watch::Receiver<()>>,
}

/// What a request that needs a list does.
enum Step {
    /// It uses the last list, if any.
    Use(Option<Arc<[Box<str>]>>),
    /// It waits for a first list.
    Wait(watch::Receiver<()>),
    /// It starts the task that requests a list.
    Fetch(Fetch),
}

/// The right to request a list.
struct Fetch {
    list: Arc<ProviderList>,
    /// Ends the waiting of requests when it is dropped.
    _ends: watch::Sender<()>,
}

impl ProviderLists {
    /// Returns the list of an account: the last one, or a first one if it arrives in time; `None` if none is known. `start` starts a
    /// task for the future that it gets. The future may be cancelled at any point.
    pub(crate) async fn get<F>(
        &self,
        account: &str,
        fetch: impl FnOnce() -> F,
        start: impl FnOnce(ListTask<F>),
    ) -> Option<Arc<[Box<str>]>>
    where
        F: Future<Output = Option<Vec<Box<str>>>> + 'static,
    {
        let list = self.list(account)?;
        let until = Instant::now() + WAIT_MAX;
        let mut task = Some((fetch, start));
        loop {
            match ProviderList::step(&list, Instant::now()) {
                Step::Use(models) => return models,
                Step::Wait(mut ended) => {
                    // The sender sends nothing: the end of the task is an error here.
                    if timeout_at(until, ended.changed()).await.is_err() {
                        return None;
                    }
                }
                Step::Fetch(right) => {
                    let known = right.list.lock().models.clone();
                    let (fetch, start) = task.take()?;
                    start(ListTask { right, fetch: fetch() });
                    if known.is_some() {
                        return known;
                    }
                }
            }
        }
    }

    /// Returns the state of an account's list; `None` if too many others are in use.
    fn list(&self, account: &str) -> Option<Arc<ProviderList>> {
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(list) = lists.get(account) {
            return Some(list.clone());
        }
        if lists.len() >= LISTS_MAX {
            let now = Instant::now();
            lists.retain(|_, list| Arc::strong_count(list) > 1 || list.is_fresh(now));
            if lists.len() >= LISTS_MAX {
                return None;
            }
        }
        Some(lists.entry(account.into()).or_default().clone())
    }
}

impl ProviderList {
    fn lock(&self) -> MutexGuard<'_, ListState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_fresh(&self, now: Instant) -> bool {
        self.lock().again_from.is_some_and(|from| now < from)
    }

    fn step(list: &Arc<Self>, now: Instant) -> Step {
        let mut state = list.lock();
        // A dropped sender means that the task has ended.
        let running = state.running.as_ref().filter(|running| running.has_changed().is_ok()).cloned();
        match running {
            Some(running) if state.models.is_none() => return Step::Wait(running),
            Some(_) => return Step::Use(state.models.clone()),
            None => {}
        }
        if state.again_from.is_some_and(|from| now < from) {
            return Step::Use(state.models.clone());
        }
        let (ends, ended) = watch::channel(());
        state.running = Some(ended);
        Step::Fetch(Fetch { list: list.clone(), _ends: ends })
    }

    /// Stores the result of a request. A failure keeps the last list.
    fn settle(&self, models: Option<Vec<Box<str>>>, now: Instant) {
        let mut state = self.lock();
        state.running = None;
        state.again_from = Some(now + if models.is_some() { FRESH_FOR } else { FAILED_FOR });
        if let Some(models) = models {
            state.models = Some(models.into());
        }
    }
}

/// A task that requests a list and stores it.
pub(crate) struct ListTask<F> {
    right: Fetch,
    fetch: F,
}

impl<F: Future<Output = Option<Vec<Box<str>>>>> ListTask<F> {
    /// Requests the list. The code that calls this function limits the time of `fetch`.
    pub(crate) async fn run(self) {
        let Self { right, fetch } = self;
        let models = fetch.await;
        right.list.settle(models, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use tokio::task::{LocalSet, spawn_local};
    use tokio::time::advance;

    use super::*;

    /// A provider whose responses are counted.
    #[derive(Clone, Default)]
    struct CountedProvider {
        requests: Rc<Cell<u32>>,
        delay: Rc<Cell<Duration>>,
        fails: Rc<Cell<bool>>,
    }

    impl CountedProvider {
        async fn names(self, lists: &ProviderLists) -> Option<String> {
            let fetch = || async move {
                self.requests.set(self.requests.get() + 1);
                let number = self.requests.get();
                if !self.delay.get().is_zero() {
                    tokio::time::sleep(self.delay.get()).await;
                }
                (!self.fails.get()).then(|| vec![format!("m{number}").into_boxed_str()])
            };
            let names = lists.get("own", fetch, |task| drop(spawn_local(task.run()))).await;
            names.map(|names| names.join(" "))
        }
    }

    async fn settled() {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_task_requests_a_list_which_is_used_for_some_minutes() {
        let test = async {
            let lists = ProviderLists::default();
            let provider = CountedProvider::default();
            provider.delay.set(Duration::from_millis(100));
            let all = futures_util::future::join_all((0..50).map(|_| provider.clone().names(&lists))).await;
            assert!(all.iter().all(|names| names.as_deref() == Some("m1")), "{all:?}");
            advance(FRESH_FOR - Duration::from_secs(1)).await;
            assert_eq!(provider.clone().names(&lists).await.as_deref(), Some("m1"));
            assert_eq!(provider.requests.get(), 1);
            advance(Duration::from_secs(1)).await;
            assert_eq!(
                provider.clone().names(&lists).await.as_deref(),
                Some("m1"),
                "no request waits for the next list"
            );
            settled().await;
            advance(Duration::from_millis(100)).await;
            settled().await;
            assert_eq!(provider.clone().names(&lists).await.as_deref(), Some("m2"));
        };
        LocalSet::new().run_until(test).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_keeps_the_last_list_and_is_not_repeated_at_once() {
        let test = async {
            let lists = ProviderLists::default();
            let provider = CountedProvider::default();
            assert_eq!(provider.clone().names(&lists).await.as_deref(), Some("m1"));
            provider.fails.set(true);
            advance(FRESH_FOR).await;
            assert_eq!(provider.clone().names(&lists).await.as_deref(), Some("m1"));
            settled().await;
            assert_eq!(provider.clone().names(&lists).await.as_deref(), Some("m1"));
            settled().await;
            assert_eq!(provider.requests.get(), 2);
            advance(FAILED_FOR).await;
            assert_eq!(provider.clone().names(&lists).await.as_deref(), Some("m1"));
            settled().await;
            assert_eq!(provider.requests.get(), 3);
        };
        LocalSet::new().run_until(test).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_provider_delays_a_request_for_a_second() {
        let test = async {
            let lists = ProviderLists::default();
            let provider = CountedProvider::default();
            provider.delay.set(Duration::from_secs(60));
            let begun = Instant::now();
            assert_eq!(provider.clone().names(&lists).await, None);
            assert_eq!(begun.elapsed(), WAIT_MAX);
        };
        LocalSet::new().run_until(test).await;
    }

    #[test]
    fn the_number_of_lists_is_bounded() {
        let lists = ProviderLists::default();
        let used: Vec<_> = (0..LISTS_MAX).map(|number| lists.list(&number.to_string()).unwrap()).collect();
        assert!(lists.list("one more").is_none() && lists.list("7").is_some());
        drop(used);
        assert!(lists.list("one more").is_some());
    }
}
