//! Counts of rate limits over sliding windows in this process: for many keys under several names, in bounded memory.
//!
//! The counts of one name are in small sets, selected by an unpredictable hash. A full set evicts a count that no
//! longer matters, or else the one with the smallest part of its limit used. A client with many addresses therefore
//! evicts mostly its own counts; to evict a count that is at its limit, it must bring as many others to their limits.

use std::hash::{BuildHasher, Hash, RandomState};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use access::Mono;

use super::{LOGS_MAX, Window, WindowLog, WindowView, keep_bounded};

/// The maximum number of checks per request.
pub const CHECKS_MAX: usize = 4;

/// Number of sets per name; they hold 100,000 counts, whose logs have at most 32 MB.
const SETS: usize = 12_500;
const WAYS: usize = LOGS_MAX;
/// Maximum number of names. Further names share the sets of the last one, but not its counts.
const NAMES_MAX: usize = 32;

/// One limit that a request is counted against.
#[derive(Debug, Clone, Copy)]
pub struct WindowCheck<'a> {
    /// The name of the limit. Keys of different names are counted separately. The names are few and known at startup.
    pub name: &'static str,
    /// The key that is counted, such as an address.
    pub key: &'a str,
    /// The maximum number of requests per window.
    pub limit: NonZeroU32,
    /// The length of the window.
    pub window: Duration,
}

/// The result of all checks of a request: of the refusing limits the one with the longest wait, otherwise the limit
/// with the fewest remaining requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowLevel {
    /// Whether the request may pass; only then it was counted.
    pub allowed: bool,
    /// The name of that limit; empty without checks.
    pub name: &'static str,
    /// The number of its check; zero without checks.
    pub check: usize,
    /// The maximum number of requests per window.
    pub limit: u32,
    /// The number of requests that may still pass now.
    pub remaining: u32,
    /// The time until the first counted request leaves the window.
    pub reset: Duration,
    /// The time until a request may pass; zero for an admitted request.
    pub retry_after: Duration,
}

/// The counts of all names.
#[derive(Debug, Default)]
pub struct WindowCounts {
    names: RwLock<Vec<(&'static str, Arc<CounterSets>)>>,
    /// Two hashes, because a single hash of 64 bits would occasionally assign one count to two keys.
    hashes: [RandomState; 2],
}

#[derive(Debug)]
struct CounterSets(Box<[Mutex<Vec<WindowEntry>>]>);

type Tag = [u64; 2];

#[derive(Debug)]
struct WindowEntry {
    tag: Tag,
    window: Window,
    log: WindowLog,
}

/// The place of a count. `name` and `set` define the order in which sets are locked.
struct SetLocation<'a> {
    name: usize,
    set: usize,
    tag: Tag,
    sets: &'a CounterSets,
}

impl WindowCheck<'_> {
    /// Returns the limit and length as a window.
    #[must_use]
    pub fn rule(&self) -> Window {
        Window::new(self.limit, self.window)
    }
}

