//! The share of each subject: bytes of buffered bodies, and requests in flight.
//!
//! Bytes have a dynamic threshold, like the shared memory of a network switch. A key may use more bytes only if twice
//! its own bytes, its user's bytes and all bytes together are at most the bound. The more is free, the more a key may
//! use, and a part always remains free for others:
//! - A key alone may use a quarter of the bound.
//! - Whatever one other key or user uses, a key may use an eighth of the bound.
//! - Each further user with large bodies halves that.
//!
//! A key may have `in_flight_per_key` requests in flight, and a user twice as many. One key alone leaves half of its
//! user's requests to the user's other keys.

use std::collections::hash_map::Entry;
use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use access::network::address;
use access::{KeyNo, Subject, UserNo};
use rustc_hash::{FxBuildHasher, FxHashMap};

/// Number of maps. Workers rarely wait for each other's lock with this number.
const SHARDS: usize = 16;
const SHARDS_U64: u64 = SHARDS as u64;
/// A map with more entries keeps none without load. A holder's next request needs no new entry.
const KEPT_MAX: usize = 64;
/// The divisor of the bound that gives the maximum share of a key that is alone.
const PARTS_OF_ONE_KEY: u64 = 4;
/// The factor from a key's maximum of requests in flight to that of its user.
const KEYS_OF_ONE_USER: u32 = 2;

/// Buffered bytes and requests in flight of all subjects. Users are divided among shards; the bytes of all users are
/// one sum.
#[derive(Debug)]
pub(super) struct Shares {
    bytes: AtomicU64,
    bytes_max: u64,
    key_calls_max: u32,
    shards: [Mutex<Shard>; SHARDS],
}

/// The subjects of one shard that use bytes or have requests in flight.
#[derive(Debug, Default)]
struct Shard {
    groups: FxHashMap<Holder, CallerLoad>,
    members: FxHashMap<Holder, CallerLoad>,
}

/// The owner of a share: a key, a user with all keys, or another subject.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Holder {
    Key(KeyNo),
    User(UserNo),
    /// A subject other than a key. The address of an anonymous client is that of its network.
    Other(Subject),
}

/// The two holders of a subject: a key and its user. Any other subject is its own group.
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

impl Holder {
    /// Returns the user of a key; any other subject itself.
    pub(super) fn group_of(subject: &Subject) -> Self {
        Holders::from(subject).group
    }
}

/// Buffered bytes and requests in flight of one holder.
#[derive(Debug, Default, Clone, Copy)]
struct CallerLoad {
    bytes: u64,
    calls: u32,
}

/// The bound of requests in flight that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallBound {
    /// The bound of the key.
    Key(u32),
    /// The bound of the user, over all of the user's keys.
    User(u32),
}

/// Numbers of used bytes: of a key, of its user, and of all users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ByteLevels {
    key: u64,
    user: u64,
    all: u64,
}

/// The share of a key is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ShareExhausted {
    /// The number of bytes that the key uses.
    pub(crate) holds: u64,
    /// The number of bytes that the key may use now. It is less than `holds` if other subjects have increased their
    /// bytes since.
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

    /// Returns the number of bytes that the key may use while all other holders stay unchanged.
    fn key_max(self, bytes_max: u64) -> u64 {
        let sum = self.sum();
        let bound = u128::from(bytes_max);
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

    /// Returns the number of bytes that all subjects use.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Returns the size of the largest body that a key may ever use.
    pub(super) const fn body_bytes_max(&self) -> u64 {
        self.bytes_max / PARTS_OF_ONE_KEY
    }

    /// Adds `more` bytes to what the subject uses. Returns an error if its share is used up.
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

    /// Releases `fewer` of the bytes that the subject uses.
    pub(super) fn shrink(&self, subject: &Subject, fewer: u64) {
        let holders = Holders::from(subject);
        let mut shard = self.shard(&holders.group);
        self.bytes.fetch_sub(fewer, Ordering::Relaxed);
        shard.reduce(&holders, |load| load.bytes = load.bytes.saturating_sub(fewer));
    }

    /// Counts a request of the subject and of its user. Returns the bound that is reached as an error.
    pub(super) fn enter(&self, subject: &Subject) -> Result<(), CallBound> {
        let user_calls_max = self.key_calls_max.saturating_mul(KEYS_OF_ONE_USER);
        let Holders { member, group } = subject.into();
        let mut shard = self.shard(&group);
        let Shard { members, groups } = &mut *shard;
        let key = members.entry(member);
        let user = groups.entry(group);
        if calls(&key) >= self.key_calls_max {
            return Err(CallBound::Key(self.key_calls_max));
        }
        if calls(&user) >= user_calls_max {
            return Err(CallBound::User(user_calls_max));
        }
        key.or_default().calls += 1;
        user.or_default().calls += 1;
        Ok(())
    }

    /// Ends a request that was counted.
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
            [&shard.groups, &shard.members].into_iter().flat_map(FxHashMap::values).all(|load| load.is_empty())
        };
        self.bytes() == 0 && self.shards.iter().all(empty)
    }
}

