//! The share of a caller: bytes of buffered bodies, and calls in flight.
//!
//! Bytes have a dynamic threshold, as the shared memory of a switch has: a key may hold more only while twice its own bytes,
//! its user's bytes and everybody's bytes together are at most the bound. The more is free, the more a caller may hold, and
//! some is always free for others:
//! - a key alone may hold a quarter of the bound;
//! - whatever another key or another user holds, a key may hold an eighth of the bound;
//! - each further greedy user halves that.
//!
//! A key may have `in_flight_per_key` calls in flight, and a user twice as many: one key alone leaves half of its user's
//! calls to the user's other keys.

use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use access::{KeyNo, Subject, UserNo, address};
use rustc_hash::{FxBuildHasher, FxHashMap};

/// Workers seldom wait for each other in so many maps.
const SHARDS: usize = 16;
const SHARDS_U64: u64 = SHARDS as u64;
/// Of the bound, a key that is alone may hold one part in so many.
const PARTS_OF_ONE_KEY: u64 = 4;
/// The calls of a user in flight are bounded by this multiple of the bound of a key.
const KEYS_OF_ONE_USER: u32 = 2;

/// Buffered bytes and calls in flight of all callers. Users are divided among shards; the bytes of all users are one sum.
#[derive(Debug)]
pub(super) struct Shares {
    bytes: AtomicU64,
    bytes_max: u64,
    key_calls_max: u32,
    shards: [Mutex<Shard>; SHARDS],
}

/// Callers that hold something.
#[derive(Debug, Default)]
struct Shard {
    groups: FxHashMap<Holder, CallerLoad>,
    members: FxHashMap<Holder, CallerLoad>,
}

/// A subject, or a user with all keys, that has a share.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Holder {
    Key(KeyNo),
    User(UserNo),
    /// A subject that is no key; the address of an anonymous client is its network's.
    Other(Subject),
}

/// The two holders of a subject: a key and its user. Another subject is a group of its own.
#[derive(Debug)]
struct Holders {
    member: Holder,
    group: Holder,
}

impl From<&Subject> for Holders {
    fn from(subject: &Subject) -> Self {
        let other = match subject {
            Subject::Key(caller) => return Self { member: Holder::Key(caller.key), group: Holder::User(caller.user) },
            Subject::Anonymous { address } => Subject::Anonymous { address: address.map(address::network) },
            named @ (Subject::Token { .. } | Subject::Basic { .. } | Subject::Certificate { .. }) => named.clone(),
        };
        Self { member: Holder::Other(other.clone()), group: Holder::Other(other) }
    }
}

/// Buffered bytes and calls in flight of one key or one user.
#[derive(Debug, Default, Clone, Copy)]
struct CallerLoad {
    bytes: u64,
    calls: u32,
}

/// The bound of calls in flight that a caller has reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallBound {
    /// The bound of the key.
    Key(u32),
    /// The bound of the user, over all of the user's keys.
    User(u32),
}

/// Bytes that are held: by a key, by its user, and by everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ByteLevels {
    key: u64,
    user: u64,
    all: u64,
}

/// The share of a key is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ShareExhausted {
    /// Bytes that the key holds.
    pub(crate) holds: u64,
    /// Bytes that it may hold now; less than it holds where others have come since.
    pub(crate) may_hold: u64,
}

impl ByteLevels {
    fn and(self, more: u64) -> Option<Self> {
        Some(Self {
            key: self.key.checked_add(more)?,
            user: self.user.checked_add(more)?,
            all: self.all.checked_add(more)?,
        })
    }

    fn fit(self, bytes_max: u64) -> bool {
        self.sum() <= u128::from(bytes_max)
    }

    fn sum(self) -> u128 {
        2 * u128::from(self.key) + u128::from(self.user) + u128::from(self.all)
    }

