//! The results of verified passwords, which a worker caches.

use crate::credential_cache::CredentialCache;

/// Maximum number of credentials whose result a worker caches.
const CACHED_MAX: usize = 10_000;

/// The results of verifications, by the hash with which a name and a password were compared.
pub(crate) struct PasswordCache(pub(crate) CredentialCache<PasswordResult>);

impl Default for PasswordCache {
    fn default() -> Self {
        Self(CredentialCache::new(CACHED_MAX))
    }
}

/// The result of one verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PasswordResult {
    Valid,
    Invalid,
    /// Too many passwords wait for their verification, or nothing verifies them.
    Unknown,
}
