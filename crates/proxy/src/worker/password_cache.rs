//! The results of verified passwords, which a worker caches.

use std::time::Duration;

use crate::worker::credential_cache::CredentialCache;

/// The results of verifications, by the hash with which a name and a password were compared.
pub(crate) type PasswordCache = CredentialCache<PasswordResult>;

/// Maximum number of credentials whose result a worker caches.
pub(crate) const CACHED_MAX: usize = 10_000;

/// The result of one verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PasswordResult {
    Valid,
    Invalid,
    /// Nothing was verified: the address of the request must wait.
    OverLimit(Duration),
    /// Too many passwords wait for their verification, or nothing verifies them.
    Unknown,
}