    /// The bytes that the key may hold while nobody else changes.
    fn key_max(self, bytes_max: u64) -> u64 {
        let (sum, bound) = (self.sum(), u128::from(bytes_max));
        let parts = u128::from(PARTS_OF_ONE_KEY);
        let max = match bound.checked_sub(sum) {
            Some(free) => u128::from(self.key) + free / parts,
            None => u128::from(self.key).saturating_sub((sum - bound).div_ceil(parts)),
        };
        u64::try_from(max).unwrap_or(u64::MAX)
    }
}

impl Shares {
    pub(super) fn new(bytes_max: u64, key_calls_max: u32) -> Self {
        Self { bytes: AtomicU64::new(0), bytes_max, key_calls_max, shards: Default::default() }
    }

    /// Bytes that everybody holds.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The largest body that a key may ever hold.
    pub(super) const fn body_bytes_max(&self) -> u64 {
        self.bytes_max / PARTS_OF_ONE_KEY
    }

    /// The caller holds `more` bytes besides.
    pub(super) fn grow(&self, subject: &Subject, more: u64) -> Result<(), ShareExhausted> {
        let Holders { member, group } = subject.into();
        let mut shard = self.shard(&group);
        let key = shard.members.get(&member).copied().unwrap_or_default();
        let user = shard.groups.get(&group).copied().unwrap_or_default();
        let levels = |all| ByteLevels { key: key.bytes, user: user.bytes, all };
        let fitting = |all| levels(all).and(more).filter(|after| after.fit(self.bytes_max)).map(|after| after.all);
        match self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fitting) {
            Ok(_) => {
                shard.groups.insert(group, CallerLoad { bytes: user.bytes + more, ..user });
                shard.members.insert(member, CallerLoad { bytes: key.bytes + more, ..key });
                Ok(())
            }
            Err(all) => Err(ShareExhausted { holds: key.bytes, may_hold: levels(all).key_max(self.bytes_max) }),
        }
    }

    /// The caller holds `fewer` bytes of those that it held.
    pub(super) fn shrink(&self, subject: &Subject, fewer: u64) {
        let holders = Holders::from(subject);
        let mut shard = self.shard(&holders.group);
        self.bytes.fetch_sub(fewer, Ordering::Relaxed);
        shard.reduce(&holders, |load| load.bytes = load.bytes.saturating_sub(fewer));
    }

    /// Counts a call of the caller's key and user; an error is the bound that leaves no room for it.
    pub(super) fn enter(&self, subject: &Subject) -> Result<(), CallBound> {
        let user_calls_max = self.key_calls_max.saturating_mul(KEYS_OF_ONE_USER);
        let Holders { member, group } = subject.into();
        let mut shard = self.shard(&group);
        let key = shard.members.get(&member).copied().unwrap_or_default();
        let user = shard.groups.get(&group).copied().unwrap_or_default();
        if key.calls >= self.key_calls_max {
            return Err(CallBound::Key(self.key_calls_max));
        }
        if user.calls >= user_calls_max {
            return Err(CallBound::User(user_calls_max));
        }
        shard.members.insert(member, CallerLoad { calls: key.calls + 1, ..key });
        shard.groups.insert(group, CallerLoad { calls: user.calls + 1, ..user });
        Ok(())
    }

    /// A call that was counted has ended.
    pub(super) fn leave(&self, subject: &Subject) {
        let holders = Holders::from(subject);
        self.shard(&holders.group).reduce(&holders, |load| load.calls = load.calls.saturating_sub(1));
    }

    fn shard(&self, group: &Holder) -> MutexGuard<'_, Shard> {
        let [first, ..] = &self.shards;
        let number = match group {
            Holder::User(user) => user.0.unsigned_abs(),
            Holder::Key(_) | Holder::Other(_) => FxBuildHasher.hash_one(group),
        };
        let at = usize::try_from(number % SHARDS_U64).unwrap_or(0);
        self.shards.get(at).unwrap_or(first).lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn is_empty(&self) -> bool {
        let empty = |shard: &Mutex<Shard>| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.groups.is_empty() && shard.members.is_empty()
        };
        self.bytes() == 0 && self.shards.iter().all(empty)
    }
}