impl Shard {
    /// Reduces the load of a subject and of its group. The entry of a holder without load is removed, if there are many.
    fn reduce(&mut self, holders: &Holders, reduce: impl Fn(&mut CallerLoad)) {
        for (loads, holder) in [(&mut self.members, &holders.member), (&mut self.groups, &holders.group)] {
            if let Some(load) = loads.get_mut(holder) {
                reduce(load);
                if load.is_empty() && loads.len() > KEPT_MAX {
                    loads.remove(holder);
                }
            }
        }
    }
}

/// Returns the number of requests in flight of a holder.
fn calls(entry: &Entry<'_, Holder, CallerLoad>) -> u32 {
    match entry {
        Entry::Occupied(load) => load.get().calls,
        Entry::Vacant(_) => 0,
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

    /// Returns the maximum number of further bytes that `caller` can use, found by bisection.
    fn room(shares: &Shares, caller: &Subject) -> u64 {
        let mut fits = 0;
        let mut too_much = MAX + 1;
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
        // 2 * 1/4 + 1/4 + 3/8 exceeds the bound by an eighth, and the key's own maximum falls by a quarter of that.
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
    fn few_holders_without_load_are_kept() {
        let shares = Shares::new(MAX, 1);
        for key in 0..1_000 {
            shares.enter(&caller(1, key)).unwrap();
            shares.leave(&caller(1, key));
        }
        let kept = |shard: &Mutex<Shard>| shard.lock().unwrap().members.len();
        assert_eq!(shares.shards.iter().map(kept).sum::<usize>(), KEPT_MAX);
    }

    #[test]
    fn calls_in_flight_are_bounded_for_each_user_over_all_keys() {
        let shares = Shares::new(MAX, 2);
        for key in [1, 1, 2, 2] {
            shares.enter(&caller(1, key)).unwrap();
        }
        assert_eq!(shares.enter(&caller(1, 3)), Err(CallBound::User(4)), "a key without calls of its own");
        assert_eq!(shares.enter(&caller(1, 1)), Err(CallBound::Key(2)), "the closest bound is named");
        // The users 1 and 17 are in the same shard.
        for (user, key) in [(2, 4), (17, 5)] {
            shares.enter(&caller(user, key)).unwrap();
        }
        // A refused request is not counted: the end of one request makes room for exactly one.
        shares.leave(&caller(1, 2));
        shares.enter(&caller(1, 3)).unwrap();
        assert_eq!(shares.enter(&caller(1, 4)), Err(CallBound::User(4)));
        // Bytes do not use up requests in flight, and requests in flight do not use up bytes.
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
            named(SubjectKind::Basic, "ops", "ada"),
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

    /// Generates actions: the number of one of three users, of one of its four keys, and further bytes (`None` releases
    /// all bytes of the key).
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
                let no = 10 * user + key;
                let user = user % users;
                let caller = caller(user, no);
                let holds = held.entry((user, no)).or_default();
                match more {
                    Some(more) if shares.grow(&caller, more).is_ok() => *holds += more,
                    Some(_) => {}
                    None => shares.shrink(&caller, std::mem::take(holds)),
                }
                prop_assert!(*holds <= MAX / 4);
                // The bound is rounded down once per user.
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
