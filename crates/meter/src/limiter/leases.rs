//! Requests that Redis has granted to this node ahead of use, by key. Spending a grant needs no call of Redis.
//!
//! Losing a grant is always safe: Redis counts it as used. A key for which there is no place gets no grants ahead.

use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use access::Mono;
use rustc_hash::FxHashMap;

use super::RequestTerms;
use crate::rate::{RateExceeded, RateLevel};

/// Number of parts with a lock each.
const PARTS: usize = 64;
/// Maximum number of keys of one part.
const KEYS_MAX: usize = 2_048;
/// Interval at which a full part is searched for keys without a use.
const SWEEP: Duration = Duration::from_secs(1);
/// Time after which the reply to a request for a batch counts as lost.
const REPLY_MAX: Duration = Duration::from_millis(100);
/// Maximum time for which a refusal of Redis is applied without asking again.
const REFUSAL_MAX: Duration = Duration::from_millis(500);
/// A batch is at most this part of a limit, divided by the number of nodes. With half a batch that is left when the next
/// one arrives, nodes then hold at most 3 % of a limit.
const BATCHES: u32 = 50;

/// The grants of one rule.
#[derive(Debug, Default)]
pub(super) struct KeyLeases(OnceLock<Box<[Mutex<Part>; PARTS]>>);

#[derive(Debug, Default)]
struct Part {
    keys: FxHashMap<u64, KeyLease>,
    sweep_at: Mono,
}

/// The grants of one key.
#[derive(Debug, Clone, Copy, Default)]
struct KeyLease {
    /// Two, because a batch is requested before the previous one is used up.
    lots: [Lot; 2],
    /// The requests that Redis had left after the last grant.
    left: u32,
    /// Until then, a batch is requested.
    asked_until: Mono,
    refusal: Option<LeaseRefusal>,
}

/// docs/rate-limits.md has this figure. A map has a power of two of places, of which 7/8 are used, with one further byte
/// each.
const _: () = assert!(PARTS * (KEYS_MAX * 2) * (size_of::<(u64, KeyLease)>() + 1) < 28_000_000);

/// Requests of one grant.
#[derive(Debug, Clone, Copy, Default)]
struct Lot {
    requests: u32,
    /// The time of Redis at which the requests count; zero without a window.
    counted_ms: u64,
    until: Mono,
}

#[derive(Debug, Clone, Copy)]
struct LeaseRefusal {
    /// The time at which a request may pass.
    retry_at: Mono,
    reset_at: Mono,
    ask_at: Mono,
}

/// A grant of Redis; zero requests are a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrantedRequests {
    /// The number of requests that Redis has counted for this node.
    pub requests: u32,
    /// The time of Redis at which they count in a window; zero without a window.
    pub counted_ms: u64,
    /// The time for which they are valid: until they leave the window, or until the bucket would be full.
    pub valid: Duration,
    /// The requests that Redis has left.
    pub left: u32,
    /// The time until the limit is reset.
    pub reset: Duration,
    /// The time until a request may pass; zero if one may pass now.
    pub retry_after: Duration,
}

/// The result of spending a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseTake {
    /// The request is counted.
    Counted(LeasedRequest),
    /// Redis has refused the key, and no request may pass yet.
    Refused(RateExceeded),
    /// The node has no grant: Redis must be asked for this number of requests.
    Short(NonZeroU32),
}

/// A request that was counted in a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeasedRequest {
    /// The level after the request, as this node knows it.
    pub level: RateLevel,
    /// The time of Redis at which the request counts in a window; zero without a window.
    pub counted_ms: u64,
    /// The size of the next batch, if it must be requested now.
    pub refill: Option<NonZeroU32>,
}

impl Lot {
    /// Returns the requests that may be spent now. Those of a token bucket lapse as the bucket refills: otherwise, the
    /// grants of a node would add to a full bucket.
    fn usable(self, terms: RequestTerms, now: Mono) -> u32 {
        let left_nanos = self.until.0.saturating_sub(now.0);
        match terms {
            RequestTerms::SlidingWindow(_) => self.requests * u32::from(left_nanos > 0),
            RequestTerms::TokenBucket(rate) => {
                let most = left_nanos / rate.interval_nanos();
                self.requests.min(u32::try_from(most).unwrap_or(u32::MAX))
            }
        }
    }
}

impl KeyLease {
    fn usable(&self, terms: RequestTerms, now: Mono) -> u32 {
        self.lots.iter().map(|lot| lot.usable(terms, now)).fold(0, u32::saturating_add)
    }

    /// Takes a request from the lot that ends first.
    fn take(&mut self, terms: RequestTerms, now: Mono) -> Option<Lot> {
        let usable = self.lots.iter_mut().filter(|lot| lot.usable(terms, now) > 0);
        let lot = usable.min_by_key(|lot| lot.until)?;
        lot.requests = lot.usable(terms, now) - 1;
        Some(*lot)
    }

    /// Returns the refusal of Redis that still applies.
    fn refused(&self, now: Mono) -> Option<LeaseRefusal> {
        self.refusal.filter(|refusal| now < refusal.ask_at.min(refusal.retry_at))
    }

