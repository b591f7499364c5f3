//! Identifiers: distinct types over UUIDv7 (RFC 9562, 5.7), and the short integers that the store assigns.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::{Clock, Timestamp};

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

/// Creates UUIDv7s. Random bytes are read 1 KiB at a time, because one system call per id would be measurable.
#[derive(Debug)]
pub struct Ids {
    clock: Clock,
    pool: [u8; POOL_BYTES],
    used: usize,
}

impl Ids {
    /// Creates a source of ids whose times are read from `clock`.
    #[must_use]
    pub const fn new(clock: Clock) -> Self {
        Self { clock, pool: [0; POOL_BYTES], used: POOL_BYTES }
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
        let random: [u8; ID_RANDOM_BYTES] =
            self.pool.get(self.used..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default();
        self.used += ID_RANDOM_BYTES;
        uuid::Builder::from_unix_timestamp_millis(at.unix_millis(), &random).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use super::*;

    #[test]
    fn ids_are_version_7_distinct_and_ordered_by_time() {
        let clock = Clock::manual(Timestamp(1_700_000_000_000_000));
        let mut ids = Ids::new(clock.clone());
        let mut seen = HashSet::new();
        let first = ids.next_uuid();
        for _ in 0..1_000 {
            let id = ids.next_uuid();
            assert_eq!(id.get_version_num(), 7);
            assert!(seen.insert(id));
        }
        clock.advance(Duration::from_millis(1));
        assert!(ids.next_uuid() > first);
    }
}
