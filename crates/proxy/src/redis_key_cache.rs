//! The keys in Redis that a worker caches. They survive a change of the configuration.

use access::redis_key::RedisKeyResult;

use crate::credential_cache::CredentialCache;

/// Maximum number of results that a worker caches.
const CACHED_MAX: usize = 20_000;

/// The results of look-ups, by a keyed hash of the prefix and the key.
pub(crate) struct RedisKeyCache(pub(crate) CredentialCache<RedisKeyResult>);

impl Default for RedisKeyCache {
    fn default() -> Self {
        Self(CredentialCache::new(CACHED_MAX))
    }
}
