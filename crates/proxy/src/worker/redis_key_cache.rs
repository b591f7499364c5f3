//! The keys in Redis that a worker caches. They survive a change of the configuration.

use access::exchange::redis_key::RedisKeyResult;

use crate::worker::credential_cache::CredentialCache;

/// The results of look-ups, by a keyed hash of the prefix and the key.
pub(crate) type RedisKeyCache = CredentialCache<RedisKeyResult>;

/// Maximum number of results that a worker caches.
pub(crate) const CACHED_MAX: usize = 20_000;