    /// Adds a grant. If both lots have requests, those of a window join the lot that ends first; of a bucket, the lot with
    /// fewer requests makes place.
    fn add(&mut self, new: Lot, now: Mono) {
        let worth = |lot: &Lot| if now < lot.until { lot.requests } else { 0 };
        let Some(least) = self.lots.iter_mut().min_by_key(|lot| worth(lot)) else { return };
        if new.counted_ms == 0 || worth(least) == 0 {
            *least = new;
        } else if let Some(first) = self.lots.iter_mut().min_by_key(|lot| lot.until) {
            first.requests = first.requests.saturating_add(new.requests);
        }
    }

    fn ask(&mut self, batch: NonZeroU32, now: Mono) -> NonZeroU32 {
        self.asked_until = Mono(now.0.saturating_add(nanos(REPLY_MAX)));
        batch
    }

    /// Returns whether the key needs its place.
    fn is_used(&self, now: Mono) -> bool {
        self.refused(now).is_some()
            || now < self.asked_until
            || self.lots.iter().any(|lot| lot.requests > 0 && now < lot.until)
    }
}

impl KeyLeases {
    /// Counts a request of the key in its grants; `batch` is the size of its grants.
    pub(super) fn take(&self, tag: u64, terms: RequestTerms, batch: NonZeroU32, now: Mono) -> LeaseTake {
        let mut part = self.part(tag);
        let Some(lease) = part.place(tag, now) else { return LeaseTake::Short(NonZeroU32::MIN) };
        if let Some(lot) = lease.take(terms, now) {
            let usable = lease.usable(terms, now);
            let refill = (usable <= batch.get() / 2 && now >= lease.asked_until && lease.refused(now).is_none())
                .then(|| lease.ask(batch, now));
            let remaining = usable.saturating_add(lease.left);
            let level = RateLevel { limit: terms.limit(), remaining, reset: lot.until.since(now) };
            return LeaseTake::Counted(LeasedRequest { level, counted_ms: lot.counted_ms, refill });
        }
        if let Some(refusal) = lease.refused(now) {
            let retry_after = refusal.retry_at.since(now);
            let reset = refusal.reset_at.since(now);
            return LeaseTake::Refused(RateExceeded { limit: terms.limit(), retry_after, reset });
        }
        // Only one request asks for a batch; others of the same moment ask for themselves.
        LeaseTake::Short(if now < lease.asked_until { NonZeroU32::MIN } else { lease.ask(batch, now) })
    }

    /// Adds the requests of a grant that was requested at `sent`, or remembers that Redis refuses the key.
    pub(super) fn add(&self, tag: u64, grant: &GrantedRequests, sent: Mono) {
        let mut part = self.part(tag);
        let Some(lease) = part.place(tag, sent) else { return };
        lease.left = grant.left;
        let after = |time: Duration| Mono(sent.0.saturating_add(nanos(time)));
        lease.refusal = (!grant.retry_after.is_zero()).then(|| LeaseRefusal {
            retry_at: after(grant.retry_after),
            reset_at: after(grant.reset),
            ask_at: after(REFUSAL_MAX),
        });
        if grant.requests > 0 {
            let GrantedRequests { requests, counted_ms, valid, .. } = *grant;
            lease.add(Lot { requests, counted_ms, until: after(valid) }, sent);
        }
    }

    /// Notes that the batch has arrived, or will not arrive.
    pub(super) fn end_ask(&self, tag: u64) {
        if let Some(lease) = self.part(tag).keys.get_mut(&tag) {
            lease.asked_until = Mono(0);
        }
    }

    /// Undoes a request that was counted in a window: its grant can be spent again.
    pub(super) fn give_back(&self, tag: u64, counted_ms: u64) {
        if let Some(lease) = self.part(tag).keys.get_mut(&tag) {
            let lots = lease.lots.iter_mut().filter(|lot| lot.counted_ms == counted_ms);
            if let Some(lot) = lots.max_by_key(|lot| lot.until) {
                lot.requests = lot.requests.saturating_add(1);
            }
        }
    }

    #[expect(clippy::indexing_slicing, reason = "a remainder is below its divisor")]
    fn part(&self, tag: u64) -> MutexGuard<'_, Part> {
        let parts = self.0.get_or_init(|| Box::new(std::array::from_fn(|_| Mutex::default())));
        let number = usize::try_from(tag >> 32).unwrap_or(0) % PARTS;
        parts[number].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Part {
    /// Returns the place of a key; `None` if all places are in use.
    fn place(&mut self, tag: u64, now: Mono) -> Option<&mut KeyLease> {
        if self.keys.len() >= KEYS_MAX && !self.keys.contains_key(&tag) {
            if now < self.sweep_at {
                return None;
            }
            self.sweep_at = Mono(now.0.saturating_add(nanos(SWEEP)));
            self.keys.retain(|_, lease| lease.is_used(now));
            if self.keys.len() >= KEYS_MAX {
                return None;
            }
        }
        Some(self.keys.entry(tag).or_default())
    }
}

/// Returns the number of requests that a node of `nodes` asks for at once.
pub(super) fn batch(most: u32, nodes: NonZeroU32) -> NonZeroU32 {
    NonZeroU32::new(most / BATCHES.saturating_mul(nodes.get())).unwrap_or(NonZeroU32::MIN)
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
