//! Provider credentials in plain text, which are in memory between the vault and the request to the provider.

use std::sync::Arc;

use crate::credentials::secret::Secret;
use crate::id::ProviderKeyId;

/// One credential of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderKey {
    /// The id of the credential in the vault.
    pub id: ProviderKeyId,
    /// The name of the configured provider or upstream that accepts it.
    pub provider: Box<str>,
    /// The label that its owner chose.
    pub label: Box<str>,
    /// The credential. `None` if it could not be decrypted; no other credential replaces it.
    pub secret: Option<Secret>,
}

/// The credentials that a user's requests may use, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProviderKeys {
    /// The credentials of the user: the newest one for each provider.
    pub own: Arc<[ProviderKey]>,
    /// The shared credentials; the user's plan defines whether they may be used.
    pub shared: Arc<[ProviderKey]>,
}

impl ProviderKeys {
    /// Returns the user's credential for `provider`.
    #[must_use]
    pub fn own(&self, provider: &str) -> Option<&ProviderKey> {
        self.own.iter().find(|key| &*key.provider == provider)
    }

    /// Returns the shared credential for `provider` with this label, or any if no label is given.
    #[must_use]
    pub fn shared(&self, provider: &str, label: Option<&str>) -> Option<&ProviderKey> {
        self.shared.iter().find(|key| &*key.provider == provider && label.is_none_or(|label| &*key.label == label))
    }
}
