//! Counts of many callers under many names, in this process: bounded, each name apart.
//!
//! A name's counts stand in sets of a few, chosen by a hash that nobody can predict. A full set forgets what counts for
//! nothing any more, else who has used the least of its limit: whoever comes from many addresses pushes out its own, and
//! reaches one that is at its limit only by bringing as many others to theirs.

use std::hash::{BuildHasher, Hash, RandomState};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use access::Mono;

use super::{Window, WindowCount, WindowView};

/// The most that is asked at once.
pub const CHECKS_MAX: usize = 4;

/// Counts of one name: 100,000.
const SETS: usize = 12_500;
const WAYS: usize = 8;
/// Names; what comes later shares the last one's room, not its counts.
const NAMES_MAX: usize = 32;

/// One limit that a call is counted against.
#[derive(Debug, Clone, Copy)]
pub struct WindowCheck<'a> {
    /// Which limit: its callers are counted apart from those of any other. One of a few, known at start.
    pub name: &'static str,
    /// Who is counted.
    pub key: &'a str,
    /// Calls in a window.
    pub limit: NonZeroU32,
    /// How long the window is.
    pub window: Duration,
}

/// Whether a call may pass, by the tightest of its limits: the refusing one that lasts longest, else the one with the
/// least left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowLevel {
    /// Whether it may; only then it was counted.
    pub allowed: bool,
    /// Which limit that is; empty where none was asked.
    pub name: &'static str,
    /// Calls in a window.
    pub limit: u32,
    /// How many more may pass now.
    pub remaining: u32,
    /// Until the window ends; where the call may not pass, not before one may.
    pub reset: Duration,
    /// Until one may pass; zero where this one may.
    pub retry_after: Duration,
}

/// The counts.
#[derive(Debug, Default)]
pub struct WindowCounts {
    names: RwLock<Vec<(&'static str, Arc<CounterSets>)>>,
    /// Two, as 64 bits alone would let two callers share a count now and then.
    hashes: [RandomState; 2],
}

#[derive(Debug)]
struct CounterSets(Box<[Mutex<Vec<WindowEntry>>]>);

type Tag = [u64; 2];

#[derive(Debug, Clone, Copy)]
struct WindowEntry {
    tag: Tag,
    window: Window,
    count: WindowCount,
}

/// Where an ask is counted. The first two say in which order sets are locked.
struct SetLocation<'a> {
    name: usize,
    set: usize,
    tag: Tag,
    sets: &'a CounterSets,
}

impl WindowCheck<'_> {
    /// Its limit and length.
    #[must_use]
    pub fn rule(&self) -> Window {
        Window::new(self.limit, self.window)
    }
}

impl WindowLevel {
    /// By the views of a call that was counted against all of `checks`, or against none.
    #[must_use]
    pub fn of(allowed: bool, checks: &[WindowCheck<'_>], views: &[WindowView]) -> Self {
        let named = checks.iter().map(|check| check.name).zip(views.iter().copied());
        let tightest = if allowed {
            named.min_by_key(|(_, view)| view.remaining())
        } else {
            named.max_by_key(|(_, view)| view.retry_after_ms())
        };
        let Some((name, view)) = tightest else {
            let (reset, retry_after) = (Duration::ZERO, Duration::ZERO);
            return Self { allowed, name: "", limit: u32::MAX, remaining: u32::MAX, reset, retry_after };
        };
        Self {
            allowed,
            name,
            limit: view.limit(),
            remaining: view.remaining(),
            reset: Duration::from_millis(view.reset_ms()),
            retry_after: if allowed { Duration::ZERO } else { Duration::from_millis(view.retry_after_ms()) },
        }
    }
}

impl WindowCounts {
    /// Counts a call against all of `checks` (at most [`CHECKS_MAX`]; more are not looked at), or where one refuses it
    /// against none.
    pub fn take(&self, checks: &[WindowCheck<'_>], now: Mono) -> WindowLevel {
        self.look(checks, now, |views| views.iter().all(|view| view.admits()))
    }

    /// Says the same and counts nothing.
    pub fn peek(&self, checks: &[WindowCheck<'_>], now: Mono) -> WindowLevel {
        let level = self.look(checks, now, |_| false);
        WindowLevel { allowed: level.retry_after.is_zero(), ..level }
    }

    /// Counts a call that passed elsewhere, whatever the limits say.
    pub fn note(&self, checks: &[WindowCheck<'_>], now: Mono) {
        self.look(checks, now, |_| true);
    }

    fn look(&self, checks: &[WindowCheck<'_>], now: Mono, passes: impl FnOnce(&[WindowView]) -> bool) -> WindowLevel {
        let now_ms = now.0 / 1_000_000;
        let checks = checks.get(..CHECKS_MAX).unwrap_or(checks);
        let named: Vec<(usize, Arc<CounterSets>)> = checks.iter().map(|check| self.sets(check.name)).collect();
        let locations: Vec<SetLocation<'_>> =
            checks.iter().zip(&named).map(|(check, named)| self.location(check, named)).collect();
        let mut locked = lock(&locations);
        let views: Vec<WindowView> = checks
            .iter()
            .zip(&locations)
            .map(|(check, location)| {
                let found =
                    set_of(&mut locked, location).and_then(|set| set.iter().find(|entry| entry.tag == location.tag));
                found.map_or(WindowCount::default(), |entry| entry.count).at(check.rule(), now_ms)
            })
            .collect();
        if !passes(&views) {
            return WindowLevel::of(false, checks, &views);
        }
        let views: Vec<WindowView> = views.into_iter().map(WindowView::counted).collect();
        for ((check, location), view) in checks.iter().zip(&locations).zip(&views) {
            let entry = WindowEntry { tag: location.tag, window: check.rule(), count: view.count() };
            if let Some(set) = set_of(&mut locked, location) {
                store(set, entry, now_ms);
            }
        }
        WindowLevel::of(true, checks, &views)
    }

    /// The sets of a name, and its number.
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

    fn location<'a>(&self, check: &WindowCheck<'_>, (name, sets): &'a (usize, Arc<CounterSets>)) -> SetLocation<'a> {
        let [first, second] = &self.hashes;
        let key = (check.name, check.rule().length_ms(), check.key);
        let tag = [hash(first, key), hash(second, key)];
        let set = usize::try_from(tag[0] % SETS as u64).unwrap_or(0);
        SetLocation { name: *name, set, tag, sets }
    }
}

fn hash(state: &RandomState, key: impl Hash) -> u64 {
    state.hash_one(key)
}

type LockedSets<'a> = Vec<((usize, usize), MutexGuard<'a, Vec<WindowEntry>>)>;

/// The sets of all places, each once, always in the same order: nobody waits for a set while another waits for its own.
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

/// Puts `entry` where it stood, or where the one stood that is missed the least.
fn store(set: &mut Vec<WindowEntry>, entry: WindowEntry, now_ms: u64) {
    if let Some(known) = set.iter_mut().find(|known| known.tag == entry.tag) {
        *known = entry;
        return;
    }
    if set.len() >= WAYS {
        // Of equal ones the first, which came before the others.
        let least = set.iter().enumerate().min_by_key(|(_, entry)| used(entry, now_ms)).map(|(at, _)| at);
        if let Some(least) = least {
            set.remove(least);
        }
    }
    set.push(entry);
}

/// How much of its limit is used, in 1 / 2³².
fn used(entry: &WindowEntry, now_ms: u64) -> u64 {
    let view = entry.count.at(entry.window, now_ms);
    (u64::from(view.limit() - view.remaining()) << 32) / u64::from(view.limit())
}

#[cfg(test)]
mod tests;
