//! Identifiers: distinct types over UUIDv7 (RFC 9562, 5.7), and the short integers that the store assigns.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::clock::{Clock, Timestamp};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// The nil UUID, which identifies nothing.
            pub const NIL: Self = Self(Uuid::nil());
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    )*};
}

ids! {
    /// A user, who owns keys and has a plan.
    UserId;
    /// A key; rotation does not change its id.
    KeyId;
    /// A plan with its limits.
    PlanId;
    /// A session, which begins with a sign-in.
    SessionId;
    /// One access token of a session.
    TokenId;
    /// A one-time link, for example to choose a password.
    LinkId;
    /// A credential of a provider in the vault.
    ProviderKeyId;
    /// One entry of the audit log.
    AuditId;
    /// One request to the proxy. It is also the id of its usage event, and the value of `x-request-id`.
    RequestId;
}

/// The store's integer for a user. Usage events contain it because it is short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserNo(pub i64);

/// The store's integer for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyNo(pub i64);

const POOL_BYTES: usize = 1024;
const ID_RANDOM_BYTES: usize = 10;

/// The ids of one millisecond count up from a random number below this (RFC 9562, 6.2, method 1).
const COUNTER_START_MAX: u16 = 1 << 11;

/// Creates UUIDv7s, whose order is that of their creation: 2,048 of one millisecond or more.
/// Random bytes are read 1 KiB at a time, because one system call per id would be measurable.
#[derive(Debug)]
pub struct Ids {
    clock: Clock,
    millis: u64,
    counter: u16,
    pool: [u8; POOL_BYTES],
    used: usize,
}

impl Ids {
    /// Creates a source of ids whose times are read from `clock`.
    #[must_use]
    pub const fn new(clock: Clock) -> Self {
        Self { clock, millis: 0, counter: 0, pool: [0; POOL_BYTES], used: POOL_BYTES }
    }

    /// Returns a new UUIDv7.
    ///
    /// # Panics
    /// If the operating system returns no random bytes: without them, no key or id is safe.
    pub fn next_uuid(&mut self) -> Uuid {
        let now = self.clock.now();
        self.uuid_at(now)
    }

    /// Returns a new UUIDv7 with the time `at`, for callers with a recent time.
    ///
    /// # Panics
    /// As [`Ids::next_uuid`].
    #[expect(clippy::expect_used, reason = "no randomness means no safe id; the request is answered 500")]
    pub fn uuid_at(&mut self, at: Timestamp) -> Uuid {
        if self.used + ID_RANDOM_BYTES > POOL_BYTES {
            getrandom::fill(&mut self.pool).expect("the operating system returns random bytes");
            self.used = 0;
        }
        let mut random: [u8; ID_RANDOM_BYTES] =
            self.pool.get(self.used..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default();
        self.used += ID_RANDOM_BYTES;
        let millis = at.unix_millis();
        let [high, low, ..] = random;
        self.counter = if millis == self.millis {
            self.counter.wrapping_add(1)
        } else {
            u16::from_be_bytes([high, low]) % COUNTER_START_MAX
        };
        self.millis = millis;
        [random[0], random[1]] = self.counter.to_be_bytes();
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn ids_are_version_7_and_in_the_order_of_their_creation() {
        let clock = Clock::manual(Timestamp(1_700_000_000_000_000));
        let mut ids = Ids::new(clock.clone());
        let mut last = Uuid::nil();
        for _ in 0..50 {
            for _ in 0..COUNTER_START_MAX {
                let id = ids.next_uuid();
                assert_eq!(id.get_version_num(), 7);
                assert!(id > last);
                last = id;
            }
            clock.advance(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_clock_that_goes_back_repeats_no_id() {
        let start = Timestamp(1_700_000_000_000_000);
        let clock = Clock::manual(start);
        let mut ids = Ids::new(clock.clone());
        let mut created = std::collections::HashSet::new();
        for round in 0..1_000 {
            clock.jump(Timestamp(start.0 - round % 3 * 1_000));
            created.insert(ids.next_uuid());
        }
        assert_eq!(created.len(), 1_000);
    }

    #[test]
    fn two_sources_create_different_ids_at_one_time() {
        let clock = Clock::manual(Timestamp(1_700_000_000_000_000));
        let mut sources = [Ids::new(clock.clone()), Ids::new(clock)];
        let created: std::collections::HashSet<Uuid> =
            (0..1_000).flat_map(|_| sources.each_mut().map(Ids::next_uuid)).collect();
        assert_eq!(created.len(), 2_000);
    }
}
