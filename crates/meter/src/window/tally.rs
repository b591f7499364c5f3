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

use super::{Count, View, Window};

/// The most that is asked at once.
pub const ASKS_MAX: usize = 4;

/// Counts of one name: 100,000.
const SETS: usize = 12_500;
const WAYS: usize = 8;
/// Names; what comes later shares the last one's room, not its counts.
const NAMES_MAX: usize = 32;

/// One limit that a call is counted against.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
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
pub struct Level {
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
pub struct Tally {
    names: RwLock<Vec<(&'static str, Arc<Sets>)>>,
    /// Two, as 64 bits alone would let two callers share a count now and then.
    hashes: [RandomState; 2],
}

#[derive(Debug)]
struct Sets(Box<[Mutex<Vec<Entry>>]>);

type Tag = [u64; 2];

#[derive(Debug, Clone, Copy)]
struct Entry {
    tag: Tag,
    window: Window,
    count: Count,
}

/// Where an ask is counted. The first two say in which order sets are locked.
struct Place<'a> {
    name: usize,
    set: usize,
    tag: Tag,
    sets: &'a Sets,
}

impl Ask<'_> {
    /// Its limit and length.
    #[must_use]
    pub fn rule(&self) -> Window {
        Window::new(self.limit, self.window)
    }
}

impl Level {
    /// By the views of a call that was counted against all of `asks`, or against none.
    #[must_use]
    pub fn of(allowed: bool, asks: &[Ask<'_>], views: &[View]) -> Self {
        let named = asks.iter().map(|ask| ask.name).zip(views.iter().copied());
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

impl Tally {
    /// Counts a call against all of `asks` (at most [`ASKS_MAX`]; more are not looked at), or where one refuses it
    /// against none.
    pub fn take(&self, asks: &[Ask<'_>], now: Mono) -> Level {
        self.look(asks, now, |views| views.iter().all(|view| view.admits()))
    }

    /// Says the same and counts nothing.
    pub fn peek(&self, asks: &[Ask<'_>], now: Mono) -> Level {
        let level = self.look(asks, now, |_| false);
        Level { allowed: level.retry_after.is_zero(), ..level }
    }

    /// Counts a call that passed elsewhere, whatever the limits say.
    pub fn note(&self, asks: &[Ask<'_>], now: Mono) {
        self.look(asks, now, |_| true);
    }

    fn look(&self, asks: &[Ask<'_>], now: Mono, passes: impl FnOnce(&[View]) -> bool) -> Level {
        let now_ms = now.0 / 1_000_000;
        let asks = asks.get(..ASKS_MAX).unwrap_or(asks);
        let named: Vec<(usize, Arc<Sets>)> = asks.iter().map(|ask| self.sets(ask.name)).collect();
        let places: Vec<Place<'_>> = asks.iter().zip(&named).map(|(ask, named)| self.place(ask, named)).collect();
        let mut locked = lock(&places);
        let views: Vec<View> = asks
            .iter()
            .zip(&places)
            .map(|(ask, place)| {
                let found = set_of(&mut locked, place).and_then(|set| set.iter().find(|entry| entry.tag == place.tag));
                found.map_or(Count::default(), |entry| entry.count).at(ask.rule(), now_ms)
            })
            .collect();
        if !passes(&views) {
            return Level::of(false, asks, &views);
        }
        let views: Vec<View> = views.into_iter().map(View::counted).collect();
        for ((ask, place), view) in asks.iter().zip(&places).zip(&views) {
            let entry = Entry { tag: place.tag, window: ask.rule(), count: view.count() };
            if let Some(set) = set_of(&mut locked, place) {
                keep(set, entry, now_ms);
            }
        }
        Level::of(true, asks, &views)
    }

    /// The sets of a name, and its number.
    fn sets(&self, name: &'static str) -> (usize, Arc<Sets>) {
        let find = |names: &[(&'static str, Arc<Sets>)]| {
            let at = names.iter().position(|(known, _)| *known == name);
            let at = at.or((names.len() >= NAMES_MAX).then_some(NAMES_MAX - 1))?;
            names.get(at).map(|(_, sets)| (at, sets.clone()))
        };
        if let Some(found) = find(&self.names.read().unwrap_or_else(PoisonError::into_inner)) {
            return found;
        }
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        find(&names).unwrap_or_else(|| {
            let sets = Arc::new(Sets((0..SETS).map(|_| Mutex::default()).collect()));
            names.push((name, sets.clone()));
            (names.len() - 1, sets)
        })
    }

    fn place<'a>(&self, ask: &Ask<'_>, (name, sets): &'a (usize, Arc<Sets>)) -> Place<'a> {
        let [first, second] = &self.hashes;
        let key = (ask.name, ask.rule().length_ms(), ask.key);
        let tag = [hash(first, key), hash(second, key)];
        let set = usize::try_from(tag[0] % SETS as u64).unwrap_or(0);
        Place { name: *name, set, tag, sets }
    }
}

fn hash(state: &RandomState, key: impl Hash) -> u64 {
    state.hash_one(key)
}

type Locked<'a> = Vec<((usize, usize), MutexGuard<'a, Vec<Entry>>)>;

/// The sets of all places, each once, always in the same order: nobody waits for a set while another waits for its own.
fn lock<'a>(places: &[Place<'a>]) -> Locked<'a> {
    let mut order: Vec<&Place<'a>> = places.iter().collect();
    order.sort_by_key(|place| (place.name, place.set));
    order.dedup_by_key(|place| (place.name, place.set));
    let set = |place: &&Place<'a>| {
        let set = place.sets.0.get(place.set)?.lock().unwrap_or_else(PoisonError::into_inner);
        Some(((place.name, place.set), set))
    };
    order.iter().filter_map(set).collect()
}

fn set_of<'s>(locked: &'s mut Locked<'_>, place: &Place<'_>) -> Option<&'s mut Vec<Entry>> {
    locked.iter_mut().find(|(at, _)| *at == (place.name, place.set)).map(|(_, set)| &mut **set)
}

/// Puts `entry` where it stood, or where the one stood that is missed the least.
fn keep(set: &mut Vec<Entry>, entry: Entry, now_ms: u64) {
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
fn used(entry: &Entry, now_ms: u64) -> u64 {
    let view = entry.count.at(entry.window, now_ms);
    (u64::from(view.limit() - view.remaining()) << 32) / u64::from(view.limit())
}

#[cfg(test)]
mod tests;
