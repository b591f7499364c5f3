//! The keys of `routes[].cache`.

use std::time::Duration;

use settings::field::{ValueList, default, list, optional};
use settings::form::{Boolean, DurationForm, SizeForm, Words};
use settings::input::Input;
use settings::section;

use super::forms::HEADER;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const TTL: DurationForm = DurationForm::new(Duration::from_secs(1), Duration::from_secs(365 * 24 * 3600));

/// The values of `store`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CachePlace {
    Memory,
    Redis,
}

const STORE: Words<CachePlace> = Words::new(&[("memory", CachePlace::Memory), ("redis", CachePlace::Redis)]);

section! {
    CacheInput {
        /// Lifetime of responses without their own.
        ttl: Option<Input<Duration>> = optional(TTL, "none");
        /// Headers that distinguish responses, besides `Vary`.
        vary: ValueList<String> = list(HEADER, 16, "none");
        /// Memory for the route's responses. All routes together have the largest `size`.
        size: Input<u64> = default(SizeForm::new(64 * KIB, 1 << 40), || 64 * MIB);
        /// Maximum content of a stored response.
        entry_max: Input<u64> = default(SizeForm::new(1, 64 * MIB), || MIB);
        /// Whether authenticated clients share the responses.
        shared: Input<bool> = default(Boolean, || false);
        /// Response header with the tags for purging.
        tags: Option<Input<String>> = optional(HEADER, "none");
        /// Where responses are stored: in memory, or also in [Redis for other nodes](cache.md#several-nodes).
        store: Input<CachePlace> = default(STORE, || CachePlace::Memory);
    }
}
