//! The shared credentials of the vault, which headers of routes add to requests.
//!
//! A job of the process reads them; requests only load them. They remain in use while the store is unavailable.

use std::sync::{Arc, PoisonError, RwLock};

use crate::credentials::provider_key::{ProviderKey, ProviderKeys};

/// The shared credentials as they were read last; empty before the first time.
#[derive(Debug, Default)]
pub struct UpstreamCredentials(RwLock<Arc<[ProviderKey]>>);

impl UpstreamCredentials {
    /// Returns the credentials that were read last. A request that loads them once sees no change in between.
    #[must_use]
    pub fn load(&self) -> ProviderKeys {
        let shared = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        ProviderKeys { own: Arc::default(), shared }
    }

    /// Replaces the credentials that requests load.
    pub fn store(&self, shared: Arc<[ProviderKey]>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = shared;
    }
}