impl Shard {
    /// Reduces what a subject and its group hold. The entry of a holder that holds nothing is removed.
    fn reduce(&mut self, holders: &Holders, reduce: impl Fn(&mut CallerLoad)) {
        for (loads, holder) in [(&mut self.members, &holders.member), (&mut self.groups, &holders.group)] {
            if let Some(load) = loads.get_mut(holder) {
                reduce(load);
                if load.is_empty() {
                    loads.remove(holder);
                }
            }
        }
    }
}

impl CallerLoad {
    const fn is_empty(self) -> bool {
        self.bytes == 0 && self.calls == 0
    }
}

#[cfg(test)]
mod tests {
    use access::{Caller, PlanId, SubjectKind, SubjectName};
    use proptest::prelude::*;

    use super::*;

    const MAX: u64 = 1 << 20;

    fn caller(user: i64, key: i64) -> Subject {
        Subject::Key(Caller { user: UserNo(user), key: KeyNo(key), plan: PlanId::NIL })
    }

    /// The most that `caller` can hold besides, byte by byte.
    fn room(shares: &Shares, caller: &Subject) -> u64 {
        let (mut fits, mut too_much) = (0, MAX + 1);
        while fits + 1 < too_much {
            let middle = u64::midpoint(fits, too_much);
            match shares.grow(caller, middle) {
                Ok(()) => {
                    shares.shrink(caller, middle);
                    fits = middle;
                }
                Err(_) => too_much = middle,
            }
        }
        fits
    }

    #[test]
    fn a_key_alone_holds_a_quarter_and_then_another_an_eighth() {
        let shares = Shares::new(MAX, 1);
        assert_eq!(room(&shares, &caller(1, 1)), MAX / 4);
        shares.grow(&caller(1, 1), MAX / 4).unwrap();
        let refused = shares.grow(&caller(1, 1), 1).unwrap_err();
        assert_eq!(refused, ShareExhausted { holds: MAX / 4, may_hold: MAX / 4 });
        assert_eq!(room(&shares, &caller(1, 2)), MAX / 8, "another key of the same user");
        assert_eq!(room(&shares, &caller(2, 3)), MAX * 3 / 16, "another user's key");
        assert_eq!(shares.body_bytes_max(), MAX / 4);
        shares.shrink(&caller(1, 1), MAX / 4);
        assert!(shares.is_empty());
    }

    #[test]
    fn a_refusal_says_what_the_key_may_hold_among_the_others() {
        let shares = Shares::new(MAX, 1);
        shares.grow(&caller(1, 1), MAX / 4).unwrap();
        shares.grow(&caller(2, 2), MAX / 8).unwrap();
        // 2 * 1/4 + 1/4 + 3/8 is an eighth too much, of which the key answers for a quarter.
        assert_eq!(shares.grow(&caller(1, 1), 1), Err(ShareExhausted { holds: MAX / 4, may_hold: MAX / 4 - MAX / 32 }));
        assert_eq!(shares.grow(&caller(3, 3), u64::MAX).unwrap_err().holds, 0);
    }

    #[test]
    fn calls_in_flight_are_bounded_for_each_key() {
        let shares = Shares::new(MAX, 2);
        shares.enter(&caller(1, 1)).unwrap();
        shares.enter(&caller(1, 1)).unwrap();
        assert_eq!(shares.enter(&caller(1, 1)), Err(CallBound::Key(2)));
        shares.enter(&caller(1, 2)).unwrap();
        for key in [1, 1, 2] {
            shares.leave(&caller(1, key));
        }
        assert!(shares.is_empty());
        assert_eq!(shares.enter(&caller(1, 1)), Ok(()));
    }