impl WindowLevel {
    /// Returns the result for a request that was counted against all of `checks`, or against none.
    #[must_use]
    pub fn from_checks(allowed: bool, checks: &[WindowCheck<'_>], views: &[WindowView]) -> Self {
        let named = checks.iter().map(|check| check.name).enumerate().zip(views.iter().copied());
        let tightest = if allowed {
            named.min_by_key(|(_, view)| view.remaining)
        } else {
            named.max_by_key(|(_, view)| view.retry_after_ms)
        };
        let Some(((check, name), view)) = tightest else {
            let reset = Duration::ZERO;
            let retry_after = Duration::ZERO;
            return Self { allowed, name: "", check: 0, limit: u32::MAX, remaining: u32::MAX, reset, retry_after };
        };
        Self {
            allowed,
            name,
            check,
            limit: view.limit,
            remaining: view.remaining,
            reset: Duration::from_millis(view.reset_ms),
            retry_after: if allowed { Duration::ZERO } else { Duration::from_millis(view.retry_after_ms) },
        }
    }
}

impl WindowCounts {
    /// Counts a request against all of `checks`, or against none if one refuses it. At most [`CHECKS_MAX`] checks are
    /// used.
    pub fn take(&self, checks: &[WindowCheck<'_>], now: Mono) -> WindowLevel {
        self.look(checks, now, |views| views.iter().all(|view| view.admits()))
    }

    /// Returns the same result without counting the request.
    pub fn peek(&self, checks: &[WindowCheck<'_>], now: Mono) -> WindowLevel {
        let level = self.look(checks, now, |_| false);
        WindowLevel { allowed: level.retry_after.is_zero(), ..level }
    }

    /// Counts a request that another process admitted, without checking the limits.
    pub fn note(&self, checks: &[WindowCheck<'_>], now: Mono) {
        self.look(checks, now, |_| true);
    }

    fn look(&self, checks: &[WindowCheck<'_>], now: Mono, passes: impl FnOnce(&[WindowView]) -> bool) -> WindowLevel {
        let now_ms = now.0 / 1_000_000;
        let checks = checks.get(..CHECKS_MAX).unwrap_or(checks);
        let named: Vec<(usize, Arc<CounterSets>)> = checks.iter().map(|check| self.sets(check.name)).collect();
        let locations: Vec<SetLocation<'_>> =
            checks.iter().zip(&named).map(|(check, (name, sets))| self.location(check, *name, sets)).collect();
        let mut locked = lock(&locations);
        let view = |set: Option<&mut Vec<WindowEntry>>, tag: Tag, window: Window| {
            let known = set.and_then(|set| set.iter().find(|entry| entry.tag == tag));
            known.map_or_else(|| WindowLog::default().view(window, now_ms), |entry| entry.log.view(window, now_ms))
        };
        let views = |locked: &mut LockedSets<'_>| -> Vec<WindowView> {
            let each = checks.iter().zip(&locations);
            each.map(|(check, location)| view(set_of(locked, location), location.tag, check.rule())).collect()
        };
        let before = views(&mut locked);
        if !passes(&before) {
            return WindowLevel::from_checks(false, checks, &before);
        }
        for (check, location) in checks.iter().zip(&locations) {
            if let Some(set) = set_of(&mut locked, location) {
                count(set, location.tag, check.rule(), now_ms);
            }
        }
        WindowLevel::from_checks(true, checks, &views(&mut locked))
    }

    /// Returns the number of a name and its sets.
    fn sets(&self, name: &'static str) -> (usize, Arc<CounterSets>) {
        let find = |names: &[(&'static str, Arc<CounterSets>)]| {
            let at = names.iter().position(|(known, _)| *known == name);
            let at = at.or((names.len() >= NAMES_MAX).then_some(NAMES_MAX - 1))?;
            names.get(at).map(|(_, sets)| (at, sets.clone()))
        };
        if let Some(found) = find(&self.names.read().unwrap_or_else(PoisonError::into_inner)) {
            return found;
        }
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        find(&names).unwrap_or_else(|| {
            let sets = Arc::new(CounterSets((0..SETS).map(|_| Mutex::default()).collect()));
            names.push((name, sets.clone()));
            (names.len() - 1, sets)
        })
    }

    fn location<'a>(&self, check: &WindowCheck<'_>, name: usize, sets: &'a CounterSets) -> SetLocation<'a> {
        let [first, second] = &self.hashes;
        let key = (check.name, check.rule().length_ms(), check.key);
        let tag = [hash(first, key), hash(second, key)];
        let set = usize::try_from(tag[0] % SETS as u64).unwrap_or(0);
        SetLocation { name, set, tag, sets }
    }
}

fn hash(state: &RandomState, key: impl Hash) -> u64 {
    state.hash_one(key)
}

type LockedSets<'a> = Vec<((usize, usize), MutexGuard<'a, Vec<WindowEntry>>)>;

/// Locks the sets of all locations once each and in one order, so that requests cannot deadlock.
fn lock<'a>(locations: &[SetLocation<'a>]) -> LockedSets<'a> {
    let mut order: Vec<&SetLocation<'a>> = locations.iter().collect();
    order.sort_by_key(|location| (location.name, location.set));
    order.dedup_by_key(|location| (location.name, location.set));
    let set = |location: &&SetLocation<'a>| {
        let set = location.sets.0.get(location.set)?.lock().unwrap_or_else(PoisonError::into_inner);
        Some(((location.name, location.set), set))
    };
    order.iter().filter_map(set).collect()
}

fn set_of<'s>(locked: &'s mut LockedSets<'_>, location: &SetLocation<'_>) -> Option<&'s mut Vec<WindowEntry>> {
    locked.iter_mut().find(|(at, _)| *at == (location.name, location.set)).map(|(_, set)| &mut **set)
}

/// Counts a request in the place of its key, or in that of the least important entry of a full set.
fn count(set: &mut Vec<WindowEntry>, tag: Tag, window: Window, now_ms: u64) {
    let known = set.iter_mut().find(|known| known.tag == tag);
    if let Some(known) = known {
        known.window = window;
        known.log.add(window.span(), 1, now_ms);
    } else {
        if set.len() >= WAYS {
            // Of several entries with equal use, the oldest is removed.
            let fullness = |entry: &WindowEntry| entry.log.view(entry.window, now_ms).fullness();
            let least = set.iter().enumerate().min_by_key(|(_, entry)| fullness(entry)).map(|(at, _)| at);
            if let Some(least) = least {
                set.remove(least);
            }
        }
        let mut log = WindowLog::default();
        log.add(window.span(), 1, now_ms);
        set.push(WindowEntry { tag, window, log });
    }
    keep_bounded(set.iter_mut().map(|entry| &mut entry.log));
}

#[cfg(test)]
mod tests;
