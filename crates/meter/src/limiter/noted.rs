//! The keys of a rule that have used a quarter of their limit, and those that were refused. Operators see them; no
//! decision depends on them.
//!
//! A counted request notes its key only when it reaches a quarter of the limit. No request waits here: while another
//! request is noted, a key is not.

use std::cmp::Reverse;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use access::Mono;
use rustc_hash::FxHashMap;

use super::LimitTerms;
use crate::rate::RateLevel;

/// Maximum number of noted keys of a rule.
const NOTED_MAX: usize = 512;
/// Maximum number of bytes of a noted key. A longer key is noted without its bytes.
const KEY_BYTES_MAX: usize = 256;
/// The part of a limit from which its use is noted: 1 / 4.
const NOTED_PART: u32 = 4;
/// Interval at which a full list is searched for keys that need no note.
const SWEEP: Duration = Duration::from_secs(1);
/// Time for which a refused key stays noted.
const REFUSED_FOR: Duration = Duration::from_secs(60);

/// The noted keys of one rule.
#[derive(Debug, Default)]
pub(super) struct NotedKeys(Mutex<NotedMap>);

#[derive(Debug, Default)]
struct NotedMap {
    keys: FxHashMap<u64, NotedKey>,
    sweep_at: Mono,
}

#[derive(Debug)]
struct NotedKey {
    key: Option<Box<[u8]>>,
    terms: LimitTerms,
    refused: u32,
    noted_at: Mono,
}

/// A request whose key is noted.
#[derive(Debug, Clone, Copy)]
pub(super) struct NotedRequest {
    /// The number that identifies the key.
    pub(super) tag: u64,
    pub(super) terms: LimitTerms,
    /// One if the request was refused, otherwise zero.
    pub(super) refused: u32,
    pub(super) now: Mono,
}

/// The state of a key that is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusyKey {
    /// The values of the dimensions, as they were counted; `None` if they are too long.
    pub key: Option<Box<[u8]>>,
    /// The limit of the key.
    pub terms: LimitTerms,
    /// The state of its counter in this process.
    pub level: RateLevel,
    /// The minimum number of its requests that were refused since it was noted.
    pub refused: u32,
}

impl BusyKey {
    /// Returns the number of requests that the counter has counted.
    #[must_use]
    pub const fn used(&self) -> u32 {
        self.terms.at_once().saturating_sub(self.level.remaining)
    }

    /// Returns the used part of the limit, in thousandths.
    #[must_use]
    pub fn fullness(&self) -> u64 {
        u64::from(self.used()) * 1_000 / u64::from(self.terms.at_once().max(1))
    }
}

/// Whether a counted request has just reached the part of its limit from which it is noted.
pub(super) const fn reaches(terms: LimitTerms, remaining: u32) -> bool {
    let most = terms.at_once();
    remaining == most - most.div_ceil(NOTED_PART)
}

/// Whether a call has left no more of its limit of tokens than the part from which it is noted.
pub(super) const fn is_beyond(terms: LimitTerms, remaining: u32) -> bool {
    let most = terms.at_once();
    remaining <= most - most.div_ceil(NOTED_PART)
}

impl NotedKeys {
    /// Notes the key of a request; `level` returns the state of a key.
    pub(super) fn note(&self, key: &[u8], request: NotedRequest, level: impl Fn(u64, LimitTerms) -> RateLevel) {
        let NotedRequest { tag, terms, refused, now } = request;
        let Ok(mut noted) = self.0.try_lock() else { return };
        if let Some(known) = noted.keys.get_mut(&tag) {
            known.terms = terms;
            known.refused = known.refused.saturating_add(refused);
            known.noted_at = now;
            return;
        }
        if noted.keys.len() >= NOTED_MAX {
            if now < noted.sweep_at {
                return;
            }
            noted.sweep_at = Mono(now.0.saturating_add(u64::try_from(SWEEP.as_nanos()).unwrap_or(u64::MAX)));
            noted.sweep(now, &level);
            if noted.keys.len() >= NOTED_MAX {
                return;
            }
        }
        let key = (key.len() <= KEY_BYTES_MAX).then(|| key.into());
        noted.keys.insert(tag, NotedKey { key, terms, refused, noted_at: now });
    }

    /// Returns the noted keys that are in use, at most `max`: those that have used the largest part of their limit first.
    pub(super) fn busiest(
        &self,
        max: usize,
        now: Mono,
        level: impl Fn(u64, LimitTerms) -> RateLevel,
    ) -> (Vec<BusyKey>, usize) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.sweep(now, &level);
        let busy = |(tag, noted): (&u64, &NotedKey)| BusyKey {
            key: noted.key.clone(),
            terms: noted.terms,
            level: level(*tag, noted.terms),
            refused: noted.refused,
        };
        let mut busy: Vec<BusyKey> = noted.keys.iter().map(busy).collect();
        let all = busy.len();
        busy.sort_by_cached_key(|busy| (Reverse(busy.fullness()), Reverse(busy.refused), busy.key.clone()));
        busy.truncate(max);
        (busy, all)
    }
}

impl NotedMap {
    /// Removes keys that have used less than the noted part, unless they were refused a moment ago.
    fn sweep(&mut self, now: Mono, level: &impl Fn(u64, LimitTerms) -> RateLevel) {
        self.keys.retain(|tag, noted| {
            let most = noted.terms.at_once();
            let is_used = level(*tag, noted.terms).remaining <= most - most.div_ceil(NOTED_PART);
            is_used || (noted.refused > 0 && now.since(noted.noted_at) < REFUSED_FOR)
        });
    }
}