    #[test]
    fn calls_in_flight_are_bounded_for_each_user_over_all_keys() {
        let shares = Shares::new(MAX, 2);
        for key in [1, 1, 2, 2] {
            shares.enter(&caller(1, key)).unwrap();
        }
        assert_eq!(shares.enter(&caller(1, 3)), Err(CallBound::User(4)), "a key without calls of its own");
        assert_eq!(shares.enter(&caller(1, 1)), Err(CallBound::Key(2)), "the closest bound is named");
        // The users 1 and 17 are in one shard.
        for (user, key) in [(2, 4), (17, 5)] {
            shares.enter(&caller(user, key)).unwrap();
        }
        // A refused call is not counted: one that ends makes room for exactly one.
        shares.leave(&caller(1, 2));
        shares.enter(&caller(1, 3)).unwrap();
        assert_eq!(shares.enter(&caller(1, 4)), Err(CallBound::User(4)));
        // Bytes of the user keep no place of a call, and calls no bytes.
        shares.grow(&caller(1, 1), 7).unwrap();
        for (user, key) in [(1, 1), (1, 1), (1, 2), (1, 3), (2, 4), (17, 5)] {
            shares.leave(&caller(user, key));
        }
        assert!(!shares.is_empty());
        shares.shrink(&caller(1, 1), 7);
        assert!(shares.is_empty());
    }

    #[test]
    fn subjects_without_a_key_have_shares_of_their_own() {
        let shares = Shares::new(MAX, 1);
        let named = |kind, issuer, name| SubjectName { kind, issuer, name }.subject().unwrap();
        let at = |address: [u16; 8]| Subject::Anonymous { address: Some(address.into()) };
        let subjects = [
            named(SubjectKind::Token, "https://a", "ada"),
            named(SubjectKind::Token, "https://b", "ada"),
            named(SubjectKind::Basic, "", "ada"),
            named(SubjectKind::Certificate, "", "ada"),
            at([0x2001, 0xdb8, 0, 1, 0, 0, 0, 1]),
            at([0x2001, 0xdb8, 0, 2, 0, 0, 0, 1]),
        ];
        for subject in &subjects {
            assert_eq!(room(&shares, subject), MAX / 4, "{subject:?}");
            shares.enter(subject).unwrap();
            assert_eq!(shares.enter(subject), Err(CallBound::Key(1)), "{subject:?}");
        }
        assert_eq!(shares.enter(&at([0x2001, 0xdb8, 0, 1, 9, 9, 9, 9])), Err(CallBound::Key(1)), "of one network");
        subjects.iter().for_each(|subject| shares.leave(subject));
        assert!(shares.is_empty());
    }

    /// What somebody does: a user of three, one of its four keys, and bytes more (or all of the key's bytes back).
    fn acts() -> impl Strategy<Value = Vec<(i64, i64, Option<u64>)>> {
        let bytes = prop_oneof![Just(1), 1..MAX / 64, 1..MAX];
        prop::collection::vec((0..3_i64, 0..4_i64, prop::option::weighted(0.8, bytes)), 0..200)
    }

    proptest! {
        #[test]
        fn whatever_others_do_a_key_has_its_share(acts in acts(), users in 1..=3_i64) {
            let shares = Shares::new(MAX, 1);
            let mut held: FxHashMap<(i64, i64), u64> = FxHashMap::default();
            let other = caller(99, 99);
            for (user, key, more) in acts {
                let (user, no) = (user % users, 10 * user + key);
                let (caller, holds) = (caller(user, no), held.entry((user, no)).or_default());
                match more {
                    Some(more) if shares.grow(&caller, more).is_ok() => *holds += more,
                    Some(_) => {}
                    None => shares.shrink(&caller, std::mem::take(holds)),
                }
                prop_assert!(*holds <= MAX / 4);
                // Rounded down once for each user.
                let users = u32::try_from(users).unwrap();
                prop_assert!(room(&shares, &other) >= (MAX >> (users + 2)) - u64::from(users));
            }
            prop_assert_eq!(shares.bytes(), held.values().sum::<u64>());
            for ((user, key), bytes) in held {
                shares.shrink(&caller(user, key), bytes);
            }
            prop_assert!(shares.is_empty());
        }

        #[test]
        fn whatever_one_key_does_another_of_its_user_has_its_share(bytes in prop::collection::vec(1..MAX / 2, 0..50)) {
            let shares = Shares::new(MAX, 1);
            for more in bytes {
                let _ = shares.grow(&caller(1, 1), more);
                prop_assert!(room(&shares, &caller(1, 2)) >= MAX / 8);
            }
        }
    }
}
